"""How a study starts, and what is left of a start that is refused: nothing. No Ray runs here; MLflow is real."""

import errno
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.refusals import check_refused

from dge_ray import storage as storage_module
from dge_ray.commands.tune import _tracked, tune
from dge_ray.distributed.session import preflight
from dge_ray.errors import StudyError
from dge_ray.study.folder import study_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.study.records import lock
from dge_ray.study.records.identity import tracking_id
from dge_ray.study.records.lock import study_lock
from dge_ray.study.terminal.progress import Progress
from dge_ray.tracking.tracker import Tracker

Run = Callable[..., tuple[int, str, str]]
KEYS = {"generator": "copula", "members": 2, "ratios": [1], "learner": "logistic"}
WORDS = ("iris", "generator=copula", "members=2", "ratios=1", "learner=logistic")
LONG = "/tmp/" + "long" * 24


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's Ray in this process would be joined whatever the environment says."""
    monkeypatch.setattr(preflight, "has_joined", lambda: False)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lock, "LEASE_SECONDS", 2.0)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: bytes) -> None:
    """A working folder with a database that is set up and empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(empty_database)


@pytest.mark.usefixtures("short_lease")
def test_a_refused_second_driver_leaves_the_firsts_run_alone(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(read_config("iris", KEYS))
    first = Tracker.open(prepared.name, tracking_id(prepared.identity(), prepared.name))
    before = first._client.get_run(first.run_id)
    with (
        study_lock(study_folder("./studies", prepared.name), print),
        pytest.raises(StudyError, match="works on this study"),
    ):
        tune("iris", KEYS)
    (after,) = first._client.search_runs([first.experiment_id])
    assert after.info.status == "RUNNING" and after.info.end_time is None
    assert after.data.tags == before.data.tags and after.info.run_id == first.run_id


def test_a_driver_that_lost_its_study_leaves_the_run_to_who_took_it(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(read_config("iris", KEYS))
    folder = study_folder("./studies", prepared.name)
    for held, ended in ((False, "RUNNING"), (True, "KILLED")):
        with (
            pytest.raises(KeyboardInterrupt),
            _tracked(prepared, folder, Progress(), lambda held=held: held) as (tracker, _),
        ):
            raise KeyboardInterrupt
        assert tracker is not None and tracker._client.get_run(tracker.run_id).info.status == ended


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RAY_ADDRESS", "127.0.0.1:9"), ("RAY_ADDRESS", "http://head:8265"), ("TMPDIR", LONG), ("RAY_TMPDIR", "/proc/x")],
)
def test_where_ray_cannot_be_nothing_is_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for name in ("RAY_ADDRESS", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    started = time.monotonic()
    code, out, err = run("tune", *WORDS)
    assert time.monotonic() - started < 10
    check_refused((code, out, err), variable, value, "takes")
    assert list(tmp_path.rglob("*")) == []


def test_check_tells_of_it_and_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    code, out, err = run("check", *WORDS, "storage=/proc/nope")
    assert code == 0, err
    told = [line for line in out.splitlines() if line.startswith("# tune would be refused here: ")]
    assert len(told) == 2 and "storage: got /proc/nope/iris" in told[0] and "RAY_ADDRESS: got '127.0.0.1:9'" in told[1]


def bad_places(tmp_path: Path) -> list[str]:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "iris").touch()
    return ["/proc/nope", "/dev/null", "file", "file/below", "dangling", "x" * 300, "studies"]


@pytest.mark.parametrize("number", range(7))
def test_a_storage_that_cannot_be_written_to_is_told_before_anything_is_read(
    run: Run, tmp_path: Path, number: int
) -> None:
    place = bad_places(tmp_path)[number]
    started = time.monotonic()
    answer = run("tune", "no_such_table.csv", f"storage={place}", "study=iris")
    assert time.monotonic() - started < 5
    check_refused(answer, "storage: got ", "takes a folder")
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "no_bundle", "storage=/proc/nope"),
        ("select", "no_bundle", "storage=/proc/nope"),
        ("test", "no_such.csv", "features=x", "storage=/proc/nope"),
        *((verb, "any", "storage=file") for verb in ("status", "report", "track", "attack", "utility")),
        ("ls", "storage=file"),
        ("publish", "any", "out=x", "storage=file"),
        ("sample", "any", "out=x", "volume=5", "storage=file"),
        ("estimates", "any", "estimands=mean(x)", "storage=file"),
    ],
    ids=lambda words: words[0],
)
def test_so_is_that_of_every_verb(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    check_refused(run(*words), "storage: got ", words[-1].removeprefix("storage="), "takes a folder")


@pytest.mark.parametrize(
    "number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ENAMETOOLONG, errno.EIO, errno.EDQUOT]
)
def test_whatever_the_system_says_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "so it says")

    monkeypatch.setattr(storage_module.tempfile, "TemporaryFile", refuse)
    check_refused(run("tune", "no_such_table.csv"), "storage: got ", "(so it says)")
