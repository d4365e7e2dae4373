"""One study in MLflow: a parent run, a child run a volume with K as the step. Nothing else imports MLflow.

Written from the driver only, through a client with explicit run ids: no global run, experiment or tracking URI is set.
Everything is buffered and idempotent, so a server that dies neither stops a study nor gets anything twice.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.tracked import Point, cut, flatten, legal, mask, report_points, surface_points

log = logging.getLogger(__name__)

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "dge_ray"
ANSWER_SECONDS = 10  # how long a server may take to answer before a study starts
PAUSE_SECONDS = 30  # after a failure, how long until the next attempt
BATCH = 500  # metrics in one request; servers take 1000
STUDY, VOLUME, ENSEMBLE = "dge_ray.study_id", "dge_ray.volume", "dge_ray.ensemble"
FIELD, TAKES = (
    "MLFLOW_TRACKING_URI",
    "the URI of an MLflow server that answers, or of a database such as " + DEFAULT_URI,
)
# A server that says so will say so again: the request is dropped with a warning. All else is tried again later.
REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
REFUSALS |= {"ENDPOINT_NOT_FOUND", "INVALID_STATE"}
ENVIRONMENT = {  # for the length of a call, and only where the user has not said otherwise
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow's own 7 retries would hold the study for 4 minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_SECONDS - 2),
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",  # would run pip against a package index
    "MLFLOW_UV_AUTO_DETECT": "false",  # would run uv on whatever lies in the working directory
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass
class _Call:
    """One request other than a metric; `act` takes the run's id and may be repeated without harm."""

    volume: int | None
    what: str
    act: Callable[[str], None]


class Tracker:
    """One study's runs. Make it with `Tracker.open`.

    The methods that log return at once when the server is away: what they hold is sent later, by `flush` or any later
    call. `pending` counts what is held.
    """

    def __init__(self, client: Any, uri: str, experiment_id: str, run_id: str, *, resumed: bool) -> None:
        self.uri, self.experiment_id, self.run_id = uri, experiment_id, run_id
        self.resumed = resumed
        self._client = client
        self._runs: dict[int | None, str] = {None: run_id}
        self._held_calls: deque[_Call] = deque()
        self._held_points: dict[int | None, deque[tuple[Point, int]]] = {}
        self._logged: dict[str, dict[tuple[str, int], float]] = {} if resumed else {run_id: {}}
        self._try_again_at = 0.0
        self._warned = False

    @classmethod
    def open(cls, study: str, identity: str, *, uri: str | None = None) -> "Tracker":
        """The study's tracker, its parent run found by `identity` or created. Call it before anything is trained.

        `uri`: default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db; experiment: MLFLOW_EXPERIMENT_NAME, else dge_ray.

        Raises:
            InputError: the server does not answer within about 10 seconds, or takes no runs.
        """
        uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
        _check_uri(uri)
        with _mlflow_mood():
            client = _within(ANSWER_SECONDS, uri, lambda: _connect(uri))
            seconds = 2 * ANSWER_SECONDS
            experiment_id, run_id, resumed = _within(seconds, uri, lambda: _parent(client, study, identity))
        tracker = cls(client, uri, experiment_id, run_id, resumed=resumed)
        tracker.set_tags({f"version.{name}": text for name, text in _versions().items()})
        return tracker

    @property
    def pending(self) -> int:
        """How many requests and metric values wait to be sent."""
        return len(self._held_calls) + sum(len(points) for points in self._held_points.values())

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags of the parent run."""
        from mlflow.entities import RunTag

        entities = [RunTag(legal(key), cut(mask(str(value)))) for key, value in tags.items()]
        self._call(None, "tags", lambda run: self._client.log_batch(run, tags=entities))

    def log_config(self, config: Mapping[str, Any]) -> None:
        """The resolved configuration as dotted parameters, masked and cut to 500 characters.

        MLflow never changes a parameter: where a grown study differs, the new value goes to the tag `now.KEY`.
        """
        from mlflow.entities import Param, RunTag

        flat = flatten(config)

        def act(run: str) -> None:
            known = self._client.get_run(run).data.params
            new = [Param(key, value) for key, value in flat.items() if key not in known]
            changed = [RunTag(f"now.{key}", value) for key, value in flat.items() if known.get(key, value) != value]
            for at in range(0, max(len(new), len(changed)), 100):
                self._client.log_batch(run, params=new[at : at + 100], tags=changed[at : at + 100])

        self._call(None, "parameters", act)

    def log_dataset(self, name: str, digest: str, rows: int, columns: Mapping[str, str] | list[str]) -> None:
        """The real table's name, SHA-256, size and columns (names, or names and types); never a value of it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, RunTag

        types = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "")
        specification = [{"name": column, "type": kind} for column, kind in types.items()]
        schema = json.dumps({"mlflow_colspec": specification})
        dataset = Dataset(
            name=mask(name),
            digest=digest[:36],  # MLflow's limit; the whole digest is a tag
            source_type="local",
            source=json.dumps({"uri": mask(name)}),
            schema=schema if len(schema) < 60_000 else None,
            profile=json.dumps({"num_rows": rows, "num_columns": len(types)}),
        )
        inputs = [DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])]

        def act(run: str) -> None:
            known = self._client.get_run(run).inputs.dataset_inputs
            if not any(one.dataset.digest == dataset.digest for one in known):
                self._client.log_inputs(run, datasets=inputs)
            self._client.log_batch(run, tags=[RunTag("data.sha256", digest)])

        self._call(None, "dataset", act)

    def log_point(self, volume: int, members: int, metrics: Mapping[str, float]) -> None:
        """Metrics of the child run of `volume` at step `members`. What is there already, also from before, stays."""
        self._points(Point(volume, legal(key), float(value), members) for key, value in metrics.items())

    def log_surface(self, surface: pa.Table, *, learner: str | None = None) -> None:
        """The final surface: `validation/METRIC` and `test/METRIC` of every volume over K."""
        self._points(surface_points(surface, learner))

    def log_report(self, report: Mapping) -> None:
        """The parent's `reflection/...`, `test/METHOD/METRIC`, `difference/...` and `cost/...`, and the status tag."""
        self._points(report_points(report))
        point, tags = report.get("reflection_point") or {}, {}
        tags["reflection.status"] = str(point.get("status"))
        tags |= {f"version.{name}": str(text) for name, text in (report.get("versions") or {}).items()}
        self.set_tags(tags)

    def log_artifacts(self, folder: Path, *, under: str | None = None) -> None:
        """All files below `folder`, as artifacts of the parent run. The folder must last until they are sent."""
        self._call(None, f"artifacts in {folder}", lambda run: self._client.log_artifacts(run, str(folder), under))

    def log_model(
        self, ensemble_folder: Path, example: pd.DataFrame, predictions: pd.DataFrame, *, name: str = "model"
    ) -> None:
        """The fitted ensemble as a pyfunc model from code: `runs:/RUN/model`; no pickle, scored by `mlflow models predict`.

        `ensemble_folder`: schema.json and member=000/ ..., see `dge_ray._pyfunc`. `example`: some rows of features, the
        input signature; synthetic ones, where real rows may not leave.
        """

        def act(run: str) -> None:
            self._send_model(run, ensemble_folder, example, predictions, name)

        self._call(None, "model", act)

    def flush(self) -> int:
        """Sends what is held, whatever happened before; returns how much is left."""
        self._try_again_at = 0.0
        self._send()
        return self.pending

    def close(self, status: Status = "FINISHED") -> int:
        """Ends the runs with `status`; returns how much could not be sent."""
        for volume in {**self._runs, **self._held_points}:
            self._held_calls.append(_Call(volume, "the end of a run", self._terminator(status)))
        return self.flush()

    def _terminator(self, status: Status) -> Callable[[str], None]:
        return lambda run: self._client.set_terminated(run, status)

    def _call(self, volume: int | None, what: str, act: Callable[[str], None]) -> None:
        self._held_calls.append(_Call(volume, what, act))
        self._send()

    def _points(self, points: Iterator[Point]) -> None:
        now = int(time.time() * 1000)  # fixed here: a repeated request is then the same request
        for point in points:
            if point.value == point.value:  # MLflow would draw nan as 0
                self._held_points.setdefault(point.volume, deque()).append((point, now))
        self._send()

    def _send(self) -> None:
        if time.monotonic() < self._try_again_at:
            return
        try:
            with _mlflow_mood():
                for volume in list(self._held_points):
                    self._send_points(volume)
                while self._held_calls:
                    call = self._held_calls[0]
                    self._attempt(call.what, lambda call=call: call.act(self._run(call.volume)))
                    self._held_calls.popleft()
        except _AwayError as error:
            self._try_again_at = time.monotonic() + PAUSE_SECONDS
            if not self._warned:
                log.warning("MLflow does not take the study's records (%s); they are kept and sent later", error)
            self._warned = True
        else:
            if self._warned:
                log.info("MLflow answers again; all records are sent")
            self._warned = False

    def _send_points(self, volume: int | None) -> None:
        from mlflow.entities import Metric

        held = self._held_points[volume]
        while held:
            chunk = [held[at] for at in range(min(BATCH, len(held)))]

            def act(chunk: list[tuple[Point, int]] = chunk) -> None:
                run = self._run(volume)
                logged, fresh = self._history(run), {}
                for point, at in chunk:
                    there = (fresh.get((point.key, point.step)) or (None,))[0] or logged.get((point.key, point.step))
                    if there is None or (point.latest and there != point.value):
                        fresh[point.key, point.step] = point.value, at
                if fresh:
                    metrics = [Metric(key, value, at, step) for (key, step), (value, at) in fresh.items()]
                    self._client.log_batch(run, metrics=metrics)
                    logged.update({address: value for address, (value, _) in fresh.items()})

            self._attempt("metrics", act)
            for _ in chunk:
                held.popleft()
        del self._held_points[volume]

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        """Runs one request; a refusal is warned about and dropped, anything else means that the server is away."""
        try:
            act()
        except Exception as error:
            if getattr(error, "error_code", "") in REFUSALS or isinstance(error, OSError | TypeError | ValueError):
                log.warning("MLflow refuses %s: %s", what, _reason(error))
            else:
                raise _AwayError(_reason(error)) from None

    def _run(self, volume: int | None) -> str:
        """The run of a volume, found or created; None is the parent."""
        if volume not in self._runs:
            # Looked for first: a request that timed out may have been carried out all the same.
            query = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.`{VOLUME}` = '{volume}'"
            found = self._client.search_runs([self.experiment_id], query, max_results=1)
            if found:
                self._client.update_run(found[0].info.run_id, status="RUNNING")
                self._runs[volume] = found[0].info.run_id
            else:
                tags = {"mlflow.parentRunId": self.run_id, VOLUME: str(volume)}
                run = self._client.create_run(self.experiment_id, tags=tags, run_name=f"volume={volume}")
                self._runs[volume] = run.info.run_id
                self._logged[run.info.run_id] = {}
        return self._runs[volume]

    def _history(self, run: str) -> dict[tuple[str, int], float]:
        """(key, step) -> the latest value there, of everything the run holds."""
        if run not in self._logged:
            logged: dict[tuple[str, int], tuple[int, float]] = {}
            for key in self._client.get_run(run).data.metrics:
                for metric in self._client.get_metric_history(run, key):
                    address = key, metric.step
                    logged[address] = max(logged.get(address, (0, 0.0)), (metric.timestamp, metric.value))
            self._logged[run] = {address: value for address, (_, value) in logged.items()}
        return self._logged[run]

    def _send_model(self, run: str, folder: Path, example: pd.DataFrame, predictions: pd.DataFrame, name: str) -> None:
        import mlflow.pyfunc
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model, infer_signature

        digest = _folder_digest(folder)
        for known in self._client.search_logged_models([self.experiment_id], f"source_run_id = '{run}'"):
            if known.name == name and known.tags.get(ENSEMBLE) == digest and str(known.status) == "READY":
                return
        with tempfile.TemporaryDirectory() as scratch:
            model = self._client.create_logged_model(self.experiment_id, name, run, tags={ENSEMBLE: digest})
            mlflow.pyfunc.save_model(
                Path(scratch) / name,
                python_model=Path(__file__).with_name("_pyfunc.py"),
                artifacts={"ensemble": str(folder)},
                signature=infer_signature(_plain(example), predictions),
                pip_requirements=_requirements(),
                mlflow_model=Model(artifact_path=name, run_id=run, model_id=model.model_id),
            )
            self._client.log_model_artifacts(model.model_id, str(Path(scratch) / name))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])


class _AwayError(Exception):
    """The server did not take a request that it may take later."""


@contextmanager
def _mlflow_mood() -> Iterator[None]:
    """MLflow quiet, without retries and without calls home, for the length of the block and for no longer."""
    unset = [name for name in ENVIRONMENT if name not in os.environ]
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "alembic.runtime.migration")]
    levels = [logger.level for logger in loggers]
    os.environ.update({name: ENVIRONMENT[name] for name in unset})
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in unset:
            os.environ.pop(name, None)


def _check_uri(uri: str) -> None:
    """Refuses what MLflow itself only refuses later, or with a page of text."""
    scheme = urlsplit(uri).scheme if "://" in uri or uri.startswith("file:") else ""
    if uri.startswith("databricks"):
        return
    if scheme in ("", "file") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise InputError(FIELD, f"{mask(uri)!r}, a folder, which MLflow 3 no longer writes to", TAKES)
    if scheme in ("http", "https") and not urlsplit(uri).hostname:
        raise InputError(FIELD, f"{mask(uri)!r}, which names no host", TAKES)
    if scheme == "sqlite":
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(FIELD, f"{mask(uri)!r}, whose folder is not there or not writable", TAKES)


def _within(seconds: float, uri: str, ask: Callable[[], Any]) -> Any:
    """`ask()`, or an InputError once it fails or takes too long; a SQLite file is given the time its set-up takes."""
    answer: list[Any] = []
    failure: list[Exception] = []

    def run() -> None:
        try:
            answer.append(ask())
        except Exception as error:
            failure.append(error)

    # A daemon: a server that takes the connection and stays silent must not keep the process alive.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(None if uri.startswith("sqlite") else seconds)
    if answer:
        return answer[0]
    if failure and isinstance(failure[0], InputError):
        raise failure[0]
    reason = _reason(failure[0]) if failure else f"no answer within {seconds:.0f} s"
    raise InputError(FIELD, f"{mask(uri)!r}, which does not answer as an MLflow server ({reason})", TAKES)


def _connect(uri: str) -> Any:
    """A client whose store has answered one question; a database is set up on the way."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _parent(client: Any, study: str, identity: str) -> tuple[str, str, bool]:
    """(experiment id, the study's parent run id, whether it was there already)."""
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            experiment = client.get_experiment(client.create_experiment(name))
        except MlflowException:  # another study made it in between
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise InputError(
            "MLFLOW_EXPERIMENT_NAME", f"{name!r}, a deleted experiment", "the name of an active or new one"
        )
    query = f"tags.`{STUDY}` = '{legal(identity)}'"
    found = client.search_runs([experiment.experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return experiment.experiment_id, found[0].info.run_id, True
    tags = {STUDY: legal(identity), "dge_ray.study": mask(study)}
    run = client.create_run(experiment.experiment_id, tags=tags, run_name=mask(study))
    return experiment.experiment_id, run.info.run_id, False


def _reason(error: BaseException) -> str:
    """Why a request failed, in a few masked words."""
    text = str(error)
    for sign, words in {
        "refused": "connection refused",
        "timed out": "no answer in time",
        "resolve": "unknown host",
        "Name or service not known": "unknown host",
    }.items():
        if sign in text:
            return words
    return mask(" ".join(text.split()) or type(error).__name__)[:200]


def _versions() -> dict[str, str]:
    names = {"dge_ray": "dge-ray", "ray": "ray", "torch": "torch", "mlflow": "mlflow"}
    versions = {name: _version(distribution) for name, distribution in names.items()}
    return {"python": platform.python_version()} | {name: text for name, text in versions.items() if text}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> list[str]:
    """What scoring needs, pinned to what is installed here; MLflow would otherwise import the model to find out."""
    names = ["dge-ray", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "torch"]
    versions = {name: _version(name) for name in names}
    return [f"{name}=={version.split('+')[0]}" if version else name for name, version in versions.items()]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with categorical columns as the values they hold: MLflow's types know no categories."""
    coded = {name: frame[name].astype(frame[name].cat.categories.dtype) for name in frame.select_dtypes("category")}
    return frame.assign(**coded)


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
