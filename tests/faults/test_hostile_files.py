"""A checkpoint is untrusted: whatever its bytes, it opens whole or is refused in one sentence."""

import json
import os
import resource
import shutil
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.runs.checkpoint import Checkpoint, read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.files import sha256
from tests.faults.fault_work import Bench

FILES = ("model.safetensors", "training.safetensors", "manifest.json")
SECONDS = 5.0
MEGABYTES = 64


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that reads well, and is not to be written to."""
    bench = Bench(str(tmp_path_factory.mktemp("hostile")))
    bench.save(7, 1.5)
    return bench.run.checkpoint_path(7)


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be mutated."""
    return Path(shutil.copytree(sound, tmp_path / "step-00000007"))


def read(folder: Path) -> Checkpoint:
    checkpoint = read_checkpoint(folder)
    checkpoint.read_training_state()
    return checkpoint


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where a block takes more computing time or Python memory than any small checkpoint may."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - began < SECONDS
    assert peak < MEGABYTES * 1024**2


def refused(folder: Path) -> str:
    with bounded(), pytest.raises(CheckpointError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.endswith(".")
    assert message.isprintable(), message
    return message


def sign(folder: Path) -> None:
    """Let the manifest vouch for the files as they are now: what a stranger who knows the format does."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"size": len(data), "sha256": sha256(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change the header of a safetensors file, and the record in it."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    record = json.loads(header["__metadata__"]["shakegpt"])
    change(header, record)
    header["__metadata__"]["shakegpt"] = json.dumps(record)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_the_untouched_copy_is_read(folder: Path) -> None:
    assert read(folder).manifest.step == 7
    sign(folder)
    rewrite(folder / "model.safetensors", lambda header, record: None)
    sign(folder)
    assert read(folder).manifest.step == 7


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, Callable[[bytes], bytes], bool]:
    """Draw a file, what becomes of its bytes, and whether the manifest is made to agree."""
    name = draw(st.sampled_from(FILES))
    place = draw(st.integers(0, 10**6))
    piece = draw(st.binary(min_size=1, max_size=24))
    kind = draw(st.sampled_from(["cut", "flip", "insert", "overwrite", "remove", "double", "replace"]))

    def mutate(data: bytes) -> bytes:
        at = place % max(len(data), 1)
        match kind:
            case "cut":
                return data[:at]
            case "flip":
                return data[:at] + bytes([data[at] ^ (piece[0] or 1)]) + data[at + 1 :]
            case "insert":
                return data[:at] + piece + data[at:]
            case "overwrite":
                return data[:at] + piece + data[at + len(piece) :]
            case "remove":
                return data[:at] + data[at + len(piece) :]
            case "double":
                return data + data[at:]
            case _:
                return piece

    return name, mutate, name != "manifest.json" and draw(st.booleans())


def read_or_say_why(folder: Path) -> Checkpoint | str:
    try:
        return read(folder)
    except CheckpointError as error:
        return str(error)


def check_mutation(sound: Path, folder: Path, mutation: tuple[str, Callable[[bytes], bytes], bool]) -> bool:
    """Mutate a copy; return whether it was refused."""
    name, mutate, signed = mutation
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    before = (folder / name).read_bytes()
    after = mutate(before)
    (folder / name).write_bytes(after)
    if signed:
        sign(folder)
    checkpoint = read_or_say_why(folder)
    if isinstance(checkpoint, str):
        assert checkpoint.isprintable()
        return True
    # What still opens either is the same, or has a hash by whatever changed it.
    assert signed or after == before or name == "manifest.json"
    checkpoint.model()
    return False


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutation=mutations())
def test_mutated_files_are_refused_or_read_whole(
    sound: Path, fast_disk: Path, mutation: tuple[str, Callable[[bytes], bytes], bool]
) -> None:
    check_mutation(sound, fast_disk / "step-00000007", mutation)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_mutated_files_are_refused_or_read_whole(sound: Path, fast_disk: Path) -> None:
    tried = failed = 0

    @settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
    @given(mutation=mutations())
    def mutate(mutation: tuple[str, Callable[[bytes], bytes], bool]) -> None:
        nonlocal tried, failed
        tried += 1
        failed += check_mutation(sound, fast_disk / "step-00000007", mutation)

    mutate()
    print(f"{tried} mutated files: {failed} refused, {tried - failed} read whole")


# Lies that the hashes vouch for


def lie(**record: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, stored: stored.update(record)


def model(**values: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, stored: stored["model"].update(values)


def tensor(name: str, **values: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, stored: header[name].update(values)


def drop(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, stored: header.pop(name) and None


WEIGHT, MOMENT = "token_embedding.weight", "optimizer.exp_avg.token_embedding.weight"
MODEL_LIES = {
    "another shape": tensor(WEIGHT, shape=[4, 5]),
    "a negative shape": tensor(WEIGHT, shape=[-5, -4]),
    "a shape that is not finite": tensor(WEIGHT, shape=[5.0, 4]),
    "a huge shape": tensor(WEIGHT, shape=[2**40, 2**40]),
    "another type": tensor(WEIGHT, dtype="I32"),
    "a place outside the file": tensor(WEIGHT, data_offsets=[0, 2**60]),
    "a weight left out": drop(WEIGHT),
    "a newer schema": lie(schema=2),
    "an older schema": lie(schema=0),
    "an unknown field": lie(surprise=1),
    "a vocabulary of another size": lie(vocabulary="ab"),
    "a character twice": lie(vocabulary="aabcd"),
    "half a character": lie(vocabulary="\ud800abcd"),
    "an absurd size": model(d_model=100_000, d_ff=1_000_000, n_layer=1000),
    "an absurd memory": model(block_size=1_000_000, n_layer=1000),
    "heads that do not fit": model(n_head=3),
    "text where a number belongs": model(n_layer="1"),
    "dropout beyond 1": model(dropout=7.0),
}
TRAINING_LIES = {
    "another step": lie(step=8),
    "a negative count": lie(tokens=-1),
    "a huge count": lie(rollbacks=10**30),
    "an endless rate": lambda header, stored: stored.update(learning_rate_scale=1e999),
    "no rate": lie(learning_rate_scale=0.0),
    "a loss that is infinite": lie(best_val_loss=1e999, best_step=1),
    "a best step without a loss": lie(best_step=3),
    "another precision": lie(precision="fp16"),
    "an unknown precision": lie(precision="\x1b[31mfp64"),
    "no threads": lie(threads=0),
    "more pieces than sequences": lie(accumulate=10**6),
    "another shape": tensor(MOMENT, shape=[4, 5]),
    "a moment left out": drop(MOMENT),
    "a training that makes no sense": lambda header, stored: stored["training"].update(batch_size=-1),
}
MANIFEST_LIES: dict[str, dict[str, Any]] = {
    "a newer schema": {"schema": 2},
    "an older schema": {"schema": 0},
    "a schema that is no number": {"schema": "1"},
    "a negative step": {"step": -1},
    "a huge step": {"step": 10**30},
    "an infinite loss": {"val_loss": 1e999},
    "an endless time": {"seconds": 1e999},
    "other parameters": {"parameters": 1},
    "no files": {"files": {}},
    "a path in a name": {"files": {"../../secret": {"size": 1, "sha256": "0" * 64}}},
    "an absolute path": {"files": {"/etc/passwd": {"size": 1, "sha256": "0" * 64}}},
    "a negative size": {"files": {"model.safetensors": {"size": -1, "sha256": "0" * 64}}},
    "a huge size": {"files": {"model.safetensors": {"size": 2**62, "sha256": "0" * 64}}},
    "an unknown field": {"surprise": 1},
}


@pytest.mark.parametrize("name", MODEL_LIES)
def test_a_model_file_with_a_wrong_field_is_refused(folder: Path, name: str) -> None:
    rewrite(folder / "model.safetensors", MODEL_LIES[name])
    sign(folder)
    refused(folder)


@pytest.mark.parametrize("name", TRAINING_LIES)
def test_a_training_file_with_a_wrong_field_is_refused(folder: Path, name: str) -> None:
    rewrite(folder / "training.safetensors", TRAINING_LIES[name])
    sign(folder)
    refused(folder)


@pytest.mark.parametrize("name", MANIFEST_LIES)
def test_a_manifest_with_a_wrong_field_is_refused(folder: Path, name: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | MANIFEST_LIES[name]))
    message = refused(folder)
    assert ("newer shakegpt" in message) == (name == "a newer schema")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", FILES[:2])
def test_numbers_that_are_not_finite_are_refused(folder: Path, name: str, number: float) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", number))
    sign(folder)
    assert "not finite" in refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_repeated_key_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    if name == "manifest.json":
        path.write_text(path.read_text().replace('"step": 7', '"step": 7, "step": 7'))
    else:
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = data[8 : 8 + length].rstrip().removesuffix(b"}") + b', "__metadata__": {"shakegpt": "{}"}}'
        path.write_bytes(struct.pack("<Q", len(header)) + header + data[8 + length :])
        sign(folder)
    assert "repeated" in refused(folder)


@pytest.mark.parametrize("length", [2**63, 2**40, 10**7])
def test_a_huge_header_is_refused(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    sign(folder)
    refused(folder)


@pytest.mark.parametrize("text", ["[" * 30_000, '{"schema": ' * 5_000, "9" * 60_000, "NaN", "", "{}", "null", "\x00"])
def test_malicious_json_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_no_link_is_followed(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_without_a_writer_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_terabytes_is_refused_unread(folder: Path, name: str) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] not in (resource.RLIM_INFINITY, -1):
        pytest.skip("this system allows no file of a terabyte, not even an empty one")
    manifest = json.loads((folder / "manifest.json").read_text())
    os.truncate(folder / name, 2**40)
    if name != "manifest.json":
        manifest["files"][name]["size"] = 2**40
        (folder / "manifest.json").write_text(json.dumps(manifest))
    refused(folder)


def test_links_in_a_run_are_not_followed(sound: Path, tmp_path: Path) -> None:
    home = tmp_path / "store"
    bench = Bench(str(home))
    bench.save(1)
    outside = Path(shutil.copytree(sound, tmp_path / "outside" / "step-00000007"))
    (bench.run.checkpoints_folder / "step-00000007").symlink_to(outside)
    assert [info.step for info in bench.run.checkpoints()] == [1]
    shutil.rmtree(bench.run.checkpoints_folder)
    bench.run.checkpoints_folder.symlink_to(outside.parent)
    assert bench.run.checkpoints() == []
    (home / "runs" / "linked").symlink_to(bench.run.path)
    store = Store(home)
    assert [run.name for run in store.runs()] == ["bench"]
    with pytest.raises(ShakegptError, match="no run linked"):
        store.run("linked")
    bench.run.log.append(_event())
    bench.run.metrics_path.rename(tmp_path / "log")
    bench.run.metrics_path.symlink_to(tmp_path / "log")
    assert list(bench.run.log.events()) == []


def _event() -> Any:
    from shakegpt.events import Failed

    return Failed(step=1, message="made up")


@pytest.mark.parametrize("trap", ["fifo", "long line", "deep"])
def test_a_malicious_log_is_skipped(tmp_path: Path, trap: str) -> None:
    run: Run = Bench(str(tmp_path)).run
    if trap == "fifo":
        os.mkfifo(run.metrics_path)
    elif trap == "long line":
        os.truncate(os.open(run.metrics_path, os.O_CREAT | os.O_WRONLY, 0o600), 40 * 1024**2)
    else:
        run.metrics_path.write_text("[" * 100_000 + "\n" + '{"event": "step", "step": "\x1b"}\n')
    with bounded():
        assert run.status() == "killed"
        assert run.snapshot().current_step == 0


# A damaged last


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_last_falls_back_with_a_warning(tmp_path: Path, name: str) -> None:
    bench = Bench(str(tmp_path))
    for step in (3, 5):
        bench.save(step)
    path = bench.run.checkpoint_path(5) / name
    path.write_bytes(path.read_bytes()[:-9])
    store = Store(tmp_path)
    for reference in ("bench@last", "last", "bench"):
        warnings: list[str] = []
        info, checkpoint = store.read(reference, warn=warnings.append, to_resume=True)
        assert (info.reference, checkpoint.manifest.step) == ("bench@3", 3)
        assert len(warnings) == 1
        assert "damaged" in warnings[0] or "cannot be read" in warnings[0]
        assert "before it" in warnings[0]
    with pytest.raises(CheckpointError):
        store.read("bench@last", to_resume=True)
    with pytest.raises(ShakegptError):
        store.read("bench@5", warn=warnings.append, to_resume=True)
