"""One's own Ray and the process around it: who can read its files, what is left after a kill, what it changes."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dge_ray.distributed.session.private_temp import private_folder

SPILLING = """
import sys
import numpy as np
import ray
from dge_ray.distributed.session.ray_session import ray_session

with ray_session(num_cpus=1, object_store_memory=80 * 2**20):
    kept = [ray.put(np.full(2_000_000, 0.5)) for _ in range(12)]
    print("ready", flush=True)
    sys.stdin.read()
"""
# A Ray of one's own, and with `study` a study in the caller's Ray: each between two looks at what is the caller's.
GUEST = """
import faulthandler, logging, os, signal, sys
import ray
import dge_ray
from dge_ray.distributed.session.ray_session import ray_session

logging.basicConfig(level=logging.INFO)
dge_ray.tune

def found():
    loggers = {name: one for name, one in logging.Logger.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    state = {f"logger {n}": (one.level, tuple(one.handlers)) for n, one in {"": logging.getLogger(), **loggers}.items()}
    state |= {f"variable {name}": value for name, value in os.environ.items()}
    state |= {f"signal {n}": signal.getsignal(n) for n in signal.valid_signals()}
    return state | {"hook": sys.excepthook, "faults": faulthandler.is_enabled(), "umask": os.umask(os.umask(0o022))}

def tell(before):
    after = found()
    kinds = [key for key in {**before, **after} if key in before or key.startswith("variable")]
    for key in [key for key in kinds if before.get(key) != after.get(key)]:
        print("changed:", key, before.get(key), "->", after.get(key), file=sys.stderr)

before = found()
with ray_session(num_cpus=1):
    pass
tell(before)
if sys.argv[1:] == ["study"]:
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20)
    before = found()
    keys = {"generator": "copula", "members": 1, "ratios": [1], "learner": "logistic", "workers": 1, "tracking": False}
    dge_ray.tune("breast_cancer", keys | {"log": "json"})
    tell(before)
print("end", file=sys.stderr)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that everybody can look into, with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="own"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(code: str, place: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "TUNE_")) and k != "HOME"}
    environment = kept | {"RAY_TMPDIR": str(place), "OMP_NUM_THREADS": "1"} | more
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=place,
    )


@pytest.mark.ray
def test_nobody_else_reads_its_files_and_a_killed_ones_are_removed(place: Path) -> None:
    """Where Ray has no home folder, its address is empty and memory is short. Ray makes its folders 0777: it is the
    one around them that is closed."""
    process = start(SPILLING, place, HOME="/nonexistent", RAY_ADDRESS="")
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n", process.communicate()[1]
        children = psutil.Process(process.pid).children(recursive=True)
        programs = {Path(word).name for child in children for word in child.cmdline()}
        assert "raylet" in programs and not programs & {"log_monitor.py", "monitor.py"}  # they would watch for nobody
        servers = [child for child in children if child.name() in ("raylet", "gcs_server")]
        server = next(child for child in servers if child.name() == "raylet")
        assert server.environ()["RAY_AUTH_MODE"] == "token" and len(server.environ()["RAY_AUTH_TOKEN"]) == 64
        listening = {c.laddr.ip for c in server.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN}
        assert listening and all(ip.removeprefix("::ffff:").startswith("127.") for ip in listening)
        (folder,) = place.iterdir()
        facts = folder.stat()
        assert stat.S_IMODE(facts.st_mode) == 0o700 and facts.st_uid == os.geteuid()
        below = list(folder.rglob("*"))
        assert any("spilled" in str(file.parent) and file.stat().st_size > 1e6 for file in below if file.is_file())
        assert any("/logs/" in str(file) for file in below)
        open_files = [file for file in below if file.is_file() and file.stat().st_mode & 0o077]
        assert open_files == []
        assert not list(Path(tempfile.gettempdir()).glob(f"ray/session_*_{process.pid}"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    psutil.wait_procs(servers, timeout=30)  # Ray's agents go on for longer, and do not keep the folder from going
    assert folder.is_dir()
    with private_folder({"RAY_TMPDIR": str(place)}) as first, private_folder({"RAY_TMPDIR": str(place)}) as second:
        assert not folder.exists() and Path(first).is_dir() and Path(second).is_dir()
    assert list(place.iterdir()) == []


def test_what_is_not_a_dead_session_of_ones_own_stays(place: Path) -> None:
    kept = place / "dge-ray-scratch"
    kept.mkdir()
    (place / "dge-link").symlink_to(kept)
    (place / "dge-file").touch()
    with private_folder({"RAY_TMPDIR": str(place)}):
        assert len(list(place.iterdir())) == 4
    assert {file.name for file in place.iterdir()} == {"dge-ray-scratch", "dge-link", "dge-file"}


@pytest.mark.ray
@pytest.mark.parametrize("words", [[], pytest.param(["study"], marks=pytest.mark.slow)])
def test_the_process_is_as_it_was_and_its_output_its_own(words: list[str], place: Path) -> None:
    process = start(GUEST, place, *words)
    out, err = process.communicate(timeout=500)
    said = [line for line in err.splitlines() if not line.startswith("{")]
    assert process.returncode == 0 and said[-1] == "end", err
    assert [line for line in said if line.startswith("changed:")] == []
    assert out == ""
    assert [line for line in said if "TrainController" in line or "RayTrainWorker" in line] == []
