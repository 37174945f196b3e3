import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from shakegpt.tui.widgets.area_chart import MARK, AreaChart, AxisRule, Level, axis_bounds, stretch

LOSS = AxisRule(least_span=0.25)


class ChartApp(App[None]):
    """Nothing but one chart."""

    def __init__(self, rule: AxisRule = LOSS) -> None:
        super().__init__()
        self.chart = AreaChart(rule)

    def compose(self) -> ComposeResult:
        yield self.chart


def lines_of(chart: AreaChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


async def drawn(
    values: Sequence[float | None],
    steps: tuple[int, int],
    marks: Sequence[tuple[int, float]] = (),
    *,
    size: tuple[int, int] = (40, 11),
    rule: AxisRule = LOSS,
    levels: Sequence[Level] = (),
) -> list[str]:
    app = ChartApp(rule)
    async with app.run_test(size=size) as pilot:
        app.chart.show(values, steps, marks, levels)
        await pilot.pause()
        return lines_of(app.chart)


async def test_the_ends_of_both_axes_are_named() -> None:
    lines = await drawn([4.0, 3.0, 2.0, 1.5], (1, 1200))
    assert lines[0].startswith("  4┤█")
    assert lines[9].startswith("1.5┤")
    assert re.fullmatch(r"    step 1 +1,200", lines[10])


@pytest.mark.parametrize("number", [1, 2, 7, 36, 37, 500])
async def test_a_curve_fills_the_width_however_many_values_it_has(number: int) -> None:
    lines = await drawn([2.0 + index / number for index in range(number)], (1, number))
    assert all(character != " " for character in lines[9][-35:])
    assert len(lines[10]) == 40
    assert lines[10].rstrip().endswith(str(number))


async def test_noise_does_not_fill_the_height() -> None:
    noise = [1.5 + 0.02 * (-1) ** index for index in range(36)]
    lines = await drawn(noise, (1, 36))
    edges = {row for row, line in enumerate(lines[:10]) if re.search("[▁▂▃▄▅▆▇]", line[4:])}
    assert max(edges) - min(edges) <= 1


@pytest.mark.parametrize("val_loss", [1.9, 2.0, 2.1, 3.0])
async def test_a_mark_bites_no_hole_into_the_curve(val_loss: float) -> None:
    without = await drawn([4.0, *[2.0] * 34, 1.0], (1, 36))
    with_mark = await drawn([4.0, *[2.0] * 34, 1.0], (1, 36), [(20, val_loss)])
    column = next(line.index(MARK) for line in with_mark if MARK in line)
    edge = next(line[column] for line in without if line[column] != " ")
    assert edge != "█"
    assert [line[column] for line in with_mark].count(MARK) == 1
    assert edge in [line[column] for line in with_mark]


async def test_a_steep_start_that_is_cut_off_is_said_to_be() -> None:
    rule = AxisRule(least_span=0.25, cuts_peak=True)
    lines = await drawn([66.0, *[5.0] * 35], (1, 36), rule=rule)
    assert lines[0].lstrip().startswith("≥")


async def test_a_small_chart_has_the_curve_alone() -> None:
    lines = await drawn([4.0, 3.0, 2.0], (1, 3), size=(10, 2))
    assert "step" not in "".join(lines)
    assert "┤" not in "".join(lines)


async def test_without_values_there_is_nothing() -> None:
    assert "".join(await drawn([], (0, 0))).strip() == ""
    assert "".join(await drawn([None, None], (1, 2))).strip() == ""


async def test_the_chart_needs_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = await drawn([4.0, 3.0, 2.0], (1, 3), [(2, 3.1)])
    assert MARK in "".join(lines)


@pytest.mark.parametrize(
    ("values", "columns", "expected"),
    [
        ([1.0, 3.0], 3, [1.0, 2.0, 3.0]),
        ([1.0, None, 3.0], 3, [1.0, 2.0, 3.0]),
        ([None, 2.0, None], 3, [2.0, 2.0, 2.0]),
        ([1.0, 3.0, 5.0, 7.0], 2, [2.0, 6.0]),
        ([1.0, None, None, 7.0], 2, [1.0, 7.0]),
        ([5.0], 3, [5.0, 5.0, 5.0]),
        ([None], 2, [None, None]),
        ([], 2, [None, None]),
    ],
)
def test_values_are_stretched_to_the_columns(
    values: list[float | None], columns: int, expected: list[float | None]
) -> None:
    assert stretch(values, columns) == expected


@pytest.mark.parametrize(
    ("values", "rule", "bounds"),
    [
        ([], AxisRule(), (0.0, 1.0)),
        ([1.52, 2.08], AxisRule(), (1.5, 2.1)),
        ([2.0, 2.0], LOSS, (1.7, 2.3)),
        ([66.0, *[2.0] * 9, 3.0], AxisRule(cuts_peak=True), (2.0, 3.0)),
        ([0.5e-3, 1e-3], AxisRule(from_zero=True), (0.0, 1e-3)),
        ([1.49, 1.51], LOSS, (1.31, 1.69)),
    ],
)
def test_bounds_are_round(values: list[float], rule: AxisRule, bounds: tuple[float, float]) -> None:
    assert axis_bounds(values, rule) == pytest.approx(bounds)


@given(st.lists(st.floats(-1e12, 1e12), max_size=50), st.sampled_from([AxisRule(), LOSS, AxisRule(cuts_peak=True)]))
def test_bounds_are_never_equal(values: list[float], rule: AxisRule) -> None:
    low, high = axis_bounds(values, rule)
    assert low < high


FALL = [4.0 - 2.5 * min(1.0, column / 20) for column in range(36)]
TABLES = [Level(value, f" table of {n} ", f" table {n} ") for n, value in enumerate([3.3, 2.5, 2.0, 1.7, 1.6], 1)]


async def test_levels_cross_the_chart_and_leave_the_curve_whole() -> None:
    size = (60, 41)
    bare, lines = await drawn(FALL, (1, 36), size=size), await drawn(FALL, (1, 36), size=size, levels=TABLES)
    assert [n for n in range(1, 6) if any(f"─ table of {n} ─" in line for line in lines)] == [1, 2, 3, 4, 5]
    for before, after in zip(bare, lines, strict=True):
        changed = [a for a, b in zip(before, after, strict=True) if a != b]
        assert set(changed) <= {" ", "█"}
        assert [c for c in after if c in "▁▂▃▄▅▆▇"] == [c for c in before if c in "▁▂▃▄▅▆▇"]


async def test_in_a_low_chart_only_the_nearest_level_is_drawn() -> None:
    lines = await drawn(FALL, (1, 36), [(2, 2.4)], size=(40, 6), levels=TABLES)
    assert [n for n in range(1, 6) if any(f" table of {n} " in line for line in lines[:-1])] == [2]


async def test_the_axis_reaches_to_the_next_level_below() -> None:
    lines = await drawn(FALL, (1, 36), size=(60, 21), levels=[Level(0.5, "far", "f"), Level(1.2, "near", "n")])
    assert any("near" in line for line in lines)
    assert not any("far" in line for line in lines)


async def test_a_level_whose_label_has_no_room_is_left_out() -> None:
    marks = [(step, 2.5) for step in range(1, 37, 3)]
    lines = await drawn(FALL, (1, 36), marks, size=(60, 21), levels=TABLES[1:2])
    assert lines == await drawn(FALL, (1, 36), marks, size=(60, 21))


async def test_a_level_between_marks_has_its_short_label() -> None:
    marks = [(step, 2.5) for step in range(1, 37, 6)]
    lines = await drawn(FALL, (1, 36), marks, size=(60, 21), levels=TABLES[1:2])
    assert any(" table 2 " in line for line in lines[:-1])
    assert not any("table of" in line for line in lines)
