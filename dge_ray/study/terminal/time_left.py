"""How long a stage of a study will still take, from what its finished fits cost; nothing until that is steady.

The seconds of a fit are taken as a + b x rows, by least squares over the finished fits of its kind (learner, and on
whose rows), or of its learner's other kinds where none of its own has ended. What the fits left will take in all, less
what those under way have had, is shared among as many at once as were at work on average since the first began.
Members that are not fitted yet come on top, at the rate at which they were. The end is smoothed over the last readings,
and told once these agree within a quarter of the time left for STEADY_SECONDS.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

STEADY_SECONDS = 6.0
FEWEST = 3  # finished fits
WITHIN = 0.25


class TimeLeft:
    """Asked with the Board's counts and a clock, as often as they come."""

    def __init__(self) -> None:
        self._stage: Any = None
        self._ends: deque[tuple[float, float]] = deque()  # (asked at, the end as it then seemed)
        # (asked at, members ready) at the first reading, and when one was ready last
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def __call__(self, counts: Mapping[str, Any], members: int, now: float) -> float | None:
        """Seconds left, or None. `members`: of the stage; `now`: seconds of a clock that never goes back."""
        if (stage := (members, counts["fits_wanted"])) != self._stage:
            self._stage = stage
            self._ends.clear()
        seconds = self._seconds(counts, members, now)
        if seconds is None:
            self._ends.clear()
            return None
        self._ends.append((now, now + seconds))
        while self._ends[0][0] < now - 2 * STEADY_SECONDS:
            self._ends.popleft()
        ends = np.array([end for _, end in self._ends])
        left = float(ends.mean()) - now
        steady = self._ends[0][0] <= now - STEADY_SECONDS and float(np.ptp(ends)) <= WITHIN * max(left, STEADY_SECONDS)
        return max(left, 0.0) if steady else None

    def _seconds(self, counts: Mapping[str, Any], members: int, now: float) -> float | None:
        work = counts.get("work") or {}
        done = {kind: np.array(one["done"]) for kind, one in work.items() if one["done"][0]}
        if sum(one[0] for one in done.values()) < FEWEST or not any(one["left"][0] for one in work.values()):
            return None
        left = 0.0
        for kind, one in work.items():
            fits, rows = one["left"]
            learner = kind.rpartition(" ")[0]
            alike = [sums for other, sums in done.items() if other.rpartition(" ")[0] == learner]
            known = done[kind] if kind in done else sum(alike) if alike else sum(done.values())
            fixed, by_row = _law(np.asarray(known, dtype=np.float64))
            left += fits * fixed + rows * by_row
        at_once = max(counts["busy"] / max(counts["since"], 1e-9), 1e-9)
        more = self._member_seconds(counts["members_ready"], members, now)
        return None if more is None else max(left - counts["running"], 0.0) / at_once + more

    def _member_seconds(self, ready: int, members: int, now: float) -> float | None:
        """Of the members that are not fitted yet; None where none has ended while somebody looked."""
        if self._first is None:
            self._first = self._last = (now, ready)
        elif ready > self._last[1]:
            self._last = (now, ready)
        if ready >= members:
            return 0.0
        (since, before), (at, _) = self._first, self._last
        return max((members - ready) * (at - since) / (ready - before) - (now - at), 0.0) if ready > before else None


def _law(sums: np.ndarray) -> tuple[float, float]:
    """(a, b) of seconds = a + b x rows, neither below 0, from (fits, rows, rows squared, seconds, rows x seconds)."""
    fits, rows, squares, seconds, products = sums
    apart = squares - rows**2 / fits
    by_row = float(np.clip((products - rows * seconds / fits) / apart, 0.0, seconds / rows)) if apart > 0 else 0.0
    return float(seconds - by_row * rows) / float(fits), by_row
