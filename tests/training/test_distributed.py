"""Training over two processes is the training of one: the same loss, one writer, and an end that is saved."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from shakegpt.config import Precision
from shakegpt.events import Event
from shakegpt.runs.store import Store
from shakegpt.system.device import choose_device_plan
from shakegpt.training import distributed
from shakegpt.training.distributed import LostRankError, rows_of_rank
from shakegpt.training.gradients import Gradients
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.trainer import Trainer

OPTIONS = (
    "--preset nano --corpus demo --dropout 0.1 --batch-size 5 --eval-every 4 --ema 0.9 --device cpu --precision fp32 "
    "--json"
)
CHANGES = {"dropout": 0.1, "batch_size": 5, "eval_every": 4, "ema": 0.9, "device": "cpu", "precision": "fp32"}
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


def test_two_processes_train_as_one_and_one_resumes_their_run(start_two: Start) -> None:
    first, second = start_two("--steps 8 --run two")
    events, _ = outcome(first)
    assert outcome(second) == ([], "")  # only rank 0 prints
    assert (first.returncode, second.returncode) == (0, 0)
    assert [run.name for run in Store.default().runs()] == ["two"]  # and alone writes

    alone = list(trainer(steps=8))
    for kind, key in (("step", "loss"), ("step", "grad_norm"), ("evaluation", "ema_val_loss")):
        together = [event[key] for event in events if event["event"] == kind]
        assert len(together) > 0
        assert together == pytest.approx(values(alone, kind, key), rel=1e-5)

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


# The same with threads in place of processes


class Meeting:
    """Where threads that stand for ranks exchange tensors."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._barrier = threading.Barrier(count, timeout=60)
        self._given: list[Any] = [None] * count

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """Return what every rank gives, in their order."""
        self._given[rank] = value
        self._barrier.wait()
        given = list(self._given)
        self._barrier.wait()
        return given


class ThreadRanks(distributed._Ranks):
    """The ranks of a training, each a thread of this process."""

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.count, self.lock = rank, meeting.count, threading.RLock()
        self._meeting = meeting
        self._ended, self._keeper = threading.Event(), threading.Thread(target=self._keep_alive)

    def broadcast(self, tensor: Tensor) -> None:
        self._exchange(lambda: tensor.copy_(self._meeting.exchange(self.rank, tensor.clone())[0]))

    def add(self, tensor: Tensor) -> None:
        self._exchange(lambda: tensor.copy_(sum(self._meeting.exchange(self.rank, tensor.clone()))))

    def greatest(self, *numbers: int) -> list[int]:
        return [max(given) for given in zip(*self._meeting.exchange(self.rank, numbers), strict=True)]


def trainer(*, steps: int, precision: Precision = "fp32", **changes: Any) -> Trainer:
    changes = {**CHANGES, "steps": steps, "precision": precision, **changes}
    return build_trainer(Store.default(), TrainingRequest(preset="nano", corpus="demo", changes=changes))


def values(events: list[Event], kind: str, key: str) -> list[float]:
    return [getattr(event, key) for event in events if event.event == kind]


def weights(model: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.fixture
def train_together(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Event]]:
    """Train over some ranks; return rank 0's events. At the end, the weights of all are the same bytes."""
    followers: list[distributed._Follower] = []

    class Follower(distributed._Follower):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            followers.append(self)

    def train(count: int, **options: Any) -> list[Event]:
        meeting = Meeting(count)
        first, *others = (ThreadRanks(rank, meeting) for rank in range(count))
        monkeypatch.setattr(distributed, "_Follower", Follower)
        monkeypatch.setattr(distributed, "_ranks", first)
        plan = choose_device_plan("cpu", "fp32")
        threads = [threading.Thread(target=distributed._follow, args=(ranks, plan), daemon=True) for ranks in others]
        for thread in threads:
            thread.start()
        leader = trainer(**options)
        events = list(leader)
        first.tell(distributed._END)
        for thread in threads:
            thread.join(60)
        assert len(followers) == count - 1
        for follower in followers:
            assert torch.equal(weights(follower._state.model), weights(leader.state.model))
            averages = [state.optimizer.average for state in (follower._state, leader.state)]
            assert torch.equal(averages[0].vector, averages[1].vector)  # type: ignore[union-attr]
        return events

    return train


@pytest.mark.parametrize(("count", "precision"), [(2, "fp32"), (4, "fp32"), (2, "fp16")])
def test_any_number_of_ranks_trains_as_one(
    train_together: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch, count: int, precision: Precision
) -> None:
    together = train_together(count, steps=8, precision=precision)
    monkeypatch.setattr(distributed, "_ranks", None)
    alone = list(trainer(steps=8, precision=precision))
    for kind, key in (("step", "loss"), ("step", "grad_norm"), ("evaluation", "ema_val_loss")):
        expected = pytest.approx(values(alone, kind, key), rel=1e-5 if precision == "fp32" else 1e-3)
        assert values(together, kind, key) == expected
    assert len(values(together, "step", "loss")) == 8


def change_gradients(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[distributed.SharedGradients, int], float]
) -> None:
    """Add what ``change`` says, of a rank's gradients and a step, to the loss that a rank computes."""
    compute = Gradients.compute

    def changed(self: distributed.SharedGradients, *arguments: Any, **options: Any) -> Tensor:
        return compute(self, *arguments, **options) + change(self, options["masks"].step)

    monkeypatch.setattr(Gradients, "compute", changed)


def test_ranks_that_drift_apart_are_noticed(
    train_together: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "CHECK_EVERY", 3)

    def drift(gradients: distributed.SharedGradients, step: int) -> float:
        if gradients._ranks.rank == 1 and step == 4:
            with torch.no_grad():
                gradients._state.parameters.weights[0] += 1e-3
        return 0.0

    change_gradients(monkeypatch, drift)
    events = train_together(2, steps=8)
    assert [(event.step, event.kind) for event in events if event.event == "warning"] == [(5, "ranks")]
    assert values(events, "step", "step") == list(range(1, 9))


def test_a_rank_without_memory_makes_all_split_the_batch(
    train_together: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True])

    def run_out(gradients: distributed.SharedGradients, step: int) -> float:
        if gradients._ranks.rank == 1 and step == 3 and next(failures, False):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return 0.0

    change_gradients(monkeypatch, run_out)
    events = train_together(2, steps=8)
    assert [(event.step, event.kind) for event in events if event.event == "warning"] == [(2, "memory")]
    assert values(events, "step", "step") == list(range(1, 9))


def test_all_ranks_go_back_to_the_checkpoint_of_the_first(
    train_together: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter(range(5))
    change_gradients(
        monkeypatch,
        lambda gradients, step: (
            float("nan") if gradients._ranks.rank == 1 and step > 6 and next(failures, None) is not None else 0.0
        ),
    )
    events = train_together(2, steps=14, save_every=4, eval_every=100)
    assert [event.kind for event in events if event.event == "warning"] == ["non-finite", "rollback"]
    assert values(events, "step", "step") == [*range(1, 7), *range(5, 15)]
    assert events[-1].event == "finished"


def test_while_rank_0_pauses_the_others_are_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "KEEP_ALIVE_SECONDS", 0.01)
    meeting = Meeting(2)
    first, second = ThreadRanks(0, meeting), ThreadRanks(1, meeting)
    first._keeper.start()
    assert [second.hear()[0] for _ in range(3)] == [distributed._WAIT] * 3
    leaving = threading.Thread(target=first.leave)
    leaving.start()
    kinds = {second.hear()[0]}
    while distributed._END not in kinds:
        kinds.add(second.hear()[0])
    leaving.join(60)
    assert not first._keeper.is_alive()


def test_an_exchange_that_fails_names_the_lost_rank() -> None:
    meeting = Meeting(2)
    meeting._barrier.abort()
    with pytest.raises(LostRankError, match="does not answer"):
        ThreadRanks(0, meeting).tell(distributed._WAIT)
