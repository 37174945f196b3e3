"""Numbers in explanations."""


def percent(share: float) -> str:
    """Return a share in percent, such as ``23 %``, with a decimal below ten, and in words below a tenth of one."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 letter`` and ``1,200 letters``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
