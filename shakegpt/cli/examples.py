"""The examples at the end of each command's ``--help``: what to type, and what it does. A test parses each of them."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "shakegpt": (
        ("shakegpt", "the full-screen app"),
        ('shakegpt generate "ROMEO:"', "text from the built-in model"),
        ("shakegpt train --preset nano --corpus demo", "a first model in seconds"),
    ),
    "shakegpt train": (
        ("shakegpt train --preset nano --corpus demo", "seconds"),
        ("shakegpt train --corpus poems.txt --run poems", "your own text"),
        ("shakegpt train --resume poems --steps 12000", "train it further"),
    ),
    "shakegpt sweep": (
        ("shakegpt sweep --lr 1e-3,2e-3 --seeds 3 --name rates", "six runs"),
        ("shakegpt sweep --resume rates", "go on after a cut"),
        ("shakegpt sweep --weight-decay 0.1,1 --print | parallel", "on other machines"),
    ),
    "shakegpt lr-find": (
        ("shakegpt lr-find --corpus poems.txt", ""),
        ("shakegpt lr-find --preset baby --plot rates.svg", "the curve as a picture"),
    ),
    "shakegpt generate": (
        ('shakegpt generate "ROMEO:" --length 200', ""),
        ("shakegpt generate -c poems@last -t 0.6 > poem.txt", ""),
        ("head -5 poem.txt | shakegpt generate --json", ""),
    ),
    "shakegpt evaluate": (
        ("shakegpt evaluate", "the default model"),
        ("shakegpt evaluate -c poems@last --copying 2000", ""),
    ),
    "shakegpt score": (
        ("shakegpt score poems sonnet.txt", "the least expected characters"),
        ("echo 'To be' | shakegpt score --top 3", "the likeliest at each place"),
    ),
    "shakegpt inspect": (
        ('shakegpt inspect poems --text "To be, or not"', ""),
        ("shakegpt inspect --mute 1.4 --plot heads.svg", "without head 4 of block 1"),
    ),
    "shakegpt presets": (("shakegpt presets", ""),),
    "shakegpt watch": (
        ("shakegpt watch", "the newest run"),
        ("shakegpt watch poems", ""),
        ("shakegpt watch poems --web", "in a browser"),
    ),
    "shakegpt stop": (("shakegpt stop poems", ""),),
    "shakegpt export": (
        ("shakegpt export poems poems-hf", "for transformers"),
        ("shakegpt export poems@last poems-gguf --format gguf", "for llama.cpp"),
    ),
    "shakegpt import": (("shakegpt import poems-hf --run poems-again", ""),),
    "shakegpt bench": (
        ("shakegpt bench --quick", "a rough figure in seconds"),
        ("shakegpt bench --preset nano --json", ""),
    ),
    "shakegpt doctor": (("shakegpt doctor", ""),),
    "shakegpt runs": (
        ("shakegpt runs list", ""),
        ("shakegpt runs show poems", ""),
    ),
    "shakegpt runs list": (
        ("shakegpt runs list --json", ""),
        ("shakegpt runs list --tag baseline --where lr=2e-3", "by tag and setting"),
    ),
    "shakegpt runs show": (
        ("shakegpt runs show poems", ""),
        ("shakegpt runs show poems verse --plot curves.svg", "two curves in one picture"),
    ),
    "shakegpt runs compare": (
        ("shakegpt runs compare poems verse", ""),
        ("shakegpt runs compare rates --reach 1.6", "all runs of a sweep"),
    ),
    "shakegpt runs export": (
        ("shakegpt runs export poems > poems.csv", ""),
        ("shakegpt runs export poems verse --parquet both.parquet", "two runs in one table"),
    ),
    "shakegpt runs remove": (("shakegpt runs remove poems", ""),),
    "shakegpt runs rename": (("shakegpt runs rename poems verse", ""),),
    "shakegpt runs note": (("shakegpt runs note poems 'with more decay'", ""),),
    "shakegpt runs tag": (("shakegpt runs tag poems baseline", ""),),
    "shakegpt runs path": (
        ("shakegpt runs path poems", "the run's folder"),
        ("shakegpt runs path poems@best", "its best checkpoint's folder"),
    ),
    "shakegpt corpus": (("shakegpt corpus list", ""),),
    "shakegpt corpus list": (("shakegpt corpus list", ""),),
    "shakegpt corpus fetch": (("shakegpt corpus fetch", ""),),
    "shakegpt corpus add": (("shakegpt corpus add poems.txt --name poems", ""),),
    "shakegpt config": (("shakegpt config edit", ""),),
    "shakegpt config path": (("shakegpt config path", ""),),
    "shakegpt config show": (("shakegpt config show", ""),),
    "shakegpt config edit": (("EDITOR=nano shakegpt config edit", ""),),
    "shakegpt config keys": (("shakegpt config keys", ""),),
}
