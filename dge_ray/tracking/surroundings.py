"""What of MLflow's own settings a study's runs follow: the run that is going on around it, and its experiment."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dge_ray.errors import InputError
from dge_ray.tracking.records import legal
from dge_ray.tracking.server import check_uri

DEFAULT_EXPERIMENT = "dge_ray"
RUN, EXPERIMENT, NAME = "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"


@dataclass(frozen=True)
class Surroundings:
    """`run`: the run that a study's run is put under, in its experiment. Else `experiment`, an id, or a `name`."""

    run: str | None = None
    experiment: str | None = None
    name: str = DEFAULT_EXPERIMENT


def surroundings(uri: str) -> Surroundings:
    """As this process and thread have them: the active run at `uri`, or MLFLOW_RUN_ID; the experiment of
    `mlflow.set_experiment` or MLFLOW_EXPERIMENT_ID; MLFLOW_EXPERIMENT_NAME.
    """
    run = _active_run(uri) or os.environ.get(RUN)
    experiment = os.environ.get(EXPERIMENT)  # `set_experiment` sets it, for child processes
    return Surroundings(run or None, experiment or None, os.environ.get(NAME) or DEFAULT_EXPERIMENT)


def _active_run(uri: str) -> str | None:
    if "mlflow" not in sys.modules:  # nobody has begun one
        return None
    import mlflow

    run = mlflow.active_run()
    try:
        here = run is not None and check_uri(mlflow.get_tracking_uri()) == uri
    except InputError:
        return None
    return run.info.run_id if run is not None and here else None


def experiment_of(client: Any, around: Surroundings) -> Any:
    """The experiment of a study's runs; one by name is made where there is none.

    Raises:
        InputError: no such run or experiment, or a deleted one.
    """
    from mlflow.exceptions import MlflowException

    try:
        if around.run is not None:
            field, got = RUN, around.run
            experiment = client.get_experiment(client.get_run(around.run).info.experiment_id)
        elif around.experiment is not None:
            field, got = EXPERIMENT, around.experiment
            experiment = client.get_experiment(around.experiment)
        else:
            field, got = NAME, around.name
            experiment = client.get_experiment_by_name(got) or _made(client, got)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        kind = "run" if field == RUN else "experiment"
        raise InputError(field, f"{got!r}, which is no {kind} of this tracking server", f"the id of a {kind}") from None
    if experiment is None or experiment.lifecycle_stage != "active":
        takes = "the name of an active or new one" if field == NAME else "one of an active experiment"
        raise InputError(field, f"{got!r}, a deleted experiment", takes)
    return experiment


def _made(client: Any, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=_artifacts(client, name)))
    except MlflowException:  # another study made it in between
        return client.get_experiment_by_name(name)


def _artifacts(client: Any, name: str) -> str | None:
    """Beside a SQLite file, where MLflow would take the working folder of the first study; None: as the server says."""
    if not client.tracking_uri.startswith("sqlite:///"):
        return None
    folder = Path(client.tracking_uri.removeprefix("sqlite:///")).parent / "mlruns" / legal(name).replace("/", "_")
    return f"file://{quote(str(folder))}"
