"""A study's state as Ray metrics, which Ray's agents export to Prometheus where `ray[default]` runs them.

Bytes spilled are Ray's own metric (`ray_object_store_memory{Location="SPILLED"}`).
"""

import time
from typing import Any

from ray.util.metrics import Gauge

NAMES = {
    "members_ready": "Members whose rows can be read.",
    "rows_drawn": "Synthetic rows drawn.",
    "rows_per_second": "Synthetic rows drawn a second, since the last look.",
    "rows_waiting": "Rows drawn through a stream and not read yet: what back-pressure holds.",
    "fits_done": "Downstream fits done.",
    "fits_wanted": "Downstream fits wanted so far.",
}


class Gauges:
    """The gauges `dge_ray_NAME{study="..."}`."""

    def __init__(self, study: str) -> None:
        self._gauges = {name: Gauge(f"dge_ray_{name}", text, tag_keys=("study",)) for name, text in NAMES.items()}
        self._study = {"study": study}
        self._last = time.monotonic(), 0

    def show(self, status: dict[str, Any]) -> None:
        """Set them from the Board's status."""
        now, rows = time.monotonic(), status["rows_drawn"]
        elapsed = max(now - self._last[0], 1e-3)
        values = {**status, "rows_per_second": (rows - self._last[1]) / elapsed}
        self._last = now, rows
        for name, gauge in self._gauges.items():
            gauge.set(float(values[name]), tags=self._study)
