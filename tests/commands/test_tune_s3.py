"""The study that tests share lies in an S3-compatible storage: what it told, what it left, and who could reach it.

Its secrets are planted, and looked for in everything that it leaves and says. Its predictions and files are looked
at in test_tune.py. The slow test kills a real driver.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from helpers.copula import COPULA
from helpers.driver import start_tune
from helpers.s3 import S3
from helpers.shared_study import PLANTED, SERVERS, SharedStudy

import dge_ray
from dge_ray.storage import Folder

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def told(shared_study: SharedStudy) -> Iterator[SharedStudy]:
    """The study, with the credentials of its storage."""
    with shared_study.s3.credentials():
        yield shared_study


def _tune(told: SharedStudy, *words: str) -> subprocess.Popen[str]:
    study = [*COPULA, f"storage={told.storage}", *words, "--json"]
    return start_tune(told.folder, study, PLANTED | {"RAY_TMPDIR": str(told.ray)})


def _await(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def _finished(s3: S3, study: str) -> dict[str, tuple[int, int]]:
    """The study's files that nothing may write again."""
    parts = ("predictions/", "baselines/", "shards/")
    found = s3.objects(study).items()
    return {name: facts for name, facts in found if name.startswith(parts) or name.endswith("member.json")}


def test_other_verbs_work_there(
    told: SharedStudy, tmp_path: Path, empty_database: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty_database)
    assert track(told.uri, {}, print)["uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_it_is_opened_in_python_by_its_uri_and_by_its_name(told: SharedStudy) -> None:
    study, named = dge_ray.open_study(told.uri), dge_ray.open_study("breast_cancer", storage=told.storage)
    report = Folder.open(told.uri).read_json("report.json")
    assert study.answer == named.answer == report["answer"] and study.page.startswith("s3://")
    assert "s3://" in repr(study) and not [secret for secret in PLANTED.values() if secret in repr(study)]
    test = study.predictions("test")
    assert test.shape[:3] == (report["members"], len(report["volumes"]), report["data"]["rows"]["test"])
    assert set(study.surface["volume"]) >= set(report["volumes"])


def test_secrets_are_in_nothing_that_is_kept_or_said(told: SharedStudy) -> None:
    folder = Folder.open(told.uri)
    kept = {name: folder.read_bytes(name) for name in told.s3.objects("shared/breast_cancer")}
    kept |= {str(path): path.read_bytes() for path in told.folder.rglob("*") if path.is_file()} | told.logs
    assert list(told.ray.iterdir()) == []
    kept["what it said"] = told.said.encode()
    # The search must be able to find something in each kind of place.
    about = {name for name, content in kept.items() if b"breast_cancer" in content}
    assert {"config.yaml", "report.json", "report.html", str(told.folder / "mlflow.db"), "what it said"} <= about
    assert any("/logs/" in name and content for name, content in kept.items())
    for secret in PLANTED.values():
        assert [name for name, content in kept.items() if secret.encode() in content] == []


def test_nothing_of_it_can_be_reached_from_outside(told: SharedStudy) -> None:
    """Ray's own servers among them; its token is asked for besides, and its dashboard is off."""
    assert {name for name, _ in told.listening} >= SERVERS
    addresses = {ip_address(address.removeprefix("::ffff:")) for _, address in told.listening}
    assert all(address.is_loopback for address in addresses), told.listening
    assert told.modes == {"token"}
    # A process of that name gathers Ray's usage counts all the same; it serves nothing.
    assert all("--disable-frontend" in command for command in told.commands if "dashboard.py" in command)


@pytest.mark.slow
def test_killed_there_it_is_resumed_by_another_process(told: SharedStudy) -> None:
    process = _tune(told, "study=killed", "tracking=false")
    _await(lambda: bool(told.s3.objects("shared/killed/predictions")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = _finished(told.s3, "shared/killed")
    assert len(finished) >= 3 and "report.json" not in told.s3.objects("shared/killed")
    _, err = (process := _tune(told, "study=killed", "tracking=false")).communicate(timeout=500)
    assert process.returncode == 0 and "holds this study's lock" in err, err
    now = told.s3.objects("shared/killed")
    assert {name: now[name] for name in finished} == finished and "lock.json" not in now


@pytest.mark.slow
def test_a_bundle_is_written_there(told: SharedStudy) -> None:
    from dge_ray.commands.sample import sample

    made = sample(told.uri, {"out": told.s3.uri("bundle"), "volume": 700, "members": 2}, print)
    out = Folder.open(made["out"])
    assert out.list() == ["bundle.json", "member=000", "member=001", "schema.json"]
    rows = [out.read_table(f"member=000/{name}").num_rows for name in out.list("member=000")]
    assert sum(rows) == 700


@pytest.mark.slow
def test_two_studies_at_once_in_one_storage(told: SharedStudy) -> None:
    both = [_tune(told, f"study={name}") for name in ("one", "two")]
    for process in both:
        _, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
    one, two = (Folder.open(told.storage) / name for name in ("one", "two"))
    assert one.list("predictions") == two.list("predictions") and one.list("shards") == two.list("shards")
    for name in one.list("predictions"):
        assert one.read_bytes(f"predictions/{name}") == two.read_bytes(f"predictions/{name}")
