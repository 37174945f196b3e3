"""What a user says of a run: a note and tags, in a file of their own beside what the run is.

Older versions, which do not know the file, read the run all the same. No lock is needed: a run in training can be noted
and tagged too.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.runs.run import Run
from shakegpt.system.files import read_bounded, replace_file
from shakegpt.system.json_records import parse_record
from shakegpt.system.text import escape_line, is_name

MAX_NOTE_CHARACTERS = 4_000
MAX_TAGS = 100
_NOTES_FILE = "notes.json"
_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Notes:
    """The note and the tags of a run; fields that a later version adds are ignored."""

    note: str | None = None
    tags: list[str] | None = None
    """Sorted, each once; ``None`` in a file that has none."""


def read_notes(run: Run) -> Notes:
    """Return what was said of a run; nothing where the file is missing or damaged: it must not hide the run."""
    try:
        return _read(run.path / _NOTES_FILE)
    except (OSError, ValueError):
        return Notes()


def write_note(run: Run, note: str | None) -> None:
    """Replace the note of a run; ``None`` removes it.

    Raises:
        UsageError: it is empty or too long.
        ShakegptError: the run's notes are damaged, or its folder cannot be written.
    """
    if note is not None:
        note = note.encode(errors="replace").decode().strip()  # bytes of the command line that are not UTF-8
        if not note:
            raise UsageError("The note is empty; --remove removes the one that the run has.")
        if len(note) > MAX_NOTE_CHARACTERS:
            raise UsageError(f"A note may have {MAX_NOTE_CHARACTERS:,} characters; this one has {len(note):,}.")
    _write(run, Notes(note=note, tags=_read_to_change(run).tags))


def change_tags(run: Run, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> list[str]:
    """Add and remove tags of a run, and return those it has then.

    Raises:
        UsageError: a tag cannot be called so, there are too many, or one to remove is not there.
        ShakegptError: the run's notes are damaged, or its folder cannot be written.
    """
    for tag in add:
        if not is_name(tag):
            raise UsageError(
                f"A tag cannot be called '{escape_line(tag)}': it is 1 to 64 letters, digits, dots, dashes or "
                "underscores, and does not begin with a dot."
            )
    notes = _read_to_change(run)
    tags = set(notes.tags or ())
    if missing := [tag for tag in remove if tag not in tags]:
        having = f"its tags are {', '.join(sorted(tags))}" if tags else "it has none"
        raise UsageError(f"The run {run.name} has no tag {escape_line(missing[0])}; {having}.")
    changed = sorted((tags | set(add)) - set(remove))
    if len(changed) > MAX_TAGS:
        raise UsageError(f"A run may have {MAX_TAGS} tags.")
    _write(run, Notes(note=notes.note, tags=changed))
    return changed


def _read(path: Path) -> Notes:
    notes = parse_record(read_bounded(path, _MAX_BYTES), Notes)
    if not all(map(is_name, notes.tags or ())) or len(notes.note or "") > MAX_NOTE_CHARACTERS:
        raise ValueError("it has a tag or a note that shakegpt does not write")
    return notes


def _read_to_change(run: Run) -> Notes:
    """Return what was said of a run. Raises ``ShakegptError`` where that would be lost by a change."""
    path = run.path / _NOTES_FILE
    try:
        return _read(path)
    except FileNotFoundError:
        return Notes()
    except (OSError, ValueError) as error:
        raise ShakegptError(
            f"The notes of {run.name} cannot be read ({escape_line(str(error))}); mend or remove {path}."
        ) from None


def _write(run: Run, notes: Notes) -> None:
    path = run.path / _NOTES_FILE
    try:
        if notes.note is None and not notes.tags:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, (json.dumps(asdict(notes), indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ShakegptError(
            f"The notes of {run.name} cannot be written: {error.strerror}; its folder is {run.path}."
        ) from error
