import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from shakegpt.events import Failed, Finished, Sample, Saved, Step
from shakegpt.events import Warning as WarningEvent
from shakegpt.runs.snapshot import Snapshot, advance, replay
from shakegpt.runs.speed import Speed
from shakegpt.system.gpu import GpuUsage
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.training.metric_panel import MetricPanel, MetricValue
from shakegpt.tui.training.notice import Notice, notice_of
from shakegpt.tui.training.progress_line import ProgressLine
from shakegpt.tui.training.run_details import RunDetails, run_details
from shakegpt.tui.training.run_header import RunHeader
from shakegpt.tui.training.sample_panel import SamplePanel
from shakegpt.tui.training.welcome import Welcome
from shakegpt.tui.widgets.area_chart import AreaChart
from shakegpt.tui.widgets.diff_widget import DiffWidget, changed_span
from tests.processes import PATIENCE
from tests.runs.test_overfitting import run_with
from tests.tui.fake_model_app import until
from tests.tui.training_app import FixedTrainingScreen, TrainingApp

Snapshots = Callable[[str], Snapshot]


def text_of(widget: DiffWidget) -> str:
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


def offered(pilot: Pilot[Any]) -> set[str]:
    return {active.binding.action for active in pilot.app.screen.active_bindings.values() if active.enabled}


async def settle(pilot: Pilot[Any]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_without_a_run_the_screen_says_how_to_start_one(snapshots: Snapshots) -> None:
    app = TrainingApp()
    async with app.run_test() as pilot:
        assert app.training_screen.query_one(Welcome).display
        assert {"new_run", "demo"} <= offered(pilot)
        assert not {"pause", "save", "stop", "zoom", "generate"} & offered(pilot)
        await pilot.press("enter")
        assert app.requests == [TrainingRequest(preset="nano", corpus="demo")]


async def test_the_demo_says_how_long_it_takes_on_a_machine_that_has_trained_it() -> None:
    app = TrainingApp()
    async with app.run_test() as pilot:
        welcome = app.training_screen.query_one(Welcome)
        await settle(pilot)
        demo = welcome.query(".what").first(Static)
        assert "about 20 seconds" in str(demo.content)
        welcome.post_message(Welcome.SpeedsRead({"nano": Speed(58_000, 10_000.0)}))
        await settle(pilot)
        assert "Train the demo: about 51 s here" in str(demo.content)


async def test_the_screen_shows_the_figures_of_the_run(snapshots: Snapshots) -> None:
    app = TrainingApp(snapshots("training"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = app.training_screen
        assert not screen.query_one(Welcome).display
        assert "TRAINING   macbeth  demo  nano  54.5 k weights" in text_of(screen.query_one(RunHeader))
        progress = text_of(screen.query_one(ProgressLine))
        first, second = progress.splitlines()
        assert first.split() == [first.split()[0], "240", "/", "500", "48", "%", "5s", "left"]
        assert second == "Next sample and evaluation in 10 steps, 0s"
        values = [text_of(value).split() for value in screen.query(MetricValue)]
        assert values == [
            ["train", "1.812", "◆", "validation", "2.008"],
            ["train", "6.120", "◆", "validation", "7.450"],
            ["1.7e-3"],
        ]
        details = text_of(screen.query_one(RunDetails)).splitlines()
        assert [line.split("  ", 1)[0] for line in details[:5]] == [
            "Best validation loss",
            "Best at step",
            "Saved at step",
            "Speed",
            "Gradient norm",
        ]
        assert [line.rsplit("  ", 1)[1].strip() for line in details[:6]] == [
            "2.008",
            "200",
            "200, best",
            "51,200 characters/s",
            "0.495",
            "612 MB",
        ]


@pytest.mark.parametrize(
    ("state", "badge", "actions"),
    [
        ("loading", "LOADING", {"stop"}),
        ("training", "TRAINING", {"pause", "save", "stop", "zoom", "generate"}),
        ("paused", "PAUSED", {"resume", "save", "stop", "generate"}),
        ("finished", "FINISHED", {"generate", "new_run"}),
        ("stopped", "STOPPED", {"continue_run", "generate", "new_run"}),
        ("failed", "FAILED", {"continue_run", "new_run"}),
    ],
)
async def test_each_state_has_its_badge_and_its_keys(
    snapshots: Snapshots, state: str, badge: str, actions: set[str]
) -> None:
    async with TrainingApp(snapshots(state)).run_test() as pilot:
        await pilot.pause()
        assert text_of(pilot.app.screen.query_one(RunHeader)).split()[0] == badge
        commands = {"pause", "resume", "save", "stop", "continue_run"}
        assert offered(pilot) & commands == actions & commands
        assert actions <= offered(pilot)


@pytest.mark.parametrize(
    ("state", "keys", "command", "badge"),
    [
        ("training", ["space"], "pause", "PAUSING"),
        ("paused", ["space"], "resume", "RESUMING"),
        ("training", ["w"], "save", "SAVING"),
        ("training", ["X", "y"], "stop", "STOPPING"),
    ],
)
async def test_a_key_sends_a_command_and_the_badge_shows_it_at_once(
    fake_training: Callable[[str], Any], state: str, keys: list[str], command: str, badge: str
) -> None:
    training = fake_training(state)
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert training.commands == [command]
        assert text_of(app.screen.query_one(RunHeader)).split()[0] == badge


async def test_the_badge_says_paused_once_it_is(snapshots: Snapshots, fake_training: Callable[[str], Any]) -> None:
    app = TrainingApp(training=fake_training("training"))
    async with app.run_test() as pilot:
        await pilot.press("space")
        app.training_screen.show(snapshots("paused"))
        await pilot.pause()
        assert text_of(app.screen.query_one(RunHeader)).split()[0] == "PAUSED"


async def test_a_read_only_run_has_no_command_keys(fake_training: Callable[[str], Any]) -> None:
    training = fake_training("training")
    training.read_only = True
    app = TrainingApp(training=training, training_note="Watching macbeth, trained by process 4711.")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not {"pause", "resume", "save", "stop", "continue_run"} & offered(pilot)
        assert app.screen.query_one(Notice).notice == ("note", "Watching macbeth, trained by process 4711.", "")


async def test_another_run_has_another_note(snapshots: Snapshots) -> None:
    app = TrainingApp(snapshots("finished"))
    async with app.run_test() as pilot:
        app.context.training_note = "Watching from afar."
        app.training_screen.show(snapshots("training"))
        await pilot.pause()
        assert app.screen.query_one(Notice).notice == ("note", "Watching from afar.", "")


@pytest.mark.parametrize(("state", "model"), [("training", "live"), ("finished", "macbeth"), ("stopped", "macbeth")])
async def test_enter_generates_with_the_live_weights_or_the_best_checkpoint(
    snapshots: Snapshots, fake_training: Callable[[str], Any], state: str, model: str
) -> None:
    training = fake_training(state)
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert app.generate_requests == [model]


async def test_another_process_is_asked_to_save_its_weights_before_they_speak(
    snapshots: Snapshots, fake_training: Callable[[str], Any]
) -> None:
    training = fake_training("training")
    training.owned = False
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert (training.commands, app.generate_requests) == (["save"], [])
        snapshot = advance(snapshots("training"), Saved(step=241, path="p", best=False, val_loss=None))
        assert snapshot.step is not None
        app.training_screen.show(advance(snapshot, replace(snapshot.step, step=243)))
        await pilot.pause()
        assert app.generate_requests == [("macbeth@241", 2)]
        app.training_screen.show(advance(snapshot, Saved(step=250, path="p", best=False, val_loss=None)))
        await pilot.pause()
        assert len(app.generate_requests) == 1  # a later one was not asked for


async def test_where_another_process_ends_before_it_has_saved_its_best_checkpoint_speaks(
    snapshots: Snapshots, fake_training: Callable[[str], Any]
) -> None:
    training = fake_training("training")
    training.owned = False
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        app.training_screen.show(snapshots("failed"))
        await pilot.pause()
        assert app.generate_requests == ["macbeth"]


async def test_a_run_on_another_host_speaks_from_its_newest_checkpoint(fake_training: Callable[[str], Any]) -> None:
    training = fake_training("training")
    training.owned, training.read_only = False, True
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert app.generate_requests == [("macbeth@200", 40)]
        assert training.commands == []


async def test_enter_says_so_where_there_is_no_checkpoint(fake_training: Callable[[str], Any]) -> None:
    training = fake_training("fresh")
    training.owned, training.read_only = False, True  # no weights to copy, and nobody to ask
    app = TrainingApp(training=training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert app.generate_requests == []
        assert any("saved no checkpoint yet" in notification.message for notification in app._notifications)


@pytest.mark.parametrize(
    ("owned", "words"), [(True, "this window trains it"), (False, "process 4711 on elsinore trains it")]
)
async def test_before_a_run_is_stopped_a_question_names_it_and_whose_it_is(
    fake_training: Callable[[str], Any], owned: bool, words: str
) -> None:
    training = fake_training("training")
    training.owned = owned
    app = TrainingApp(training=training, run_owner="process 4711 on elsinore")
    async with app.run_test() as pilot:
        await pilot.press("X")
        await pilot.pause()
        question = " ".join(str(widget.render()) for widget in app.screen.query(Static)).lower()
        assert "macbeth" in question
        assert words in question
        await pilot.press("escape")
        await settle(pilot)
        assert training.commands == []


async def test_y_copies_the_sample_on_show(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=240)))
    async with app.run_test() as pilot:
        await pilot.press("left", "y")
        sample = replay(events(upto=240)).samples[-2]
        assert app.clipboard == sample.text
        assert any("step 150" in notification.message for notification in app._notifications)


async def test_a_run_that_is_loading_shows_what_it_will_be() -> None:
    app = TrainingApp(Snapshot(), training_request=TrainingRequest(preset="nano", corpus="demo"))
    async with app.run_test() as pilot:
        await pilot.pause()
        header = text_of(app.screen.query_one(RunHeader))
        assert header.split() == ["LOADING", "demo", "nano", "about", "58.4", "k", "weights"]


async def test_the_first_step_is_shown_at_once(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=0)))
    async with app.run_test() as pilot:
        await settle(pilot)
        for timer in app.training_screen._update_timers:
            timer.pause()
        app.training_screen.show(replay(events(upto=1)))
        assert "train 4." in text_of(app.screen.query_one(MetricValue))
        assert "step 1" in text_of(app.screen.query_one(AreaChart))


async def test_a_preset_has_its_name_of_today(snapshots: Snapshots) -> None:
    snapshot = snapshots("finished")
    assert snapshot.started is not None
    app = TrainingApp(replace(snapshot, started=replace(snapshot.started, preset="seed")))
    async with app.run_test(size=(120, 40)):
        header = text_of(app.training_screen.query_one(RunHeader))
        assert " mini " in header
        assert "seed" not in header


@pytest.mark.parametrize("state", ["stopped", "failed"])
async def test_r_goes_on_from_the_last_checkpoint(snapshots: Snapshots, state: str) -> None:
    app = TrainingApp(snapshots(state))
    async with app.run_test() as pilot:
        await pilot.press("r")
        assert [request.resume for request in app.requests] == ["macbeth@last"]


async def test_n_says_what_to_do_while_a_run_is_in_training(fake_training: Callable[[str], Any]) -> None:
    app = TrainingApp(training=fake_training("training"))
    async with app.run_test() as pilot:
        await pilot.press("n")
        await settle(pilot)
        assert app.screen is app.training_screen
        assert any("X stops it" in notification.message for notification in app._notifications)


@pytest.mark.parametrize(
    ("keys", "title"), [(["tab"], "Loss"), (["tab", "tab"], "Perplexity"), (["tab"] * 3, "Learning rate")]
)
@pytest.mark.parametrize("zoom", ["enter", "z"])
async def test_enter_zooms_into_the_panel_in_focus(
    snapshots: Snapshots, keys: list[str], title: str, zoom: str
) -> None:
    app = TrainingApp(snapshots("training"))
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*keys, zoom)
        await pilot.pause()
        assert isinstance(app.screen, ChartScreen)
        assert app.screen.quantity.title == title


async def test_keys_step_through_the_samples(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=240)))
    async with app.run_test() as pilot:
        panel = app.training_screen.query_one(SamplePanel)
        assert (panel.index, panel.caption) == (3, "4 of 4 · step 200 · validation loss 2.008")
        await pilot.press("left", "h")
        assert (panel.index, panel.caption) == (1, "2 of 4 · step 100 · validation loss 2.520")
        await pilot.press("home", "left")
        assert panel.index == 0
        await pilot.press("right", "l")
        assert panel.index == 2
        await pilot.press("end", "right")
        assert panel.index == 3
        await pilot.press("g")
        assert panel.index == 0
        await pilot.press("G")
        assert panel.index == 3


async def test_an_older_sample_stays_on_show_and_the_newest_is_followed(
    events: Callable[..., list[Any]],
) -> None:
    app = TrainingApp(replay(events(upto=200)))
    async with app.run_test() as pilot:
        screen, panel = app.training_screen, app.training_screen.query_one(SamplePanel)
        screen.show(replay(events(upto=250)))
        screen._paint_if_stale()  # what the timer does
        assert panel.index == 4
        await pilot.press("left")
        screen.show(replay(events(upto=300)))
        screen._paint_if_stale()
        assert (panel.index, panel.caption) == (3, "4 of 6 · step 200 · validation loss 2.008")


async def test_control_characters_and_markup_of_a_sample_are_escaped(snapshots: Snapshots) -> None:
    hostile = Sample(step=240, prompt="\n", text="[red]ROMEO[/b] \x1b[31m\n[@click=app.quit]x[/]")
    app = TrainingApp(advance(snapshots("training"), hostile))
    async with app.run_test() as pilot:
        await pilot.pause()
        lines = text_of(app.screen.query_one(SamplePanel)).splitlines()
        assert lines[1:3] == ["[red]ROMEO[/b] \\x1b[31m", "[@click=app.quit]x[/]"]


async def test_names_of_speakers_stand_out_and_long_lines_wrap(snapshots: Snapshots) -> None:
    text = f"O me!\n\nNot me: him\n\nFIRST LORD:\n{'Ay, ' * 30}"
    app = TrainingApp(advance(snapshots("training"), Sample(step=240, prompt="ROMEO:\n", text=text)))
    async with app.run_test(size=(80, 36)) as pilot:
        await pilot.pause()
        panel = app.screen.query_one(SamplePanel)
        lines = [panel.render_line(y) for y in range(panel.size.height)]
        bold = [strip.text.strip() for strip in lines if any(part.style and part.style.bold for part in strip)]
        assert bold == ["ROMEO:", "FIRST LORD:"]
        assert sum("Ay," in strip.text for strip in lines) == 3


async def test_a_sample_longer_than_its_panel_scrolls(snapshots: Snapshots) -> None:
    text = "\n".join(f"line {number}" for number in range(30))
    app = TrainingApp(advance(snapshots("training"), Sample(step=240, prompt="\n", text=text)))
    async with app.run_test() as pilot:
        await pilot.pause()
        panel = app.screen.query_one(SamplePanel)
        await pilot.press("up", "down", "j", "j", "k")
        assert text_of(panel).splitlines()[1] == "line 2"
        await pilot.press(*["down"] * 40)
        assert text_of(panel).splitlines()[-1] == "line 29"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_values_that_are_not_finite_do_not_reach_the_chart(snapshots: Snapshots, value: float) -> None:
    snapshot = snapshots("training")
    assert snapshot.step is not None
    wild = replace(snapshot.step, step=241, loss=value, perplexity=value, grad_norm=value, learning_rate=value)
    app = TrainingApp(advance(snapshot, wild))
    async with app.run_test() as pilot:
        await pilot.pause()
        charts = list(app.screen.query(AreaChart))
        assert len(charts) == 3
        for chart in charts:
            assert any(chart._values)
            assert all(value is None or math.isfinite(value) for value in chart._values)


async def test_a_run_whose_losses_are_all_nan(events: Callable[..., list[Any]]) -> None:
    broken = [replace(event, loss=math.nan) if isinstance(event, Step) else event for event in events(upto=40)]
    app = TrainingApp(replay(broken))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "not a number" in text_of(app.screen.query_one(MetricValue))


@pytest.mark.parametrize("state", ["disk full", "diverged"])
async def test_a_warning_has_keys_that_help_and_can_be_hidden(snapshots: Snapshots, state: str) -> None:
    snapshot = snapshots(state)
    app = TrainingApp(snapshot)
    async with app.run_test() as pilot:
        await pilot.pause()
        notice = app.screen.query_one(Notice)
        assert snapshot.warning is not None
        assert notice.notice is not None
        assert notice.notice.sentence == snapshot.warning.message
        assert notice.notice.keys
        assert notice.has_class("-warning")
        await pilot.press("escape")
        assert not notice.display
        again = replace(snapshot, warning=WarningEvent(step=241, kind="save", message="Once more."))
        app.training_screen.show(again)
        assert notice.display


@pytest.mark.parametrize(
    "sentence",
    [
        "The GPU ran out of memory, even with one sequence at a time.",
        "There is no corpus lear.txt: no file of that path, and the names known here are demo.",
        "[/b] is no markup \x1b[2J",
    ],
)
async def test_a_failure_before_the_first_step_is_shown(sentence: str) -> None:
    app = TrainingApp(replay([Failed(step=0, message=sentence)]))
    async with app.run_test() as pilot:
        await pilot.pause()
        notice = app.screen.query_one(Notice)
        assert notice.has_class("-error")
        assert notice.notice is not None
        assert notice.notice.keys == "n starts a new run"
        assert "\x1b" not in str(notice.render())
        assert {"new_run"} <= offered(pilot)
        assert "continue_run" not in offered(pilot)


def test_a_finished_run_has_its_time_and_best_loss(snapshots: Snapshots) -> None:
    assert notice_of(snapshots("finished")) == (
        "success",
        "Finished in 10s, best validation loss 1.787.",
        "Enter listens to it, n starts another",
    )


@pytest.mark.parametrize(
    ("known", "shown"),
    [({"busy": 0.87, "celsius": 64}, "87% busy, 64°C"), ({"celsius": 64}, "64°C"), ({}, None)],
)
def test_a_gpu_is_among_the_details(snapshots: Snapshots, known: dict[str, Any], shown: str | None) -> None:
    gpu = GpuUsage(used_bytes=3_100_000_000, total_bytes=24_000_000_000, **known)
    details = run_details(snapshots("training"), 10**9, gpu)
    assert (details["GPU memory"], details.get("GPU")) == ("3.1 GB of 24.0 GB", shown)
    assert "GPU" not in run_details(snapshots("training"), 10**9, None)


async def test_only_what_changed_is_repainted(snapshots: Snapshots) -> None:
    snapshot = snapshots("training")
    app = TrainingApp(snapshot)
    async with app.run_test() as pilot:
        await settle(pilot)
        chart = app.screen.query_one(AreaChart)
        chart._exchange_repaint_regions()
        app.screen.query_one(MetricPanel).show(snapshot)
        assert not chart._exchange_repaint_regions()
        assert snapshot.step is not None
        app.screen.query_one(MetricPanel).show(advance(snapshot, replace(snapshot.step, step=241, loss=1.9)))
        assert sum(region.area for region in chart._exchange_repaint_regions()) < chart.size.area / 4


async def test_steps_wait_for_the_timer_and_warnings_do_not(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=240)))
    async with app.run_test() as pilot:
        await settle(pilot)
        screen, value = app.training_screen, app.screen.query_one(MetricValue)
        for timer in screen._update_timers:
            timer.pause()
        before = text_of(value)
        screen.show(replay(events(upto=245)))
        assert text_of(value) == before
        snapshot = replay([*events(upto=245), WarningEvent(step=245, kind="save", message="The disk is full.")])
        screen.show(snapshot)
        assert text_of(value) == before
        assert app.screen.query_one(Notice).display
        screen.show(replace(snapshot, state="paused"))
        assert text_of(value) != before


async def test_the_charts_of_a_run_that_has_just_begun_keep_up(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=4)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        chart = app.screen.query_one(AreaChart)
        for timer in app.training_screen._update_timers:
            timer.pause()
        for upto, shown in ((7, "4"), (8, "8")):
            app.training_screen.show(replay(events(upto=upto)))
            app.training_screen._paint_numbers()  # what the timer does
            assert text_of(chart).split()[-1] == shown


async def test_a_very_small_terminal_has_the_charts_and_no_cut_words(snapshots: Snapshots) -> None:
    app = TrainingApp(snapshots("training"))
    async with app.run_test(size=(40, 12)) as pilot:
        await settle(pilot)
        screen = app.training_screen
        assert not screen.query_one("#lower").display
        started = replace(app.first.started, device="Intel(R) Xeon(R) Processor")
        screen.show(replace(app.first, started=started))
        assert text_of(screen.query_one(RunHeader)).split() == ["TRAINING", "macbeth", "demo", "nano"]
        assert text_of(screen.query_one(ProgressLine)).split()[1:4] == ["240", "/", "500"]
        assert text_of(screen.query_one(MetricValue)).split() == ["train", "1.812", "◆", "2.008"]
        assert "240" in text_of(screen.query_one(AreaChart))


async def test_a_screen_under_another_one_is_not_painted_until_it_is_on_top(events: Callable[..., list[Any]]) -> None:
    app = TrainingApp(replay(events(upto=200)))
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("z")
        await pilot.pause()
        value = app.training_screen.query_one(MetricValue)
        app.training_screen.show(replay(events(upto=250)))
        assert "2.008" in text_of(value)
        await pilot.press("escape")
        await pilot.pause()
        assert "1.907" in text_of(value)


def test_a_changed_span_counts_cells() -> None:
    from rich.segment import Segment
    from textual.strip import Strip

    old, new = Strip([Segment("劇 1.5 x")]), Strip([Segment("劇 1.6 x")])
    assert changed_span(old, new) == (5, 6)
    assert changed_span(old, old) is None


def test_a_run_that_overfits_is_told_so() -> None:
    notice = notice_of(run_with([2.0, 1.8, 1.6, 1.4], [1.7, 1.75, 1.8, 1.9]))
    assert notice is not None
    assert notice.sentence.startswith("Overfitting: since step 10 the validation loss has risen from 1.700 to 1.900")


def test_a_run_that_overfits_is_told_so_once_it_has_finished_too() -> None:
    finished = Finished(outcome="finished", step=40, seconds=60.0, best_val_loss=1.7, best_step=10)
    notice = notice_of(advance(run_with([2.0, 1.8, 1.6, 1.4], [1.7, 1.75, 1.8, 1.9]), finished))
    assert notice is not None
    assert notice.sentence.startswith("Finished in ")
    assert "from step 10 on the validation loss rose from 1.700 to 1.900" in notice.sentence


async def test_a_slow_reading_of_the_gpu_is_waited_for_and_undoes_none_that_is_newer(snapshots: Snapshots) -> None:
    """A driver that takes longer than the timer had a thread for each reading, and the last to answer was shown."""
    began, goes_on = threading.Event(), threading.Event()
    readings: list[str | None] = []

    def read(uuid: str | None) -> GpuUsage | None:
        readings.append(uuid)
        began.set()
        goes_on.wait(PATIENCE)
        return GpuUsage(used_bytes=2 * 1024**3, total_bytes=16 * 1024**3)

    app = TrainingApp(snapshots("training"))
    async with app.run_test() as pilot:
        await app.push_screen(FixedTrainingScreen(app.context, read_gpu=read))
        screen = app.screen
        assert isinstance(screen, FixedTrainingScreen)
        screen.show(app.first)
        await until(pilot, began.is_set)
        second = screen._measure()
        await until(pilot, lambda: second.is_finished)
        goes_on.set()
        await until(pilot, lambda: screen._gpu is not None)
        assert len(readings) == 1
