"""An S3 server on localhost (moto's), as a process of its own, with credentials that mean something."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest

BUCKET = "studies"
SECRET = "planted-aws-secret-0123456789"


@dataclass(frozen=True)
class S3:
    """A server that listens at `endpoint`, with an empty bucket."""

    endpoint: str

    def uri(self, prefix: str, bucket: str = BUCKET) -> str:
        """pyarrow's URI of a folder there."""
        return f"s3://{bucket}/{prefix}?endpoint_override={quote(self.endpoint, safe='')}&scheme=http&region=us-east-1"

    def objects(self, prefix: str) -> dict[str, tuple[int, int]]:
        """(bytes, time of the last change in ns) of each file below a folder."""
        filesystem, path = pafs.FileSystem.from_uri(self.uri(prefix))
        found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True, allow_not_found=True))
        return {info.path.removeprefix(path + "/"): (info.size, info.mtime_ns) for info in found if info.is_file}

    @contextmanager
    def credentials(self) -> Iterator[None]:
        """The environment has credentials within the block."""
        with pytest.MonkeyPatch.context() as environment:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                environment.delenv(name)
            environment.setenv("AWS_ACCESS_KEY_ID", "reader-and-writer")
            environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
            yield

    @contextmanager
    def strict(self) -> Iterator[None]:
        """The server knows no key within the block: whoever asks is refused."""
        self._reset_auth(b"0")
        try:
            yield
        finally:
            self._reset_auth(b"inf")

    def _reset_auth(self, allowed: bytes) -> None:
        where, header = f"{self.endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(where, data=allowed, headers=header, method="POST")):
            return


@contextmanager
def s3_server() -> Iterator[S3]:
    """Start it on a free port with an empty bucket, and set the environment's credentials; end it again."""
    with serving() as s3, s3.credentials():
        yield s3


@contextmanager
def serving() -> Iterator[S3]:
    """Start it on a free port with an empty bucket; end it again. `S3.credentials` lets one in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    s3 = S3(f"http://127.0.0.1:{port}")
    try:
        _await_answer(server, s3.endpoint)
        with s3.credentials():
            filesystem, path = pafs.FileSystem.from_uri(s3.uri("") + "&allow_bucket_creation=true")
            filesystem.create_dir(path)
        yield s3
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await_answer(server: subprocess.Popen, endpoint: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=5):
                return
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, "the S3 server does not start"
            time.sleep(0.1)
