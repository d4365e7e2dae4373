"""A study's runs on the tracking server: a parent, and a child run per volume. They are found again, or created."""

import contextlib
from pathlib import Path
from typing import Any

from dge_ray.masking import mask
from dge_ray.tracking.records import legal
from dge_ray.tracking.server import one_at_a_time, own_artifacts, set_up
from dge_ray.tracking.surroundings import Surroundings, experiment_of

STUDY, VOLUME, PARENT = "dge_ray.study_id", "dge_ray.volume", "mlflow.parentRunId"


class Runs:
    """The runs by volume, None for the parent, and what each holds already.

    Each method may be repeated after a failed request.
    """

    def __init__(self, client: Any, experiment_id: str, parent: str, *, resumed: bool) -> None:
        self.parent = parent
        self._client, self._experiment_id = client, experiment_id
        self._by_volume: dict[int | None, str] = {None: parent}
        self._requested: set[int | None] = set()
        self._earlier: dict[str, Any] = {}  # the child runs that were there, as they were
        self._logged: dict[str, dict[tuple[str, int], float]] = {} if resumed else {parent: {}}

    def open_volumes(self, status: str, volumes: set[int | None]) -> set[int | None]:
        """These volumes and those with a known run, without those whose run had ended with `status` before."""
        over = {run for run, record in self._earlier.items() if record.info.status == status}
        return {volume for volume in {*self._by_volume, *volumes} if self._by_volume.get(volume) not in over}

    def find_children(self) -> None:
        """Look up the child runs of an earlier process."""
        query = f"tags.`{PARENT}` = '{self.parent}'"
        for run in self._client.search_runs([self._experiment_id], query, max_results=10_000):
            if run.data.tags.get(VOLUME, "").isdigit():
                self._by_volume[int(run.data.tags[VOLUME])] = run.info.run_id
                self._earlier[run.info.run_id] = run

    def of(self, volume: int | None) -> str:
        """The run of a volume, found or created; None is the parent."""
        if volume not in self._by_volume:
            # Looked for where it was asked for before: a request that timed out may have been carried out all the same.
            query = f"tags.`{PARENT}` = '{self.parent}' and tags.`{VOLUME}` = '{volume}'"
            repeated = volume in self._requested
            self._requested.add(volume)
            if repeated and (known := self._client.search_runs([self._experiment_id], query, max_results=1)):
                self._by_volume[volume] = known[0].info.run_id
            else:
                tags = {PARENT: self.parent, VOLUME: str(volume)}
                run = self._client.create_run(self._experiment_id, tags=tags, run_name=f"volume={volume}")
                self._by_volume[volume] = run.info.run_id
                self._logged[run.info.run_id] = {}
        return self._by_volume[volume]

    def history(self, run: str) -> dict[tuple[str, int], float]:
        """(key, step) -> the latest value there, of everything the run holds."""
        if run not in self._logged:
            logged: dict[tuple[str, int], tuple[int, float]] = {}
            for key in (self._earlier.get(run) or self._client.get_run(run)).data.metrics:
                for metric in self._client.get_metric_history(run, key):
                    address = key, metric.step
                    logged[address] = max(logged.get(address, (0, 0.0)), (metric.timestamp, metric.value))
            self._logged[run] = {address: value for address, (_, value) in logged.items()}
        return self._logged[run]


def connect_to(uri: str) -> Any:
    """A client whose store has answered one question; a database is set up on the way."""
    from mlflow import MlflowClient

    def connect(uri: str) -> MlflowClient:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        return client

    with one_at_a_time(uri):
        return set_up(uri, connect)


def find_parent(
    client: Any, study: str, identity: str, around: Surroundings, metric: str | None = None
) -> tuple[str, str, bool]:
    """(experiment id, the study's parent run id, whether it was there already). A new run is put under that around it.

    `metric`: a run whose parameter of that name is another one is not the study's: its numbers are in that other
    metric, and MLflow never changes a parameter.

    Raises:
        InputError: as `experiment_of`.
    """
    experiment = experiment_of(client, around)
    own_artifacts(client.tracking_uri, experiment.artifact_location)
    query = f"tags.`{STUDY}` = '{legal(identity)}'"
    found = client.search_runs([experiment.experiment_id], query, order_by=["attributes.start_time ASC"])
    known = [run for run in found if metric is None or run.data.params.get("metric", metric) == metric]
    if known:
        client.update_run(known[0].info.run_id, status="RUNNING")
        return experiment.experiment_id, known[0].info.run_id, True
    tags = {STUDY: legal(identity), "dge_ray.study": mask(study)}
    tags |= {PARENT: around.run} if around.run else {}
    run = client.create_run(experiment.experiment_id, tags=tags, run_name=mask(study))
    return experiment.experiment_id, run.info.run_id, False


def delete_others(client: Any, run: str, folder: Path) -> None:
    """Delete the run's artifacts below `folder.name` that are not in `folder`: of an earlier end of the same study.

    Where the store cannot delete, they stay.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    names = {path.name for path in folder.iterdir()}
    others = [file.path for file in client.list_artifacts(run, folder.name) if Path(file.path).name not in names]
    if others:
        place = client.get_run(run).info.artifact_uri
        with contextlib.suppress(MlflowException, NotImplementedError):
            store = get_artifact_repository(place, tracking_uri=client.tracking_uri)
            for path in others:
                store.delete_artifacts(path)
