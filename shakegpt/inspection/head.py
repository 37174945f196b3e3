"""How heads are named, and models without some."""

Head = tuple[int, int]
"""The index of a block and of a head in it, both from 0, as in a ``Trace``'s arrays."""


WITHOUT_HEAD = " without head"
"""What stands in a model's name before the names of its muted heads; of several, after an ``s``."""


def head_name(head: Head) -> str:
    """Return what people call a head: block and head counted from 1, such as ``1.4``."""
    return f"{head[0] + 1}.{head[1] + 1}"
