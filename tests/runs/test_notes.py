"""A note and tags beside a run."""

import pytest

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.runs.notes import MAX_NOTE_CHARACTERS, Notes, change_tags, read_notes, write_note
from shakegpt.runs.run import Run
from shakegpt.runs.run_settings import SettingFilter


def test_notes_and_tags_are_kept_beside_an_untouched_run(macbeth: Run) -> None:
    metadata = (macbeth.path / "run.json").read_bytes()
    assert read_notes(macbeth) == Notes()
    write_note(macbeth, " two\nlines ")
    assert change_tags(macbeth, add=("late", "baseline", "late")) == ["baseline", "late"]
    assert read_notes(macbeth) == Notes(note="two\nlines", tags=["baseline", "late"])
    assert (macbeth.path / "run.json").read_bytes() == metadata
    assert read_notes(macbeth.rename("hamlet")).tags == ["baseline", "late"]


def test_what_is_removed_leaves_no_file(macbeth: Run) -> None:
    write_note(macbeth, "one")
    change_tags(macbeth, add=("baseline",))
    write_note(macbeth, None)
    assert read_notes(macbeth).tags == ["baseline"]
    change_tags(macbeth, remove=("baseline",))
    assert not (macbeth.path / "notes.json").exists()


def test_a_run_in_training_can_be_tagged(macbeth: Run) -> None:
    with macbeth.lock():
        assert change_tags(macbeth, add=("now",)) == ["now"]


@pytest.mark.parametrize("data", [b"{", b'{"tags": ["\\u001b"]}', b'{"note": 3}', b'{"tags": []}' * 40_000])
def test_a_damaged_file_hides_no_run_and_is_not_overwritten(macbeth: Run, data: bytes) -> None:
    path = macbeth.path / "notes.json"
    path.write_bytes(data)
    assert read_notes(macbeth) == Notes()
    with pytest.raises(ShakegptError, match="notes of macbeth cannot be read"):
        change_tags(macbeth, add=("baseline",))
    assert path.read_bytes() == data


def test_fields_of_later_versions_are_skipped(macbeth: Run) -> None:
    (macbeth.path / "notes.json").write_text('{"note": "one", "tags": ["a"], "stars": 3}')
    assert read_notes(macbeth) == Notes(note="one", tags=["a"])


@pytest.mark.parametrize("tag", ["", "two words", ".hidden", "\x1b[31m", "a" * 65])
def test_a_tag_is_a_name(macbeth: Run, tag: str) -> None:
    with pytest.raises(UsageError, match="A tag cannot be called"):
        change_tags(macbeth, add=(tag,))


def test_mistakes(macbeth: Run) -> None:
    with pytest.raises(UsageError, match="macbeth has no tag late; it has none"):
        change_tags(macbeth, remove=("late",))
    with pytest.raises(UsageError, match="4,000 characters; this one has 4,001"):
        write_note(macbeth, "a" * (MAX_NOTE_CHARACTERS + 1))
    with pytest.raises(UsageError, match="empty"):
        write_note(macbeth, "  ")


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("learning_rate=3e-3", True),
        ("lr=0.003", True),
        ("--learning-rate=3e-3", True),
        ("learning_rate=3e-4", False),
        ("batch_size=8", True),
        ("batch_size=8.0", True),
        ("preset=nano", True),
        ("preset=mini", False),
        ("corpus=demo", True),
    ],
)
def test_settings_find_runs(macbeth: Run, text: str, matches: bool) -> None:
    assert SettingFilter.parse(text).matches(macbeth.metadata) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "write one as learning_rate=2e-3"),
        ("learning_rate=", "write one as learning_rate=2e-3"),
        ("learning_rat=1", "did you mean learning_rate"),
        ("learning_rate=fast", "learning_rate=fast is no number"),
    ],
)
def test_what_is_no_setting_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SettingFilter.parse(text)
