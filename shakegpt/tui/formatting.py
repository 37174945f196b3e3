"""Numbers as text: short, of about the same width, and in words where they are not finite."""

import math

NO_VALUE = "–"
"""Stands for a number that is not known yet."""


def count(value: float) -> str:
    """Return a whole number with its thousands apart, such as ``1,250``."""
    return f"{value:,.0f}" if math.isfinite(value) else _not_finite(value)


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a loss or a norm to a few decimals; large ones have fewer, so that the width stays about the same."""
    if value is None:
        return NO_VALUE
    if not math.isfinite(value):
        return _not_finite(value)
    if abs(value) >= 10_000:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    whole = len(f"{abs(value):.0f}")
    return f"{value:,.{max(0, digits + 1 - whole)}f}"


def scientific(value: float | None) -> str:
    """Return a learning rate, such as ``9.4e-4``."""
    if value is None:
        return NO_VALUE
    if not math.isfinite(value):
        return _not_finite(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}" if value else "0"


def duration(seconds: float | None) -> str:
    """Return a span of time in its two largest units, such as ``12m 04s``."""
    if seconds is None or not math.isfinite(seconds):
        return NO_VALUE
    whole = max(0, round(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    if hours:
        return f"{hours}h {minute:02}m"
    return f"{minutes}m {second:02}s" if minutes else f"{second}s"


def size(byte_count: float) -> str:
    """Return a number of bytes, such as ``612 MB``; a megabyte is a million bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if byte_count >= scale:
            value = byte_count / scale
            return f"{value:.1f} {unit}" if value < 100 and unit not in ("kB", "MB") else f"{value:.0f} {unit}"
    return f"{byte_count:.0f} B"


def compact(value: float, digits: int = 3) -> str:
    """Return a large number in short, such as ``1.63 M``."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.{digits}g} {unit}"
    return f"{value:.0f}"


def shortened(name: str, width: int) -> str:
    """Return a name in at most ``width`` cells, without its middle: names of one family differ at their ends."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "not a number"
    return "∞" if value > 0 else "-∞"
