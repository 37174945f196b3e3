"""Files are read within bounds and written whole."""

import os
from pathlib import Path

import pytest

from shakegpt.system.files import make_folder, new_folder, read_bounded, remove_leftovers, replace_file


def test_a_file_is_read_within_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match="more than the 4"):
        read_bounded(path, 4)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "missing"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "link":
            (tmp_path / "other").write_text("secret")
            path.symlink_to(tmp_path / "other")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)  # opening it in the plain way would block for ever
    with pytest.raises((OSError, ValueError)):
        read_bounded(path, 100)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_new_folders_are_private(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")} == {0o700}


def test_a_folder_is_built_beside_its_place_and_renamed(tmp_path: Path) -> None:
    path = tmp_path / "above" / "folder"
    with new_folder(path) as partial:
        (partial / "file").write_text("new")
        assert not path.exists()
    assert (path / "file").read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError), new_folder(path):
        pass
    with new_folder(path, replace=True) as partial:
        (partial / "other").touch()
    assert [file.name for file in path.iterdir()] == ["other"]
    assert [folder.name for folder in path.parent.iterdir()] == ["folder"]


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "folder") as partial:
        (partial / "absent" / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed_once_they_are_old(tmp_path: Path) -> None:
    (tmp_path / ".half.1.tmp").mkdir()
    (tmp_path / ".file.1.tmp").touch()
    (tmp_path / ".tmp").mkdir()
    (tmp_path / "kept.tmp").touch()
    remove_leftovers(tmp_path, older_than=60)
    assert len(list(tmp_path.iterdir())) == 4
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.tmp"]
