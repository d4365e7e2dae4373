"""A long fit's state, kept in a folder from time to time."""

import time

from dge_ray.storage import Folder

KEPT_EVERY_SECONDS = 60.0


class FolderKeeper:
    """Keeps a fit's state (`generators.base.Keeper`) in one file of a folder.

    Args:
        folder: where; any filesystem. Files are written whole or not at all.
        name: the file's name.
        every: seconds from one state to the next; a fit that takes less keeps none.
    """

    def __init__(self, folder: Folder, name: str, *, every: float = KEPT_EVERY_SECONDS) -> None:
        self.folder, self.name, self.every = folder, name, every
        self._next = time.monotonic() + every

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def read(self) -> bytes | None:
        return self.folder.read_bytes(self.name) if self.folder.exists(self.name) else None

    def write(self, state: bytes) -> None:
        self.folder.write_bytes(self.name, state)
        self._next = time.monotonic() + self.every

    def clear(self) -> None:
        self.folder.delete(self.name)
