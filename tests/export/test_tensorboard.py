"""What is written for TensorBoard, read back by TensorBoard."""

import errno
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Sample, Started, Step, Warning
from shakegpt.export.tensorboard import TensorBoardWriter
from shakegpt.export.writers import WriterThread
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of protobuf's and TensorBoard's own making


def read(folder: Path) -> Any:
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0})
    found.Reload()
    return found


def log_of(folder: Path, run: Run, events: Iterable[Event]) -> None:
    writer = TensorBoardWriter(folder)
    for event in events:
        if isinstance(event, Started):
            writer.begin(run, event)
        else:
            writer.write(event)
    writer.close()


def points(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in found.Scalars(tag)]


def near(pairs: list[tuple[int, float]]) -> list[tuple[int, Any]]:
    return [(step, pytest.approx(value, rel=1e-6)) for step, value in pairs]


@pytest.fixture
def events(macbeth: Run) -> list[Event]:
    """The events of the trained run."""
    return list(macbeth.log.events())


def test_every_number_of_a_run_is_read_back(macbeth: Run, events: list[Event], tmp_path: Path) -> None:
    log_of(tmp_path, macbeth, events)
    found = read(tmp_path / "macbeth")
    steps = [event for event in events if isinstance(event, Step)]
    evaluations = [event for event in events if isinstance(event, Evaluation)]
    assert len(steps) == 30
    assert points(found, "loss/train") == near([(event.step, event.loss) for event in steps])
    assert points(found, "perplexity/train") == near([(event.step, event.perplexity) for event in steps])
    assert points(found, "learning_rate") == near([(event.step, event.learning_rate) for event in steps])
    assert points(found, "gradient_norm") == near([(event.step, event.grad_norm) for event in steps])
    assert points(found, "loss/validation") == near([(event.step, event.val_loss) for event in evaluations])
    assert points(found, "perplexity/validation") == near([(event.step, event.perplexity) for event in evaluations])


def test_samples_are_read_back_verbatim(macbeth: Run, events: list[Event], tmp_path: Path) -> None:
    sample = Sample(step=31, prompt="\n", text="# no heading\n*not bold*\n  é <b>")
    log_of(tmp_path, macbeth, [*events, sample])
    texts = read(tmp_path / "macbeth").Tensors("sample/text_summary")
    shown = {text.step: text.tensor_proto.string_val[0].decode() for text in texts}
    assert shown[31] == "    # no heading\n    *not bold*\n      é <b>"
    assert len(shown) == 1 + len({event.step for event in events if isinstance(event, Sample)})


def test_a_resumed_run_continues_its_curve(macbeth: Run, events: list[Event], tmp_path: Path) -> None:
    log_of(tmp_path, macbeth, events)
    started = next(event for event in events if isinstance(event, Started))
    again = [event for event in events if isinstance(event, Step) and event.step > 20]
    log_of(tmp_path, macbeth, [replace(started, step=20), *(replace(event, loss=event.loss + 1) for event in again)])
    # One of the two files per process and second is enough for this test's process: they are read in order.
    found = points(read(tmp_path / "macbeth"), "loss/train")
    assert [step for step, _ in found][-10:] == list(range(21, 31))
    assert [value for _, value in found][-10:] == [pytest.approx(event.loss + 1, rel=1e-6) for event in again]


def test_numbers_that_are_not_finite_are_left_out(macbeth: Run, events: list[Event], tmp_path: Path) -> None:
    wrong = [replace(event, loss=math.nan, perplexity=math.inf) for event in events if isinstance(event, Step)]
    started = next(event for event in events if isinstance(event, Started))
    log_of(tmp_path, macbeth, [started, *wrong])
    tags = read(tmp_path / "macbeth").Tags()["scalars"]
    assert "loss/train" not in tags
    assert "learning_rate" in tags


def test_a_full_disk_ends_the_log_and_not_the_training(
    macbeth: Run, events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboardX.event_file_writer import EventsWriter

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    first, *rest = events
    assert isinstance(first, Started)
    writer = TensorBoardWriter(tmp_path)
    writer.begin(macbeth, first)
    monkeypatch.setattr(EventsWriter, "write_event", full)
    thread = WriterThread("TensorBoard", writer, lambda _: macbeth)
    warnings = list[Warning]()
    thread.on_warning = warnings.append
    thread.start()
    for event in rest:
        thread.receive(event, Snapshot())
    thread.finish()
    assert [warning.message for warning in warnings] == [
        "The log for TensorBoard ends at step 0: No space left on device."
    ]


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShakegptError, match="cannot be made"):
        TensorBoardWriter(tmp_path / "file" / "tb")


def test_without_tensorboardx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ShakegptError, match=r"pip install 'shakegpt\[tensorboard\]'"):
        TensorBoardWriter(tmp_path)


def test_the_command_writes_what_it_trains(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    done = run_cli(
        *("train", "--preset", "nano", "--corpus", "demo", "--steps", "4", "--eval-every", "2", "--device", "cpu"),
        *("--run", "hamlet", "--tensorboard", str(tmp_path / "tb")),
    )
    assert done.returncode == 0, done.stderr
    found = read(tmp_path / "tb" / "hamlet")
    assert [step for step, _ in points(found, "loss/train")] == [1, 2, 3, 4]
    assert [step for step, _ in points(found, "loss/validation")] == [2, 4]
    assert found.Tensors("sample/text_summary")
