"""`dge-ray tune` as a process of its own, to be watched, interrupted or killed."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


def start_tune(
    folder: Path,
    words: Sequence[str],
    more: Mapping[str, str] | None = None,
    *,
    stdout: IO[str] | int = subprocess.PIPE,
    stderr: IO[str] | int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """`dge-ray tune` in `folder`, begun in a process group of its own; `more` is added to its environment. Without
    folds, unless the words say how many."""
    if not any(word.startswith("folds=") for word in words):
        words = [*words, "folds=1"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "dge_ray.cli", "tune", *words],
        cwd=folder,
        env=environment | dict(more or {}),
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
