"""SHA256SUMS: the sha256 of every other file of a bundle, as `sha256sum -c SHA256SUMS` reads it."""

import hashlib
import re

from dge_ray.storage import Folder

FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_CHUNK = 1 << 20


def sha256(folder: Folder, name: str) -> str:
    """A file's sha256 (hex), some of it in memory at a time."""
    digest = hashlib.sha256()
    with folder.filesystem.open_input_stream(folder.place(name)) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def to_text(sums: dict[str, str]) -> str:
    """The file's content; digests by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def from_text(text: str) -> tuple[dict[str, str], list[str]]:
    """Digests by name, and a line a fault: what is no line of such a file, a name twice, or one that could climb."""
    sums: dict[str, str] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            faults.append(f"{FILE}, line {number}: got {line[:80]!r}; takes a sha256, two spaces and a name")
        elif not stays_inside(match[2]):
            faults.append(f"{FILE}, line {number}: got the name {match[2]!r}; takes one inside the bundle")
        elif match[2] in sums:
            faults.append(f"{FILE}, line {number}: got {match[2]!r} again; takes each name once")
        else:
            sums[match[2]] = match[1]
    return sums, faults


def stays_inside(name: str) -> bool:
    """Whether a name is of a file below the folder on every system: no drive, no '..', no backslash, not absolute."""
    steps = name.split("/")
    return name.isprintable() and not set(name) & set('\\:*?"<>|') and not {"", ".", ".."} & set(steps)
