"""What is made for another program: weights under its names, and a folder of files that is whole or absent."""

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.files import new_folder, write_synced

_READABLE = 0o644  # made to be handed on, unlike what lies in the store
_OPEN = 0o755


def foreign_names(
    names: Iterable[str], *, outer: Mapping[str, str], block: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """Return the name that another program has for each of our weights.

    Args:
        names: ours, such as ``blocks.0.mlp.expansion.weight``.
        outer: its names for the modules outside the blocks: ``{"final_norm": "ln_f"}``.
        block: its names for the modules of a block: ``{"mlp.expansion": "mlp.c_fc"}``.
        prefix: what it calls the list of blocks.
    """
    translated = {}
    for name in names:
        module, kind = name.rsplit(".", 1)  # kind: weight or bias
        if module.startswith("blocks."):
            _, layer, module = module.split(".", 2)
            translated[name] = f"{prefix}.{layer}.{block[module]}.{kind}"
        else:
            translated[name] = f"{outer[module]}.{kind}"
    return translated


def check_free(folder: Path) -> None:
    """Raise ``UsageError`` where a folder is taken: there, and not empty."""
    try:
        taken = folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    except OSError as error:
        raise ShakegptError(f"{folder} cannot be looked into ({error.strerror}); name another folder.") from error
    if taken:
        raise UsageError(f"{folder} is there already, and not an empty folder; name a new one.")


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files: built beside it, synced, and renamed into place.

    Args:
        folder: a new folder, or an empty one.
        files: the bytes of each file, by name.

    Raises:
        UsageError: the folder is taken.
        ShakegptError: it cannot be written; nothing of it is left.
    """
    folder = folder.expanduser().absolute()
    check_free(folder)
    try:
        with new_folder(folder, mode=_OPEN) as partial:
            for name, data in files.items():
                write_synced(partial / name, data)
                (partial / name).chmod(_READABLE)
    except OSError as error:
        reason = error.strerror or errno.errorcode.get(error.errno or 0, str(error))
        raise ShakegptError(f"{folder} cannot be written ({reason}); name a place with room that is yours.") from error
