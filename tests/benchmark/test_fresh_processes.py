"""What is measured in processes of their own: that they run, find nothing of the user's, and are compared rightly."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
import torch

from shakegpt.benchmark import fresh_processes
from shakegpt.benchmark.fresh_processes import first_paint_seconds, measure_distributed, measure_memory, measure_start
from shakegpt.errors import ShakegptError
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.device import DevicePlan


def device_plan(device: str = "cpu", threads: int = 2) -> DevicePlan:
    return DevicePlan(device=torch.device(device), name="a device", precision="fp32", reason="", threads=threads)


def compare(device_plan: DevicePlan, tokens_per_second: float = 1000.0, repeats: int = 1) -> dict[str, Any] | None:
    """``measure_distributed`` for a step of 100 characters."""
    return measure_distributed(
        device_plan, "nano", tokens_per_step=100, tokens_per_second=tokens_per_second, repeats=repeats
    )


def test_every_start_is_timed(tiny_speaker: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_GENERATE_LENGTH", "none of its business")
    start = measure_start(tiny_speaker, 1)
    assert sorted(start) == ["first_character_seconds", "first_paint_seconds", "help_seconds", "torch_import_seconds"]
    assert all(seconds is not None and seconds > 0 for seconds in start.values())


def test_without_pseudo_terminals_there_is_no_first_paint(monkeypatch: pytest.MonkeyPatch) -> None:
    def openpty() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.setattr(os, "openpty", openpty)
    assert first_paint_seconds() is None


def test_an_app_that_paints_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with pytest.raises(ShakegptError, match="painted nothing"):
        first_paint_seconds()


def test_memory_is_that_of_a_training() -> None:
    assert measure_memory("nano", characters=20_000)["train_peak_bytes_over_torch"] > 1_000_000


def test_a_process_that_fails_is_told_of_in_a_sentence() -> None:
    with pytest.raises(ShakegptError, match=r"There is no preset 'none'.*\)\.$") as told:
        measure_memory("none")
    assert "\n" not in str(told.value)


def test_two_processes_train_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_processes, "_MOST_STEPS", 2)
    found = compare(device_plan())
    assert found is not None
    assert found["processes"] == 2
    assert found["tokens_per_second"] > 0
    assert found["over_threads"] > 0


@pytest.mark.parametrize(
    "where", [device_plan(threads=1), device_plan("cuda", threads=1), device_plan("mps", threads=8)]
)
def test_two_processes_want_a_cpu_with_two_cores(where: DevicePlan) -> None:
    assert compare(where) is None


class Trainings:
    """Stands for the processes of ``measure_distributed``: of two rates, the slow one while a training warms up."""

    def __init__(self, *rates: float) -> None:
        self._rates = iter(rates)
        self.commands: list[tuple[str, ...]] = []
        self.threads: list[str] = []

    def __call__(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        self.commands.append(arguments)
        self.threads.append(environment["OMP_NUM_THREADS"])
        rate = next(self._rates)
        events = [{"event": "started"}, *({"event": "step", "tokens_per_second": r} for r in (1.0, 1.0, rate, rate))]
        return subprocess.CompletedProcess(arguments, 0, "\n".join(map(json.dumps, events)), "")


def test_processes_and_threads_have_their_turns_on_the_same_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = Trainings(300.0, 200.0, 900.0, 300.0)
    monkeypatch.setattr(fresh_processes, "_run", trainings)
    assert compare(device_plan(threads=4), repeats=2) == {
        "processes": 2,
        "tokens_per_second": 600.0,
        "over_threads": 2.25,
    }
    assert ["torch.distributed.run" in command for command in trainings.commands] == [True, False] * 2
    assert trainings.threads == ["2", "4"] * 2


@pytest.mark.parametrize(("tokens_per_second", "steps"), [(1.0, "20"), (500.0, "30"), (1e6, "60")])
def test_a_training_takes_as_many_steps_as_fit(
    monkeypatch: pytest.MonkeyPatch, tokens_per_second: float, steps: str
) -> None:
    trainings = Trainings(1.0, 1.0)
    monkeypatch.setattr(fresh_processes, "_run", trainings)
    compare(device_plan(), tokens_per_second)
    assert [command[command.index("--steps") + 1] for command in trainings.commands] == [steps, steps]


def test_processes_that_cannot_talk_cost_no_other_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: str, **__: str) -> "subprocess.CompletedProcess[str]":
        raise ShakegptError("They do not find one another.")

    monkeypatch.setattr(fresh_processes, "_run", run)
    found = compare(device_plan())
    assert found == {
        "processes": 2,
        "tokens_per_second": None,
        "over_threads": None,
        "failure": "They do not find one another.",
    }
