"""A folder on any pyarrow filesystem, with atomic writes. Everything a study keeps goes through here."""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from dge_ray.errors import InputError


class Folder:
    """A folder. Names are relative, '/'-separated, and cannot climb out."""

    def __init__(self, filesystem: pafs.FileSystem, path: str) -> None:
        self.filesystem, self.path = filesystem, path.rstrip("/")

    @classmethod
    def open(cls, location: str | Path) -> "Folder":
        """The folder at a local path or a pyarrow filesystem URI.

        Raises:
            InputError: a URI that no filesystem understands.
        """
        text = str(location)
        if "://" not in text:
            return cls(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
        try:
            filesystem, path = pafs.FileSystem.from_uri(text)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError) as error:
            raise InputError("storage", f"{text!r} ({error})", "a folder or a pyarrow filesystem URI") from None
        return cls(filesystem, path)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def __truediv__(self, name: str) -> "Folder":
        return Folder(self.filesystem, self._at(name))

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.filesystem.type_name}://{self.path}"

    def _at(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError("path", repr(name), "a name inside the folder")
        return f"{self.path}/{name}"

    def exists(self, name: str = "") -> bool:
        path = self._at(name) if name else self.path
        return self.filesystem.get_file_info(path).type != pafs.FileType.NotFound

    def list(self, name: str = "") -> list[str]:
        """The names of the files and folders right below, sorted; empty where there is no such folder."""
        selector = pafs.FileSelector(self._at(name) if name else self.path, allow_not_found=True)
        names = (info.base_name for info in self.filesystem.get_file_info(selector))
        return sorted(n for n in names if not n.endswith(".part"))

    def delete(self, name: str) -> None:
        """Delete a file or a folder, if it is there."""
        info = self.filesystem.get_file_info(self._at(name))
        if info.type == pafs.FileType.File:
            self.filesystem.delete_file(info.path)
        elif info.type == pafs.FileType.Directory:
            self.filesystem.delete_dir(info.path)

    @contextmanager
    def _writing(self, name: str) -> Iterator[pa.NativeFile]:
        """A stream that becomes the file only when it was written whole.

        A local file is written beside and renamed. For an object store, which commits an upload on close even when its
        writer failed, the content is gathered first: files here are shards, predictions and reports, not streams.
        """
        path = self._at(name)
        if not self.is_local:
            gathered = pa.BufferOutputStream()
            yield gathered
            with self.filesystem.open_output_stream(path) as sink:
                sink.write(gathered.getvalue())
            return
        self.filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        temporary = f"{path}.{uuid.uuid4().hex}.part"
        try:
            with self.filesystem.open_output_stream(temporary) as sink:
                yield sink
            self.filesystem.move(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def write_bytes(self, name: str, data: bytes) -> None:
        with self._writing(name) as sink:
            sink.write(data)

    def read_bytes(self, name: str) -> bytes:
        with self.filesystem.open_input_stream(self._at(name)) as stream:
            return stream.read()

    def write_json(self, name: str, value: Any) -> None:
        self.write_bytes(name, json.dumps(value, indent=1, allow_nan=False).encode())

    def read_json(self, name: str) -> Any:
        """Raises InputError for a file that is not JSON."""
        try:
            return json.loads(self.read_bytes(name))
        except ValueError:
            raise InputError(f"{self}/{name}", "a damaged file", "JSON; delete it to have it made again") from None

    def write_table(self, name: str, table: pa.Table) -> None:
        with self._writing(name) as sink:
            pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)

    def read_table(self, name: str) -> pa.Table:
        """Raises InputError for a file that is not Parquet."""
        try:
            with self.filesystem.open_input_file(self._at(name)) as source:
                return pq.ParquetFile(source).read()
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise InputError(f"{self}/{name}", "a damaged file", "Parquet; delete it to have it made again") from None

    def upload(self, source: Path, name: str) -> None:
        """Copy the files below a local folder to `name`, each one atomically."""
        for file in sorted(source.rglob("*")):
            if file.is_file():
                with open(file, "rb") as data, self._writing(f"{name}/{file.relative_to(source).as_posix()}") as sink:
                    shutil.copyfileobj(data, sink, 1 << 20)

    @contextmanager
    def downloaded(self, name: str) -> Iterator[Path]:
        """The files below `name` as a local folder; without a copy where they are local already."""
        if self.is_local:
            yield Path(self._at(name))
            return
        with tempfile.TemporaryDirectory() as scratch:
            pafs.copy_files(
                self._at(name),
                scratch,
                source_filesystem=self.filesystem,
                destination_filesystem=pafs.LocalFileSystem(),
            )
            yield Path(scratch)

    def check_writable(self) -> None:
        """Raises InputError when nothing can be written here. Leaves nothing behind, not even the folder."""
        if self.is_local:
            there = Path(self.path)
            while not there.exists() and there != there.parent:
                there = there.parent
            if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
                raise InputError(
                    "storage", f"{self} ({there} is no folder to write to)", "a place that can be written to"
                )
            return
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.write_bytes(probe, b"")
            self.delete(probe)
        except (OSError, pa.ArrowInvalid) as error:
            reason = str(error).splitlines()[0]
            raise InputError("storage", f"{self} ({reason})", "a place that can be written to") from None
