"""Files of a bundle from elsewhere, opened with care: regular ones of a bounded size, JSON that reads one way."""

from pathlib import Path
from typing import Any, NoReturn

from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.table.strict_json import UnsoundError, strict_json

MOST_JSON = 1 << 26  # bytes of a description: bundle.json, schema.json, checksums


def read_json(folder: Folder, name: str) -> Any:
    """The content of a bundle's JSON file.

    Raises:
        InputError: it is not there, no regular file, damaged, or reads one way here and another way elsewhere: a key
            twice, a number that no float holds, NaN.
    """
    if not folder.exists(name):
        takes = "a folder that `dge-ray sample` has written: bundle.json, schema.json, member=000, ..."
        raise InputError("bundle", f"{folder}, without {name}", takes)
    content = read_file(folder, name, MOST_JSON)
    try:
        return strict_json(content)
    except UnsoundError as error:
        refuse(folder, name, str(error), "JSON that says each thing once, in finite numbers")
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8
        refuse(folder, name, "damaged", "JSON")


def read_file(folder: Folder, name: str, most: int) -> bytes:
    """A file's content.

    Raises:
        InputError: no regular file, more than `most` bytes, or one that cannot be read.
    """
    check_regular(folder, name)
    try:
        if folder.size(name) > most:
            refuse(folder, name, f"{folder.size(name):,} bytes", f"at most {most:,}")
        return folder.read_bytes(name)
    except OSError as error:  # a folder of that name, no right to read it
        refuse(folder, name, (str(error).splitlines() or [type(error).__name__])[0], "a file that can be read")


def check_regular(folder: Folder, name: str) -> None:
    """Refuse a local file that is none, before it is opened: a pipe would hold its reader up, a link lies anywhere.

    Raises:
        InputError: names the file and what it is.
    """
    if not folder.is_local:
        return
    steps = name.split("/")
    for depth in range(1, len(steps) + 1):
        path = Path(folder.path, *steps[:depth])
        if path.is_symlink():
            refuse(folder, name, "a link", "a file in the bundle")
        if path.exists() and not (path.is_file() or path.is_dir()):
            refuse(folder, name, "a pipe, socket or device", "a file")


def refuse(folder: Folder, name: str, got: str, takes: str) -> NoReturn:
    raise InputError(str(folder / name), got, takes)
