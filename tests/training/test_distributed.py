"""Training over two processes is the training of one: the same loss, one writer, and an end that is saved."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shakegpt.runs.store import Store
from shakegpt.training.distributed import rows_of_rank
from shakegpt.training.setup import TrainingRequest, build_trainer

OPTIONS = "--preset nano --corpus demo --dropout 0.1 --batch-size 5 --eval-every 4 --device cpu --precision fp32 --json"
CHANGES = {"dropout": 0.1, "batch_size": 5, "eval_every": 4, "device": "cpu", "precision": "fp32"}
Start = Callable[[str], list["subprocess.Popen[str]"]]


@pytest.mark.parametrize(("rows", "ranks"), [(8, 2), (5, 2), (7, 3), (1, 4)])
def test_the_rows_of_the_ranks_are_the_batch_in_order(rows: int, ranks: int) -> None:
    shares = [rows_of_rank(rank, ranks, rows) for rank in range(ranks)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.fixture
def start_two() -> Iterator[Start]:
    """Start ``shakegpt train`` in two processes that know of each other, as ``torchrun`` does."""
    started: list[subprocess.Popen[str]] = []

    def start(options: str) -> list["subprocess.Popen[str]"]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(2):
            together = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "shakegpt", "train", *OPTIONS.split(), *options.split()]
            started.append(
                subprocess.Popen(
                    command,
                    env=os.environ | together | there,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_step(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait until a process has reported a step."""
    assert process.stdout is not None
    return next(event for event in map(json.loads, process.stdout) if event["event"] == "step")


def outcome(process: "subprocess.Popen[str]") -> tuple[list[dict[str, Any]], str]:
    out, err = process.communicate(timeout=60)
    return [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_processes_train_as_one_and_one_resumes_their_run(start_two: Start, precision: str) -> None:
    first, second = start_two(f"--steps 8 --run two --precision {precision}")
    events, _ = outcome(first)
    assert outcome(second) == ([], "")  # only rank 0 prints
    assert (first.returncode, second.returncode) == (0, 0)
    assert [run.name for run in Store.default().runs()] == ["two"]  # and alone writes

    alone = list(
        build_trainer(
            Store.default(),
            TrainingRequest(
                preset="nano", corpus="demo", run_name="one", changes={**CHANGES, "steps": 8, "precision": precision}
            ),
        )
    )
    for kind, key in (("step", "loss"), ("step", "grad_norm"), ("evaluation", "val_loss")):
        together = [event[key] for event in events if event["event"] == kind]
        expected = [getattr(event, key) for event in alone if event.event == kind]
        assert len(together) == len(expected) > 0
        assert together == pytest.approx(expected, rel=1e-5 if precision == "fp32" else 1e-3)

    more = list(build_trainer(Store.default(), TrainingRequest(resume="two", changes={"steps": 10})))
    assert [event.step for event in more if event.event == "step"] == [9, 10]
    assert more[-1].event == "finished"


def test_when_a_rank_dies_the_run_is_saved(start_two: Start) -> None:
    first, second = start_two("--steps 1000000 --run two")
    first_step(first)
    second.kill()
    events, _ = outcome(first)
    assert first.returncode == 1
    failed = events[-1]
    assert failed["event"] == "failed"
    assert "--resume two" in failed["message"]
    run = Store.default().run("two")
    last = run.last()
    assert last is not None
    assert last.step == failed["step"]
    assert run.status() == "failed"


def test_when_rank_0_dies_the_others_end(start_two: Start) -> None:
    first, second = start_two("--steps 1000000 --run two")
    first_step(first)
    first.kill()
    assert outcome(second) == ([], "")
    assert second.returncode == 1


def test_an_interrupt_of_all_processes_saves_and_ends(start_two: Start) -> None:
    first, second = start_two("--steps 1000000 --run two")
    first_step(first)
    for process in (second, first):  # a terminal's Ctrl-C reaches them all
        process.send_signal(signal.SIGINT)
    events, _ = outcome(first)
    second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (130, 0)
    assert events[-1]["outcome"] == "stopped"
    last = Store.default().run("two").last()
    assert last is not None
    assert last.step == events[-1]["step"]
