"""A scene of a play: who says what, in turn."""

import re
from dataclasses import dataclass, replace
from typing import Self

END_OF_SPEECH = "\n\n"
"""What separates two speeches, in the corpus and so in what the model generates."""
_HEADING = re.compile(r"^([^\n:]{1,40}):$")


@dataclass(frozen=True)
class Speech:
    """What one character of the play says at a time."""

    name: str
    text: str

    @property
    def script(self) -> str:
        """The speech as a play prints it."""
        return f"{self.name}:\n{self.text}"


@dataclass(frozen=True)
class Scene:
    """Speeches between a part that the user plays and one that the model plays."""

    user_part: str = "JULIET"
    model_part: str = "ROMEO"
    speeches: tuple[Speech, ...] = ()

    def with_speech(self, name: str, text: str) -> Self:
        """Return the scene with one more speech. Blank lines inside it would end it early, so they are left out."""
        lines = (line.rstrip() for line in text.strip().splitlines())
        return replace(self, speeches=(*self.speeches, Speech(name, "\n".join(line for line in lines if line))))

    def truncated(self, count: int) -> Self:
        """Return the scene with its first ``count`` speeches."""
        return replace(self, speeches=self.speeches[:count])

    @property
    def prompt(self) -> str:
        """What the model continues: the scene so far, and the name of its own part."""
        return f"{self.script}{self.model_part}:\n"

    @property
    def script(self) -> str:
        """The scene as a play prints it, a blank line after every speech."""
        return "".join(speech.script + END_OF_SPEECH for speech in self.speeches)

    def user_lines(self, start: int) -> list[str]:
        """Return what the user says from speech ``start`` on, an empty line wherever the model speaks unasked."""
        lines: list[str] = []
        asked = False
        for speech in self.speeches[start:]:
            by_user = speech.name != self.model_part
            if by_user:
                lines.append(speech.text)
            elif not asked:
                lines.append("")
            asked = by_user
        return lines

    @classmethod
    def parse(cls, script: str) -> Self:
        """Read a play script back; the model plays whoever speaks last."""
        scene = cls()
        for block in script.strip().split(END_OF_SPEECH):
            heading, _, text = block.strip().partition("\n")
            if match := _HEADING.match(heading):
                scene = replace(scene, speeches=(*scene.speeches, Speech(match[1], text)))
        if scene.speeches:
            model_part = scene.speeches[-1].name
            others = (speech.name for speech in scene.speeches if speech.name != model_part)
            scene = replace(scene, model_part=model_part, user_part=next(others, scene.user_part))
        return scene


def part_name(text: str) -> str:
    """Return a name as a play prints it: one line, without the colon that ends it."""
    return " ".join(text.split()).rstrip(":").strip()
