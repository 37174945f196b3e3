"""The pane of generated text."""

import time
from typing import Any

import pytest
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.geometry import Offset, Region
from textual.selection import Selection

from shakegpt.tui.generation.transcript import TextKind, Transcript, surprise_level

VERSE = "But soft what light through yonder window breaks it is the east\n"


class Page(App[None]):
    CSS = "Screen { layers: base; }"

    def compose(self) -> ComposeResult:
        yield Transcript()

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)


def shown(transcript: Transcript) -> list[str]:
    """Return the lines on show, without the margin and the thumb."""
    return [transcript.render_line(y).text[1:-1].rstrip() for y in range(transcript.size.height)]


async def test_words_wrap_at_the_width_of_the_pane() -> None:
    async with (app := Page()).run_test(size=(23, 6)) as pilot:
        app.transcript.write("But soft what light through yonder window")
        await pilot.pause()
        assert shown(app.transcript)[:3] == ["But soft what light", "through yonder", "window"]


async def test_the_lines_break_anew_when_the_terminal_changes_size() -> None:
    async with (app := Page()).run_test(size=(23, 6)) as pilot:
        app.transcript.write("But soft what light through yonder window")
        await pilot.resize_terminal(80, 6)
        await pilot.pause()
        assert shown(app.transcript)[0] == "But soft what light through yonder window"


async def test_it_follows_its_end_only_while_the_end_is_in_sight() -> None:
    async with (app := Page()).run_test(size=(80, 10)) as pilot:
        for number in range(30):
            app.transcript.write(f"line {number}\n")
            await pilot.pause()
        assert "line 29" in shown(app.transcript)
        await pilot.press("home")
        for number in range(30, 60):
            app.transcript.write(f"line {number}\n")
            await pilot.pause()
        assert shown(app.transcript)[0] == "line 0", "a reader who scrolled up is left in peace"
        await pilot.press("end")
        app.transcript.write("line 60\n")
        await pilot.pause()
        assert "line 60" in shown(app.transcript)


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (["up"], "line 22"),
        (["pageup"], "line 14"),
        (["home"], "line 0"),
        (["home", "down", "down"], "line 2"),
        (["home", "pagedown"], "line 9"),
    ],
)
async def test_keys_scroll(keys: list[str], first: str) -> None:
    async with (app := Page()).run_test(size=(80, 10)) as pilot:
        app.transcript.write("\n".join(f"line {number}" for number in range(32)))
        app.transcript.focus()
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert shown(app.transcript)[0] == first


async def test_only_the_cells_that_changed_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (app := Page()).run_test(size=(80, 10)) as pilot:
        app.transcript.write("But soft")
        await pilot.pause()
        painted: list[Region] = []
        monkeypatch.setattr(app.transcript, "refresh", lambda *regions, **_: painted.extend(regions))
        app.transcript.write(", w")
        assert painted == [Region(1 + 8, 0, 4, 1)], "three characters and the place of the cursor"


@pytest.mark.parametrize("size", [(13, 40), (40, 40)])
async def test_every_cell_that_changed_is_painted(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    async with (app := Page()).run_test(size=size):
        transcript = app.transcript
        transcript.cursor = True
        for text in ("But", " soft, wh", "at light", "\n", "\n\nthrough yon", "der\nwindow breaks?", " ", "It", " is"):
            before = [transcript.render_line(y).text for y in range(size[1])]
            painted: list[Region] = []
            monkeypatch.setattr(transcript, "refresh", lambda *regions, into=painted, **_: into.extend(regions))
            transcript.write(text)
            after = [transcript.render_line(y).text for y in range(size[1])]
            for y, (old, new) in enumerate(zip(before, after, strict=True)):
                for x, (was, is_) in enumerate(zip(old, new, strict=True)):
                    assert was == is_ or any(region.contains(x, y) for region in painted), (text, x, y)


async def test_a_word_that_moves_to_the_next_line_leaves_nothing_behind() -> None:
    async with (app := Page()).run_test(size=(23, 6)) as pilot:
        for character in "But soft what light thro":
            app.transcript.write(character)
            await pilot.pause()
        painted = app.screen._compositor.render_strips()
        assert painted[0].text.split() == ["But", "soft", "what", "light"]
        assert painted[1].text.split() == ["thro"]


async def test_a_thumb_shows_where_one_is() -> None:
    async with (app := Page()).run_test(size=(80, 10)) as pilot:
        app.transcript.write("short")
        await pilot.pause()
        assert [app.transcript.render_line(y).text[-1] for y in range(10)] == [" "] * 10
        app.transcript.write("\n" * 39)
        await pilot.pause()
        assert [app.transcript.render_line(y).text[-1] for y in range(10)][-3:] == [" ", "▐", "▐"]


@pytest.mark.parametrize("text", ["[b]bold[/b]", "[/]", "[ROMEO]", "$error"])
async def test_markup_is_text(text: str) -> None:
    async with (app := Page()).run_test() as pilot:
        app.transcript.write(text)
        await pilot.pause()
        assert shown(app.transcript)[0] == text


async def test_control_characters_are_spelled_out() -> None:
    async with (app := Page()).run_test() as pilot:
        app.transcript.write("\x1b[31mred\x07\tend")
        await pilot.pause()
        assert shown(app.transcript)[0] == "\\x1b[31mred\\x07    end"


@pytest.mark.parametrize(
    ("probability", "level"), [(1.0, 1), (0.4, 1), (0.39, 2), (0.1, 2), (0.05, 3), (0.001, 4), (0.0, 4)]
)
def test_the_less_likely_the_more_surprising(probability: float, level: int) -> None:
    assert surprise_level(probability) == level


async def test_the_tint_colours_drawn_characters_and_no_others() -> None:
    async with (app := Page()).run_test() as pilot:
        app.transcript.write("I ", TextKind.PROMPT)
        app.transcript.write_characters([("a", 0.9), ("b", 0.001)])
        await pilot.pause()
        _, prompt, drawn, *_ = app.transcript.render_line(0)
        assert (prompt.text, drawn.text.rstrip()) == ("I ", "ab")
        app.transcript.tint = True
        _, given, likely, unlikely, *_ = app.transcript.render_line(0)
        assert (given.text, likely.text, unlikely.text) == ("I ", "a", "b")
        assert given.style == prompt.style
        assert len({given.style, likely.style, unlikely.style}) == 3


async def test_speeches_differ_in_colour() -> None:
    async with (app := Page()).run_test() as pilot:
        for kind in (TextKind.USER_NAME, TextKind.USER_SPEECH, TextKind.MODEL_NAME, TextKind.MODEL_SPEECH):
            app.transcript.write("x\n", kind)
        await pilot.pause()
        styles = {str(next(s.style for s in app.transcript.render_line(y) if "x" in s.text)) for y in range(4)}
        assert len(styles) == 4


async def test_truncating_takes_the_end_away() -> None:
    async with (app := Page()).run_test() as pilot:
        app.transcript.write("But soft")
        kept = len(app.transcript)
        app.transcript.write("\nwhat light\n")
        app.transcript.truncate(kept)
        await pilot.pause()
        assert app.transcript.text == "But soft"
        assert shown(app.transcript)[:2] == ["But soft", ""]


async def test_a_hundred_thousand_characters_stay_quick() -> None:
    """Appending looks at the last line alone: a long text costs as much per character as a short one."""
    async with (app := Page()).run_test(size=(120, 40)) as pilot:
        app.transcript.write(VERSE * (100_000 // len(VERSE)))
        await pilot.pause()
        looked_at: list[int] = []
        wrapped: Any = app.transcript._wrapped
        original = wrapped.cells
        wrapped.cells = lambda line: looked_at.append(line) or original(line)
        began = time.process_time()
        for character in VERSE * 10:
            app.transcript.write_characters([(character, 0.3)])
        spent = time.process_time() - began
        assert min(looked_at) >= wrapped.line_count - 30, "no line far from the end is touched"
        assert spent < 2.0, "a bound only a quadratic append would break"
        assert len(app.transcript) >= 100_000


async def test_a_long_text_loses_its_beginning_and_its_end_stays_where_it_is() -> None:
    async with (app := Page()).run_test(size=(80, 10)) as pilot:
        text = "\n".join(f"line {number}" for number in range(100))
        app.transcript.write(text)
        app.transcript.parting = text.index("90")
        await pilot.pause()
        assert app.transcript.keep_last(700) == 0, "only once it is a quarter too long"
        gone = app.transcript.keep_last(400)
        await pilot.pause()
        assert app.transcript.text == text[gone:]
        assert app.transcript.text.startswith("line ")
        assert 392 <= len(app.transcript) <= 400
        assert app.transcript.text[app.transcript.parting or 0 :].startswith("90")
        assert "line 99" in shown(app.transcript)
        app.transcript.write(" and on")
        await pilot.pause()
        assert "line 99 and on" in shown(app.transcript)


async def test_selected_text_can_be_read() -> None:
    """Its colour was that of its background."""
    async with (app := Page()).run_test() as pilot:
        app.theme = "nord"
        app.transcript.write("But soft")
        await pilot.pause()
        app.screen.selections = {app.transcript: Selection(Offset(0, 0), Offset(3, 0))}
        await pilot.pause()
        selected = [segment.style for segment in app.transcript.render_line(0) if segment.text.strip() == "But"]
        assert selected
        assert all(style is not None and style.color != style.bgcolor for style in selected)


@pytest.mark.parametrize("no_color", [False, True])
async def test_where_two_texts_part_is_seen_with_colours_and_without(no_color: bool) -> None:
    async with (app := Page()).run_test() as pilot:
        app.no_color = no_color
        app.transcript.write("But soft")
        app.transcript.parting = 4
        await pilot.pause()
        before, marked, after, *_ = app.transcript.render_line(0)
        assert (before.text.strip(), marked.text, after.text.strip()) == ("But", "s", "oft")
        assert marked.style is not None
        assert bool(marked.style.reverse) is no_color
        assert marked.style != after.style


async def test_every_segment_has_a_style() -> None:
    """Without one, NO_COLOR ends the app with a traceback."""
    async with (app := Page()).run_test(size=(40, 6)) as pilot:
        app.transcript.write("But soft\n\nwhat")
        app.transcript.parting = 2
        await pilot.pause()
        assert all(segment.style is not None for y in range(6) for segment in app.transcript.render_line(y))


class MeasuredPage(Page):
    """Counts the bytes that a terminal would be sent."""

    octets = 0

    def _display(self, screen: Any, renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.octets += len(renderable.render_segments(self.console).encode())


async def test_a_character_costs_few_bytes() -> None:
    """At 100 characters a second and 30 frames, three characters come at a time; scrolling is paid for too.

    The whole screen in a real terminal, at all sizes, is measured in tests/benchmarks.
    """
    async with (app := MeasuredPage()).run_test(size=(80, 24)) as pilot:
        app.transcript.cursor = True
        app.transcript.write(VERSE * 24)
        await pilot.pause()
        app.octets = 0
        text = VERSE * 2
        for start in range(0, len(text), 3):
            app.transcript.write_characters([(character, 0.9) for character in text[start : start + 3]])
            await pilot.pause()
        assert 10 <= app.octets / len(text) <= 80, "20 are left for the end of synchronised updates, and the figures"
