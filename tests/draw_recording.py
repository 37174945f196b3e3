"""Draw README.md's recording: ``python -m tests.draw_recording``. It takes a minute, and needs a quiet machine.

The real app runs in a pseudo-terminal, in a home of its own, and is typed at; the screen is drawn eight times a second.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from shakegpt.system.paths import asset_path
from tests.tui.pseudo_terminal import TerminalApp

FILE = asset_path("screenshots") / "recording.gif"
COLUMNS, ROWS = 120, 36
FRAMES_PER_SECOND = 8
FONT_SIZE = 12
COLOURS = 128
FOREGROUND, BACKGROUND = "#e8e0d0", "#12100e"
SCRIPT: tuple[tuple[str, float], ...] = (
    ("", 4.5),  # the built-in model improvises
    *[("T", 0.25)] * 9,
    ("T", 2.0),  # wilder
    *[("t", 0.15)] * 9,
    ("t", 1.0),
    ("1", 1.2),
    ("\r", 5.5),  # trains a tiny model on the demo text
    ("\r", 4.0),  # hears it
)
"""Keys, and the seconds for which the screen is then recorded."""

Cell = tuple[str, str, str, bool]
Frame = list[list[Cell]]


def record() -> list[Frame]:
    """Type the script into the app, and return what was on the screen."""
    frames: list[Frame] = []
    with tempfile.TemporaryDirectory() as home:
        terminal = TerminalApp(home=Path(home), size=(COLUMNS, ROWS), COLORTERM="truecolor")
        terminal.wait_for_text("Help")
        next_frame = time.monotonic()
        for keys, seconds in SCRIPT:
            terminal.type(keys)
            for _ in range(round(seconds * FRAMES_PER_SECOND)):
                next_frame += 1 / FRAMES_PER_SECOND
                terminal.read_until(next_frame)
                frames.append(
                    [[_cell(terminal.cells[row][column]) for column in range(COLUMNS)] for row in range(ROWS)]
                )
        terminal.close()
    return frames


def _cell(cell: Any) -> Cell:
    foreground, background = _colour(cell.fg, FOREGROUND), _colour(cell.bg, BACKGROUND)
    if cell.reverse:
        foreground, background = background, foreground
    return cell.data, foreground, background, cell.bold


def _colour(name: str, default: str) -> str:
    return default if name == "default" else f"#{name}" if len(name) == 6 else name.replace("brown", "olive")


def draw(frame: Frame, fonts: tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont]) -> Image.Image:
    """Return a picture of a screen."""
    width, height = round(fonts[0].getlength("M")), sum(fonts[0].getmetrics()) - 1  # blocks of neighbouring rows meet
    image = Image.new("RGB", (COLUMNS * width, ROWS * height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    for row, cells in enumerate(frame):
        for column, (character, foreground, background, bold) in enumerate(cells):
            left, top = column * width, row * height
            if background != BACKGROUND:
                pen.rectangle((left, top, left + width - 1, top + height - 1), fill=background)
            if character.strip():
                pen.text((left, top), character, fill=foreground, font=fonts[bold])
    return image


def main() -> None:
    """Record the app, and write the recording."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    regular, bold = (
        ImageFont.truetype(folder / f"{name}.ttf", FONT_SIZE) for name in ("DejaVuSansMono", "DejaVuSansMono-Bold")
    )
    images = [draw(frame, (regular, bold)) for frame in record()]
    # One palette for all frames: a colour that changes from frame to frame would flicker, and grow the file.
    sheet = Image.new("RGB", (images[0].width, images[0].height * 12))
    for place, image in enumerate(images[:: max(1, len(images) // 12)][:12]):
        sheet.paste(image, (0, place * image.height))
    palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
    pictures = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    pictures[0].save(
        FILE, save_all=True, append_images=pictures[1:], duration=1000 // FRAMES_PER_SECOND, loop=0, optimize=True
    )
    print(f"{FILE}: {FILE.stat().st_size / 1e6:.2f} MB, {len(pictures)} frames")


if __name__ == "__main__":
    main()
