"""Where one's own Ray keeps its sockets, logs and spilled rows: a folder of a session's own, for its owner alone.

Ray makes its folders 0777 and its files by the umask, and spills rows there when memory is short. Nobody gets to them:
the folder around them is 0700, and Ray's servers start with a umask of 077.
"""

import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dge_ray.errors import InputError
from dge_ray.local_disk import try_writing

PREFIX = "dge-"  # short, as all of the way to a socket is
LOCK = "lock"  # held by the driver as long as it lives: the system lets it go, whatever ends the driver
INSIDE = "r"  # Ray's own folder: it makes it 0777
# The longest name of a Ray socket below that folder, its process number at the most digits that Linux gives.
SOCKET = "session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store"
LONGEST = 107 if sys.platform != "darwin" else 103  # bytes of a socket's path
REMOVING_SECONDS = 5.0
WAY_OUT = "a folder that can be written to and is at most {bytes} bytes long, such as RAY_TMPDIR=/tmp"


def temporary_folder(environ: Mapping[str, str]) -> tuple[str, Path]:
    """The folder for temporary files, and the name of the variable that says so."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if environ.get(name):
            return name, Path(environ[name]).absolute()
    return "TMPDIR", Path("/tmp")


def check_temporary_folder(environ: Mapping[str, str]) -> None:
    """Whether a Ray of one's own has a place for its files.

    Raises:
        InputError: the folder cannot be written to, or its name is too long for a socket's path.
    """
    variable, root = temporary_folder(environ)
    most = LONGEST - len(os.fsencode(f"/{PREFIX}abcdefgh/{INSIDE}/{SOCKET}"))
    takes = WAY_OUT.format(bytes=most)
    if (length := len(os.fsencode(root))) > most:
        raise InputError(variable, f"{str(root)!r}, {length} bytes long, too long for Ray's sockets", takes)
    try:
        try_writing(root)
    except OSError as error:
        raise InputError(variable, f"{str(root)!r} ({error.strerror})", takes) from None


@contextmanager
def private_folder(environ: Mapping[str, str]) -> Iterator[str]:
    """A new folder, 0700, in the folder for temporary files; gives Ray's folder inside. Removed at the end, as are
    those of earlier sessions of this user that were killed."""
    _, root = temporary_folder(environ)
    root.mkdir(parents=True, exist_ok=True)
    _remove_left_over(root)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    lock = _lock(folder)
    try:
        inside = folder / INSIDE
        inside.mkdir(0o700)
        yield str(inside)
    finally:
        _remove(folder)
        os.close(lock)


@contextmanager
def for_the_owner_alone() -> Iterator[None]:
    """What is made within the block, and by processes that start in it, others cannot read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _lock(folder: Path) -> int:
    """The descriptor of the folder's lock file, which is there under its name only once it is held."""
    new = folder / f"{LOCK}.new"
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new.rename(folder / LOCK)
    return descriptor


def _remove_left_over(root: Path) -> None:
    """Remove this user's folders in `root` whose driver is gone."""
    for folder in root.glob(f"{PREFIX}*"):
        try:
            facts = folder.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                continue
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # another's, another kind of folder, or gone meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)
        except OSError:
            continue  # its driver lives
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """The folder and all below. Ray's servers may write for a moment more."""
    until = time.monotonic() + REMOVING_SECONDS
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > until:
            return
        time.sleep(0.1)
