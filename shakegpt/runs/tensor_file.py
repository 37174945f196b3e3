"""One file of tensors in fp32 with one text beside them, in the safetensors format. No pickle: reading runs no code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from shakegpt.errors import CheckpointError
from shakegpt.system.json_records import parse_json
from shakegpt.system.text import escape_line

# The one metadata key: safetensors writes several in an order that differs between processes, and equal states must
# give equal bytes.
_METADATA_KEY = "shakegpt"
_MAX_HEADER_BYTES = 8 * 1024**2

Shapes = dict[str, tuple[int, ...]]


def encode_tensors(tensors: Mapping[str, Tensor], text: str) -> bytes:
    """Return the bytes of a file: the same for equal tensors and texts, in every process."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors_torch.save(on_cpu, metadata={_METADATA_KEY: text})


def read_header(data: bytes, path: Path) -> tuple[str, Shapes]:
    """Return a file's text and each tensor's shape, having checked that all are fp32 and fill the file exactly.

    Raises:
        CheckpointError: it is damaged or hostile.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise damaged(path, "its header is longer than the file or than any of ours")
    try:
        header = parse_json(data[8 : 8 + length])
        text = header.pop("__metadata__")[_METADATA_KEY]
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        sizes = [_product(shape) * 4 for shape in shapes.values()]
        good = all(entry["dtype"] == "F32" for entry in header.values()) and sum(sizes) == len(data) - 8 - length
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"its header makes no sense: {error}") from None
    if not good or not isinstance(text, str):
        raise damaged(path, "its header does not describe the bytes that follow")
    return text, shapes


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError("a shape is not made of whole numbers")
        result *= size
    return result


def decode_tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    """Return a file's tensors, once ``read_header`` has accepted it.

    Raises:
        CheckpointError: it is damaged, or a number in it is not finite.
    """
    try:
        tensors: dict[str, Tensor] = safetensors_torch.load(data)
    except Exception as error:  # safetensors has an error class of its own that is no subclass of a standard one
        raise damaged(path, error) from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise damaged(path, "a number in it is not finite")
    return tensors


def damaged(path: Path, reason: object) -> CheckpointError:
    """Return the error that says why a file of a checkpoint cannot be used."""
    where = escape_line(f"{path.parent.name}/{path.name}")
    return CheckpointError(f"The checkpoint file {where} is damaged: {escape_line(str(reason))[:200]}.")
