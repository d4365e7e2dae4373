"""Progress and log records as one JSON object a line, with the study, member and volume that they are about."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dge_ray.masking import mask_all
from dge_ray.study.terminal.progress import PLAIN_SECONDS, Progress

FIELDS = ("member", "volume", "shard", "worker")  # of a log record's `extra`


UNTOLD = ("epochs", "failure", "work", "running", "busy", "since")  # of the Board's counts


class JsonProgress(Progress):
    """What `Progress` says, and each event of the study, as JSON lines: `time`, `level`, `study`, `event` and more.

    `event` is `said` (with `message`), `status` (with the Board's counts), or what happened: `member ready`,
    `shard drawn`, `fit done`, `worker restarted`, `failed`.
    """

    def __init__(self, study: str, stream: Any = None) -> None:
        super().__init__(stream)
        self.terminal = False
        self.study = study

    def say(self, line: str) -> None:
        level = "warning" if line.startswith("warning: ") else "info"
        self._line(level, "said", message=line.removeprefix("warning: "))

    def status(self, counts: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            known = {key: value for key, value in counts.items() if key not in UNTOLD}
            self._line("info", "status", members=self.members, seconds_left=self.seconds_left(counts), **known)

    def event(self, event: dict[str, Any]) -> None:
        fields = dict(event)
        level = "error" if fields["event"] == "failed" else "info"
        self._line(level, fields.pop("event"), at=fields.pop("at"), **fields)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Log records of errors, and this package's warnings, are among the lines for the length of the block, and on
        the same stream not in another form besides."""
        root, records = logging.getLogger(), _Records(self)
        others = [h for h in root.handlers if isinstance(h, logging.StreamHandler) and h.stream is self.stream]
        for handler in others:
            root.removeHandler(handler)
        root.addHandler(records)
        try:
            yield
        finally:
            root.removeHandler(records)
            for handler in others:
                root.addHandler(handler)

    def _line(self, level: str, event: str, *, at: float | None = None, **fields: Any) -> None:
        when = datetime.fromtimestamp(time.time() if at is None else at, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": level, "study": self.study, "event": event, **fields}
        with self._lock:
            self._write(json.dumps(mask_all(line)) + "\n")


class _Records(logging.Handler):
    def __init__(self, progress: JsonProgress) -> None:
        super().__init__()
        self.progress = progress
        self.addFilter(lambda r: r.levelno >= (logging.WARNING if r.name.startswith("dge_ray") else logging.ERROR))

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        self.progress._line(
            record.levelname.lower(), "log", logger=record.name, message=record.getMessage(), at=record.created, **extra
        )
