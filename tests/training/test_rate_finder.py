"""The range test in a process of its own: what it reports, how it fails, and that it can be cancelled."""

import json
import sys
import threading
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.runs.store import Store
from shakegpt.training import lr_range
from shakegpt.training.rate_finder import FoundRate, RangeProgress, RateFinder, main
from shakegpt.training.setup import TrainingRequest
from tests.conftest import NANO_CHANGES
from tests.processes import PATIENCE

STEP = {"step": 1, "steps": 200, "learning_rate": 1e-5, "loss": 4.5}


def finder(store: Path, script: str, request: TrainingRequest | None = None) -> RateFinder:
    return RateFinder(Store(store), request or TrainingRequest(preset="nano"), command=(sys.executable, "-c", script))


def printing(*objects: object, after: str = "") -> str:
    return "".join(f"print({json.dumps(json.dumps(each))}, flush=True);" for each in objects) + after


def test_it_reports_each_step_and_returns_what_was_found(private_surroundings: Path) -> None:
    script = "print('a warning of some library');" + printing(STEP, {"learning_rate": 2e-3, "reason": "the middle"})
    heard: list[RangeProgress] = []
    assert finder(private_surroundings, script).find(heard.append) == FoundRate(2e-3, "the middle")
    assert heard == [RangeProgress(1, 200, 1e-5, 4.5)]


def test_it_is_told_the_request_and_the_store(private_surroundings: Path) -> None:
    script = (
        "import json, os, sys; values = json.loads(sys.argv[1]);"
        "print(json.dumps({'learning_rate': values['changes']['batch_size'], 'reason': values['corpus'] + ' ' + "
        "os.environ['SHAKEGPT_HOME']}))"
    )
    request = TrainingRequest(preset="nano", corpus="demo", run_name="lear", changes={"batch_size": 8})
    found = finder(private_surroundings, script, request).find(lambda _: None)
    assert found == FoundRate(8, f"demo {private_surroundings}")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (printing(STEP, {"error": "The loss never fell."}), "The loss never fell."),
        (printing(STEP), "ended without a result (exit code 0)"),
        ("import os; os.kill(os.getpid(), 9)", "was killed, perhaps for want of memory"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("raise SystemExit(3)", "(exit code 3)"),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(private_surroundings: Path, script: str, error: str) -> None:
    with pytest.raises(ShakegptError) as caught:
        finder(private_surroundings, script).find(lambda _: None)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_that_cannot_be_started_is_an_error(private_surroundings: Path) -> None:
    missing = RateFinder(Store(private_surroundings), TrainingRequest(), command=("/no/such/program",))
    with pytest.raises(ShakegptError, match="could not be started"):
        missing.find(lambda _: None)


def test_a_cancelled_test_ends_at_once_and_says_nothing(private_surroundings: Path) -> None:
    hanging = finder(private_surroundings, printing(STEP, after="import time; time.sleep(600)"))
    results: list[FoundRate | None] = []
    thread = threading.Thread(target=lambda: results.append(hanging.find(lambda _: hanging.cancel())), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert results == [None]
    assert hanging.find(lambda _: None) is None  # nor does it begin again


def test_the_process_tests_the_request_and_leaves_no_run(
    private_surroundings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"preset": "nano", "corpus": "demo", "changes": NANO_CHANGES}
    main(json.dumps(request))
    *steps, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert [values["step"] for values in steps] == list(range(1, len(steps) + 1))
    assert {values["steps"] for values in steps} <= {lr_range.MOST_STEPS} | {*range(lr_range.LEAST_STEPS, 200)}
    assert 1e-5 < result["learning_rate"] < 1
    assert result["reason"].startswith(("the middle of ", "a hundredth of "))
    assert not private_surroundings.exists()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"preset": "nano", "corpus": "/no/such/file"}, "/no/such/file"),
        ({"preset": "nano", "corpus": "demo", "changes": {"batch_size": 0}}, "batch size"),
        ({"begin_from": "lear"}, "lear"),
    ],
)
def test_a_request_that_cannot_be_tested_is_reported(
    private_surroundings: Path, capsys: pytest.CaptureFixture[str], request_: dict[str, object], error: str
) -> None:
    main(json.dumps(request_))
    (line,) = capsys.readouterr().out.splitlines()
    assert error in json.loads(line)["error"]
