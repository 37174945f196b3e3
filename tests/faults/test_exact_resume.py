"""A run that is cut anywhere and resumed in a fresh process ends with the same bytes as one that never was."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from shakegpt.events import Evaluation
from shakegpt.runs.checkpoint import read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all, starting
from tests.faults.fault_work import CUT_EXCEPTION, CUT_KILL, CUT_TERM

EXIT_CODES = {CUT_EXCEPTION: 1, CUT_TERM: 143, CUT_KILL: -9}
OPTIONS = {"fp16": {"precision": "fp16"}, "worse": {"learning_rate": 3, "min_learning_rate": 3, "ema": 0.5}}
OVERFLOW = {"scale_grows_after": 5, "first_scale": 2.0**24}
"""fp16 whose loss scale is too high at first, and grows again within the run."""
VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "worse": {},
    "fp16": OVERFLOW,
    "diverging": {"diverge": True},
    "threads": {"threads": 2},
    "background": {"save_in_background": True},
}


@dataclass(frozen=True)
class End:
    """What a run leaves behind that must not depend on how often it was cut."""

    model: bytes
    training: bytes
    val_loss: float | None
    losses: dict[int, tuple[float, float]]
    """Loss and learning rate of each step."""
    evaluations: dict[int, tuple[float, float, bool]]
    """Training loss, validation loss, and whether it was the best, by step."""


def end_of(run: Run) -> End:
    last = run.last()
    assert last is not None
    snapshot = run.snapshot()
    return End(
        model=(last.path / "model.safetensors").read_bytes(),
        training=(last.path / "training.safetensors").read_bytes(),
        val_loss=last.val_loss,
        losses={point.step: (point.loss, point.learning_rate) for point in snapshot.train.points()},
        evaluations={
            event.step: (event.train_loss, event.val_loss, event.best)
            for event in run.log.events()
            if isinstance(event, Evaluation)
        },
    )


def begin(corpus: str, name: str, variant: str) -> tuple[str, ...]:
    """Return the command that begins a run."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.get(variant, {}).items()]
    return ("train", "--preset", "tiny", "--corpus", corpus, "--run", name, *options)


@dataclass(frozen=True)
class Uncut:
    """A store with a run that was never cut, and one that was stopped after a step and is still to be resumed."""

    home: Path
    end: End
    moments: int


STOPPED_AFTER = {"fp32": 7, "worse": 11, "fp16": 7, "diverging": 11, "threads": 7, "background": 7}


@pytest.fixture(scope="session")
def uncut(server: ForkServerContext, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Uncut]:
    """``uncut("fp16")``: the run that cut ones are compared with; trained once."""

    @cache
    def train(variant: str) -> Uncut:
        home, faults = tmp_path_factory.mktemp(variant), VARIANTS[variant]
        with starting(server) as start:
            counting, stopping = {"count_moments": str(home / "moments")}, {"stop_after": STOPPED_AFTER[variant]}
            processes = [
                start(fault_work.command, str(home), *begin(corpus, "uncut", variant), **counting, **faults),
                start(fault_work.command, str(home), *begin(corpus, "stopped", variant), **stopping, **faults),
            ]
            assert end_all(processes) == [0, 143]
        store = Store(home)
        assert store.run("stopped").last().step == STOPPED_AFTER[variant]
        return Uncut(home, end_of(store.run("uncut")), int((home / "moments").read_text()))

    return train


def cut_and_compare(
    start: Start, home: str, corpus: str, uncut: Uncut, *, variant: str, manner: str, moments: Sequence[int]
) -> None:
    """Cut a run at each of these moments, resume it in another process, and compare what it ends with."""
    store, faults = Store(Path(home)), VARIANTS[variant]
    for batch in (moments[index : index + 4] for index in range(0, len(moments), 4)):  # four at a time
        cut = [
            start(fault_work.command, home, *begin(corpus, f"cut-{moment}", variant), cut_at=(manner, moment), **faults)
            for moment in batch
        ]
        assert set(end_all(cut)) <= {EXIT_CODES[manner], 0}  # 0: the cut came after the last event
        resumed = []
        for moment in batch:
            run = Run(store.runs_folder / f"cut-{moment}")
            if run.checkpoints() and run.status() != "finished":
                resumed.append(start(fault_work.command, home, "train", "--resume", run.name, **faults))
            elif not run.checkpoints():  # cut before there was anything to lose
                if run.path.exists():
                    run.remove()
                resumed.append(start(fault_work.command, home, *begin(corpus, run.name, variant), **faults))
        assert set(end_all(resumed)) <= {0}
        for moment in batch:
            run = store.run(f"cut-{moment}")
            assert (run.status(), end_of(run)) == ("finished", uncut.end), f"cut by {manner} at moment {moment}"


@pytest.mark.parametrize("manner", EXIT_CODES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_cut_run_ends_as_an_uncut_one(
    start: Start, home: str, corpus: str, uncut: Callable[[str], Uncut], variant: str, manner: str
) -> None:
    reference = uncut(variant)
    few = 5 if variant == "fp32" else 2
    offset = 1 + list(EXIT_CODES).index(manner)
    moments = range(offset, reference.moments + 1, reference.moments // few)
    cut_and_compare(start, home, corpus, reference, variant=variant, manner=manner, moments=moments)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("manner", EXIT_CODES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_cut_at_any_moment_ends_as_an_uncut_one(
    start: Start, home: str, corpus: str, uncut: Callable[[str], Uncut], variant: str, manner: str
) -> None:
    reference = uncut(variant)
    moments = range(1, reference.moments + 1)
    cut_and_compare(start, home, corpus, reference, variant=variant, manner=manner, moments=moments)


def test_the_fp16_run_skips_overflows_and_the_diverging_one_goes_back(uncut: Callable[[str], Uncut]) -> None:
    skipped = set(range(1, 13)) - set(uncut("fp16").end.losses)
    assert {1, 2} <= skipped
    last = Store(uncut("diverging").home).run("uncut").last()
    record = read_checkpoint(last.path).read_training_state().metadata
    assert (record.rollbacks, record.learning_rate_scale, record.accumulate) == (1, 0.5, 4)


def resume_stopped(start: Start, home: str, uncut: Uncut, variant: str, **faults: Any) -> End:
    """Go on with a copy of the stopped run, and return its end."""
    shutil.copytree(uncut.home, home)
    arguments = ("train", "--resume", "stopped")
    assert end_all([start(fault_work.command, home, *arguments, **VARIANTS[variant], **faults)]) == [0]
    return end_of(Store(Path(home)).run("stopped"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    start: Start, home: str, uncut: Callable[[str], Uncut], variant: str
) -> None:
    assert resume_stopped(start, home, uncut(variant), variant) == uncut(variant).end


STATE = {
    "fp32": [
        *("weights", "optimizer.exp_avg.", "optimizer.exp_avg_sq.", "optimizer.step"),
        *("step", "tokens", "train_loss_sum", "train_loss_count"),
    ],
    "worse": ["best", "ema."],
    "fp16": ["scaler.scale", "scaler.growth_tracker"],
    "diverging": ["learning_rate_scale", "rollbacks", "accumulate"],
}


@pytest.mark.parametrize(("variant", "piece"), [(variant, piece) for variant in STATE for piece in STATE[variant]])
def test_no_part_of_the_state_can_be_left_out(
    start: Start, home: str, uncut: Callable[[str], Uncut], variant: str, piece: str
) -> None:
    assert resume_stopped(start, home, uncut(variant), variant, leave_out=piece) != uncut(variant).end


def test_the_losses_that_are_compared_are_those_of_every_step(uncut: Callable[[str], Uncut]) -> None:
    end = uncut("fp32").end
    assert list(end.losses) == list(range(1, 13))
    assert list(end.evaluations) == [5, 10, 12]
    assert all(math.isfinite(loss) for loss, _ in end.losses.values())
