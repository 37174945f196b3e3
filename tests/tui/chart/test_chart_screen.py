import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.app import App
from textual.widgets import Static

from shakegpt.evaluation.ngrams import TableLosses
from shakegpt.events import Step
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.chart.cursor_line import CursorLine, CursorValues
from shakegpt.tui.chart.curve_plot import CurvePlot
from shakegpt.tui.chart.curves import LEARNING_RATE, LOSS, PERPLEXITY, Line
from shakegpt.tui.chart.lines import NamedRun
from shakegpt.tui.themes import THEMES


class ChartApp(App[None]):
    """Nothing but a chart on an empty screen."""

    def __init__(self, chart: ChartScreen) -> None:
        super().__init__()
        self.chart = chart
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "shakegpt"

    async def on_mount(self) -> None:
        await self.push_screen(self.chart)


@pytest.fixture
def run(events: Callable[..., list[Any]]) -> Snapshot:
    return replay(events(upto=240))


def title(chart: ChartScreen) -> str:
    return str(chart.query_one("#title", Static).render())


def cursor_column(chart: ChartScreen) -> int:
    column = chart.query_one(CursorLine).column
    assert column is not None
    return column


async def test_train_and_validation_share_the_axes_and_have_their_values_below(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        chart = pilot.app.chart
        assert title(chart) == "Loss of macbeth   by step, linear, smoothing light"
        assert chart.query_one(CursorValues).text == "▲ step 240   ━ train loss 1.812   ◆ validation loss 2.008"
        kinds = [type(dataset).__name__ for dataset in chart.query_one(CurvePlot)._datasets]
        assert kinds == ["LinePlot", "LinePlot", "LinePlot", "ScatterPlot"]  # raw, smoothed, validation, its marks


async def test_keys_move_the_cursor_and_the_values_follow(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(120, 40)) as pilot:
        chart = pilot.app.chart
        await pilot.pause()
        await pilot.press("S", "S")  # smoothing off: the values themselves
        await pilot.press("home")
        start = cursor_column(chart)
        assert chart.query_one(CursorValues).text.startswith(f"▲ step 1   ━ train loss {run.train[0].loss:.3f}")
        await pilot.press("right", "l")
        assert cursor_column(chart) == start + 2
        await pilot.press("pagedown", "h")
        assert cursor_column(chart) == start + 11
        await pilot.press("end")
        assert chart.query_one(CursorValues).text.startswith("▲ step 240 ")
        await pilot.press("right")
        assert chart.cursor == 240


async def test_b_goes_through_step_time_and_tokens(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(100, 30)) as pilot:
        chart = pilot.app.chart
        shown = []
        for _ in range(3):
            await pilot.press("b")
            await pilot.pause()
            shown.append((chart.axis, chart.query_one(CursorValues).text.split("   ")[0]))
        assert shown == [("time", "▲ 5s"), ("tokens", "▲ 246 k characters"), ("step", "▲ step 240")]


async def test_a_logarithmic_axis_plots_the_logarithm_and_shows_the_value(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(100, 30)) as pilot:
        chart = pilot.app.chart
        await pilot.pause()
        await pilot.press("L")
        await pilot.pause()
        ys = chart.query_one(CurvePlot)._datasets[0].y
        assert max(ys) == pytest.approx(math.log10(max(point.loss for point in run.train.points())))
        assert "train loss 1.812" in chart.query_one(CursorValues).text
        assert "logarithmic" in title(chart)


async def test_capital_s_smooths_more_and_then_not_at_all(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(100, 30)) as pilot:
        chart = pilot.app.chart
        seen = [chart.smoothing]
        for _ in range(3):
            await pilot.press("S")
            seen.append(chart.smoothing)
        assert seen == ["light", "heavy", "off", "light"]


async def test_tab_goes_through_the_quantities(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)], quantity=LOSS)).run_test() as pilot:
        chart = pilot.app.chart
        await pilot.press("tab")
        assert chart.quantity is PERPLEXITY
        await pilot.press("tab")
        await pilot.pause()
        assert chart.quantity is LEARNING_RATE
        assert chart.query_one(CursorValues).text == "▲ step 240   ━ learning rate 1.7e-3"


async def test_zoom_and_pan_by_key_and_back(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(120, 40)) as pilot:
        chart = pilot.app.chart
        await pilot.pause()
        await pilot.press("+", "+")
        assert chart.x_range is not None
        low, high = chart.x_range
        assert high - low == pytest.approx(239 / 1.5**2)
        assert high == 240  # around the cursor, at the end
        await pilot.press("shift+left")
        assert chart.x_range[0] < low
        assert chart.x_range[1] - chart.x_range[0] == pytest.approx(high - low)
        await pilot.press(*["shift+right"] * 3)
        assert chart.x_range == pytest.approx((low, high))  # never past the end
        await pilot.press("shift+up", "k")
        assert chart.y_range is not None
        await pilot.press("0")
        assert (chart.x_range, chart.y_range) == (None, None)
        await pilot.press("-")
        assert chart.x_range is None


async def test_the_view_follows_the_cursor(run: Snapshot) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test(size=(120, 40)) as pilot:
        chart = pilot.app.chart
        await pilot.pause()
        await pilot.press("+", "+", "home")
        assert chart.x_range is not None
        assert chart.x_range[0] == 1
        await pilot.pause()
        assert "▲ step 1 " in chart.query_one(CursorValues).text


async def test_several_runs_share_one_chart(run: Snapshot, events: Callable[..., list[Any]]) -> None:
    other = replay(events(upto=100, run="[b]lear[/b]"))
    chart = ChartScreen([NamedRun("macbeth", run), NamedRun("[b]lear[/b]", other)])
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "macbeth, [b]lear[/b]" in title(chart)
        text = chart.query_one(CursorValues).text
        assert "● macbeth 1.812" in text
        assert "▼ [b]lear[/b] " in text
        styles = {
            dataset.line_style for dataset in chart.query_one(CurvePlot)._datasets if hasattr(dataset, "line_style")
        }
        assert len(styles) == 2


async def test_a_live_run_grows_and_a_fixed_one_does_not(run: Snapshot, events: Callable[..., list[Any]]) -> None:
    later = replay(events(upto=300))
    for live, end in ((True, 300), (False, 240)):
        async with ChartApp(ChartScreen([NamedRun("macbeth", run)], live=live)).run_test() as pilot:
            chart = pilot.app.chart
            await pilot.pause()
            chart.show(later)
            chart._redraw_if_stale()
            assert chart._all_xs() == (1, end)


@pytest.mark.parametrize("keys", [(), ("l",), ("x", "x"), ("+", "left", "a", "w", "up", "tab", "m")])
@pytest.mark.parametrize("points", [0, 1, 2])
async def test_short_and_broken_curves_are_drawn_or_not_at_all(
    events: Callable[..., list[Any]], points: int, keys: tuple[str, ...]
) -> None:
    log = events(upto=points)
    broken = [replace(event, loss=math.nan, learning_rate=0.0) if isinstance(event, Step) else event for event in log]
    for snapshot in (replay(log), replay(broken)):
        async with ChartApp(ChartScreen([NamedRun("macbeth", snapshot)])).run_test() as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            empty = not any(math.isfinite(point.loss) for point in snapshot.train.points())
            if "tab" not in keys:
                assert pilot.app.chart.query_one("#nothing").display is empty


@pytest.mark.parametrize("key", ["escape", "z"])
async def test_a_key_goes_back(run: Snapshot, key: str) -> None:
    async with ChartApp(ChartScreen([NamedRun("macbeth", run)])).run_test() as pilot:
        await pilot.press(key)
        assert pilot.app.screen is not pilot.app.chart


def test_every_key_has_an_id_and_a_tooltip() -> None:
    assert all(binding.id and binding.tooltip for binding in ChartScreen.BINDINGS)


@pytest.mark.parametrize("width", [40, 80])
async def test_long_names_are_shortened_and_their_values_are_whole(
    events: Callable[..., list[Any]], width: int
) -> None:
    names = [f"{'a-very-long-name-indeed-' * 2}{number}" for number in range(3)]
    chart = ChartScreen([NamedRun(name, replay(events(upto=240, run=name))) for name in names])
    async with ChartApp(chart).run_test(size=(width, 30)) as pilot:
        await pilot.pause()
        values = chart.query_one(CursorValues)
        lines = [values.render_line(y).text.rstrip() for y in range(values.size.height)]
        shown = " ".join(lines)
        assert shown.count("1.812") == 3
        for number in range(3):
            assert re.search(rf"…\S*{number} 1\.812", shown)  # the end, which tells them apart
        assert len(title(chart)) <= width - 2


async def test_beyond_its_end_a_run_has_no_value(run: Snapshot, events: Callable[..., list[Any]]) -> None:
    chart = ChartScreen([NamedRun("macbeth", run), NamedRun("lear", replay(events(steps=100, run="lear")))])
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "▼ lear ends at 100" in chart.query_one(CursorValues).text
        await pilot.press("b")
        await pilot.pause()
        assert "▼ lear ends at 2s" in chart.query_one(CursorValues).text
        await pilot.press("home")
        assert "▼ lear 4." in chart.query_one(CursorValues).text


async def test_the_marks_of_runs_drawn_together_are_explained(run: Snapshot, events: Callable[..., list[Any]]) -> None:
    chart = ChartScreen([NamedRun("macbeth", run), NamedRun("lear", replay(events(upto=100, run="lear")))])
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert chart.query_one(CursorValues).text.endswith("lines: train loss, marks: validation")
        await pilot.press("tab", "tab")
        await pilot.pause()
        text = chart.query_one(CursorValues).text
        assert "━ lear " in text
        assert not {"●", "▼", "marks"} & {*text.split()}


async def test_y_copies_the_values_at_the_cursor(run: Snapshot) -> None:
    chart = ChartScreen([NamedRun("macbeth", run)])
    async with ChartApp(chart).run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("y")
        assert pilot.app.clipboard == "step 240   train loss 1.812   validation loss 2.008"


async def test_the_first_drawing_has_all_that_the_columns_can_show(
    events: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    add_line = CurvePlot.add_line

    def record(plot: CurvePlot, line: Line, colour: str) -> None:
        drawn.append(len(line.xs))
        add_line(plot, line, colour)

    monkeypatch.setattr(CurvePlot, "add_line", record)
    chart = ChartScreen([NamedRun("macbeth", replay(events(steps=2000)))])
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert drawn[0] > 200


@pytest.mark.parametrize(
    ("key", "expected"), [("", [1, 2, 3]), ("L", [1, 2, 3]), ("tab", [1, 2, 3, 4]), ("b", [1, 2, 3])]
)
async def test_the_tables_are_lines_of_the_chart_of_one_run(run: Snapshot, key: str, expected: list[int]) -> None:
    tables = TableLosses(losses=(3.3, 2.8, 2.3, 1.5, 1.4, 1.45), uniform=4.17)
    chart = ChartScreen([NamedRun("macbeth", run, tables)])
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.press(*[key] * bool(key))
        await pilot.pause()
        plot = chart.query_one(CurvePlot).query_one("#plot")
        lines = [plot.render_line(y).text for y in range(plot.size.height)]
        assert [n for n in range(1, 7) if any(f" table of {n} ─" in line for line in lines)] == expected
        chart.runs.append(NamedRun("lear", run))
        await pilot.press("0")
        await pilot.pause()
        assert not any("table" in plot.render_line(y).text for y in range(plot.size.height))
