"""Where a study is, for other shells: a small file that its driver renews."""

import time
from collections.abc import Mapping
from typing import Any

from dge_ray.storage import Folder
from dge_ray.study.records.files import STATUS

EVERY_SECONDS = 5.0
COUNTS = ("members_ready", "rows_drawn", "fits_done", "fits_wanted")


class StatusFile:
    """Writes status.json now and then. A storage that fails is not the study's end."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._next = 0.0

    def put(self, members: int, counts: Mapping[str, Any], seconds_left: float | None) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        known = {name: counts[name] for name in COUNTS}
        try:
            self.folder.write_json(
                STATUS, {"members": members, **known, "seconds_left": seconds_left, "at": time.time()}
            )
        except OSError:
            return
