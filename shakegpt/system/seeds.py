"""Seeds derived from a name, so that no random choice depends on an earlier one.

Every random choice of a run (a batch, a dropout mask, a sample) has its own seed, derived from the run's seed and the
name of the choice. So looking at a run never changes it, and a resumed run needs no generator state.
"""

import hashlib


def derive_seed(seed: int, *path: str | int) -> int:
    """Return the 63-bit seed of one choice, such as ``derive_seed(1337, "batch", 500)``."""
    name = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
