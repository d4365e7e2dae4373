"""A folder on any pyarrow filesystem, with atomic writes: everything a study keeps goes through here. Below it, what a
place on a local disk needs: a home folder, folders for their owner alone, whether it can be written to.
"""

import json
import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from dge_ray.errors import InputError
from dge_ray.masking import refuse_secrets

ANSWER_SECONDS = 8.0  # for a place that is not local to answer its first question; pyarrow's S3 says why after 6
CONNECT_SECONDS = 4.0  # for a server that a URI names to take a connection
T = TypeVar("T")


class Folder:
    """A folder. Names are relative, '/'-separated, and cannot climb out.

    `str(folder)` is its path, or its URI with the URI's query, and opens the same folder again.

    What is made on a local disk is for its owner alone, files 0600 and folders 0700: a study has the rows and names of
    other people. With `shared`, for what is to be handed on, it is as the umask says.
    """

    def __init__(self, filesystem: pafs.FileSystem, path: str, uri: str = "", *, shared: bool = False) -> None:
        self.filesystem, self.path, self._uri, self.shared = filesystem, path.rstrip("/"), uri, shared

    @classmethod
    def open(cls, location: str | Path, field: str = "storage", *, shared: bool = False) -> "Folder":
        """The folder at a local path or a pyarrow filesystem URI. `field` is what an error calls it.

        Raises:
            InputError: a URI that no filesystem understands, that climbs, or that carries a password or a key.
        """
        text = str(location)
        if "://" not in text:
            return cls(pafs.LocalFileSystem(), str(expanded(text, field).absolute()), shared=shared)
        refuse_secrets(field, text)
        if ".." in unquote(text).partition("?")[0].split("/"):  # a server may take it for another bucket
            raise InputError(field, repr(text), "a URI without '..'")
        try:
            filesystem, path = in_time(lambda: pafs.FileSystem.from_uri(_put_at_once(text)))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(field, f"{text!r} ({_first(error)})", "a folder or a pyarrow filesystem URI") from None
        return cls(filesystem, path, text, shared=shared)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def __truediv__(self, name: str) -> "Folder":
        place, question, query = self._uri.partition("?")
        uri = f"{place.rstrip('/')}/{name}{question}{query}"
        return Folder(self.filesystem, self._at(name), uri, shared=self.shared)

    def __str__(self) -> str:
        return self.path if self.is_local else self._uri

    def _at(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError("path", repr(name), "a name inside the folder")
        return f"{self.path}/{name}"

    def place(self, name: str) -> str:
        """Where a file is in `filesystem`.

        Raises:
            InputError: a name that climbs out.
        """
        return self._at(name)

    def exists(self, name: str = "") -> bool:
        path = self._at(name) if name else self.path
        return self.filesystem.get_file_info(path).type != pafs.FileType.NotFound

    def size(self, name: str) -> int:
        """A file's bytes; 0 for a folder and where there is none."""
        return self.filesystem.get_file_info(self._at(name)).size or 0

    def files(self) -> list[str]:
        """The names of all files below, hidden and half-written ones too, sorted. Links are named, not followed."""
        if self.is_local:
            files = [
                Path(at, name) for at, folders, names in os.walk(self.path) for name in [*names, *_links(at, folders)]
            ]
            return sorted(path.relative_to(self.path).as_posix() for path in files)
        selector = pafs.FileSelector(self.path, recursive=True, allow_not_found=True)
        files = [info for info in self.filesystem.get_file_info(selector) if info.type != pafs.FileType.Directory]
        return sorted(info.path[len(self.path) + 1 :] for info in files)

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
        writer failed, the content is gathered first: files here are shards, predictions and reports, not streams. It is
        sent from a thread of its own, where no Ctrl-C or SIGTERM can come between the opening and the last byte.
        """
        path = self._at(name)
        if not self.is_local:
            gathered = pa.BufferOutputStream()
            yield gathered
            with ThreadPoolExecutor(1) as writer:
                writer.submit(self._put, path, gathered.getvalue()).result()
            return
        make_folders(Path(path).parent, 0o777 if self.shared else 0o700)
        temporary = f"{path}.{uuid.uuid4().hex}.part"
        try:
            # Made first, so that it never has another mode: Arrow opens what is there.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if self.shared else 0o600))
            with self.filesystem.open_output_stream(temporary) as sink:
                yield sink
            self.filesystem.move(temporary, path)
        except BaseException:  # an interrupt too leaves no half of a file
            Path(temporary).unlink(missing_ok=True)
            raise

    def _put(self, path: str, content: pa.Buffer) -> None:
        with self.filesystem.open_output_stream(path) as sink:
            sink.write(content)

    def write_bytes(self, name: str, data: bytes) -> None:
        with self._writing(name) as sink:
            sink.write(data)

    def _read(self, name: str) -> pa.Buffer:
        """A file's content, in one request: several could meet two versions of it.

        Raises:
            InputError: a local pipe, socket or device, which is not opened: it could hold its reader up for ever.
        """
        path = Path(self._at(name))
        if self.is_local and path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(str(self / name), "a pipe, socket or device", "a file")
        with self.filesystem.open_input_file(self._at(name)) as source:
            return source.read_buffer(source.size())

    def read_bytes(self, name: str) -> bytes:
        return self._read(name).to_pybytes()

    def write_json(self, name: str, value: Any) -> None:
        self.write_bytes(name, json.dumps(value, indent=1, allow_nan=False).encode())

    def read_json(self, name: str) -> Any:
        """Raises InputError for a file that is not JSON."""
        content = self.read_bytes(name)
        try:
            return json.loads(content)
        except ValueError:
            raise InputError(str(self / name), "a damaged file", "JSON; delete it to have it made again") from None

    def write_table(self, name: str, table: pa.Table) -> None:
        with self._writing(name) as sink:
            pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)

    def read_table(self, name: str) -> pa.Table:
        """Raises InputError for a file that is not Parquet."""
        try:
            return pq.ParquetFile(pa.BufferReader(self._read(name))).read()
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise InputError(str(self / name), "a damaged file", "Parquet; delete it to have it made again") from None

    def upload(self, source: Path, name: str) -> None:
        """Copy the files below a local folder to `name`, each one atomically."""
        for file in sorted(source.rglob("*")):
            if file.is_file():
                with open(file, "rb") as data, self._writing(f"{name}/{file.relative_to(source).as_posix()}") as sink:
                    shutil.copyfileobj(data, sink, 1 << 20)

    @contextmanager
    def downloaded(self, name: str = "") -> Iterator[Path]:
        """The files below `name`, or all, as a local folder; without a copy where they are local already."""
        path = self._at(name) if name else self.path
        if self.is_local:
            yield Path(path)
            return
        with tempfile.TemporaryDirectory() as scratch:
            pafs.copy_files(
                path,
                scratch,
                source_filesystem=self.filesystem,
                destination_filesystem=pafs.LocalFileSystem(),
            )
            yield Path(scratch)

    def check_readable(self, field: str = "storage") -> None:
        """Raises InputError where the storage does not answer, lets nobody in, or has no such bucket; of a local one,
        where it is no folder, or cannot be read. An absent local folder is as an empty one."""
        if self.is_local:
            try:
                with os.scandir(self.path):
                    return
            except FileNotFoundError:
                return
            except (OSError, ValueError) as error:
                got = f"{self} ({getattr(error, 'strerror', None) or error})"
                raise InputError(field, got, "a folder that can be read") from None
        try:
            bucket = self.path.partition("/")[0]
            self._ask()
            there = not bucket or in_time(lambda: self.filesystem.get_file_info(bucket)).type != pafs.FileType.NotFound
        except (OSError, pa.ArrowException) as error:
            raise InputError(field, f"{self} ({_first(error)})", "a place that can be read") from None
        if not there:
            raise InputError(field, f"{self} (there is no {bucket!r})", "a place that is there and can be read")

    def _ask(self) -> None:
        """One question, about a file: asked about a container without an account, Azure's client ends the process."""
        self._connect()
        in_time(lambda: self.filesystem.get_file_info(self._at(".probe")))

    def _connect(self) -> None:
        """An OSError where the server that an S3 URI names takes no connection: pyarrow asks again for 6 s."""
        query = parse_qs(urlsplit(self._uri).query)
        for endpoint in query.get("endpoint_override", []):
            scheme = query.get("scheme", ["https"])[0]
            server = urlsplit(endpoint if "://" in endpoint else f"{scheme}://{endpoint}")
            address = server.hostname or "", server.port or (80 if server.scheme == "http" else 443)
            try:
                in_time(lambda at=address: socket.create_connection(at).close(), CONNECT_SECONDS)
            except OSError as error:
                raise OSError(f"no connection to {server.netloc}: {error.strerror or error}") from None

    def check_writable(self, field: str = "storage") -> None:
        """Raises InputError when nothing can be written here.

        Leaves no file behind, and no local folder; on an object store, the empty marker of one.
        """
        if self.is_local:
            try:
                try_writing(Path(self.path))
            except (OSError, ValueError) as error:  # a name with a null in it is a ValueError
                got = f"{self} ({getattr(error, 'strerror', None) or error})"
                raise InputError(field, got, "a folder that can be written to") from None
            return
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self._connect()
            if self.filesystem.type_name != "s3":  # which gives up by itself; a write could not be left to itself
                self._ask()
            self.write_bytes(probe, b"")
            self.delete(probe)
        except (OSError, pa.ArrowException) as error:
            raise InputError(field, f"{self} ({_first(error)})", "a place that can be written to") from None


def _links(at: str, folders: list[str]) -> list[str]:
    """Those of the folders that are links."""
    return [name for name in folders if Path(at, name).is_symlink()]


def in_time(ask: Callable[[], T], seconds: float | None = None, *, daemon: bool = True) -> T:
    """`ask()` in a thread, or a TimeoutError after the seconds (ANSWER_SECONDS); the thread is then left alone.

    Google Cloud's client, for one, goes on trying for a quarter of an hour. `daemon`: the thread ends with the process.
    """
    answer: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(ask())
        except BaseException as error:  # told to who asked, whatever it is
            failure.append(error)

    thread = threading.Thread(target=run, daemon=daemon)
    thread.start()
    seconds = ANSWER_SECONDS if seconds is None else seconds
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return answer[0]


def _put_at_once(uri: str) -> str:
    """An S3 URI whose small files go in one request: no upload in parts is begun that a `kill -9` would leave there."""
    if not uri.startswith("s3://") or "allow_delayed_open=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


# Places on a local disk


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
