"""Whichever system call of a save fails, and however: afterwards there is the old state or the new, and a way on."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all
from tests.faults.fault_work import Bench, failing

OLD: list[tuple[int, float | None]] = [(1, 2.0), (2, None)]
State = list[tuple[int, float | None]]
Scenario = tuple[Callable[[Bench], None], tuple[int, float | None], State]


def nothing_more(bench: Bench) -> None:
    pass


def damage_last(bench: Bench) -> None:
    """Leave a folder in the place of the next checkpoint that is none."""
    bench.save(3)
    path = bench.run.checkpoint_path(3) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


SCENARIOS: dict[str, Scenario] = {
    "a new checkpoint": (nothing_more, (3, 1.5), [*OLD, (3, 1.5)]),
    "a validation loss for the last one": (nothing_more, (2, 1.5), [OLD[0], (2, 1.5)]),
    "a new one in place of a damaged one": (damage_last, (3, 1.5), [*OLD, (3, 1.5)]),
}
CALLS = 80
"""More than any scenario makes."""


def prepare(home: str, scenario: Scenario) -> Bench:
    bench = Bench(home)
    for step, val_loss in OLD:
        bench.save(step, val_loss)
    scenario[0](bench)
    return bench


def whole(bench: Bench, scenario: Scenario) -> State:
    """Return the state on disk, having removed what the scenario itself had damaged."""
    path = bench.run.checkpoint_path(3)
    if scenario[0] is damage_last and path.exists():
        try:
            bench.readable()
        except ShakegptError:
            assert (path / "model.safetensors").exists()  # the damaged one is still there
            return OLD
    return bench.readable()


def save(bench: Bench, wish: tuple[int, float | None]) -> str:
    """Save; return what was said where that failed."""
    try:
        bench.save(*wish)
    except ShakegptError as error:
        return str(error)
    return ""


ERRORS = [
    errno.ENOSPC,
    pytest.param(errno.EIO, marks=pytest.mark.slow),
    pytest.param(errno.EDQUOT, marks=pytest.mark.slow),
    pytest.param(errno.EROFS, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("ever_after", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_save_that_fails_leaves_the_old_state_or_the_new(
    fast_disk: Path, name: str, error: int, ever_after: bool
) -> None:
    scenario = SCENARIOS[name]
    _, wish, new = scenario
    prepared = prepare(str(fast_disk / "prepared"), scenario)

    def fail() -> None:
        raise OSError(error, os.strerror(error))

    failures = 0
    for number in range(1, CALLS):
        home = fast_disk / str(number)
        shutil.copytree(prepared.run.path.parents[1], home)
        bench = Bench(str(home))
        with failing(number, fail, ever_after=ever_after) as made:
            said = save(bench, wish)
        if len(made) < number:
            break
        if said:
            failures += 1
            assert os.strerror(error) in said
            assert "tried again" in said
        assert whole(bench, scenario) in ((OLD, new) if said else (new,)), (number, made)
        bench.save(*wish)  # the disk works again
        assert bench.readable() == new
        bench.run.remove_leftovers()
        assert not list(bench.run.path.rglob(".*"))
    print(f"{name}: {number - 1} calls, {failures} of which fail the save")
    assert 5 <= failures < number < CALLS - 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_save_that_is_killed_leaves_the_old_state_or_the_new(start: Start, fast_disk: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    _, wish, new = scenario
    prepared = prepare(str(fast_disk / "prepared"), scenario)
    killed, alive = 0, False
    for first in range(1, CALLS, 4):  # four at a time
        benches = []
        for number in range(first, first + 4):
            shutil.copytree(prepared.run.path.parents[1], fast_disk / str(number))
            benches.append(Bench(str(fast_disk / str(number))))
        codes = end_all(
            [
                start(fault_work.save_and_die, str(fast_disk / str(number)), number, *wish)
                for number in range(first, first + 4)
            ]
        )
        for bench, code in zip(benches, codes, strict=True):
            assert code in (0, -9)
            killed += code == -9
            alive |= code == 0
            assert whole(bench, scenario) in ((OLD, new) if code else (new,)), killed
            bench.run.remove_leftovers()
            bench.save(*wish)
            assert bench.readable() == new
            assert not list(bench.run.path.rglob(".*"))
        if alive:
            break
    print(f"{name}: {killed} kills")
    assert 5 <= killed < CALLS
