"""The inspect screen, beside the engine's own numbers for the model that ships."""

from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from shakegpt.data.corpus import Corpus
from shakegpt.inspection.head import head_name
from shakegpt.inspection.heads import loss_without
from shakegpt.inspection.trace import Trace, inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.snapshot import replay
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.generation.generation_screen import GenerationScreen
from shakegpt.tui.generation.next_character import character_name
from shakegpt.tui.inspect.attention_matrix import AttentionMatrix
from shakegpt.tui.inspect.attention_text import AttentionText, tint_levels
from shakegpt.tui.inspect.head_map import HeadMap
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.inspect.head_table import HeadTable
from shakegpt.tui.inspect.inspect_screen import InspectScreen
from shakegpt.tui.inspect.lens_pane import letter
from shakegpt.tui.inspect.text_source import OPENING, TextSource
from shakegpt.tui.widgets.diff_widget import DiffWidget
from tests.tui.conftest import FakeTraining, run_events
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.fake_model_loader import FakeModelLoader

WIDE = (120, 40)


def screen_of(app: ShakegptApp) -> InspectScreen:
    assert isinstance(app.screen, InspectScreen)
    return app.screen


def trace_of(screen: InspectScreen) -> Trace:
    assert screen.view is not None
    assert screen.view.trace is not None
    return screen.view.trace


def model_of(screen: InspectScreen) -> LanguageModel:
    assert screen.view is not None
    assert screen.view.model is not None
    return screen.view.model


def lines(widget: DiffWidget) -> list[str]:
    return ["".join(text for text, _ in row) for row in widget.draw(*widget.size)]


async def open_inspect(pilot: Pilot[Any]) -> InspectScreen:
    """Open the screen, and wait until the model was looked into and its heads were scored."""
    app = pilot.app
    assert isinstance(app, ShakegptApp)
    await app.action_switch_mode("inspect")
    screen = screen_of(app)
    await until(pilot, lambda: screen.view is not None and screen.facts is not None)
    await pilot.pause()
    return screen


async def test_it_shows_the_lens_and_the_votes_of_the_engine() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        expected = inspect(model_of(screen), OPENING)
        rows = lines(screen.panes.lens)
        for layer, row in enumerate(rows[:3]):
            for character, probability in expected.likeliest(-1, 5, layer=layer):
                assert f"{100 * probability:.0f} " in row
                assert letter(character) in row
        ((answer, _),) = expected.likeliest(-1, 1)
        assert f"leads from block {expected.decided_at()} on" in rows[3]
        votes = expected.attribution(answer)
        shown = lines(screen.panes.votes)
        assert f"logit {votes.logit:+.2f}" in str(screen.panes.votes.border_title)
        for layer, head in np.ndindex(*votes.heads.shape):
            row = next(row for row in shown if row.startswith(f"head {layer + 1}.{head + 1} "))
            assert row.endswith(f"{votes.heads[layer, head]:+.2f}")
        assert sum(float(row[-7:]) for row in shown) == pytest.approx(votes.logit, abs=0.15)


async def test_a_tall_terminal_has_more_of_the_layers_bars_below_the_letters_and_a_table_of_the_heads() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=(200, 60)) as pilot:
        screen = await open_inspect(pilot)
        trace, panes = trace_of(screen), screen.panes
        rows = lines(panes.lens)
        assert rows[0].split() == ["embedding", "block", "1", "block", "2"]
        column = panes.lens.size.width // 3
        for layer in range(3):
            shown = [row[layer * column : (layer + 1) * column] for row in rows[1:11]]
            for row, (character, probability) in zip(shown, trace.likeliest(-1, 10, layer=layer), strict=True):
                assert row.startswith(character_name(character))
                assert f" {100 * probability:.0f} %" in row or probability < 0.005
        text, bars = lines(panes.text)[2:4]  # the second line
        at = OPENING.index(text[0], OPENING.index("\n"))
        expected = np.minimum(7, np.exp(-trace.loss[at : at + len(text)]) * 8).astype(int)
        assert bars == "".join("▁▂▃▄▅▆▇█"[level] for level in expected)
        assert screen.facts is not None
        assert screen.facts.scores is not None
        row = next(row for row in lines(panes.table) if row.startswith("1.4 "))
        assert row.split()[3:5] == [f"{100 * screen.facts.scores.previous[0, 3]:.0f}", "%"]
        assert row.endswith(f" {2 ** screen.facts.scores.entropy[0, 3]:.0f}")
        row = next(row for row in lines(panes.table) if row.startswith("1.3 "))
        assert f" {100 * screen.facts.scores.back[0, 2, 2]:.0f} %" in row
        await pilot.click(HeadTable, offset=(4, 1 + 1 + 9))
        await pilot.pause()
        assert screen.head == (1, 1)
        rows = lines(panes.matrix)
        assert rows[0].endswith(letter(OPENING[-2]) + letter(OPENING[-1]))
        for back in range(3):
            weights = trace.attention[1, 1, len(OPENING) - 1 - back]
            assert rows[-1 - back].startswith(letter(OPENING[-1 - back]))
            assert rows[-1 - back].endswith("".join(" ░▒▓█"[level] for level in tint_levels(weights)))
        await pilot.click(AttentionMatrix, offset=(4, panes.matrix.size.height - 2))
        await pilot.pause()
        assert screen.position == len(OPENING) - 3


async def test_arrows_move_the_letter_and_the_head_and_one_key_takes_their_mean() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        attention, last = trace_of(screen).attention, len(OPENING) - 1
        np.testing.assert_array_equal(screen.panes.text.weights, attention[0, 0, last])
        await pilot.press("left", "h", "j", "down", "down")
        np.testing.assert_array_equal(screen.panes.text.weights, attention[0, 3, last - 2])
        assert screen.panes.text.position == last - 2
        await pilot.press("up", "k", "k", "k")
        np.testing.assert_array_equal(screen.panes.text.weights, attention[1, 7, last - 2])
        await pilot.press("A")
        np.testing.assert_array_equal(screen.panes.text.weights, attention[1, :, last - 2].mean(axis=0))
        await pilot.press("g")
        assert screen.panes.text.position == 0
        await pilot.press("left", "A")
        assert screen.panes.text.position == 0
        await pilot.press("G")
        assert screen.position is None
        assert screen.panes.text.position == last


async def test_a_position_has_the_votes_for_the_answer_there() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        await pilot.press("g", "right", "right")
        await until(pilot, lambda: screen.view is not None and screen.view.position == 2)
        trace = trace_of(screen)
        ((answer, _),) = trace.likeliest(2, 1)
        assert screen.view is not None
        assert screen.view.votes is not None
        assert (screen.view.votes.character, screen.view.votes.position) == (answer, 2)
        assert f"logit {trace.attribution(answer, 2).logit:+.2f}" in str(screen.panes.votes.border_title)


async def test_a_click_marks_a_letter_and_a_head() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        await pilot.click(AttentionText, offset=(2 + 3, 1 + 1))  # the second line, "O, speak"
        await pilot.pause()
        assert OPENING[screen.panes.text.position] == "s"
        cell = screen.panes.strip.size.width // 8
        await pilot.click(HeadStrip, offset=(2 + 4 * cell + 2, 2))
        await pilot.pause()
        assert screen.head == (1, 4)
        await pilot.click(HeadMap, offset=(4, 1 + 1 + 3))
        await pilot.pause()
        assert screen.head == (0, 3)
        assert "looks at" in lines(screen.panes.strip)[-1]


async def test_a_muted_head_is_left_out_of_the_trace_and_its_cost_is_shown() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        await pilot.press("j", "M")
        muted = frozenset({(0, 1)})
        await until(pilot, lambda: screen.facts is not None and screen.facts.cost(muted) is not None)
        await pilot.pause()
        model = model_of(screen)
        np.testing.assert_array_equal(trace_of(screen).lens, inspect(model, OPENING, muted).lens)
        assert screen.facts is not None
        text = Corpus.load(screen.facts.corpus, vocabulary=model.vocabulary).validation_text
        with_all, without = (loss_without(model, heads, text) for heads in ([], muted))
        assert str(screen.panes.strip.border_subtitle) == (
            f"without head 1.2: {without - with_all:+.3f} nats, {with_all:.3f} → {without:.3f}"
        )
        assert f"[1.2 {without - with_all:+.3f}]" in lines(screen.panes.strip)[0]
        await pilot.press("M")
        await until(pilot, lambda: not trace_of(screen).muted)
        assert app.context.muted_heads == frozenset()


async def test_the_generation_screen_goes_on_without_a_muted_head() -> None:
    app = ShakegptApp(mode="generation")
    app.context.remember(speaking=False, speed=0, sampling=replace(app.context.preferences.sampling, length=30))
    async with app.run_test(size=WIDE) as pilot:
        generation = app.screen
        assert isinstance(generation, GenerationScreen)
        await until(pilot, lambda: generation.left.is_mounted)
        await pilot.press("enter")
        await until(pilot, lambda: generation.left.count == 30 and not generation.left.busy)
        before = generation.left.text
        screen = await open_inspect(pilot)
        await until(pilot, lambda: trace_of(screen).text == before[-128:])
        await pilot.press("M")
        await app.action_switch_mode("generation")
        await until(pilot, lambda: generation.left.model is not None)
        await pilot.press("space")
        await until(pilot, lambda: generation.left.count == 60 and not generation.left.busy)
        assert generation.left.text.startswith(before)
        assert generation.left.model is not None
        assert generation.left.model.name == "pretrained without head 1.1"
        assert str(generation.left.border_title).endswith("without head 1.1")
        await pilot.press("d")
        await pilot.press("enter")
        await until(pilot, lambda: all(text.count == 30 and not text.busy for text in generation.duel.texts))
        assert all("without head 1.1" in str(text.border_title) for text in generation.duel.texts)


async def test_it_follows_a_text_that_is_generated_and_space_stops_it() -> None:
    loader = FakeModelLoader(gated=True)
    app = FakeModelApp(loader, mode="generation")
    async with app.run_test(size=WIDE) as pilot:
        generation = app.generation
        await pilot.press("enter")
        loader.let(3)
        await until(pilot, lambda: generation.left.count == 3)
        screen = await open_inspect(pilot)
        await until(pilot, lambda: trace_of(screen).text == "ROMEO:\nO s")
        loader.let(5)
        await until(pilot, lambda: trace_of(screen).text == "ROMEO:\nO speak ")
        assert screen.panes.text.position == len("ROMEO:\nO speak ") - 1
        await pilot.press("left")
        loader.let(2)
        await until(pilot, lambda: trace_of(screen).text.endswith("ag"))
        assert screen.panes.text.position == len("ROMEO:\nO speak ") - 2
        await pilot.press("space")
        loader.let(1)
        await until(pilot, lambda: not generation.left.busy)
        await app.action_switch_mode("generation")
        loader.let(400)


async def test_a_text_of_ones_own_and_one_that_the_model_cannot_read() -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_inspect(pilot)
        await pilot.press("i", *"Nay", "enter")
        await until(pilot, lambda: trace_of(screen).text == "Nay")
        assert screen.source is TextSource.TYPED
        await pilot.press("i")
        screen.field.text = "Nay, é"
        await pilot.press("enter")
        await until(pilot, lambda: screen.view is None)
        assert "'é'" in screen.panes.text.note
        await pilot.press("i")
        screen.field.text = ""
        await pilot.press("enter")
        await until(pilot, lambda: screen.view is not None)
        assert trace_of(screen).text == OPENING


class ModelTraining(FakeTraining):
    """A training that hands over its weights, of another step at each time."""

    def __init__(self, model: LanguageModel, upto: int) -> None:
        super().__init__(replay(run_events(upto=upto)))
        self.model = model

    def copy_model(self) -> Any:
        future: Future[LanguageModel] = Future()
        future.set_result(replace(self.model, name="macbeth (live)", step=self.latest.current_step))
        return future


async def test_it_shows_the_weights_in_training_anew_at_each_evaluation() -> None:
    app = ShakegptApp(mode="training")
    pretrained = app.context.store.language_model("pretrained")
    training = ModelTraining(pretrained, 120)
    app.context.training = training
    async with app.run_test(size=WIDE) as pilot:
        app._attach_training(training)
        screen = await open_inspect(pilot)
        assert screen.source is TextSource.SAMPLE
        assert model_of(screen).step == 120
        events = run_events(upto=160)
        training.move(replay(run_events(upto=140)), events[-1])
        await pilot.pause()
        assert model_of(screen).step == 120  # no evaluation since
        training.move(replay(events), events[-1])
        await until(pilot, lambda: model_of(screen).step == 160)
        assert "macbeth (live), step 160" in str(screen.panes.text.border_title)
        assert trace_of(screen).text == (training.latest.samples[-1].prompt + training.latest.samples[-1].text).strip()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("LANG", "C"), ("TEXTUAL_THEME", "shakegpt-16")])
async def test_figures_take_the_place_of_tints(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    if name == "TEXTUAL_THEME":
        monkeypatch.setenv("COLORTERM", "")
        monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    app = ShakegptApp(mode="checkpoints")
    if name == "TEXTUAL_THEME":
        app.theme = value
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_inspect(pilot)
        await pilot.press("j", "j", "j")
        text, marks = lines(screen.panes.text)[-2:]
        weights = trace_of(screen).attention[0, 3, -1]
        assert marks[len(text.rstrip()) - 1] == "^"
        assert marks[len(text.rstrip()) - 2] == str(int(weights[-2] * 10))


@pytest.mark.parametrize("size", [(60, 20), (40, 12)])
async def test_it_opens_in_a_small_terminal(size: tuple[int, int]) -> None:
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test(size=size) as pilot:
        screen = await open_inspect(pilot)
        assert any("bright" in line for line in lines(screen.panes.text)) or screen.panes.text.size.height < 4
        assert all(head_name((0, head)) in lines(screen.panes.strip)[0] for head in range(8))
        await pilot.press("left", "j", "A")
