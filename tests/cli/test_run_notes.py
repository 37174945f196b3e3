"""``shakegpt runs note`` and ``shakegpt runs tag``, and what ``runs list`` and ``runs show`` make of them."""

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence


def listed(invoke: Invoke, *arguments: str) -> list[str]:
    (result,) = objects(invoke("runs", "list", "--json", *arguments).stdout)
    return [row["name"] for row in result["runs"]]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--tag", "baseline"], True),
        (["--tag", "baseline", "--tag", "late"], True),
        (["--tag", "baseline", "--tag", "early"], False),
        (["--where", "lr=3e-3"], True),
        (["--where", "lr=3e-3", "--where", "seed=8"], False),
        (["--tag", "late", "--where", "seed=7"], True),
    ],
)
def test_runs_are_listed_by_tag_and_setting(
    store: Store,
    macbeth: Run,
    invoke: Invoke,
    arguments: list[str],
    found: bool,
) -> None:
    assert invoke("runs", "tag", "macbeth", "baseline", "late").exit_code == 0
    assert listed(invoke, *arguments) == ["macbeth"] * found


def test_what_was_said_is_shown(store: Store, macbeth: Run, invoke: Invoke) -> None:
    invoke("runs", "tag", "macbeth", "baseline")
    invoke("runs", "note", "macbeth", "first try\nwith \x1b[31mred")
    shown = invoke("runs", "show", "macbeth").stdout
    assert "  tags      baseline\n  note      first try\n            with \\x1b[31mred\n" in shown
    (result,) = objects(invoke("runs", "show", "macbeth", "--json").stdout)
    assert (result["note"], result["tags"]) == ("first try\nwith \x1b[31mred", ["baseline"])
    assert "demo, baseline\n" in invoke("runs", "list").stdout
    assert invoke("runs", "note", "macbeth").stdout == "first try\nwith \\x1b[31mred\n"


def test_it_is_removed_again(store: Store, macbeth: Run, invoke: Invoke) -> None:
    invoke("runs", "tag", "macbeth", "baseline")
    invoke("runs", "note", "macbeth", "first try")
    assert "macbeth has no tags now" in invoke("runs", "tag", "macbeth", "baseline", "--remove").stderr
    assert invoke("runs", "note", "macbeth", "--remove").exit_code == 0
    (result,) = objects(invoke("runs", "show", "macbeth", "--json").stdout)
    assert (result["note"], result["tags"]) == (None, [])


def test_none_that_matches_is_said(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "No run has all of these" in invoke("runs", "list", "--tag", "nothing").stderr


@pytest.mark.parametrize(
    "arguments",
    [["note", "macbeth", "text", "--remove"], ["tag", "macbeth", "two words"], ["list", "--where", "lr=fast"]],
)
def test_mistakes(store: Store, macbeth: Run, invoke: Invoke, arguments: list[str]) -> None:
    one_sentence(invoke("runs", *arguments), 2)
