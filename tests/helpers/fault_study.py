"""A study as a process of its own that a test may disturb, and the comparison with one that nobody disturbed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from helpers.fault_processes import end_all, looks, ray_processes

PATIENCE = 600.0  # seconds; on a busy machine everything takes several times as long
TABLE = "breast_cancer"


class StudyProcess:
    """`dge-ray tune` in `folder`, in a process group of its own, with Ray's session below a place of its own."""

    def __init__(
        self, folder: Path, words: list[str], environment: Mapping[str, str] | None = None, table: str = TABLE
    ) -> None:
        self.place = tempfile.mkdtemp(prefix="flt")  # short: Ray's sockets lie in it
        self.study = folder / "studies" / Path(table).stem
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
        self.errors = Path(self.place) / "stderr.txt"
        self.out = Path(self.place) / "stdout.txt"
        with self.errors.open("w") as errors, self.out.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dge_ray.cli", "tune", table, "folds=1", *words, "--json"],
                cwd=folder,
                env=kept | {"RAY_TMPDIR": self.place} | dict(environment or {}),
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        return self.errors.read_text()

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code; what is left of a study that hangs is ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the study hangs:\n{self.said}") from None

    def finish(self) -> dict:
        """The answer of a study that must end well."""
        assert self.wait() == 0, self.said
        return json.loads(self.out.read_text())

    def ray_left(self, seconds: float) -> list[str]:
        """Ray's processes that are still there after `seconds`; returns at once when there are none."""
        left = ray_processes(self.place)
        for _ in looks(seconds, every=0.2):
            left = ray_processes(self.place)
            if not left:
                break
        return [one.command for one in left]

    def close(self) -> None:
        """End whatever is left, and remove Ray's files."""
        if not self.is_over:
            self.process.kill()
        self.process.wait()
        end_all(self.place)
        shutil.rmtree(self.place, ignore_errors=True)


def undisturbed(folder: Path, words: list[str], table: str = TABLE) -> Path:
    """The study that the disturbed ones are compared with."""
    running = StudyProcess(folder, words, table=table)
    try:
        running.finish()
    finally:
        running.close()
    return running.study


RESULTS = ("predictions", "baselines", "shards")


def results(study: Path) -> dict[str, bytes]:
    """Predictions, shards and generators' weights: name below the study's folder, content."""
    files = [file for part in RESULTS for file in (study / part).rglob("*.parquet")]
    files += list(study.glob("members/*/generator/*.safetensors"))  # beside them lies what a fit cost
    return {str(file.relative_to(study)): file.read_bytes() for file in files if file.suffix != ".part"}


def finished(study: Path) -> dict[str, tuple[int, int]]:
    """What need not be done again: name, (time of its last change, inode). A file that was replaced has another."""
    files = [file for part in RESULTS for file in (study / part).rglob("*.parquet")]
    files += list(study.glob("members/*/member.json"))
    stats = {str(file.relative_to(study)): file.stat() for file in files}
    return {name: (stat.st_mtime_ns, stat.st_ino) for name, stat in stats.items()}


def half_written(study: Path) -> list[str]:
    """Files under their final name that cannot be read whole. There must be none, at any moment."""
    broken = []
    for part in RESULTS:
        for file in (study / part).rglob("*.parquet"):
            try:
                pq.ParquetFile(file).read()
            except Exception:  # whatever it is, it is no whole file
                broken.append(str(file.relative_to(study)))
    for file in study.rglob("*.json"):
        if file.name == "lock.json":
            continue  # it comes and goes
        try:
            json.loads(file.read_text())
        except ValueError:
            broken.append(str(file.relative_to(study)))
    return broken


def differences(study: Path, other: Path) -> list[str]:
    """Names of results that one of two studies lacks, or that differ in a byte."""
    mine, others = results(study), results(other)
    return sorted(name for name in mine.keys() | others.keys() if mine.get(name) != others.get(name))


def rows(study: Path) -> int:
    """Synthetic rows on disk."""
    return sum(pq.ParquetFile(file).metadata.num_rows for file in (study / "shards").rglob("*.parquet"))


def one_line(said: str) -> str:
    """What a failed study said last, which must be its only complaint: no traceback."""
    assert "Traceback" not in said, said
    complaints = [line for line in said.splitlines() if line.startswith("dge-ray: ")]
    assert len(complaints) == 1, said
    return complaints[0]


def settle() -> None:
    """Workers outlive their driver by seconds; what they still write is whole."""
    time.sleep(5)
