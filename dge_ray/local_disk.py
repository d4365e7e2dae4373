"""Places on a local disk: home folders, folders for their owner alone, and whether a place can be written to."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from dge_ray.errors import InputError


def expanded(path: str | Path, field: str) -> Path:
    """A local path whose leading `~` is a home folder.

    Raises:
        InputError: the home of nobody that is known here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(field, repr(str(path)), "a path; no home folder is known for its '~'") from None


def make_folders(path: Path, mode: int = 0o700) -> None:
    """The folder and those above it, as far as they are not there, with this mode less the umask."""
    if path.is_dir():
        return
    make_folders(path.parent, mode)
    path.mkdir(mode, exist_ok=True)


def try_writing(folder: Path) -> None:
    """Make the folder and those above it, as far as they are not there, and a file in it; then remove what was made.

    Permissions alone tell too little: of a disk that is full or read-only, of names that are too long, of /proc.

    Raises:
        OSError: why it cannot be done.
    """
    made = []
    try:
        absent = [above for above in (folder, *folder.parents) if not os.path.lexists(above)]
        for above in reversed(absent):
            try:
                above.mkdir(0o700)
            except FileExistsError:
                continue  # another process made it meanwhile
            made.append(above)
        with tempfile.TemporaryFile(prefix=".probe-", dir=folder) as probe:
            probe.write(b"probe")
    finally:
        for above in reversed(made):
            with suppress(OSError):  # not empty: another process has begun to use it
                above.rmdir()
