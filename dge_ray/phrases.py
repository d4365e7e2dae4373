"""Numbers as people read them: separators and digits, ratios, intervals, durations; a dash for nothing."""

import math
from collections.abc import Sequence
from typing import Any, TypeGuard

NOTHING = "–"


def finite(value: Any) -> TypeGuard[float]:
    """True for a real, finite number; False for None, nan, text and truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, *, signed: bool = False) -> str:
    """A number for people: integers with thousands separators, others to 4 significant digits, a dash for nothing."""
    if not finite(value):
        return NOTHING
    sign = "+" if signed else ""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):{sign},d}"
    if value == 0:
        return f"{0:{sign}.0f}"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return f"{value:{sign}.3g}"
    return f"{value:{sign},.{max(0, 3 - math.floor(math.log10(size)))}f}" if size >= 1 else f"{value:{sign}.4f}"


def ratio_text(volume: Any, n: Any) -> str:
    """`volume` as a multiple of the n real rows, as `2x`."""
    return f"{volume / n:.3g}x" if finite(volume) and finite(n) and n else NOTHING


def interval_text(interval: Any, *, signed: bool = False) -> str:
    """`lo to hi`, or a dash."""
    if not isinstance(interval, Sequence) or isinstance(interval, str) or len(interval) != 2:
        return NOTHING
    if not any(finite(end) for end in interval):
        return NOTHING
    if interval[0] == interval[1]:
        return f"{number(interval[0], signed=signed)} alone"
    return f"{number(interval[0], signed=signed)} to {number(interval[1], signed=signed)}"


def duration(seconds: Any) -> str:
    """Seconds as people say them."""
    if not finite(seconds):
        return NOTHING
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
