"""``shakegpt sweep``: which runs its options make, and what it refuses before anything begins."""

import shlex
from pathlib import Path

import pytest

from shakegpt.cli.sweep import _choose_slots
from shakegpt.cli.sweep_console import SweepConsole, result_table, seconds_left
from shakegpt.cli.sweep_options import parse_run
from shakegpt.events import Started, Step
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import make_plan, save_plan
from shakegpt.training.sweep import SweepRow, SweepThread
from tests.cli.cli_results import Invoke, one_sentence
from tests.conftest import WriteConfig

NANO = ["sweep", "--preset", "nano", "--corpus", "demo"]


def printed(invoke: Invoke, *arguments: str) -> list[str]:
    result = invoke(*NANO, *arguments, "--print")
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_it_prints_a_command_for_every_combination_and_writes_nothing(
    invoke: Invoke, private_surroundings: Path
) -> None:
    lines = printed(invoke, "--lr", "1e-3,2e-3", "--weight-decay", "0.1, 1", "--seeds", "2", "--name", "x")
    assert len(lines) == 8
    assert lines[0] == (
        "shakegpt train --preset nano --corpus demo --learning-rate 1e-3 --weight-decay 0.1 --seed 1337 --run x-01"
    )
    assert lines[-1].endswith("--learning-rate 2e-3 --weight-decay 1 --seed 1338 --run x-08")
    assert not private_surroundings.exists()


def test_seeds_begin_at_the_seed_that_is_given(invoke: Invoke) -> None:
    lines = printed(invoke, "--seed", "5", "--seeds", "3")
    assert [shlex.split(line)[-3] for line in lines] == ["5", "6", "7"]


def test_what_is_set_for_train_elsewhere_is_written_out(
    invoke: Invoke, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config("[train]\nsteps = 7\nwarmup = 3\n")
    monkeypatch.setenv("SHAKEGPT_TRAIN_WARMUP", "4")
    (line, _) = printed(invoke, "--seeds", "2")
    assert "--steps 7 " in line
    assert "--warmup 4 " in line


def test_each_run_has_its_part_of_a_folder_and_a_text_its_full_path(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a, b.txt").write_text("To be, or not to be. " * 100)
    lines = [shlex.split(line) for line in printed(
        invoke, "--corpus", "a, b.txt", "--tensorboard", "logs", "--seeds", "2", "--name", "t"
    )]  # fmt: skip
    assert [line[line.index("--tensorboard") + 1] for line in lines] == [
        str(tmp_path / "logs" / "t-01"),
        str(tmp_path / "logs" / "t-02"),
    ]
    assert str(tmp_path / "a, b.txt") in lines[0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "There is nothing to sweep over"),
        (["--lr", "1e-3,,2e-3"], 2, "has an empty value"),
        (["--lr", "1e-3,0"], 2, "The learning rate must be a number above 0"),
        (["--lr", "1e-3,much"], 2, "valid number"),
        (["--preset", "nano,huge"], 2, "There is no preset 'huge'"),
        (["--seed", "1,2", "--seeds", "2"], 2, "The seeds were given twice"),
        (["--seeds", "1001"], 2, "1,000 at most"),
        (["--seeds", "2", "--name", "my sweep"], 2, "A run cannot be called 'my sweep-02'"),
        (["--resume", "nowhere"], 2, "leave out --preset"),
    ],
)
def test_it_refuses_in_one_sentence(
    invoke: Invoke, private_surroundings: Path, arguments: list[str], code: int, message: str
) -> None:
    result = invoke(*NANO, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not private_surroundings.exists()


def test_a_sweep_that_there_is_none_of_cannot_be_resumed(invoke: Invoke) -> None:
    assert "There is no sweep nowhere; there are no sweeps yet" in one_sentence(
        invoke("sweep", "--resume", "nowhere"), 1
    )


def snapshot(step: int, seconds: float) -> Snapshot:
    started = Started(
        step=0, run="x", steps=100, parameters=1, vocab_size=65, corpus="demo", device="CPU", precision="fp32",
        reason="tests", threads=1, batch_size=1, block_size=10, preset="nano",
    )  # fmt: skip
    taken = Step(
        step=step, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=10.0,
        seconds=seconds, tokens=10 * step,
    )  # fmt: skip
    return replay([started, taken])


def test_the_time_left_counts_the_runs_that_wait() -> None:
    rows = [
        SweepRow(name="x-01", settings={}, state="training", snapshot=snapshot(50, 50.0)),
        SweepRow(name="x-02", settings={}, state="training", snapshot=snapshot(50, 50.0)),
        SweepRow(name="x-03", settings={}),
        SweepRow(name="x-04", settings={}),
    ]
    assert seconds_left(rows) == pytest.approx((50 + 50 + 2 * 100) / 2)
    assert seconds_left(rows[2:]) is None


def test_plain_lines_say_a_failure_once_and_the_result_has_why(capsys: pytest.CaptureFixture[str]) -> None:
    from shakegpt.events import Failed

    rows = [SweepRow(name="x-01", settings={"seed": "1"}, state="failed", message="It broke.\x1b[2J")]
    console = SweepConsole(lambda: rows)
    for _ in range(2):
        console.show("x-01", Failed(step=1, message="It broke.\x1b[2J"))
    assert capsys.readouterr().err == "x-01: failed: It broke.\\x1b[2J\n"
    assert "It broke.\\x1b[2J" in result_table(rows)[1]


@pytest.mark.parametrize(
    ("device", "variables", "count"),
    [([], ["0", "1"], 2), (["--device", "cuda:1"], [None], 1), (["--device", "cpu"], [None, None], 2)],
)
def test_runs_that_name_their_gpu_can_see_it(
    device: list[str], variables: list[str | None], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shakegpt.system.processors.visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr("shakegpt.system.processors.available_cores", lambda: 2)
    runs = [parse_run(["train", "--preset", "nano", "--corpus", "demo", *device])] * 3
    slots = _choose_slots(runs, None)
    assert [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots] == variables
    assert len(slots) == count


@pytest.mark.parametrize("place", ["the command line", "[sweep]", "[train]", "SWEEP", "TRAIN"])
def test_notify_is_printed_for_each_run_wherever_it_is_set(
    place: str, invoke: Invoke, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.startswith("["):
        write_config(f'{place}\nnotify = ["bell", "true | cat"]\n')
    elif place.isupper():
        monkeypatch.setenv(f"SHAKEGPT_{place}_NOTIFY", "bell\ntrue | cat\n")
    typed = ["--notify", "bell", "--notify", "true | cat"] if place == "the command line" else []
    (line, _) = printed(invoke, "--seeds", "2", *typed)
    assert "--notify bell --notify 'true | cat' " in line


def test_a_sweep_that_is_resumed_tells_as_it_is_asked_now_or_was_planned(
    private_surroundings: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[object, list[str]]] = []

    def show(thread: SweepThread, _console: object, _hangup: str, ways: list[str]) -> int:
        (planned,) = thread._plan.runs
        shown.append((thread._plan.arguments(planned), ways))
        return 0

    monkeypatch.setattr("shakegpt.cli.sweep._show_until_end", show)
    save_plan(Store(private_surroundings), make_plan("s", {"seed": ["1"]}, {}, {"notify": ["true"]}))
    for typed in ([], ["--notify", "bell"]):
        assert invoke("sweep", "--resume", "s", *typed).exit_code == 0
    child = ["train", "--seed", "1", "--run", "s-01"]  # tells nobody: the process of the sweep does
    assert shown == [(child, ["true"]), (child, ["bell"])]


def test_a_misspelt_way_to_tell_is_refused(invoke: Invoke) -> None:
    result = invoke(*NANO, "--seeds", "2", "--notify", "bel")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "bell, desktop or a command" in result.stderr
