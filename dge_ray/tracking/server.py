"""How a study talks to its tracking server: a URI checked at once, a deadline, quiet calls, failures in a few words."""

import fcntl
import logging
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dge_ray.errors import InputError
from dge_ray.masking import mask
from dge_ray.storage import in_time, make_folders

DEFAULT_URI = "sqlite:///mlflow.db"
ANSWER_SECONDS = 8  # how long a server may take to answer before a study starts
OPENING_SECONDS = 5.0  # how long another process may have a database file for itself
FIELD, TAKES = (
    "MLFLOW_TRACKING_URI",
    "the URI of an MLflow server that answers, or of a database such as " + DEFAULT_URI,
)
ENVIRONMENT = {  # for the length of a call, and only where the user has not said otherwise
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow's own 7 retries would hold the study for 4 minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_SECONDS - 2),
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",  # would run pip against a package index
    "MLFLOW_UV_AUTO_DETECT": "false",  # would run uv on whatever lies in the working directory
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow quiet, without retries and without calls home, for the length of the block and for no longer."""
    before = set(os.environ)
    unset = [name for name in ENVIRONMENT if name not in before]
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "alembic.runtime.migration")]
    levels = [logger.level for logger in loggers]
    os.environ.update({name: ENVIRONMENT[name] for name in unset})
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hints to those who write MLflow models, and MLflow's own deprecations
            warnings.showwarning = lambda *_, **__: None  # for those that MLflow lets through any filter
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in [name for name in os.environ if name not in before and "MLFLOW" in name]:  # MLflow adds some
            del os.environ[name]


def check_uri(uri: str) -> str:
    """The URI, a SQLite file's made absolute; refuses what MLflow only refuses later, or with a page of text.

    Raises:
        InputError: a folder, no host, or a database file that cannot be there.
    """
    if uri.startswith("databricks"):
        return uri
    scheme = urlsplit(uri).scheme if "://" in uri or uri.startswith("file:") else ""
    if scheme in ("", "file") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise InputError(FIELD, f"{mask(uri)!r}, a folder, which MLflow 3 no longer writes to", TAKES)
    if scheme in ("http", "https") and not urlsplit(uri).hostname:
        raise InputError(FIELD, f"{mask(uri)!r}, which names no host", TAKES)
    if scheme == "sqlite" and uri.startswith("sqlite:///"):
        # MLflow remembers databases by their URI: a relative one would be the first working folder's for ever.
        path = Path(uri.removeprefix("sqlite:///")).absolute()
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise InputError(FIELD, f"{mask(uri)!r}, whose folder is not there or not writable", TAKES)
        if path.exists() and (fault := _fault_of(path)):
            raise InputError(FIELD, f"{mask(uri)!r}, which cannot be opened ({fault})", TAKES)
        return f"sqlite:///{path}"
    return uri


def _fault_of(file: Path) -> str:
    """Why SQLite cannot open what is there, if so. MLflow would try for minutes."""
    if not file.is_file():
        return "no file"
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=OPENING_SECONDS)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return ""


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """One process at a time: two that set up the same SQLite file at once both fail, MLflow's own lock notwithstanding.

    The lock is on the file's folder, which leaves nothing behind; where a filesystem has no such locks, there is none.
    """
    if not uri.startswith("sqlite:///"):
        yield
        return
    folder = os.open(Path(uri.removeprefix("sqlite:///")).parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def set_up(uri: str, connect: Callable[[str], Any]) -> Any:
    """`connect(uri)`; a SQLite file that is not there is set up under another name and then renamed.

    MLflow changes tables one after the other, and a file that was cut off in between cannot be opened any more.
    """
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.exists():
        new = file.with_name(file.name + ".new")
        new.unlink(missing_ok=True)
        # For its owner alone: columns, parameters and paths are in it. SQLite's journals take the mode of their file.
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connect(f"sqlite:///{new}")
        new.replace(file)
    return connect(uri)


def own_artifacts(uri: str, location: str) -> None:
    """Make the local folder of a local database's artifacts, where it is not there, for its owner alone."""
    scheme, path = urlsplit(location).scheme, unquote(urlsplit(location).path)
    if uri.startswith("sqlite:") and scheme in ("", "file") and path.startswith("/"):
        with suppress(OSError):  # a folder that cannot be made is told of by the first artifact
            make_folders(Path(path))


def within(seconds: float, uri: str, ask: Callable[[], Any]) -> Any:
    """`ask()`, or an InputError once it fails or takes too long; a SQLite file is given the time its set-up takes."""
    # A server that takes the connection and stays silent must not keep the process alive; a database file that is being
    # set up must, also after Ctrl-C: half set up, nobody could open it again.
    file = uri.startswith("sqlite")
    try:
        return in_time(ask, threading.TIMEOUT_MAX if file else seconds, daemon=not file)
    except InputError:
        raise
    except Exception as error:
        got = f"{mask(uri)!r}, which does not answer as an MLflow server ({reason(error)})"
        raise InputError(FIELD, got, TAKES) from None


def reason(error: BaseException) -> str:
    """Why a request failed, in a few masked words."""
    text = str(error)
    for sign, words in {
        "refused": "connection refused",
        "timed out": "no answer in time",
        "resolve": "unknown host",
        "Name or service not known": "unknown host",
        "Max retries exceeded": "connection lost",
    }.items():
        if sign in text:
            return words
    return mask(" ".join(text.split()) or type(error).__name__)[:200]
