"""Odd and hostile surroundings, a list of them: a command works there, or ends with one line that says the way out.

Whatever comes, no run, no lock and no changed environment is left, and a refusal takes 10 seconds at most. The first
list is of surroundings that refuse `tune` before any work; the second of ones in which `check` works and foresees no
refusal. Both are tried in this process. The third is of what a process is born with and of servers that stay silent,
tried in processes; with `tune` those that reach Ray.
"""

import os
import resource
import shlex
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sklearn.base  # noqa: F401 - it sets two variables when it is first imported
from helpers.refusals import check_refused

import dge_ray.commands.tune  # noqa: F401 - so that no test's seconds are those of imports
from dge_ray import storage
from dge_ray.distributed.session import preflight
from dge_ray.errors import InputError
from dge_ray.tracking import server

Run = Callable[..., tuple[int, str, str]]
WORDS = ("iris", "generator=copula", "members=2", "ratios=1", "learner=logistic")
SECONDS = 10.0
START_SECONDS = 2.0  # of them, for a process to start and to come to its first question
RAY, MLFLOW = "RAY_ADDRESS", "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Odd:
    """Surroundings: variables, words added to the command, and what lies in the working folder beforehand: text files,
    folders (None) and links (a path). `{here}` is that folder. `told`: what the one line holds."""

    environ: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()
    files: Mapping[str, str | Path | None] = field(default_factory=dict)
    told: Sequence[str] = ()


def ray(address: str, *told: str) -> Odd:
    return Odd({RAY: address}, told=[f"{RAY}: got", *told])


def mlflow(uri: str, *told: str, **files: str | None) -> Odd:
    return Odd({MLFLOW: uri}, told=[f"{MLFLOW}: got", *told], files=files)


def stored(place: str, *told: str, **files: str | Path | None) -> Odd:
    return Odd(words=[f"storage={place}"], told=["storage: got", *told], files=files)


LOOP, DANGLING = Path("loop"), Path("/nowhere/at/all")
REFUSED = {
    "a Ray that is gone": ray("127.0.0.1:9", "connection refused", "unset RAY_ADDRESS"),
    "a Ray client's that is gone": ray("ray://127.0.0.1:9", "connection refused"),
    "a host without a port": ray("head", "no HOST:PORT"),
    "a port beyond all": ray("head:99999", "no HOST:PORT"),
    "a port that is a word": ray("head:ray", "no HOST:PORT"),
    "a dashboard": ray("http://head:8265", "of a dashboard"),
    "an unknown host": ray("no-such-host.invalid:6379", "unknown host"),
    "a host that no name server takes": ray("ä" * 80 + ":6379", "unknown host"),
    "an unknown authentication": Odd({"RAY_AUTH_MODE": "tokn"}, told=["RAY_AUTH_MODE: got 'tokn'", "disabled, token"]),
    "Ray's folder in /proc": Odd({"RAY_TMPDIR": "/proc/x"}, told=["RAY_TMPDIR: got '/proc/x'", "RAY_TMPDIR=/tmp"]),
    "Ray's folder is a file": Odd({"RAY_TMPDIR": "{here}/f"}, files={"f": ""}, told=["RAY_TMPDIR: got", "/f'"]),
    "temporary files below a device": Odd({"TMPDIR": "/dev/null/x"}, told=["TMPDIR: got", "RAY_TMPDIR=/tmp"]),
    "temporary files too deep": Odd({"TMPDIR": "/tmp/" + "long" * 24}, told=["TMPDIR: got", "too long for Ray"]),
    "temporary files in a loop": Odd({"RAY_TMPDIR": "{here}/loop"}, files={"loop": LOOP}, told=["RAY_TMPDIR: got"]),
    "temporary files behind a dangling link": Odd(
        {"RAY_TMPDIR": "{here}/l"}, files={"l": Path("/proc/nope")}, told=["RAY_TMPDIR: got"]
    ),
    "no path to programs": Odd({"PATH": ""}, told=["PATH: got no folder with bash"]),
    "a server that is gone": mlflow("http://127.0.0.1:9", "connection refused"),
    "a server without a host": mlflow("http://", "names no host"),
    "an unknown scheme": mlflow("htp://somewhere:5000", "does not answer"),
    "a folder of runs": mlflow("./mlruns", "no longer writes"),
    "a folder of runs as a URI": mlflow("file:///tmp/mlruns", "no longer writes"),
    "a database in no folder": mlflow("sqlite:////not/there/x.db", "not there or not writable"),
    "a database in /proc": mlflow("sqlite:////proc/x.db", "does not answer"),
    "a database that is a folder": mlflow("sqlite:///{here}/d", "cannot be opened (no file)", d=None),
    "a database that is a text": Odd(files={"mlflow.db": "no database " * 200}, told=[MLFLOW, "not a database"]),
    "a database without its driver": mlflow("mysql://nobody:hunter2@127.0.0.1:9/x", "does not answer", "mysql://***@"),
    "an experiment that is none": Odd({"MLFLOW_EXPERIMENT_ID": "77"}, told=["MLFLOW_EXPERIMENT_ID: got '77'"]),
    "a run that is none": Odd({"MLFLOW_RUN_ID": "77"}, told=["MLFLOW_RUN_ID: got '77'"]),
    "a storage in /proc": stored("/proc/nope", "can be written to"),
    "a storage that is a device": stored("/dev/null", "Not a directory"),
    "a storage that is a file": stored("f", "Not a directory", f="text"),
    "a storage below a file": stored("f/below", "Not a directory", f="text"),
    "a storage behind a dangling link": stored("l", "takes a folder", l=DANGLING),
    "a storage that is a loop of links": stored("loop", "symbolic links", loop=LOOP),
    "a storage with too long a name": stored("x" * 300, "too long"),
    "the home of nobody": stored("~no-such-user/x", "no home folder is known"),
    "the home of nobody as a source": Odd(words=["source=~no-such-user/x.csv"], told=["source: got", "no home folder"]),
    "a storage that no system knows": stored("pigeon://loft", "pigeon"),
    "a storage that climbs": stored("s3://bucket/../other", "without '..'"),
    "a storage with a password": stored("s3://me:hunter2@bucket/x"),
}
WORKS = {
    "no address": Odd({RAY: ""}),
    "an address of blanks": Odd({RAY: "  "}),
    "a Ray of its own by name": Odd({RAY: "local"}),
    "temporary files in a place with blanks": Odd({"RAY_TMPDIR": "/tmp/t ü"}),
    "a storage with blanks and signs": Odd(words=["storage=a ü b #1 %20"]),
    "a storage with dots and slashes": Odd(words=["storage=st//x/./../y/"]),
    "a storage behind a link": Odd(words=["storage=l"], files={"real": None, "l": Path("real")}),
    "a storage in a home folder": Odd({"HOME": "{here}"}, ["storage=~/st"]),
    "no home folder": Odd({"HOME": "/nonexistent"}),
    "plots for a screen": Odd({"MPLBACKEND": "TkAgg"}),
    "plots by nothing known": Odd({"MPLBACKEND": "nope", "MPLCONFIGDIR": "/proc/nope"}),
    "proxies that are gone": Odd({f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all", "grpc")}),
    "no card, or an unknown one": Odd({"CUDA_VISIBLE_DEVICES": "abc"}),
    "a zone of no planet of ours": Odd({"TZ": "Mars/Phobos", "SOURCE_DATE_EPOCH": "abc"}),
    "a narrow, dumb terminal": Odd({"TERM": "dumb", "COLUMNS": "20", "LINES": "1", "NO_COLOR": "1"}),
    "an empty tracking address": Odd({MLFLOW: ""}),
}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process as if nothing were set. Another test's Ray in it would be joined whatever is."""
    for name in list(os.environ):
        if name.startswith(("RAY_", "MLFLOW_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(preflight, "has_joined", lambda: False)


def put(odd: Odd, here: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the surroundings; gives the words."""
    for name, what in odd.files.items():
        if what is None:
            (here / name).mkdir()
        elif isinstance(what, Path):
            (here / name).symlink_to(what)
        else:
            (here / name).write_text(what)
    for name, value in odd.environ.items():
        monkeypatch.setenv(name, value.replace("{here}", str(here)))
    return list(odd.words)


def held_up() -> float:
    """Seconds that this thread was ready to run and waited for a core, which other work on the machine had."""
    schedule = Path("/proc/thread-self/schedstat")  # of Linux: on a core, waiting for one, turns
    return int(schedule.read_text().split()[1]) / 1e9 if schedule.exists() else 0.0


def left(here: Path) -> dict[str, int]:
    return {str(path.relative_to(here)): path.lstat().st_size for path in here.rglob("*")}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_and_nothing_is_left(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: bytes
) -> None:
    odd = REFUSED[name]
    words = put(odd, tmp_path, monkeypatch)
    if name in ("an experiment that is none", "a run that is none"):
        (tmp_path / "mlflow.db").write_bytes(empty_database)
    files, environ, started = left(tmp_path), dict(os.environ), time.monotonic() - held_up()
    answer = run("tune", *WORDS, *words)
    assert time.monotonic() - held_up() - started < SECONDS
    check_refused(answer, *odd.told, "; takes ")
    assert "hunter2" not in answer[2]
    assert left(tmp_path) == files and dict(os.environ) == environ


@pytest.mark.parametrize("name", WORKS)
def test_works_and_foresees_no_refusal(name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = WORKS[name]
    words = put(odd, tmp_path, monkeypatch)
    files, environ = left(tmp_path), dict(os.environ)
    code, out, err = run("check", *WORDS, *words)
    assert (code, err) == (0, "") and "would be refused" not in out
    assert all(word.removeprefix("storage=") in " ".join(out.split()) for word in words if "#" in word)
    assert left(tmp_path) == files and dict(os.environ) == environ


def test_what_never_answers_is_given_up_in_time_for_the_process_to_end() -> None:
    """Each is waited for by itself: the first that stays silent ends the command."""
    waits = storage.ANSWER_SECONDS, preflight.JOINING_SECONDS, server.ANSWER_SECONDS, server.OPENING_SECONDS
    assert max(waits) + START_SECONDS <= SECONDS


def test_a_store_that_never_answers_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google Cloud's client, which would try for a quarter of an hour."""
    monkeypatch.setattr(storage, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"gs://anonymous@bucket/x?scheme=http&endpoint_override=127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic() - held_up()
        check_refused(run("tune", *WORDS, f"storage={uri}"), "storage: got", "no answer within")
        check_refused(run("check", uri, "target=y"), "source: got", "no answer within")
        assert time.monotonic() - held_up() - started < storage.ANSWER_SECONDS * 4 + 1  # two questions each, at most


def test_azure_without_an_account_is_told() -> None:
    """Its client says a line of its own before."""
    with pytest.raises(InputError, match=r"^storage: got .*Credential.*; takes a place"):
        storage.Folder.open("abfs://c@nobody.dfs.core.windows.net/x").check_readable()


def test_a_database_that_another_has_for_itself_is_given_up(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: bytes
) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_database)
    monkeypatch.setattr(server, "OPENING_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        check_refused(run("tune", *WORDS), f"{MLFLOW}: got", "database is locked")


def test_a_working_folder_that_was_deleted_is_told(run: Run, tmp_path: Path) -> None:
    tmp_path.rmdir()
    check_refused(run("tune", *WORDS), "the working folder: got one that was deleted", "`cd`")


# What a process is born with: shell words around the command {it}, and whether it is `check` or reaches Ray (`tune`).
# `told`: it is refused with that line; else it works, quietly.
MINE = "from sklearn.naive_bayes import GaussianNB\n\n\nclass Thing(GaussianNB):\n    pass\n"
PROCESSES: dict[str, tuple[str, str, Odd]] = {
    "no standard input": ("check", "{it} <&-", Odd()),
    "no standard output": ("check", "{it} >&-", Odd()),
    "no standard error": ("check", "{it} 2>&-", Odd()),
    "a reader that has gone": ("check", "{it} | true || true", Odd()),
    "a plain locale": ("check", "{it}", Odd({"LC_ALL": "POSIX", "PYTHONUTF8": "0"})),
    "words in ASCII alone": ("check", "{it} study=s", Odd({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})),
    "Python without its assertions": ("tune", "{it}", Odd({"PYTHONOPTIMIZE": "1", "PYTHONHASHSEED": "7"})),
    "Python without docstrings": ("tune", "{it}", Odd({"PYTHONOPTIMIZE": "2"}, told=["PYTHONOPTIMIZE: got 2"])),
    "Python with warnings as errors": ("check", "{it}", Odd({"PYTHONWARNINGS": "error"})),
    "no number of threads": ("check", "{it}", Odd({"OMP_NUM_THREADS": "abc"})),
    "few open files": ("check", "ulimit -n 64; {it}", Odd()),
    "no bytes left to write": ("tune", "ulimit -f 0; {it}", Odd(told=["TMPDIR: got no folder", "TMPDIR=/scratch"])),
    "no access for anybody": ("tune", "umask 777; {it}", Odd()),
    "access for everybody": ("tune", "umask 000; {it}", Odd()),
    "signals ignored": ("tune", "trap '' HUP INT PIPE CHLD; {it}", Odd()),
    "a Ray that is silent": ("tune", "{it}", Odd({RAY: "{silent}"}, told=[f"{RAY}: got", "no Ray answers within 8 s"])),
    "a tracking server that is silent": (
        "tune",
        "{it}",
        Odd({MLFLOW: "http://{silent}"}, told=[f"{MLFLOW}: got", "no answer"]),
    ),
    "a store that is silent": (
        "tune",
        "{it} 'storage=gs://anonymous@bucket/x?scheme=http&endpoint_override={silent}'",
        Odd(told=["storage: got", "no answer within 8 s"]),
    ),
    "modules of one's own": (
        "check",
        "{it} learner=mine.Thing",
        Odd({"PYTHONPATH": "{here}"}, files={"mine.py": MINE}),
    ),
}


def cpu_of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_is_born_with(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, shell, odd = PROCESSES[name]
    monkeypatch.setenv("PYTHONPATH", str(Path(storage.__file__).parents[1]))
    monkeypatch.setenv("TMPDIR", "/tmp")
    words = put(odd, tmp_path, monkeypatch)
    if "PYTHONPATH" in odd.environ:
        monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{Path(storage.__file__).parents[1]}")
    words += ["folds=1"] if verb == "tune" else []
    it = shlex.join([sys.executable, "-m", "dge_ray.cli", verb, *WORDS, *words])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for name, value in odd.environ.items():
            if "{silent}" in value:
                monkeypatch.setenv(name, value.replace("{silent}", address))
        script = shell.replace("{it}", it).replace("{silent}", address)
        command, before = ["bash", "-c", "set -o pipefail; " + script], cpu_of_children()
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stderr and not list(tmp_path.glob("studies/*/lock.json"))
    if odd.told:
        check_refused((done.returncode, done.stdout, done.stderr), *odd.told)
        assert cpu_of_children() - before < SECONDS  # without what it waited for a core, and for who is silent
        return
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line and not line.startswith("libgomp:")]
    assert len(said) <= (1 if verb == "check" else 40), done.stderr
    if verb == "tune":
        assert (tmp_path / "studies" / "iris" / "report.json").exists()
