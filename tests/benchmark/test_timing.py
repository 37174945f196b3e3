"""Rates: which calls count, and in which order workloads have their turns. The clock is the tests' own."""

from types import SimpleNamespace

import pytest
import torch

from shakegpt.benchmark import timing
from shakegpt.benchmark.timing import Rates, measure_rate, take_turns


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    ours, theirs = Rates((10.0, 40.0, 90.0)), Rates((10.0, 20.0, 30.0))
    assert ours.over(theirs) == 2.0
    assert ours.median == 40.0
    assert ours.spread() == [10.0, 90.0]


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 2), (0.5, 2), (1.0, 3), (1.1, 4)])
def test_work_goes_on_until_the_time_is_up_and_the_first_call_does_not_count(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def work() -> float:
        clock[0] += 100.0 if not clock[0] else 0.5
        counted.append(3.0)
        return 3.0

    counted: list[float] = []
    assert measure_rate(work, seconds, torch.device("cpu")) == 6.0
    assert len(counted) == calls


def test_every_workload_has_a_turn_in_every_round_and_the_first_round_warms_up() -> None:
    order: list[str] = []

    def turn(name: str, seconds: float) -> float:
        assert seconds == 0.25
        order.append(name)
        return float(len(order))

    reported: list[str] = []
    turns = {"ours": lambda seconds: turn("ours", seconds), "theirs": lambda seconds: turn("theirs", seconds)}
    measured = take_turns(turns, 2, 0.25, reported.append)
    assert order == ["ours", "theirs"] * 3
    assert measured == {"ours": Rates((3.0, 5.0)), "theirs": Rates((4.0, 6.0))}
    assert reported == ["a round to warm up", "round 1 of 2", "round 2 of 2"]


def test_a_gpu_is_waited_for_after_ever_more_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = [0.0], list[str]()
    monkeypatch.setattr("shakegpt.benchmark.timing.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: order.append("wait"))

    def work() -> float:
        clock[0] += 0.5
        order.append("work")
        return 3.0

    assert measure_rate(work, 3.5, torch.device("cuda")) == 6.0
    assert " ".join(order) == "work wait work wait work work wait work work work work wait"
