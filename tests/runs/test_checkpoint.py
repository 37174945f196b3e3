"""A checkpoint reads back as it was written, is the same bytes everywhere, and is refused where one bit is not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import (
    Checkpoint,
    CheckpointData,
    SavedTrainingState,
    TrainingMetadata,
    read_checkpoint,
    write_checkpoint,
)
from shakegpt.runs.manifest import Manifest, read_manifest
from shakegpt.runs.run import Run
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.optimizer import Optimizer

CONFIG = ModelConfig(vocab_size=5, n_layer=2, n_head=2, d_model=8, d_ff=12, block_size=6, dropout=0.25)
VOCABULARY = Vocabulary('\n"abé')
FILES = ["manifest.json", "model.safetensors", "training.safetensors"]
Write = Callable[..., Manifest]


def training_record(**changes: object) -> TrainingMetadata:
    record = TrainingMetadata(
        schema=1, step=3, tokens=99, training=TrainingConfig(steps=9), preset="nano", corpus="demo",
        corpus_sha256="0" * 64, precision="fp32", device="cpu", threads=2, versions={"torch": "2", "python": "3"},
        best_step=2, best_val_loss=2.5, train_loss_sum=1.25, train_loss_count=1, accumulate=1, non_finite=0,
        rollbacks=0, learning_rate_scale=1.0,
    )  # fmt: skip
    return replace(record, **changes)


def training_state() -> SavedTrainingState:
    model = GPT(CONFIG, seed=1)
    optimizer = Optimizer(FlatParameters(model), TrainingConfig(), precision="fp32")
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    optimizer.step(1e-3, torch.tensor(1.0))
    return SavedTrainingState(training_record(), optimizer.state_dict())


def write(folder: Path, **changes: object) -> Manifest:
    whole = {
        "config": CONFIG, "vocabulary": VOCABULARY, "weights": GPT(CONFIG, seed=1).state_dict(), "step": 3,
        "val_loss": 2.25, "seconds": 7.5, "training_state": training_state(),
    }  # fmt: skip
    return write_checkpoint(folder, CheckpointData(**{**whole, **changes}))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint."""
    write(tmp_path / "step-00000003")
    return tmp_path / "step-00000003"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# Round trip


def test_a_checkpoint_reads_back_as_it_was_written(folder: Path) -> None:
    checkpoint = read_checkpoint(folder)
    assert checkpoint.config == CONFIG
    assert checkpoint.vocabulary == VOCABULARY
    weights = GPT(CONFIG, seed=1).state_dict()
    assert set(checkpoint.weights) == set(weights)
    assert all(torch.equal(weight, weights[name]) for name, weight in checkpoint.weights.items())
    assert (checkpoint.manifest.step, checkpoint.manifest.val_loss, checkpoint.manifest.seconds) == (3, 2.25, 7.5)
    state, expected = checkpoint.read_training_state(), training_state()
    assert state.metadata == expected.metadata
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in state.tensors.items())
    assert set(state.tensors) == set(expected.tensors)


def test_the_model_of_a_checkpoint_has_the_logits_of_the_one_saved(folder: Path) -> None:
    ids = torch.tensor([[0, 1, 2, 3]])
    with torch.no_grad():
        assert torch.equal(read_checkpoint(folder).model()(ids), GPT(CONFIG, seed=1)(ids))


def test_what_is_read_and_written_again_is_equal_to_the_byte(folder: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(folder)
    contents = CheckpointData(
        config=checkpoint.config,
        vocabulary=checkpoint.vocabulary,
        weights=checkpoint.model().state_dict(),
        step=checkpoint.manifest.step,
        val_loss=checkpoint.manifest.val_loss,
        seconds=checkpoint.manifest.seconds,
        training_state=checkpoint.read_training_state(),
    )
    write_checkpoint(tmp_path / "again", contents)
    assert bytes_of(tmp_path / "again") == bytes_of(folder)
    assert sorted(bytes_of(folder)) == FILES


def test_equal_states_give_equal_bytes_in_every_process(folder: Path, tmp_path: Path) -> None:
    """Hash seeds and the like differ between processes; the files must not."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_checkpoint as t; t.write(t.Path(sys.argv[2]))"
    target = tmp_path / "elsewhere"
    subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(target)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "1"},
    )
    assert bytes_of(target) == bytes_of(folder)


def test_weights_alone_are_enough_to_generate_and_too_few_to_train_on(tmp_path: Path) -> None:
    write(tmp_path / "shipped", training_state=None)
    checkpoint = read_checkpoint(tmp_path / "shipped")
    assert sorted(bytes_of(tmp_path / "shipped")) == ["manifest.json", "model.safetensors"]
    checkpoint.model()
    with pytest.raises(CheckpointError, match="weights only"):
        checkpoint.read_training_state()


def test_tied_weights_are_stored_once(folder: Path) -> None:
    names = set(read_checkpoint(folder).weights)
    assert names == {name for name, _ in GPT(CONFIG, seed=0).named_parameters()}
    assert (folder / "model.safetensors").stat().st_size < CONFIG.parameters * 4 + 4096


def test_files_are_private_and_nothing_is_left_beside_them(folder: Path) -> None:
    assert list(folder.parent.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_a_checkpoint_is_never_overwritten(folder: Path) -> None:
    before = bytes_of(folder)
    with pytest.raises(FileExistsError):
        write(folder, step=4)
    assert bytes_of(folder) == before


@pytest.mark.parametrize("broken", ["write_synced", "sync_folder"])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    module = "shakegpt.runs.checkpoint" if broken == "write_synced" else "shakegpt.system.files"
    monkeypatch.setattr(f"{module}.{broken}", fail)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "step-00000003")
    assert list(tmp_path.iterdir()) == []


# Damage


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 9, 0.5, -1])
def test_a_flipped_bit_is_refused(folder: Path, name: str, place: float) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[int(place if isinstance(place, int) else place * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder).read_training_state()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "missing", "link", "folder"])
def test_a_file_that_is_not_the_one_written_is_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "cut":
            path.write_bytes(data[:-9])
        case "longer":
            path.write_bytes(data + b"\0")
        case "empty":
            path.touch()
        case "link":
            (folder.parent / "elsewhere").write_bytes(data)
            path.symlink_to(folder.parent / "elsewhere")
        case "folder":
            path.mkdir()
    with pytest.raises(CheckpointError):
        read_checkpoint(folder).read_training_state()


def seal_again(folder: Path, name: str, data: bytes) -> None:
    """Put other bytes in place of a file and have the manifest vouch for them, as a stranger could."""
    from shakegpt.system.files import sha256

    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"size": len(data), "sha256": sha256(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "was", "becomes"),
    [
        ("model.safetensors", b'"F32"', b'"F16"'),
        ("model.safetensors", b'\\"n_layer\\": 2', b'\\"n_layer\\": 3'),
        ("model.safetensors", b'\\"d_model\\": 8', b'\\"d_model\\": 9'),
        ("model.safetensors", b'\\"vocab_size\\": 5', b'\\"vocab_size\\": 6'),
        ("model.safetensors", b'\\"schema\\": 1', b'\\"schema\\": 7'),
        ("model.safetensors", b'\\"n_head\\"', b'\\"n_hats\\"'),
        ("model.safetensors", b"final_norm.bias", b"final_norm.bibs"),
        ("training.safetensors", b"exp_avg.final_norm.bias", b"exp_avg.final_norm.bibs"),
        ("training.safetensors", b'\\"step\\": 3', b'\\"step\\": 4'),
        ("training.safetensors", b'\\"threads\\": 2', b'\\"threads\\": 0'),
        ("training.safetensors", b'\\"rollbacks\\": 0', b'\\"rollbacks\\": x'),
    ],
)
def test_a_wrong_header_is_refused_though_its_hash_is_right(
    folder: Path, name: str, was: bytes, becomes: bytes
) -> None:
    data = (folder / name).read_bytes()
    assert was in data
    seal_again(folder, name, data.replace(was, becomes, 1))
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(folder).read_training_state()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    weights = GPT(CONFIG, seed=1).state_dict()
    weights["final_norm.bias"][2] = value
    write(tmp_path / "nan", weights=weights)
    with pytest.raises(CheckpointError, match="not finite"):
        read_checkpoint(tmp_path / "nan")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint that many examples damage in turn, each putting back what it took."""
    folder = tmp_path_factory.mktemp("hostile") / "step-00000003"
    write(folder)
    return folder


@pytest.mark.parametrize("name", FILES)
@given(data=st.binary(max_size=200))
def test_random_bytes_in_a_file_are_refused_and_nothing_worse(target: Path, name: str, data: bytes) -> None:
    whole = bytes_of(target)
    try:
        if name == "manifest.json":
            (target / name).write_bytes(data)
        else:
            seal_again(target, name, data)
        with pytest.raises(CheckpointError):
            read_checkpoint(target).read_training_state()
    finally:
        for file, content in whole.items():
            (target / file).write_bytes(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "newer shakegpt"),
        ({"schema": 0}, "damaged"),
        ({"step": -1}, "damaged"),
        ({"step": "3"}, "damaged"),
        ({"colour": "red"}, "damaged"),
        ({"files": {}}, "damaged"),
        ({"files": {"../../etc/passwd": {"size": 1, "sha256": ""}}}, "damaged"),
        ({"val_loss": "low"}, "damaged"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match=message):
        read_manifest(folder)


def test_a_folder_without_a_manifest_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a checkpoint: it has no manifest\.json"):
        read_checkpoint(tmp_path)


def test_an_absurd_size_costs_no_memory(folder: Path) -> None:
    """A header may claim any size; what it claims is compared with the bytes before anything is made."""
    data = (folder / "model.safetensors").read_bytes()
    seal_again(folder, "model.safetensors", data.replace(b'\\"d_ff\\": 12', b'\\"d_ff\\": 999999', 1))
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)
    seal_again(folder, "model.safetensors", (2**60).to_bytes(8, "little") + data[8:])
    with pytest.raises(CheckpointError, match="header is longer"):
        read_checkpoint(folder)


def test_nothing_on_disk_is_a_pickle(macbeth: Run) -> None:
    for path in macbeth.path.rglob("*"):
        if path.is_file():
            assert path.suffix in {".json", ".jsonl", ".safetensors", ""}, path
            assert not path.read_bytes().startswith((b"\x80", b"PK")), path


def test_a_trained_checkpoint_is_whole(macbeth: Run) -> None:
    for info in macbeth.checkpoints():
        checkpoint = read_checkpoint(info.path)
        assert isinstance(checkpoint, Checkpoint)
        assert checkpoint.read_training_state().metadata.step == info.step
        assert checkpoint.config.parameters == info.parameters


@pytest.mark.parametrize(("gpu", "driver"), [("H100", "570.1"), (None, None)])
def test_the_gpu_is_recorded_where_there_is_one(tmp_path: Path, gpu: str | None, driver: str | None) -> None:
    """Without one, the bytes are those of versions that did not record it."""
    state = replace(training_state(), metadata=training_record(gpu=gpu, driver=driver))
    write(tmp_path / "saved", training_state=state)
    metadata = read_checkpoint(tmp_path / "saved").read_training_state().metadata
    assert (metadata.gpu, metadata.driver) == (gpu, driver)
    assert (b"driver" in (tmp_path / "saved" / "training.safetensors").read_bytes()) == (driver is not None)
