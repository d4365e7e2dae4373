"""The secret of a private study: 32 bytes of the operating system's entropy, in `privacy/key` of its folder.

Noise and batches come from it alone, each from a stream with a cipher key of its own (generators/private/streams.py).
Whoever has it can take the noise off what was published, and two tables that are
noised with the same key differ by their rows alone: it stays in the study's folder, and one study has one.
"""

import hashlib
import hmac
import os
from pathlib import Path

from dge_ray.errors import InputError
from dge_ray.local_disk import make_folders
from dge_ray.phrases import EPSILONS_ADD_UP
from dge_ray.storage import Folder

FILE = "privacy/key"
BYTES = 32


def new_key() -> int:
    return int.from_bytes(os.urandom(BYTES), "big")


def read_key(folder: Folder) -> int | None:
    """The study's key, None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    if not folder.exists(FILE):
        return None
    try:
        raw = bytes.fromhex(folder.read_bytes(FILE).decode().strip())
    except ValueError:
        raw = b""
    if len(raw) != BYTES:
        takes = f"the key that this study was begun with: without it, begin another study; {EPSILONS_ADD_UP}"
        raise InputError(str(folder / FILE), "a damaged file", takes)
    return int.from_bytes(raw, "big")


def write_key(folder: Folder, key: int) -> None:
    """Keep the key of a new study; on a local disk readable by its owner alone (mode 0600). Never over another."""
    text = key.to_bytes(BYTES, "big").hex().encode()
    if not folder.is_local:
        folder.write_bytes(FILE, text)
        return
    path = Path(folder.path) / FILE
    make_folders(path.parent)
    # The file is there whole or not at all, and never for a moment with another mode.
    temporary = path.with_name(f"key.{os.getpid()}.part")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(text)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()


def keyed_digest(key: int, digest: str) -> str:
    """A digest of the table's digest that nobody without the key can compare with a table of his own (hex)."""
    return hmac.new(key.to_bytes(BYTES, "big"), digest.encode(), hashlib.sha256).hexdigest()
