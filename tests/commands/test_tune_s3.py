"""A study in an S3-compatible storage, as a killed driver leaves it, is resumed by another process; what that tells,
and who could reach it.

One study serves most tests: the shared one, less a member, fits and its end. Its secrets are planted, and looked for in
everything that it leaves and says. The slow test kills a real driver.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.copula import COPULA
from helpers.driver import start_tune
from helpers.s3 import S3, SECRET

from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import LOCK
from dge_ray.study.records.lock import study_lock
from dge_ray.study.records.predictions import read_predictions

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))

WORDS = COPULA
pytestmark = pytest.mark.ray
SERVERS = {"gcs_server", "raylet"}
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": SECRET,  # the one that the server goes by
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
    "MLFLOW_TRACKING_TOKEN": "planted-mlflow-token",
}


@dataclass
class Told:
    """What is known of the study that was killed and resumed."""

    work: Path  # its working directory
    ray: Path  # where Ray's session folder is while it runs
    storage: str
    uri: str
    finished: dict[str, tuple[int, int]] = field(default_factory=dict)  # when it was killed
    listening: set[tuple[str, str]] = field(default_factory=set)  # (process, address) while it ran
    commands: list[str] = field(default_factory=list)  # of the processes while it ran
    modes: set[str | None] = field(default_factory=set)  # of Ray's authentication, as its servers have it
    logs: dict[str, bytes] = field(default_factory=dict)  # what was in Ray's folder while it ran, last seen
    said: str = ""
    report: dict = field(default_factory=dict)


def _tune(told: Told, *words: str) -> subprocess.Popen[str]:
    study = [*WORDS, f"storage={told.storage}", *words, "--json"]
    return start_tune(told.work, study, PLANTED | {"RAY_TMPDIR": str(told.ray)})


def _await(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def _look(told: Told, driver: int) -> None:
    """Note the driver's processes and what they listen on."""
    for process in [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]:
        try:
            told.commands.append(" ".join(process.cmdline()))
            sockets = [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
            told.listening |= {(process.name(), c.laddr.ip) for c in sockets}
            if process.name() in SERVERS:  # workers overwrite what shows of their environment with their title
                told.modes.add(process.environ().get("RAY_AUTH_MODE"))
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue


def _keep_logs(told: Told, process: subprocess.Popen[str]) -> None:
    """Note what is in Ray's folder, as long as the study runs: at its end the folder is removed."""
    while process.poll() is None:
        for path in told.ray.rglob("*.*"):
            with suppress(OSError):  # a socket, or gone meanwhile
                told.logs[str(path)] = path.read_bytes()
        time.sleep(0.5)


def _finished(s3: S3, study: str = "told/breast_cancer") -> dict[str, tuple[int, int]]:
    """The study's files that nothing may write again."""
    parts = ("predictions/", "baselines/", "shards/")
    found = s3.objects(study).items()
    return {name: facts for name, facts in found if name.startswith(parts) or name.endswith("member.json")}


def _left(study: Path, folder: Folder) -> None:
    """Upload what a killed driver leaves of a study: two members of three, some of their fits, no end, its lock."""
    for file in sorted(study.rglob("*")):
        name = str(file.relative_to(study))
        ended = name.startswith(("baselines/", "figures/", "report", "surface", "models/", "costs/", "status"))
        of_the_third = name.startswith(("members/002", "shards/member=002")) or "member-0002" in name
        if file.is_file() and not (ended or of_the_third or name.startswith("predictions/boosting-member-0001")):
            folder.write_bytes(name, file.read_bytes())
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    with study_lock(folder, print):
        held = folder.read_json(LOCK)
    folder.write_json(LOCK, {**held, "pid": dead.pid})


@pytest.fixture(scope="module")
def told(s3: S3, copula_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    # Ray's sockets lie in its session folder, and their paths must be short.
    ray = Path(tempfile.mkdtemp(prefix="r"))
    told = Told(tmp_path_factory.mktemp("work"), ray, s3.uri("told"), s3.uri("told/breast_cancer"))
    _left(copula_study / "studies" / "breast_cancer", Folder.open(told.uri))
    told.finished = _finished(s3)
    process = _tune(told)
    try:
        _await(lambda: len(_finished(s3)) > len(told.finished), process)
        _look(told, process.pid)
        watcher = threading.Thread(target=_keep_logs, args=(told, process))
        watcher.start()
        out, told.said = process.communicate(timeout=500)
        assert process.returncode == 0, told.said
        watcher.join()
        told.said += out
        told.report = json.loads(out)
        yield told
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(told.ray, ignore_errors=True)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(read_config(WORDS[0], WORDS[1:]))


def test_resumed_by_another_process_it_redid_nothing(told: Told, s3: S3) -> None:
    now = s3.objects("told/breast_cancer")
    assert len(told.finished) >= 3 and "report.json" not in told.finished
    # Times are whole seconds there; the lock of the killed driver alone took 8.
    assert {name: now[name] for name in told.finished} == told.finished
    assert "holds this study's lock" in told.said
    assert len(_finished(s3)) > len(told.finished) and "lock.json" not in now


def test_its_predictions_are_the_plain_loops(told: Told, prepared: Prepared) -> None:
    """The bits that a loop on this machine gives without any storage, as a local study gives them (test_study.py)."""
    from plain import plain_study

    folder, volume = Folder.open(told.uri), told.report["reflection_point"]["volume"]
    for job, mine in plain_study(prepared, 3, prepared.volumes, baselines_at=volume).items():
        kept = read_predictions(folder, "boosting", job, 2)
        assert all(np.array_equal(mine[split], kept[split]) for split in mine), job


def test_other_verbs_work_there(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    from dge_ray.commands.ls import ls
    from dge_ray.commands.report import report
    from dge_ray.commands.track import track

    assert ls({"storage": told.storage})["studies"] == [{"study": "breast_cancer", "state": "finished"}]
    folder = Folder.open(told.uri)
    page = folder.read_bytes("report.html")
    folder.delete("report.html")
    where = report("breast_cancer", {"storage": told.storage})["page"]
    assert folder.read_bytes("report.html") == page
    assert where == told.uri.replace("?", "/report.html?")
    monkeypatch.chdir(told.work)
    assert track(told.uri, {}, print)["uri"] == f"sqlite:///{told.work / 'mlflow.db'}"


def test_secrets_are_in_nothing_that_is_kept_or_said(told: Told, s3: S3) -> None:
    folder = Folder.open(told.uri)
    kept = {name: folder.read_bytes(name) for name in s3.objects("told/breast_cancer")}
    kept |= {str(path): path.read_bytes() for path in told.work.rglob("*") if path.is_file()} | told.logs
    assert list(told.ray.iterdir()) == []
    kept["what it said"] = told.said.encode()
    # The search must be able to find something in each kind of place.
    about = {name for name, content in kept.items() if b"breast_cancer" in content}
    assert {"config.yaml", "report.json", "report.html", str(told.work / "mlflow.db"), "what it said"} <= about
    assert any("/logs/" in name and content for name, content in kept.items())
    for secret in PLANTED.values():
        assert [name for name, content in kept.items() if secret.encode() in content] == []


def test_nothing_of_it_can_be_reached_from_outside(told: Told) -> None:
    """Ray's own servers among them; its token is asked for besides, and its dashboard is off."""
    assert {name for name, _ in told.listening} >= SERVERS
    addresses = {ip_address(address.removeprefix("::ffff:")) for _, address in told.listening}
    assert all(address.is_loopback for address in addresses), told.listening
    assert told.modes == {"token"}
    # A process of that name gathers Ray's usage counts all the same; it serves nothing.
    assert all("--disable-frontend" in command for command in told.commands if "dashboard.py" in command)


@pytest.mark.slow
def test_killed_there_it_is_resumed_by_another_process(told: Told, s3: S3) -> None:
    process = _tune(told, "study=killed", "tracking=false")
    _await(lambda: bool(s3.objects("told/killed/predictions")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = _finished(s3, "told/killed")
    assert len(finished) >= 3 and "report.json" not in s3.objects("told/killed")
    _, err = (process := _tune(told, "study=killed", "tracking=false")).communicate(timeout=500)
    assert process.returncode == 0 and "holds this study's lock" in err, err
    now = s3.objects("told/killed")
    assert {name: now[name] for name in finished} == finished and "lock.json" not in now


@pytest.mark.slow
def test_a_bundle_is_written_there(told: Told, s3: S3) -> None:
    from dge_ray.commands.sample import sample

    made = sample(told.uri, {"out": s3.uri("bundle"), "volume": 700, "members": 2}, print)
    out = Folder.open(made["out"])
    assert out.list() == ["bundle.json", "member=000", "member=001", "schema.json"]
    rows = [out.read_table(f"member=000/{name}").num_rows for name in out.list("member=000")]
    assert sum(rows) == 700


@pytest.mark.slow
def test_two_studies_at_once_in_one_storage(told: Told) -> None:
    both = [_tune(told, f"study={name}") for name in ("one", "two")]
    for process in both:
        _, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
    one, two = (Folder.open(told.storage) / name for name in ("one", "two"))
    assert one.list("predictions") == two.list("predictions") and one.list("shards") == two.list("shards")
    for name in one.list("predictions"):
        assert one.read_bytes(f"predictions/{name}") == two.read_bytes(f"predictions/{name}")
