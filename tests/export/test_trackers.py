"""What is written for W&B and trackio: against modules of their shape, and against the real ones where installed."""

import importlib.util
import json
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Failed, Sample, Started
from shakegpt.export.trackio import TrackioWriter
from shakegpt.export.wandb import WandbWriter
from shakegpt.export.writers import EventWriter, scalars_of
from shakegpt.runs.run import Run
from tests.conftest import RunCli


class FakeRun:
    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, Any], int | None]] = []
        self.metrics: list[tuple[str, str]] = []
        self.ended: list[dict[str, Any]] = []

    def log(self, row: dict[str, Any], step: int | None = None) -> None:
        self.rows.append((row, step))

    def define_metric(self, name: str, step_metric: str) -> None:
        self.metrics.append((name, step_metric))

    def finish(self, **how: Any) -> None:
        self.ended.append(how)


class FakeModule(ModuleType):
    """What ``wandb`` and ``trackio`` have in common, as far as it is used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, origin="made up")
        self.run = FakeRun()
        self.inits: list[dict[str, Any]] = []

    def init(self, **options: Any) -> FakeRun:
        self.inits.append(options)
        return self.run

    Settings = SimpleNamespace

    def Html(self, text: str, **_: Any) -> str:  # noqa: N802
        return f"html:{text}"

    def Markdown(self, text: str) -> str:  # noqa: N802
        return f"markdown:{text}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], FakeModule]:
    for name in ("WANDB_MODE", "WANDB_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # put back afterwards

    def install(name: str) -> FakeModule:
        module = FakeModule(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return install


@pytest.fixture
def events(macbeth: Run) -> list[Event]:
    return list(macbeth.log.events())


def write(writer: EventWriter, run: Run, events: list[Event]) -> None:
    first, *rest = events
    assert isinstance(first, Started)
    writer.begin(run, first)
    for event in rest:
        writer.write(event)
    writer.close()


def test_wandb_gets_every_number_against_its_step(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event]
) -> None:
    module = fake("wandb")
    write(WandbWriter(), macbeth, events)
    (options,) = module.inits
    assert (options["project"], options["name"], options["mode"], options["resume"]) == (
        "shakegpt",
        "macbeth",
        "offline",
        "allow",
    )
    assert options["config"]["learning_rate"] == macbeth.metadata.training.learning_rate
    assert (options["settings"].console, options["settings"].silent) == ("off", True)
    assert module.run.metrics == [("*", "step")]
    expected = [{"step": event.step, **scalars_of(event)} for event in events if scalars_of(event)]
    assert [row for row, _ in module.run.rows if "sample" not in row] == expected
    assert len(expected) == 30 + len([event for event in events if isinstance(event, Evaluation)])
    assert module.run.ended == [{"exit_code": 0}]


def test_wandb_shows_a_sample_as_it_is(fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event]) -> None:
    module = fake("wandb")
    write(WandbWriter(), macbeth, [events[0], Sample(step=9, prompt="\n", text="To <b>\n & be")])
    assert module.run.rows == [({"step": 9, "sample": "html:<pre>To &lt;b&gt;\n &amp; be</pre>"}, None)]


def test_a_failed_run_has_failed_in_wandb_too(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event]
) -> None:
    module = fake("wandb")
    write(WandbWriter(), macbeth, [events[0], Failed(step=3, message="No.")])
    assert module.run.ended == [{"exit_code": 1}]


def test_wandb_keeps_its_id_when_a_run_is_resumed_or_renamed_and_else_has_another(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event]
) -> None:
    module = fake("wandb")
    write(WandbWriter(), macbeth, events[:1])
    renamed = macbeth.rename("hamlet")
    write(WandbWriter(), renamed, events[:1])
    other = Run(renamed.path)
    other.metadata = replace(renamed.metadata, created="2026-01-01T00:00:00.000+00:00")
    write(WandbWriter(), other, events[:1])
    first, second, third = (options["id"] for options in module.inits)
    assert first == second != third


def test_wandb_goes_online_only_where_its_own_variable_says_so(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake("wandb")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "verse")
    write(WandbWriter(), macbeth, events[:1])
    assert (module.inits[0]["mode"], module.inits[0]["project"]) == (None, "verse")  # it reads the variable itself


@pytest.mark.parametrize(("step", "resume"), [(0, "never"), (20, "allow")])
def test_trackio_gets_every_number_at_its_step(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event], step: int, resume: str
) -> None:
    module = fake("trackio")
    started = events[0]
    assert isinstance(started, Started)
    write(TrackioWriter(), macbeth, [replace(started, step=step), *events[1:]])
    (options,) = module.inits
    assert (options["project"], options["name"], options["resume"]) == ("shakegpt", "macbeth", resume)
    assert options["config"]["seed"] == macbeth.metadata.training.seed
    numbers = [(row, at) for row, at in module.run.rows if "sample" not in row]
    assert numbers == [(scalars_of(event), event.step) for event in events if scalars_of(event)]
    samples = [event for event in events if isinstance(event, Sample)]
    assert len(module.run.rows) - len(numbers) == len(samples) > 0
    assert module.run.ended == [{}]


def test_trackio_prints_nothing(
    fake: Callable[[str], FakeModule], macbeth: Run, events: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    module = fake("trackio")
    TrackioWriter().begin(macbeth, replace(events[0]))  # type: ignore[arg-type]
    exec("print('* Created new run')", vars(module))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_without_the_package_the_error_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ShakegptError, match=rf"pip install 'shakegpt\[{name}\]'"):
        {"wandb": WandbWriter, "trackio": TrackioWriter}[name]()


# The real ones, in processes of their own: they take over much of the one they are imported into

TRAIN = ("train", "--preset", "nano", "--corpus", "demo", "--device", "cpu", "--run", "hamlet")
SHORT = ("--steps", "4", "--eval-every", "2")


LOG_BLOCK = 32 * 1024


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@pytest.mark.skipif(not installed("trackio"), reason="trackio is not installed")
def test_trackio_itself_reads_back_the_run(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "trackio"
    environment = {"TRACKIO_DIR": str(folder)}
    done = run_cli(*TRAIN, *SHORT, "--trackio", "--json", env=environment)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-1] == "finished"  # and no other line
    with sqlite3.connect(folder / "shakegpt.db") as database:
        rows = database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    database.close()
    assert {run for run, _, _ in rows} == {"hamlet"}
    assert [step for _, step, metrics in rows if "loss/train" in json.loads(metrics)] == [1, 2, 3, 4]
    assert [step for _, step, metrics in rows if "loss/validation" in json.loads(metrics)] == [2, 4]
    assert any("sample" in json.loads(metrics) for _, _, metrics in rows)


@pytest.mark.skipif(not installed("wandb"), reason="wandb is not installed")
def test_wandb_itself_writes_the_run_to_the_folder_asked_for(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    done = run_cli(*TRAIN, *SHORT, "--wandb", "--json", env={"WANDB_DIR": str(tmp_path / "new")})
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-1] == "finished"
    (file,) = tmp_path.glob("new/wandb/offline-run-*/run-*.wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    rows = []
    for data in log_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            assert record.run.display_name == "hamlet"
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            rows.append({name: json.loads(value) for name, value in items.items()})
    assert [row["step"] for row in rows if "loss/train" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "loss/validation" in row] == [2, 4]
    assert any("sample/path" in row or "sample" in row for row in rows)


def log_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format, which W&B's are, after a header of seven bytes."""
    place, record = 7, b""
    while place < len(data):
        left = LOG_BLOCK - place % LOG_BLOCK
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)  # after the checksum
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield record
            record = b""
