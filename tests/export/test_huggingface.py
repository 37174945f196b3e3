"""The directory for Hugging Face, loaded by the real ``transformers``, and imported again."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from shakegpt.config import SamplingConfig
from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.export.bundle import write_bundle
from shakegpt.export.huggingface import export_files, import_run
from shakegpt.generation.stream import Stream
from shakegpt.runs.checkpoint import Checkpoint
from shakegpt.runs.store import Store

FILES = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "README.md",
}
PROMPT = "ROMEO:"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of transformers' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="session")
def checkpoint(trained_home: Path) -> Checkpoint:
    return Store(trained_home).open("macbeth")


@pytest.fixture(scope="session")
def directory(checkpoint: Checkpoint, trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "macbeth"
    metadata = Store(trained_home).run("macbeth").metadata
    write_bundle(folder, export_files(checkpoint, name="macbeth@30", metadata=metadata))
    return folder


@pytest.fixture(scope="session")
def tokenizer(directory: Path) -> Any:
    return AutoTokenizer.from_pretrained(directory)


@pytest.fixture(scope="session")
def theirs(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory).eval()


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    """A copy of the directory that the test may damage."""
    return Path(shutil.copytree(directory, tmp_path / "copy"))


def continue_greedily(model: Any, tokenizer: Any, prompt: str, length: int) -> str:
    """Generate with ``transformers``, sliding the window as shakegpt does: a full one continues from its last half."""
    block_size = model.config.n_positions
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    written = ""
    while len(written) < length:
        count = min(block_size + 1 - ids.shape[1], length - len(written))
        mask = torch.ones_like(ids)
        longer = model.generate(ids, attention_mask=mask, max_new_tokens=count, do_sample=False, pad_token_id=0)
        written += tokenizer.decode(longer[0, ids.shape[1] :])
        ids = longer[:, -(block_size // 2) :]
    return written


def greedy_text(checkpoint: Checkpoint, length: int) -> str:
    from shakegpt.model.language_model import LanguageModel

    language_model = LanguageModel(model=checkpoint.model(), vocabulary=checkpoint.vocabulary, name="macbeth")
    stream = Stream(language_model, PROMPT, SamplingConfig(temperature=0, length=length))
    return "".join(character.text for character in stream)


def test_the_directory_has_these_files(directory: Path) -> None:
    assert {path.name for path in directory.iterdir()} == FILES


def test_the_code_on_its_card_runs(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkpoint: Checkpoint
) -> None:
    code = (directory / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(directory)
    exec(compile(code, "card", "exec"), {})
    assert len(capsys.readouterr().out) == checkpoint.config.block_size + 1


def test_logits_are_ours(checkpoint: Checkpoint, theirs: Any) -> None:
    size = checkpoint.config.block_size
    ids = torch.randint(len(checkpoint.vocabulary), (4, size), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = (theirs(ids).logits - checkpoint.model()(ids)).abs().max()
    assert float(difference) <= 1e-4


def test_the_model_has_as_many_weights_and_a_tied_head(checkpoint: Checkpoint, theirs: Any) -> None:
    assert sum(parameter.numel() for parameter in theirs.parameters()) == checkpoint.config.parameters
    assert theirs.lm_head.weight.data_ptr() == theirs.transformer.wte.weight.data_ptr()


def test_greedy_text_is_ours_past_the_window(checkpoint: Checkpoint, theirs: Any, tokenizer: Any) -> None:
    length = 3 * checkpoint.config.block_size
    assert continue_greedily(theirs, tokenizer, PROMPT, length) == greedy_text(checkpoint, length)


def test_pretrained_generates_the_same_200_characters(private_surroundings: Path, tmp_path: Path) -> None:
    store = Store(private_surroundings)
    try:
        pretrained = store.open("pretrained")
    except CheckpointError:
        pytest.skip("this installation has no pretrained model")
    write_bundle(tmp_path / "hf", export_files(pretrained, name="pretrained"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    ids = torch.randint(len(pretrained.vocabulary), (2, pretrained.config.block_size))
    with torch.no_grad():
        assert float((model(ids).logits - pretrained.model()(ids)).abs().max()) <= 1e-4
    assert continue_greedily(model, tokenizer, PROMPT, 200) == greedy_text(pretrained, 200)


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "\n\n\n",
        " ",
        "     ",
        " \n \n",
        "ROMEO:\n  What ,  ho !\n",
        "don't . ,;:!?",
        "aAbB",
        "\n leading",
        "trailing \n",
    ],
)
def test_any_text_of_the_vocabulary_round_trips(tokenizer: Any, checkpoint: Checkpoint, text: str) -> None:
    ids = tokenizer(text).input_ids
    assert ids == checkpoint.vocabulary.encode(text)
    assert tokenizer.decode(ids) == text


def test_the_whole_vocabulary_round_trips_in_any_order(tokenizer: Any, checkpoint: Checkpoint) -> None:
    text = checkpoint.vocabulary.characters
    for shuffled in (text, text[::-1], text * 3, "".join(a + b for a in text for b in text)):
        assert tokenizer.decode(tokenizer(shuffled).input_ids) == shuffled


def test_an_unknown_character_is_an_error_there_too(tokenizer: Any) -> None:
    with pytest.raises(Exception, match=r"\[UNK\]"):
        tokenizer("naïve ☂")


def test_characters_of_every_width_round_trip(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from dataclasses import replace

    from shakegpt.data.vocabulary import Vocabulary

    odd = "\t\n\r \u00a0é\u0301ß中\U0001f600\\\"'#▁Ġ"
    plain = "".join(sorted(set(checkpoint.vocabulary.characters) - set(odd)))
    vocabulary = Vocabulary((odd + plain)[: len(checkpoint.vocabulary)])
    write_bundle(tmp_path / "odd", export_files(replace(checkpoint, vocabulary=vocabulary), name="odd"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "odd")
    text = odd + odd[::-1] + "  " + odd
    assert tokenizer(text).input_ids == vocabulary.encode(text)
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_import_gives_the_same_weights_and_vocabulary(
    directory: Path, checkpoint: Checkpoint, private_surroundings: Path
) -> None:
    store = Store(private_surroundings)
    run = import_run(store, directory, "back")
    back = store.open("back@best")
    assert back.config == checkpoint.config
    assert back.vocabulary == checkpoint.vocabulary
    assert all(torch.equal(back.weights[name], weight) for name, weight in checkpoint.weights.items())
    assert (run.metadata.corpus, store.summary(run).step, run.status()) == ("demo", 30, "finished")
    assert back.manifest.val_loss is None  # a loss that was not measured here is not recorded


def test_import_reads_what_transformers_saves(
    theirs: Any, tokenizer: Any, checkpoint: Checkpoint, tmp_path: Path, private_surroundings: Path
) -> None:
    theirs.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    store = Store(private_surroundings)
    run = import_run(store, tmp_path / "saved")
    weights = store.open(run.name).weights
    assert all(torch.equal(weights[name], weight) for name, weight in checkpoint.weights.items())


def test_import_reads_half_precision(copy: Path, checkpoint: Checkpoint, private_surroundings: Path) -> None:
    tensors = safetensors.torch.load_file(copy / "model.safetensors")
    safetensors.torch.save_file(
        {name: tensor.bfloat16() for name, tensor in tensors.items()}, copy / "model.safetensors"
    )
    store = Store(private_surroundings)
    weights = store.open(import_run(store, copy).name).weights
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert torch.allclose(weights["final_norm.weight"], checkpoint.weights["final_norm.weight"], rtol=0.01)


def damage_config(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(values))

    return damage


def damage_tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "tokenizer.json").read_text())
        change(values)
        (folder / "tokenizer.json").write_text(json.dumps(values))

    return damage


def damage_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        change(tensors)
        safetensors.torch.save_file(tensors, folder / "model.safetensors")

    return damage


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def become_fifo(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def become_link(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("/etc/passwd")


DAMAGED = {
    "not a folder": (lambda folder: shutil.rmtree(folder), "not a folder"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
    "config not json": (write("config.json", b"{"), "config.json"),
    "config a list": (write("config.json", b"[]"), "not a JSON object"),
    "config deep": (write("config.json", b"[" * 200_000), "damaged"),
    "config huge": (write("config.json", b" " * 2_000_000), "more than"),
    "a pipe": (become_fifo, "not a regular file"),
    "a link": (become_link, "cannot be read"),
    "other model": (damage_config(model_type="llama"), "model_type"),
    "other gelu": (damage_config(activation_function="gelu_new"), "activation_function"),
    "other epsilon": (damage_config(layer_norm_epsilon=1e-6), "layer_norm_epsilon"),
    "untied": (damage_config(tie_word_embeddings=False), "tie_word_embeddings"),
    "vast": (damage_config(n_embd=99_999, n_head=1, n_layer=1000), "too small"),
    "negative": (damage_config(n_layer=-1), "layers"),
    "text for a number": (damage_config(n_embd="64"), "d_model"),
    "a bool for a number": (damage_config(n_layer=True), "layers"),
    "heads that do not divide": (damage_config(n_head=7), "multiple"),
    "dropout above one": (damage_config(resid_pdrop=2), "Dropout"),
    "other size": (damage_config(vocab_size=50), "50 characters"),
    "tokens of two": (damage_tokenizer(lambda t: t["model"]["vocab"].update(ab=3)), "single characters"),
    "merges": (damage_tokenizer(lambda t: t["model"].update(merges=["a b"])), "single characters"),
    "special tokens": (damage_tokenizer(lambda t: t.update(added_tokens=[{"id": 0}])), "single characters"),
    "no vocabulary": (damage_tokenizer(lambda t: t.pop("model")), "no vocabulary"),
    "an id twice": (damage_tokenizer(lambda t: t["model"]["vocab"].update({"\n": 5})), "does not number"),
    "an id that is text": (damage_tokenizer(lambda t: t["model"]["vocab"].update({"\n": "x"})), "does not number"),
    "garbage weights": (write("model.safetensors", os.urandom(300_000)), "damaged"),
    "short weights": (write("model.safetensors", b"\0" * 100), "too small"),
    "a weight less": (damage_weights(lambda t: t.pop("transformer.ln_f.bias")), "ln_f.bias is missing"),
    "a weight more": (damage_weights(lambda t: t.update(extra=torch.zeros(1))), "extra"),
    "other shape": (
        damage_weights(lambda t: t.update({"transformer.ln_f.bias": torch.zeros(3)})),
        "ln_f.bias is missing, or is not of the shape",
    ),
    "whole numbers": (
        damage_weights(lambda t: t.update({"transformer.ln_f.bias": torch.zeros(64, dtype=torch.int32)})),
        "ln_f.bias",
    ),
    "not finite": (
        damage_weights(lambda t: t.update({"transformer.ln_f.bias": torch.full((64,), float("nan"))})),
        "not finite",
    ),
    "head of its own": (damage_weights(lambda t: t.update({"lm_head.weight": torch.zeros(62, 64)})), "not tied"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_directory_is_refused_in_one_sentence(case: str, copy: Path, private_surroundings: Path) -> None:
    damage, message = DAMAGED[case]
    damage(copy)
    store = Store(private_surroundings)
    with pytest.raises(CheckpointError, match=message) as error:
        import_run(store, copy)
    assert "\n" not in str(error.value)
    assert store.runs() == []


def test_an_invalid_origin_is_ignored(copy: Path, private_surroundings: Path) -> None:
    damage_config(shakegpt={"step": -5, "corpus": "../../etc/passwd", "corpus_sha256": 7})(copy)
    store = Store(private_surroundings)
    run = import_run(store, copy)
    assert (run.metadata.corpus, store.summary(run).step) == ("unknown", 0)


def test_an_imported_run_does_not_train_on(directory: Path, private_surroundings: Path) -> None:
    from shakegpt.training.setup import TrainingRequest, build_trainer

    store = Store(private_surroundings)
    import_run(store, directory, "back")
    with pytest.raises(CheckpointError, match="weights only"):
        build_trainer(store, TrainingRequest(resume="back", changes={"steps": 99}))


def test_a_taken_name_is_refused_before_anything_is_read(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ShakegptError, match="There is a run macbeth already"):
        import_run(store, tmp_path / "nowhere", "macbeth")


@pytest.mark.parametrize("taken", ["file", "full folder", "link"])
def test_a_taken_folder_is_left_alone(taken: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    if taken == "file":
        target.write_text("mine")
    elif taken == "link":
        target.symlink_to(tmp_path)
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is there already"):
        write_bundle(target, {"a": b"theirs"})
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(ShakegptError, match="cannot be written"):
        write_bundle(tmp_path / "out", {"good": b"1", "no/such/folder": b"2"})
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_bundle(tmp_path / "out", {"a": b"1"})
    assert (tmp_path / "out" / "a").read_bytes() == b"1"


def test_the_commands_export_and_import_a_model(invoke: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    out = tmp_path / "hf"
    exported = invoke("export", "macbeth", str(out), "--format", "hf", "--json")
    assert exported.exit_code == 0, exported.stderr
    report = json.loads(exported.stdout)
    assert set(report["files"]) == FILES
    assert report["files"] == {path.name: path.stat().st_size for path in out.iterdir()}
    imported = invoke("import", str(out), "--run", "back", "--json")
    assert json.loads(imported.stdout) == {
        "run": "back",
        "checkpoint": f"back@{store.find('macbeth').step}",
        "path": str(store.run("back").path),
    }
    one, other = (
        invoke("generate", "--checkpoint", name, "--seed", "3", "--length", "40", "--prompt", PROMPT).stdout
        for name in ("macbeth", "back")
    )
    assert one == other != ""
