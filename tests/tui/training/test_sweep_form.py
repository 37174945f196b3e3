"""The new-run form with several values in a field: a sweep, how long it takes, and what it runs."""

import pytest

from shakegpt.runs.speed import Speed
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import SweepPlan, load_plan
from shakegpt.tui.training.run_form import DEFAULTS, Machine, field_error, training_request
from shakegpt.tui.training.sweep_form import begin_sweep, describe_sweep, varied_options

VALUES = DEFAULTS | {"preset": "nano", "corpus": "demo"}


@pytest.mark.parametrize(
    ("name", "text", "varied"),
    [
        ("steps", "9,000", {}),
        ("steps", "500, 1,000", {"steps": ["500", "1", "000"]}),
        ("steps", "200, 400", {"steps": ["200", "400"]}),
        ("learning_rate", "1e-3,2e-3,1e-3", {"learning-rate": ["1e-3", "2e-3"]}),
        ("seed", "100,200", {"seed": ["100", "200"]}),
        ("seed", "1337", {}),
    ],
)
def test_commas_separate_values_but_not_thousands(name: str, text: str, varied: dict[str, list[str]]) -> None:
    assert varied_options(VALUES | {name: text}) == varied


@pytest.mark.parametrize(
    ("text", "error"), [("1e-3,", "each side"), ("1e-3,x", "a number such as"), ("1e-3,0", "above 0")]
)
def test_each_value_is_checked(text: str, error: str) -> None:
    assert error in field_error(VALUES | {"learning_rate": text}, "learning_rate")
    assert describe_sweep(VALUES | {"learning_rate": text}, Machine()) == "" or text == "1e-3,"


def test_it_says_how_many_runs_and_how_long() -> None:
    values = VALUES | {"learning_rate": "1e-3,3e-3", "seed": "1,2,3", "steps": "100"}
    assert describe_sweep(VALUES, Machine()) == ""
    assert describe_sweep(values, Machine()) == "This makes 6 runs, a sweep: time not known yet."
    machine = Machine("cpu", {"nano": Speed(58_000, 16 * 64 * 10.0)})  # ten steps a second
    assert describe_sweep(values, machine) == "This makes 6 runs, a sweep: about 60 s here in all."


def test_it_plans_the_runs_and_begins_them(private_surroundings, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    begun: list[SweepPlan] = []
    monkeypatch.setattr("shakegpt.tui.training.sweep_form.begin_in_background", lambda _, plan: begun.append(plan))
    store = Store(private_surroundings)
    values = VALUES | {"learning_rate": "1e-3,3e-3", "steps": "9,000", "device": "cpu"}
    plan = begin_sweep(store, values, training_request(values))
    assert begun == [plan] == [load_plan(store, "sweep")]
    assert plan.arguments(plan.runs[1]) == [
        "train", "--steps", "9000", "--device", "cpu", "--preset", "nano", "--corpus", "demo",
        "--learning-rate", "3e-3", "--run", "sweep-02",
    ]  # fmt: skip
