"""Where the files that ship beside the code are."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def asset_path(name: str) -> Path:
    """Return the path of a shipped file or folder, such as ``corpus/demo.txt``.

    A wheel carries ``assets/`` inside the package; an editable install and a checkout have it beside.

    Raises:
        FileNotFoundError: nothing of that name was shipped.
    """
    for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets"):
        if (path := folder / name).exists():
            return path
    raise FileNotFoundError(f"{name} did not ship with this installation of shakegpt")
