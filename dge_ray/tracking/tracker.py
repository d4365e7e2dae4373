"""One study in MLflow: a parent run, a child run a volume with K as the step.

Written from the driver only, through a client with explicit run ids: no global run, experiment or tracking URI is set.
Everything is buffered and idempotent, so a server that dies neither stops a study nor gets anything twice. MLflow is
imported in this folder alone.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from dge_ray.tracking.model import MODEL, ModelFacts, send_model
from dge_ray.tracking.outbox import Outbox, Stamped
from dge_ray.tracking.records import (
    Point,
    curve_points,
    cut,
    fit_points,
    flatten,
    legal,
    mask,
    report_points,
    surface_points,
    versions,
)
from dge_ray.tracking.runs import Runs, connect_to, delete_others, find_parent
from dge_ray.tracking.server import ANSWER_SECONDS, DEFAULT_URI, check_uri, quiet, within
from dge_ray.tracking.surroundings import surroundings

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker:
    """One study's runs. Make it with `Tracker.open`.

    The methods that log return at once when the server is away: what they hold is sent later, by `flush` or any later
    call. `pending` counts what is held.
    """

    def __init__(self, client: Any, uri: str, experiment_id: str, run_id: str, *, resumed: bool) -> None:
        self.uri, self.experiment_id, self.run_id = mask(uri), experiment_id, run_id
        self.resumed = resumed
        self._client = client
        self._runs = Runs(client, experiment_id, run_id, resumed=resumed)
        self._outbox = Outbox(self._send_points, lambda: client.get_experiment(experiment_id))

    @classmethod
    def open(cls, study: str, identity: str, *, metric: str | None = None, uri: str | None = None) -> "Tracker":
        """The study's tracker, its parent run found by `identity` or created. Call it before anything is trained.

        `metric`: the study's, where it is known: numbers in another one are in another run. `uri`: default
        MLFLOW_TRACKING_URI, else sqlite:///mlflow.db; experiment: `surroundings`, else dge_ray.

        Raises:
            InputError: the server does not answer within about 10 seconds, or takes no runs.
        """
        uri, client = cls.connect(uri)
        around = surroundings(uri)  # here: an active run is that of a thread
        with quiet():
            seconds = 2 * ANSWER_SECONDS
            found = within(seconds, uri, lambda: find_parent(client, study, identity, around, metric))
            experiment_id, run_id, resumed = found
        tracker = cls(client, uri, experiment_id, run_id, resumed=resumed)
        if resumed:
            with quiet():
                within(seconds, uri, tracker._runs.find_children)
        tracker.set_tags({f"version.{name}": text for name, text in versions().items()})
        return tracker

    @staticmethod
    def connect(uri: str | None = None) -> tuple[str, Any]:
        """The server's URI, as `open` takes it, and a client that it has answered. No run is created.

        Raises:
            InputError: it does not answer within about 10 seconds.
        """
        uri = check_uri(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
        with quiet():  # apart, because it takes seconds that are not the server's fault, and resets the log levels
            import mlflow  # noqa: F401
        with quiet():
            return uri, within(ANSWER_SECONDS, uri, lambda: connect_to(uri))

    @property
    def pending(self) -> int:
        """How many requests and metric values wait to be sent."""
        return self._outbox.pending

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags of the parent run."""
        from mlflow.entities import RunTag

        entities = [RunTag(legal(key), cut(mask(str(value)))) for key, value in tags.items()]
        self._call("tags", lambda run: self._client.log_batch(run, tags=entities))

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

        self._call("parameters", act)

    def log_dataset(self, name: str, digest: str, rows: int, columns: Mapping[str, str] | int) -> None:
        """The real table's name, SHA-256, size and columns (names and types, or their number); never a value of it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, RunTag

        types = columns if isinstance(columns, Mapping) else {}
        schema = json.dumps({"mlflow_colspec": [{"name": column, "type": kind} for column, kind in types.items()]})
        dataset = Dataset(
            name=mask(name),
            digest=digest[:36],  # MLflow's limit; the whole digest is a tag
            source_type="local",
            source=json.dumps({"uri": mask(name)}),
            schema=schema if types and len(schema) < 60_000 else None,  # MLflow's limit is 65,535
            profile=json.dumps({"num_rows": rows, "num_columns": len(types) or columns}),
        )
        inputs = [DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])]

        def act(run: str) -> None:
            known = self._client.get_run(run).inputs.dataset_inputs
            if not any(one.dataset.digest == dataset.digest for one in known):
                self._client.log_inputs(run, datasets=inputs)
            self._client.log_batch(run, tags=[RunTag("data.sha256", digest)])

        self._call("dataset", act)

    def log_point(self, volume: int, members: int, metrics: Mapping[str, float]) -> None:
        """Metrics of the child run of `volume` at step `members`. What is there already, also from before, stays."""
        self._points(Point(volume, legal(key), float(value), members) for key, value in metrics.items())

    def log_surface(self, surface: pa.Table, *, learner: str | None = None) -> None:
        """The final surface: `validation/METRIC` and `test/METRIC` of every volume over K."""
        self._points(surface_points(surface, learner))

    def log_curves(self, surface: pa.Table, report: Mapping) -> None:
        """The study's error over rows and over members, on the parent run: what a page that compares studies shows."""
        self._points(curve_points(surface, report))

    def log_fit(self, member: int, history: Iterable[Mapping[str, Any]]) -> None:
        """A member's loss curves, on the parent run."""
        self._points(fit_points(member, history))

    def log_report(self, report: Mapping) -> None:
        """The parent's `reflection/...`, `test/METHOD/METRIC`, `difference/...`, `answer/...` and `cost/...`, the
        status tag, and the answer with the table's name as the run's description."""
        self._points(report_points(report))
        point, tags = report.get("reflection_point") or {}, {}
        tags["reflection.status"] = str(point.get("status"))
        tags |= {f"version.{name}": str(text) for name, text in (report.get("versions") or {}).items()}
        if said := (report.get("answer") or {}).get("sentence"):
            source, target = (report.get("config") or {}).get("source"), (report.get("data") or {}).get("target")
            about = f"{said}\n\nTable `{source}`, target `{target}`." if source else str(said)
            tags |= {"mlflow.note.content": about, "answer.verdict": str(report["answer"]["verdict"])}
        self.set_tags(tags)

    def log_artifacts(self, folder: Path, names: Sequence[str] | None = None) -> None:
        """Files and folders below `folder` as the parent's artifacts: `names`, as far as they are there, or everything.

        A folder's files replace those that an earlier run has left in it. `folder` must last until they are sent.
        """

        def act(run: str) -> None:
            if not folder.is_dir():
                raise FileNotFoundError(f"{folder} is gone")
            for path in sorted(folder.iterdir()) if names is None else [folder / name for name in names]:
                if path.is_dir():
                    self._client.log_artifacts(run, str(path), path.name)
                    delete_others(self._client, run, path)
                elif path.is_file():
                    self._client.log_artifact(run, str(path))

        self._call(f"artifacts in {folder}", act)

    def log_model(self, ensemble_folder: Path, *, name: str = MODEL, about: ModelFacts | None = None) -> None:
        """The fitted ensemble as pyfunc model from code, without pickle: `runs:/RUN/model` for `mlflow models predict`.

        `ensemble_folder`: schema.json and member=000/ ..., see `dge_ray.tracking.pyfunc`. `about`: its parameters and
        metrics, which name the real table.
        """
        self._call("model", lambda run: send_model(self._client, self.experiment_id, run, ensemble_folder, name, about))

    @property
    def model_uri(self) -> str:
        """How MLflow calls the model that `log_model` logs."""
        return f"runs:/{self.run_id}/{MODEL}"

    def unsent_points(self) -> list[dict[str, Any]]:
        """The metric points that are held, as JSON values for `log_points`."""
        return [point._asdict() for point in self._outbox.held_points]

    def log_points(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Points of `unsent_points`, perhaps of another process."""
        self._points(Point(**point) for point in points)

    def flush(self) -> int:
        """Sends what is held, whatever happened before; returns how much is left."""
        self._outbox.send(at_once=True)
        return self.pending

    def close(self, status: Status = "FINISHED") -> int:
        """Ends the runs with `status`; returns how much could not be sent."""
        for volume in self._runs.open_volumes(status, self._outbox.volumes):
            self._outbox.call("the end of a run", self._terminator(volume, status))
        return self.flush()

    def _terminator(self, volume: int | None, status: Status) -> Callable[[], None]:
        return lambda: self._client.set_terminated(self._runs.of(volume), status)

    def _call(self, what: str, act: Callable[[str], None]) -> None:
        self._outbox.call(what, lambda: act(self.run_id))
        self._outbox.send()

    def _points(self, points: Iterable[Point]) -> None:
        self._outbox.points(points)
        self._outbox.send()

    def _send_points(self, volume: int | None, points: list[Stamped]) -> None:
        """One batch of metrics; what the run holds already is left out."""
        from mlflow.entities import Metric

        run = self._runs.of(volume)
        logged = self._runs.history(run)
        fresh: dict[tuple[str, int], tuple[float, int]] = {}
        for point, at in points:
            address = point.key, point.step
            there = fresh[address][0] if address in fresh else logged.get(address)
            if there is None or (point.latest and there != point.value):
                fresh[address] = point.value, at
        if fresh:
            metrics = [Metric(key, value, at, step) for (key, step), (value, at) in fresh.items()]
            self._client.log_batch(run, metrics=metrics)
            logged.update({address: value for address, (value, _) in fresh.items()})
