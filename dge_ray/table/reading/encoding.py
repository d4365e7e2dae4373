"""Files as streams of UTF-8 text: decompressed by their ending, transcoded from what they are written in."""

import codecs
import mmap
import re
from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow import fs

from dge_ray.errors import InputError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
GUESSES = ("utf-8", "cp1252", "latin-1")  # one after the other: the last one takes any byte
SAMPLE = 1 << 16
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = {
    b"PK\x03\x04": "a zip or Excel file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF-": "a PDF file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
}
_MARKUP = {
    rb"\s*\[?\s*\{\s*\"": "JSON",
    rb"\s*<(?:!doctype|html|table|\?xml)": "HTML or XML",
    rb"\{\\rtf": "an RTF document",
}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f"))


def compression(path: str) -> str | None:
    """Of a file by its ending; None for a plain one."""
    return COMPRESSIONS.get(PurePosixPath(path.lower()).suffix)


def open_bytes(filesystem: fs.FileSystem, path: str) -> pa.NativeFile:
    """The decompressed file from its beginning."""
    return filesystem.open_input_stream(path, compression=compression(path))


def open_text(filesystem: fs.FileSystem, path: str, encoding: str) -> pa.NativeFile:
    """The file as UTF-8 from its beginning, without a byte-order mark. What is not of the encoding fails as it is read,
    but in UTF-8, which is passed on as it is."""
    stream = open_bytes(filesystem, path)
    if encoding == "utf-8":
        start = stream.read(len(codecs.BOM_UTF8))
        if start == codecs.BOM_UTF8:
            return stream
        stream.close()
        return open_bytes(filesystem, path)
    return pa.transcoding_input_stream(stream, encoding, "utf8")


def may_hold(filesystem: fs.FileSystem, path: str, sign: str) -> bool:
    """Whether a sign may be in a file: no only of a local one, where to look costs a hundredth of reading."""
    if not isinstance(filesystem, fs.LocalFileSystem) or compression(path) is not None:
        return True
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(sign.encode()) >= 0


def find_encoding(start: bytes, *, whole: bool, source: str) -> str:
    """What a file that begins so is written in, by its byte-order mark or else by what its bytes can be.

    Raises:
        InputError: bytes that are no text.
    """
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise InputError("source", f"'{source}', {what} by its first bytes", "an ending that says what the file is")
    for pattern, what in _MARKUP.items():
        if re.match(pattern, start, re.IGNORECASE):
            raise InputError("source", f"'{source}', {what} by its first signs", "a table as text, or another format")
    if wide := _utf16(start):
        return wide
    lines = start.split(b"\n")
    for number, line in enumerate(lines, 1):
        if b"\x00" in line:
            raise InputError("source", f"'{source}', binary data (a zero byte in line {number:,})", "text")
    if len(start) - len(start.translate(None, _CONTROL)) > len(start) / 20:
        raise InputError("source", f"'{source}', binary data (control characters from line 1 on)", "text")
    return next(name for name in GUESSES if decodes(start, name, whole=whole))


def decodes(raw: bytes, encoding: str, *, whole: bool = True) -> bool:
    """Whether the bytes are of the encoding; of a beginning (not `whole`) the last sign may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def wrong_line(filesystem: fs.FileSystem, path: str, encoding: str) -> int:
    """The number, from 1, of the first line with bytes that are not of the encoding (one whose signs are bytes)."""
    number = 0
    with open_bytes(filesystem, path) as stream:
        rest = b""
        while block := stream.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number += 1
                if not decodes(line, encoding):
                    return number
    return number + 1


def _utf16(start: bytes) -> str | None:
    """UTF-16 without a mark: of text in Latin letters every second byte is zero."""
    odd, even = start[1::2], start[0::2]
    if len(start) < 8:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd) else None
