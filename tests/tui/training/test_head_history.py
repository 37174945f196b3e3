"""The strips of the heads: what they say, and that they fit."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shakegpt.events import Inspection
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.training.head_history import HeadHistory, found_at, found_sentences, layout, level, scores_of
from tests.tui.training_app import TrainingApp

RISE = (0.05, 0.6, 0.4, 0.7, 0.95)


def inspections(heads: int = 4) -> tuple[Inspection, ...]:
    """Return the inspections of a run whose head 1.2 finds its job."""
    return tuple(
        Inspection(step=50 * n, previous_character=((0.1, share, *[0.02] * (heads - 2)),), characters=256)
        for n, share in enumerate(RISE, 1)
    )


def test_a_head_has_found_its_job_since_it_was_last_below_a_half() -> None:
    assert found_at(inspections()) == ((0, 1), 200)
    assert found_at(inspections()[:3]) is None
    assert found_at(()) is None
    assert found_sentences(inspections())[0] == "head 1.2: 95 %, since step 200"
    assert found_sentences(inspections()[:3])[0] == "no head does so yet"


def test_inspections_of_another_shape_are_left_out() -> None:
    mixed = (*inspections(6)[:3], *inspections()[3:])
    assert scores_of(mixed)[0, 1] == [0.7, 0.95]
    assert found_at(mixed) == ((0, 1), 200)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.03, 1), (0.3, 3), (0.95, 5), (1.0, 5)])
def test_the_strength_of_a_tint(share: float, expected: int) -> None:
    assert level(share) == expected


@pytest.mark.parametrize("heads", [4, 16, 36, 144])
@pytest.mark.parametrize(("width", "height"), [(22, 7), (36, 8), (62, 14), (12, 2)])
def test_strips_never_overflow(heads: int, width: int, height: int) -> None:
    across, columns, figures = layout(heads, width, height)
    assert columns >= 1
    assert across * (5 + columns + 4 * figures) + 2 * (across - 1) <= width
    if (across - 1) * height >= heads:
        pytest.fail("fewer strips beside each other would have been enough")


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_training_screen_shows_the_strips(
    snapshots: Callable[[str], Snapshot], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = TrainingApp(replace(snapshots("training"), inspections=inspections()))
    app.theme = "ansi-dark"
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        history = app.training_screen.query_one(HeadHistory)
        lines = [history.render_line(y).text.rstrip() for y in range(history.size.height)]
        strip = lines[1].removeprefix("1.2").removesuffix("95").strip()
        assert strip[0] == "░"
        assert strip[-1] == "█"
        assert app.training_screen.query_one("#learning-rate").display == (size == (120, 40))


async def test_a_run_without_inspections_has_no_strips(snapshots: Callable[[str], Snapshot]) -> None:
    app = TrainingApp(snapshots("training"))
    async with app.run_test(size=(80, 24)):
        assert not app.training_screen.query_one(HeadHistory).display
        assert app.training_screen.query_one("#learning-rate").display
