"""How a head is named."""

Head = tuple[int, int]
"""The index of a block and of a head in it, both from 0, as in a ``Trace``'s arrays."""


def head_name(head: Head) -> str:
    """Return what people call a head: block and head counted from 1, such as ``1.4``."""
    return f"{head[0] + 1}.{head[1] + 1}"
