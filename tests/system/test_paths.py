"""Every place on disk: where the platform puts it, and where ``$SHAKEGPT_HOME`` moves it."""

from pathlib import Path

import platformdirs
import pytest

from shakegpt.system import paths


def test_the_home_is_below_the_platforms_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHAKEGPT_HOME")
    assert paths.home_folder() == platformdirs.user_data_path("shakegpt") == tmp_path / "data" / "shakegpt"
    assert paths.preferences_file() == tmp_path / "config" / "shakegpt" / "preferences.json"


def test_the_environment_names_another_home(private_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.home_folder() == private_surroundings
    assert paths.preferences_file() == private_surroundings / "config" / "preferences.json"
    monkeypatch.setenv("SHAKEGPT_HOME", "~/shakespeare")
    assert paths.home_folder() == Path.home() / "shakespeare"
    assert paths.preferences_file().parent.parent == Path.home() / "shakespeare"


def test_the_cache_and_the_settings_stay_where_the_platform_has_them(tmp_path: Path) -> None:
    assert paths.corpora_folder() == tmp_path / "cache" / "shakegpt" / "corpora"
    assert paths.config_file() == tmp_path / "config" / "shakegpt" / "config.toml"


def test_an_asset_is_found_inside_the_package_or_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "shakegpt")
    with pytest.raises(FileNotFoundError, match=r"corpus/demo\.txt did not ship"):
        paths.asset_path("corpus/demo.txt")
    for folder in (tmp_path, tmp_path / "shakegpt"):
        (folder / "assets").mkdir(parents=True)
        (folder / "assets/text").touch()
        assert paths.asset_path("text") == folder / "assets" / "text"
