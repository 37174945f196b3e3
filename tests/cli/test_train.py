"""``shakegpt train``: its options, its output, its exit codes, and the signals that end it."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.config import ModelConfig, TrainingConfig, field_docs
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import BeginCli, Invoke, RunCli, objects, one_sentence
from tests.conftest import command_environment
from tests.processes import PATIENCE

TRAIN = [
    "train", "--preset", "nano", "--corpus", "demo", "--run", "lear", "--device", "cpu", "--precision", "fp32",
    "--batch-size", "4",
]  # fmt: skip


def test_a_field_of_the_configuration_is_an_option_with_its_docstring(invoke: Invoke) -> None:
    words = " ".join(invoke("train", "--help", env={"COLUMNS": "200", "TERM": "dumb"}).stdout.replace("│", " ").split())
    for name in ("steps", "weight_decay", "device"):
        assert f"--{name.replace('_', '-')} " in words
        assert field_docs(TrainingConfig)[name] in words
    assert field_docs(ModelConfig)["dropout"] in words


def test_train_json_and_then_generate(private_surroundings: Path, run_cli: RunCli, invoke: Invoke) -> None:
    done = run_cli(*TRAIN, "--steps", "4", "--eval-every", "2", "--save-every", "2", "--seed", "5", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    events = objects(done.stdout)
    assert [event["event"] for event in events] == [
        "started", "sample", "step", "step", "evaluation", "inspection", "sample", "saved",
        "step", "step", "evaluation", "inspection", "sample", "saved", "finished",
    ]  # fmt: skip
    step = next(event for event in events if event["event"] == "step")
    assert {"step", "loss", "perplexity", "learning_rate", "grad_norm", "tokens_per_second"} <= set(step)
    evaluation = next(event for event in events if event["event"] == "evaluation")
    assert {"step", "train_loss", "val_loss", "perplexity"} <= set(evaluation)
    saved = next(event for event in events if event["event"] == "saved")
    assert (saved["step"], saved["best"], Path(saved["path"]).is_dir()) == (2, True, True)
    run = Store(private_surroundings).run("lear")
    assert objects(run.metrics_path.read_text()) == events
    (generated,) = objects(invoke("generate", "--checkpoint", "lear", "--length", "9", "--json").stdout)
    assert generated["checkpoint"] in ("lear@2", "lear@4")


def test_train_prints_its_result_and_notes_everything_else(invoke: Invoke) -> None:
    done = invoke(*TRAIN, "--steps", "4", "--eval-every", "2")
    assert done.exit_code == 0
    assert re.fullmatch(r"lear: finished at step 4 after .*, best validation loss \d\.\d+ at \d\n", done.stdout)
    assert "validation" in done.stderr
    assert "saved" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--steps", "0"], 2, "steps must be a whole number of at least 1, not 0"),
        (["--preset", "huge"], 2, "There is no preset 'huge'"),
        (["--run", "last"], 2, "meaning of its own"),
        (["--run", "my run"], 2, "A run cannot be called 'my run'"),
    ],
)
def test_train_refuses_in_one_sentence(invoke: Invoke, arguments: list[str], code: int, message: str) -> None:
    assert message in one_sentence(invoke("train", "--corpus", "demo", *arguments), code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "baby"], "A resumed run keeps its preset: leave out --preset, or begin a new run without"),
        (["--encoding", "latin-1"], "A resumed run reads its own text as before: leave out --encoding, or give"),
    ],
)
def test_an_option_that_a_resumed_run_would_ignore_is_an_error(
    macbeth: Run, invoke: Invoke, arguments: list[str], message: str
) -> None:
    assert message in one_sentence(invoke("train", "--resume", "macbeth", "--steps", "31", *arguments), 2)


def test_the_environment_sets_the_options_of_a_new_run_but_not_of_a_resumed_one(macbeth: Run, invoke: Invoke) -> None:
    variables = {"STEPS": "3", "PRESET": "baby", "ENCODING": "latin-1", "CORPUS": "nowhere.txt", "RUN": "hamlet"}
    shutil.rmtree(macbeth.checkpoint_path(30))
    done = invoke(
        "train",
        "--resume",
        "macbeth",
        "--json",
        env={f"SHAKEGPT_TRAIN_{name}": value for name, value in variables.items()},
    )
    assert done.exit_code == 0, done.stdout
    started, *_, finished = objects(done.stdout)
    assert (started["run"], started["steps"], finished["outcome"]) == ("macbeth", 30, "finished")


def test_output_that_a_full_disk_does_not_take_is_said_and_nothing_of_the_run_is_lost(
    private_surroundings: Path,
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "shakegpt", *TRAIN, "--steps", "4", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=command_environment(),
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "warning: standard output cannot be written (No space left on device); the training goes on.\n"
    )
    run = Store(private_surroundings).run("lear")
    assert run.status() == "finished"
    assert [event["event"] for event in objects(run.metrics_path.read_text())][-1] == "finished"


def test_train_json_reports_a_failure_in_json(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("train", "--corpus", str(tmp_path / "nowhere.txt"), "--json")
    assert done.exit_code == 1
    (result,) = objects(done.stdout)
    assert result["event"] == "failed"
    assert "There is no corpus" in result["message"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_saves_and_ends(
    private_surroundings: Path, begin_cli: BeginCli, number: int, code: int
) -> None:
    process = begin_cli(*TRAIN, "--steps", "1000000", "--eval-every", "1000000", "--save-every", "1000000", "--json")
    assert process.stdout is not None
    steps = (event for event in map(json.loads, process.stdout) if event["event"] == "step")
    next(steps)
    process.send_signal(number)
    rest, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (code, "")
    assert [event["event"] for event in objects(rest)][-2:] == ["saved", "finished"]
    run = Store(private_surroundings).run("lear")
    last = run.last()
    assert last is not None
    assert (run.status(), last.step) == ("stopped", objects(rest)[-1]["step"])


def test_stop_from_another_process_saves_and_ends(
    private_surroundings: Path, begin_cli: BeginCli, invoke: Invoke
) -> None:
    process = begin_cli(*TRAIN, "--steps", "1000000", "--eval-every", "1000000", "--save-every", "1000000", "--json")
    assert process.stdout is not None
    next(event for event in map(json.loads, process.stdout) if event["event"] == "step")
    done = invoke("stop", "lear")
    assert f"process {process.pid}" in done.stderr
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143  # `train && export` must not take it for finished
    assert objects(rest)[-1]["outcome"] == "stopped"
    assert Store(private_surroundings).run("lear").status() == "stopped"
