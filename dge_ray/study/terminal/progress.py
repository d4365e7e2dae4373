"""What a study is doing, on standard error: one line redrawn in a terminal, plain lines elsewhere."""

import sys
import threading
import time
from typing import Any, TextIO

from dge_ray.masking import mask
from dge_ray.phrases import duration
from dge_ray.study.terminal.time_left import TimeLeft

PLAIN_SECONDS = 10.0  # between two plain lines, where nothing else is to be said


class Progress:
    """Says what happens. `say` prints a line that stays; `status` takes the Board's counts as often as they come."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.terminal = self.stream.isatty()
        self.members, self.folds = 0, 1  # of each member a generator a fold
        self._started = time.monotonic()
        self._left = TimeLeft()
        self._last = 0.0
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        with self._lock:
            self._write(("\r\x1b[K" if self.terminal else "") + mask(line) + "\n")

    def status(self, counts: dict[str, Any]) -> None:
        text = self._text(counts)
        now = time.monotonic()
        with self._lock:
            if self.terminal:
                self._write("\r\x1b[K" + text[:200])
            elif now - self._last >= PLAIN_SECONDS:
                self._write(text + "\n")
                self._last = now

    def event(self, event: dict[str, Any]) -> None:
        """Something happened (`Board.news`): too much for people to read."""

    def end(self) -> None:
        """Clear the redrawn line."""
        if self.terminal:
            with self._lock:
                self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            return  # nobody reads any more: the study goes on

    def _text(self, counts: dict[str, Any]) -> str:
        wanted = self.members * self.folds
        fitting = {k: r for k, r in counts["epochs"].items() if counts["members_ready"] < wanted}
        parts = [f"{counts['members_ready']}/{wanted} {'members' if self.folds == 1 else 'generators'} fitted"]
        if fitting:
            latest = max(fitting)
            who = f"member {latest}: " if self.folds == 1 else ""
            parts[0] += f" ({who}epoch {fitting[latest].get('epoch', '?')})"
        parts.append(f"{counts['rows_drawn']:,} rows drawn")
        parts.append(f"{counts['fits_done']}/{counts['fits_wanted']} fits")
        left = self.seconds_left(counts)
        if left is not None:
            parts.append(f"about {duration(left)} left in this stage")
        return f"[{duration(time.monotonic() - self._started)}] " + ", ".join(parts)

    def seconds_left(self, counts: dict[str, Any]) -> float | None:
        """How long the stage will take; None until that is known."""
        return self._left(counts, self.members, time.monotonic())
