"""The command line as users and programs meet it: words, JSON, exit codes, pipes and signals.

Most commands run in this process, which costs nothing; what concerns a process runs in one of its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from shakegpt import __version__
from shakegpt.cli.app import app
from shakegpt.config import ModelConfig, TrainingConfig, field_docs
from shakegpt.data.catalog import CORPUS_PATH_VARIABLE, TINY_SHAKESPEARE_SHA256
from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import evaluate
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store

Invoke = Callable[..., Result]
RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
PATIENCE = 100


@pytest.fixture
def invoke() -> Invoke:
    """``invoke("generate", "--length", "5", input="ROMEO:")``: a command in this process."""
    return lambda *arguments, **more: CliRunner().invoke(app, list(arguments), **more)


@pytest.fixture
def begin_cli() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """``begin_cli("train", ...)``: a command in a process of its own, left running; killed when the test ends."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "shakegpt", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def one_sentence(result: Result, code: int) -> str:
    """Check that a command failed as it should, and return what it said."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    text = result.stderr.strip()
    assert text.startswith("shakegpt: ")
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.endswith(".")
    return text


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# What may not be imported


@pytest.mark.parametrize(
    ("arguments", "completing", "said"),
    [
        (["--help"], None, "Shakespeare"),
        (["--version"], None, __version__),
        (["train", "--help"], None, "--learning-rate"),
        (["generate", "--help"], None, "--top-p"),
        (["runs", "list"], None, "macbeth"),
        ([], "shakegpt runs show ", "macbeth"),
        ([], "shakegpt generate --checkpoint macb", "macbeth@30"),
        ([], "shakegpt train --preset ", "nano"),
        ([], "shakegpt train --corpus ", "demo"),
    ],
)
def test_what_needs_neither_imports_neither_torch_nor_textual(
    store: Store, arguments: list[str], completing: str | None, said: str
) -> None:
    code = """
        import atexit, sys
        heavy = {"torch", "textual", "numpy", "pooch", "requests"}
        atexit.register(lambda: print("imported:", sorted(heavy & set(sys.modules)), file=sys.stderr))
        from shakegpt.cli import main
        main()
    """
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "100"}
    if completing is not None:
        words = completing.split(" ")
        env |= {"_SHAKEGPT_COMPLETE": "complete_bash", "COMP_WORDS": completing, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'shakegpt'\n{'if True:'}{code}", *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert done.stderr.strip() == "imported: []"


# generate


GENERATE_FIELDS = {
    "checkpoint", "prompt", "text", "seed", "finish", "characters", "seconds", "characters_per_second",
}  # fmt: skip


def test_generate_continues_a_prompt_on_standard_output(store: Store, run_cli: RunCli) -> None:
    done = run_cli("generate", "--prompt", "ROMEO:", "--length", "30", "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ROMEO:")
    assert len(done.stdout.rstrip("\n")) <= len("ROMEO:") + 30
    assert done.stdout.endswith("\n")


def test_generate_json(store: Store, invoke: Invoke) -> None:
    macbeth = ("--checkpoint", "macbeth", "--prompt", "ROMEO:", "--length", "30", "--seed", "1")
    done = invoke("generate", *macbeth, "--json")
    (said,) = objects(done.stdout)
    assert set(said) == GENERATE_FIELDS
    best = store.run("macbeth").best()
    assert best is not None
    assert (said["checkpoint"], said["prompt"], said["seed"], said["finish"]) == (best.reference, "ROMEO:", 1, "length")
    assert said["characters"] == len(said["text"]) == 30
    assert said["characters_per_second"] == pytest.approx(30 / said["seconds"], rel=0.01)
    again = invoke("generate", *macbeth)
    assert again.stdout.rstrip("\n") == ("ROMEO:" + said["text"]).rstrip("\n")


def test_generate_writes_something_else_each_time_and_says_with_which_seed(store: Store, invoke: Invoke) -> None:
    first, second = (objects(invoke("generate", "--json", "--temperature", "2").stdout)[0] for _ in range(2))
    assert first["seed"] != second["seed"]
    assert first["text"] != second["text"]
    (again,) = objects(invoke("generate", "--json", "--temperature", "2", "--seed", str(first["seed"])).stdout)
    assert again["text"] == first["text"]


def test_generate_samples_do_not_depend_on_how_many(store: Store, invoke: Invoke) -> None:
    options = ["generate", "--prompt", "O", "--length", "20", "--seed", "3", "--temperature", "1.5", "--json"]
    (one,) = objects(invoke(*options).stdout)
    (three,) = objects(invoke(*options, "--samples", "3").stdout)
    (two,) = objects(invoke(*options, "--samples", "2").stdout)
    texts = [sample["text"] for sample in three["samples"]]
    assert texts[0] == one["text"]
    assert texts[:2] == [sample["text"] for sample in two["samples"]]
    assert len(set(texts)) == 3
    assert all(sample["finish"] == "length" for sample in three["samples"])
    assert GENERATE_FIELDS - {"text", "finish"} <= set(three)
    plain = invoke(*options[:-1], "--samples", "3")
    assert plain.exit_code == 0
    assert all(text.strip("\n") in plain.stdout for text in texts)


def test_generate_stops_before_a_stop_text(store: Store, invoke: Invoke) -> None:
    options = ["generate", "--prompt", "O", "--length", "60", "--seed", "3", "--json"]
    (whole,) = objects(invoke(*options).stdout)
    stop = whole["text"][20:22]
    (cut,) = objects(invoke(*options, "--stop", stop).stdout)
    assert (cut["finish"], cut["text"]) == ("stop", whole["text"][: whole["text"].index(stop)])
    assert cut["characters"] == len(cut["text"])


@pytest.mark.parametrize("arguments", [[], ["--prompt", "-"]])
def test_a_prompt_is_read_from_a_pipe(store: Store, invoke: Invoke, arguments: list[str]) -> None:
    (said,) = objects(invoke("generate", "--length", "3", "--json", *arguments, input="ROMEO:\nO").stdout)
    assert said["prompt"] == "ROMEO:\nO"


def test_without_a_prompt_a_speech_begins(store: Store, invoke: Invoke) -> None:
    (said,) = objects(invoke("generate", "--length", "3", "--json").stdout)
    assert said["prompt"] == "\n"


def test_streams_that_were_closed_are_empty_and_swallow() -> None:
    """``shakegpt ... <&- >&-``: Python has None for them, which nothing could ask whether it is a terminal."""
    code = (
        "import sys; from shakegpt.cli.output import configure_streams; configure_streams()\n"
        "sys.stdout.write('vanishes'); sys.stdout.flush()\n"
        "sys.stderr.write(repr((sys.stdin.read(), sys.stdin.isatty(), open('/dev/null').fileno() > 2)))"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&-', sys.executable, code],
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "('', False, True)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--temperature", "-0.5"], "Temperature .* not -0.5"),
        (["--temperature", "nan"], "Temperature .* not nan"),
        (["--top-k", "0"], "Top-k .* not 0"),
        (["--top-p", "0"], "Top-p .* not 0.0"),
        (["--top-p", "1.5"], "Top-p .* not 1.5"),
        (["--min-p", "2"], "Min-p .* not 2.0"),
        (["--repetition-penalty", "0"], "repetition penalty .* not 0.0"),
        (["--length", "-1"], "length .* not -1"),
        (["--seed", "-1"], "seed .* not -1"),
        (["--samples", "0"], "samples .* not 0"),
        (["--stop", ""], "stop text .* not ''"),
        (["--prompt", "Roméo"], r"'é' \(U\+00E9\), character 4"),
        (["--prompt", "\x1b[31m"], r"'\\x1b' \(U\+001B\), character 1"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_exit_code_2(
    store: Store, invoke: Invoke, arguments: list[str], told: str
) -> None:
    assert re.search(told, one_sentence(invoke("generate", *arguments), 2))


def test_a_prompt_that_is_no_text_is_told(store: Store, invoke: Invoke) -> None:
    assert "byte 2 is 0xff" in one_sentence(invoke("generate", input=b"ab\xff"), 2)


def test_a_word_where_a_number_belongs_is_wrong_usage(store: Store, invoke: Invoke) -> None:
    done = invoke("generate", "--top-k", "many")
    assert done.exit_code == 2
    assert "--top-k" in done.stderr


@pytest.mark.parametrize("reference", ["nobody", "macbeth@31", "/nowhere/at/all"])
def test_a_checkpoint_that_is_not_there_is_told_with_exit_code_1(store: Store, invoke: Invoke, reference: str) -> None:
    one_sentence(invoke("generate", "--checkpoint", reference), 1)


def test_a_damaged_checkpoint_is_refused(macbeth: Run, invoke: Invoke) -> None:
    path = macbeth.checkpoint_path(30) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    assert "damaged" in one_sentence(invoke("generate", "--checkpoint", "macbeth@30"), 1)


def test_debug_shows_where_an_error_came_from(store: Store, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_DEBUG", "1")
    done = invoke("generate", "--checkpoint", "nobody")
    assert "There is no run nobody" in str(done.exception)
    assert done.exc_info is not None


def test_a_reader_that_goes_away_ends_it_quietly(
    store: Store, begin_cli: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = begin_cli("generate", "--prompt", "ROMEO:", "--length", "10000000")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(10).startswith("ROMEO:")  # streamed: the end is hours away
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""


# evaluate


def test_evaluate_json_is_the_full_pass(store: Store, invoke: Invoke, demo: Corpus) -> None:
    (said,) = objects(invoke("evaluate", "macbeth@30", "--json").stdout)
    assert {
        "checkpoint", "corpus", "split", "characters", "loss", "perplexity", "bits_per_character", "parameters",
    } == set(said)  # fmt: skip
    loss = evaluate(store.open("macbeth@30").model(), demo.validation)
    info = store.find("macbeth@30")
    assert (said["checkpoint"], said["corpus"], said["split"]) == ("macbeth@30", "demo", "validation")
    assert said["characters"] == len(demo.validation) - 1
    assert said["loss"] == pytest.approx(loss.nats, rel=1e-6) == pytest.approx(info.val_loss, rel=1e-6)
    assert said["perplexity"] == pytest.approx(loss.perplexity)
    assert said["bits_per_character"] == pytest.approx(loss.bits_per_character)
    assert said["parameters"] == info.parameters


def test_evaluate_tells_people_the_same(store: Store, invoke: Invoke) -> None:
    done = invoke("evaluate", "macbeth@30", "--split", "train")
    assert done.exit_code == 0
    assert re.search(r"loss +\d\.\d{4} nats", done.stdout)
    assert "train split of demo" in done.stdout


def test_evaluate_refuses_a_text_with_unknown_characters(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "greek.txt").write_text("μῆνιν ἄειδε θεὰ " * 99)
    told = one_sentence(invoke("evaluate", "macbeth", "--corpus", str(tmp_path / "greek.txt")), 1)
    assert "has never seen" in told


def test_evaluate_refuses_an_unknown_split(store: Store, invoke: Invoke) -> None:
    assert "'test'" in one_sentence(invoke("evaluate", "macbeth", "--split", "test"), 2)


def test_evaluate_finds_the_file_that_a_run_learned_from(
    train_nano: Callable[..., tuple[Run, object]], invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "my play.txt"
    path.write_text("To be, or not to be: that is the question.\n" * 40)
    train_nano(corpus=str(path), run_name="lear", steps=2)
    (said,) = objects(invoke("evaluate", "lear", "--json").stdout)
    assert said["corpus"] == "my play"


# runs


def test_runs_list_json(store: Store, invoke: Invoke) -> None:
    (said,) = objects(invoke("runs", "list", "--json").stdout)
    (row,) = said["runs"]
    assert list(row) == [
        "name", "status", "step", "steps", "best_val_loss", "checkpoints", "corpus", "created", "bytes",
    ]  # fmt: skip
    assert (row["name"], row["status"], row["step"], row["steps"], row["corpus"]) == (
        "macbeth",
        "finished",
        30,
        30,
        "demo",
    )


def test_runs_list_for_people(store: Store, invoke: Invoke) -> None:
    assert re.search(r"macbeth +finished +30/30 ", invoke("runs", "list").stdout)


def test_an_empty_store_says_how_to_begin(invoke: Invoke) -> None:
    done = invoke("runs", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "shakegpt train" in done.stderr
    assert objects(invoke("runs", "list", "--json").stdout) == [{"runs": []}]


def test_runs_show(store: Store, invoke: Invoke) -> None:
    done = invoke("runs", "show", "macbeth")
    assert done.exit_code == 0
    assert re.search(r"macbeth@30 .* last", done.stdout)
    assert "best" in done.stdout
    (said,) = objects(invoke("runs", "show", "macbeth", "--json").stdout)
    assert said["record"]["corpus"] == "demo"
    assert [checkpoint["step"] for checkpoint in said["checkpoint_list"]][-1] == 30


def test_runs_path(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert invoke("runs", "path", "macbeth").stdout == f"{macbeth.path}\n"
    assert invoke("runs", "path", "macbeth@30").stdout == f"{macbeth.checkpoint_path(30)}\n"
    assert invoke("runs", "path", "last").stdout == f"{macbeth.checkpoint_path(30)}\n"


def test_runs_remove_asks_or_is_told_yes(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "--yes" in one_sentence(invoke("runs", "remove", "macbeth"), 2)
    assert macbeth.path.exists()
    with macbeth.lock():
        one_sentence(invoke("runs", "remove", "macbeth", "--yes"), 1)
    assert invoke("runs", "remove", "macbeth", "--yes").exit_code == 0
    assert not macbeth.path.exists()


@pytest.mark.parametrize("arguments", [["show", "nobody"], ["remove", "nobody", "--yes"], ["path", "nobody"]])
def test_a_run_that_is_not_there_is_told(store: Store, invoke: Invoke, arguments: list[str]) -> None:
    assert "There is no run nobody; the runs here are macbeth." in one_sentence(invoke("runs", *arguments), 1)


def test_stop_needs_a_run_in_training(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "is not training" in one_sentence(invoke("stop", "macbeth"), 1)
    with macbeth.lock():
        done = invoke("stop", "macbeth")
        assert done.exit_code == 0
        assert f"process {os.getpid()}" in done.stderr
        assert macbeth.take_request() == "stop"


# corpus


def test_corpus_add_and_list(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "lear.txt"
    path.write_bytes("Ophélie".encode("latin-1"))
    assert "byte 3 is 0xe9" in one_sentence(invoke("corpus", "add", str(path)), 1)
    (said,) = objects(invoke("corpus", "add", str(path), "--encoding", "latin-1", "--json").stdout)
    assert (said["name"], said["characters"]) == ("lear", 7)
    (listed,) = objects(invoke("corpus", "list", "--json").stdout)
    assert [row["name"] for row in listed["corpora"]] == ["tiny-shakespeare", "demo", "lear"]
    assert listed["corpora"][0]["path"] is None
    assert "lear" in invoke("corpus", "list").stdout


@pytest.mark.parametrize(
    ("data", "name", "code", "told"),
    [
        (b"", "x.txt", 1, "is empty"),
        (None, "x.txt", 1, "cannot be read: No such file"),
        (b"text", "my play.txt", 2, "choose one with --name"),
        (b"text", "demo.txt", 2, "cannot be called 'demo'"),
    ],
)
def test_corpus_add_refuses_with_a_sentence(
    invoke: Invoke, tmp_path: Path, data: bytes | None, name: str, code: int, told: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert told in one_sentence(invoke("corpus", "add", str(tmp_path / name)), code)


def test_corpus_add_refuses_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    assert "is a folder" in one_sentence(invoke("corpus", "add", str(tmp_path)), 1)


def test_corpus_fetch_finds_the_real_text_offline(
    invoke: Invoke, tiny_shakespeare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shakegpt.system.files import sha256

    monkeypatch.setenv(CORPUS_PATH_VARIABLE, str(tiny_shakespeare_path))
    (said,) = objects(invoke("corpus", "fetch", "--json").stdout)
    assert said["bytes"] == 1_115_394
    assert sha256(Path(said["path"]).read_bytes()) == TINY_SHAKESPEARE_SHA256


def test_corpus_fetch_without_a_network_says_how_to_go_on(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch.core

    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    assert "--corpus demo" in one_sentence(invoke("corpus", "fetch"), 1)


# doctor, and the app


def test_doctor(store: Store, invoke: Invoke) -> None:
    (said,) = objects(invoke("doctor", "--json").stdout)
    assert {"device", "precision", "reason", "threads", "versions", "paths", "terminal"} <= set(said)
    assert said["versions"]["shakegpt"] == __version__
    assert said["paths"]["home"] == str(store.home)
    assert said["runs"] == 1
    plain = invoke("doctor")
    assert plain.exit_code == 0
    assert said["reason"].split(";")[0] in plain.stdout


def test_the_app_needs_a_terminal(invoke: Invoke) -> None:
    assert "needs a terminal" in one_sentence(invoke(), 2)


def test_watch_needs_a_run(invoke: Invoke) -> None:
    assert "no run to watch" in one_sentence(invoke("watch"), 1)


# train


TRAIN = [
    "train", "--preset", "nano", "--corpus", "demo", "--run", "lear", "--device", "cpu", "--precision", "fp32",
    "--batch-size", "4",
]  # fmt: skip


def test_a_field_of_the_configuration_is_an_option_with_its_docstring(invoke: Invoke) -> None:
    words = " ".join(invoke("train", "--help", env={"COLUMNS": "200", "TERM": "dumb"}).stdout.replace("│", " ").split())
    for name in ("steps", "weight_decay", "device"):
        assert f"--{name.replace('_', '-')} " in words
        assert field_docs(TrainingConfig)[name] in words
    assert field_docs(ModelConfig)["dropout"] in words


def test_train_json_and_then_generate(private_surroundings: Path, run_cli: RunCli, invoke: Invoke) -> None:
    done = run_cli(*TRAIN, "--steps", "4", "--eval-every", "2", "--save-every", "2", "--seed", "5", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    events = objects(done.stdout)
    assert [event["event"] for event in events] == [
        "started", "sample", "step", "step", "evaluation", "sample", "saved", "step", "step", "evaluation", "sample",
        "saved", "finished",
    ]  # fmt: skip
    step = next(event for event in events if event["event"] == "step")
    assert {"step", "loss", "perplexity", "learning_rate", "grad_norm", "tokens_per_second"} <= set(step)
    evaluation = next(event for event in events if event["event"] == "evaluation")
    assert {"step", "train_loss", "val_loss", "perplexity"} <= set(evaluation)
    saved = next(event for event in events if event["event"] == "saved")
    assert (saved["step"], saved["best"], Path(saved["path"]).is_dir()) == (2, True, True)
    run = Store(private_surroundings).run("lear")
    assert objects(run.metrics_path.read_text()) == events
    (spoken,) = objects(invoke("generate", "--checkpoint", "lear", "--length", "9", "--json").stdout)
    assert spoken["checkpoint"] in ("lear@2", "lear@4")


def test_train_for_people_prints_its_result_and_notes_the_rest(private_surroundings: Path, run_cli: RunCli) -> None:
    done = run_cli(*TRAIN, "--steps", "4", "--eval-every", "2")
    assert done.returncode == 0
    assert re.fullmatch(r"lear: step 4 .*best validation loss \d\.\d+ at \d.*finished\n", done.stdout)
    assert "validation" in done.stderr
    assert "saved" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--steps", "0"], 2, "steps must be a whole number of at least 1, not 0"),
        (["--preset", "huge"], 2, "There is no preset 'huge'"),
        (["--run", "last"], 2, "meaning of its own"),
        (["--run", "my run"], 2, "A run cannot be called 'my run'"),
    ],
)
def test_train_refuses_with_a_sentence(run_cli: RunCli, arguments: list[str], code: int, told: str) -> None:
    done = run_cli("train", "--corpus", "demo", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_train_json_says_in_json_that_it_failed(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("train", "--corpus", str(tmp_path / "nowhere.txt"), "--json")
    assert done.returncode == 1
    (said,) = objects(done.stdout)
    assert said["event"] == "failed"
    assert "There is no corpus" in said["message"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_saves_and_ends(
    private_surroundings: Path, begin_cli: Callable[..., "subprocess.Popen[str]"], number: int, code: int
) -> None:
    process = begin_cli(*TRAIN, "--steps", "1000000", "--eval-every", "1000000", "--save-every", "1000000", "--json")
    assert process.stdout is not None
    steps = (event for event in map(json.loads, process.stdout) if event["event"] == "step")
    next(steps)
    process.send_signal(number)
    rest, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (code, "")
    assert [event["event"] for event in objects(rest)][-2:] == ["saved", "finished"]
    run = Store(private_surroundings).run("lear")
    last = run.last()
    assert last is not None
    assert (run.status(), last.step) == ("stopped", objects(rest)[-1]["step"])


def test_stop_from_another_process_saves_and_ends(
    private_surroundings: Path, begin_cli: Callable[..., "subprocess.Popen[str]"], invoke: Invoke
) -> None:
    process = begin_cli(*TRAIN, "--steps", "1000000", "--eval-every", "1000000", "--save-every", "1000000", "--json")
    assert process.stdout is not None
    next(event for event in map(json.loads, process.stdout) if event["event"] == "step")
    done = invoke("stop", "lear")
    assert f"process {process.pid}" in done.stderr
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert objects(rest)[-1]["outcome"] == "stopped"
    assert Store(private_surroundings).run("lear").status() == "stopped"
