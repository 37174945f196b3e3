"""What every format shares: the names of weights in other programs, and a folder that is whole or absent."""

import errno
from collections.abc import Mapping
from pathlib import Path

from shakegpt.config import ModelConfig
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.files import new_folder, write_synced

# Readable by everyone, unlike the store: an export is made to be passed on.
_FILE_MODE = 0o644
_FOLDER_MODE = 0o755


def weight_names(
    config: ModelConfig, *, outer: Mapping[str, str], block: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """Return the name of each weight in another program, by our name, such as ``blocks.0.mlp.expansion.weight``.

    Args:
        config: the model.
        outer: the other program's names for the modules outside the blocks: ``{"final_norm": "ln_f"}``.
        block: its names for the modules of a block: ``{"mlp.expansion": "mlp.c_fc"}``.
        prefix: its name for the list of blocks.
    """
    names = {}
    for name in config.weight_shapes:
        module, kind = name.rsplit(".", 1)  # kind: weight or bias
        if module.startswith("blocks."):
            _, layer, module = module.split(".", 2)
            names[name] = f"{prefix}.{layer}.{block[module]}.{kind}"
        else:
            names[name] = f"{outer[module]}.{kind}"
    return names


def check_free(folder: Path) -> None:
    """Raise ``UsageError`` if the path exists and is not an empty folder."""
    try:
        taken = folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    except OSError as error:
        raise ShakegptError(f"{folder} cannot be read ({error.strerror}); name another folder.") from error
    if taken:
        raise UsageError(f"{folder} is there already, and is not an empty folder; name a new one.")


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files: built beside its place, synced, and renamed.

    Args:
        folder: a new folder, or an empty one.
        files: the bytes of each file, by name.

    Raises:
        UsageError: the path exists and is not an empty folder.
        ShakegptError: it cannot be written; nothing of it is left.
    """
    folder = folder.expanduser().absolute()
    check_free(folder)
    try:
        with new_folder(folder, mode=_FOLDER_MODE) as partial:
            for name, data in files.items():
                write_synced(partial / name, data)
                (partial / name).chmod(_FILE_MODE)
    except OSError as error:
        reason = error.strerror or errno.errorcode.get(error.errno or 0, str(error))
        raise ShakegptError(
            f"{folder} cannot be written ({reason}); name a folder that you may write, on a disk with room."
        ) from error
