"""One thread a process, as in a study: OpenMP's waiting threads cost more than they bring on a busy machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import S3, s3_server

from dge_ray.storage import Folder

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 server on localhost with an empty bucket; its credentials are in the environment."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=["path", "file URI", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder, on each kind of filesystem in turn."""
    if request.param == "s3":
        return Folder.open(request.getfixturevalue("s3").uri(tmp_path.name))
    return Folder.open(tmp_path if request.param == "path" else tmp_path.as_uri())
