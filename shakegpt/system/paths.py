"""Every place on disk that shakegpt uses by itself; what is inside a run's folder is ``runs``'s own affair."""

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "SHAKEGPT_HOME"
_APP = "shakegpt"
_PACKAGE = Path(__file__).parent.parent


def home_folder() -> Path:
    """Return the folder of runs and saved texts: ``$SHAKEGPT_HOME``, or the platform's data folder."""
    return _home_from_environment() or platformdirs.user_data_path(_APP)


def runs_folder(home: Path) -> Path:
    """Return where a home has its runs, a folder each."""
    return home / "runs"


def sweeps_folder(home: Path) -> Path:
    """Return where a home has the plans of its sweeps, a folder each."""
    return home / "sweeps"


def texts_folder(home: Path) -> Path:
    """Return where a home has the generated texts that were saved."""
    return home / "texts"


def corpora_folder() -> Path:
    """Return the cache of downloaded and added corpora."""
    return platformdirs.user_cache_path(_APP) / "corpora"


def config_file() -> Path:
    """Return the path of the user's ``config.toml``, whether there is one or not."""
    return platformdirs.user_config_path(_APP) / "config.toml"


def preferences_file() -> Path:
    """Return where the app keeps its preferences: below ``$SHAKEGPT_HOME`` where that is set."""
    home = _home_from_environment()
    return (home / "config" if home else platformdirs.user_config_path(_APP)) / "preferences.json"


def asset_path(name: str) -> Path:
    """Return the path of a shipped file or folder, such as ``corpus/demo.txt``.

    A wheel has ``assets/`` inside the package; an editable install and a checkout have it beside the package.

    Raises:
        FileNotFoundError: nothing of that name was shipped.
    """
    for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets"):
        if (path := folder / name).exists():
            return path
    raise FileNotFoundError(f"{name} did not ship with this installation of shakegpt")


def _home_from_environment() -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser() if home else None
