"""A scene of a play: who says what, in turn."""

import re
from dataclasses import dataclass, replace
from typing import Self

END_OF_SPEECH = "\n\n"
"""What stands between two speeches, in the corpus and so in what the model writes."""
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

    yours: str = "JULIET"
    theirs: str = "ROMEO"
    speeches: tuple[Speech, ...] = ()

    def plus(self, name: str, text: str) -> Self:
        """Return the scene with one more speech. Blank lines inside it would end it early, so they go."""
        lines = (line.rstrip() for line in text.strip().splitlines())
        return replace(self, speeches=(*self.speeches, Speech(name, "\n".join(line for line in lines if line))))

    def rewound(self, count: int) -> Self:
        """Return the scene as it was after its first ``count`` speeches."""
        return replace(self, speeches=self.speeches[:count])

    @property
    def cue(self) -> str:
        """What the model is given: the scene so far, and the name of its own part."""
        return f"{self.script}{self.theirs}:\n"

    @property
    def script(self) -> str:
        """The scene as a play prints it, a blank line after every speech."""
        return "".join(speech.script + END_OF_SPEECH for speech in self.speeches)

    @classmethod
    def parse(cls, script: str, *, theirs: str | None = None) -> Self:
        """Read a play script back; the model plays ``theirs``, or whoever speaks last."""
        speeches: list[Speech] = []
        for block in script.strip().split(END_OF_SPEECH):
            heading, _, text = block.strip().partition("\n")
            if match := _HEADING.match(heading):
                speeches.append(Speech(match[1], text))
        names = list(dict.fromkeys(speech.name for speech in speeches))
        scene = cls(speeches=tuple(speeches))
        if speeches:
            other = theirs if theirs in names else speeches[-1].name
            yours = next((name for name in names if name != other), scene.yours)
            scene = replace(scene, theirs=other, yours=yours)
        return scene


def part_name(text: str) -> str:
    """Return a name as a play prints it: one line, without the colon that ends it."""
    return " ".join(text.split()).rstrip(":").strip()
