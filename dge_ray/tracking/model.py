"""A fitted ensemble on its way to MLflow as a logged model."""

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dge_ray
from dge_ray.errors import StudyError
from dge_ray.table import TableSchema
from dge_ray.tracking.records import folder_digest, requirements
from dge_ray.tracking.scoring import SCHEMA
from dge_ray.tracking.signature import signature, taken

ENSEMBLE = "dge_ray.ensemble"  # the tag that holds the digest of the ensemble's files
CODE = Path(dge_ray.__file__).parent
MODEL = "model"  # its name in MLflow


@dataclass(frozen=True)
class ModelFacts:
    """What stands beside a logged model: parameters, and metrics of it on real test rows."""

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def send_model(
    client: Any, experiment_id: str, run: str, folder: Path, name: str, about: ModelFacts | None = None
) -> None:
    """The ensemble in `folder` as the run's model, once: an attempt that was cut short goes on where it was. Its
    metrics name the run's dataset, by which MLflow shows either beside the other.

    Raises:
        StudyError: MLflow cannot make a model of it, whatever the server says.
    """
    from mlflow.entities import LoggedModelOutput

    about = about or ModelFacts()
    digest = folder_digest(folder)
    model = None
    for known in client.search_logged_models([experiment_id], f"source_run_id = '{run}'"):
        if known.name == name and known.tags.get(ENSEMBLE) == digest:
            if known.status == "READY":
                return
            model = known
    with tempfile.TemporaryDirectory() as scratch:
        if model is None:
            params = {key: str(value) for key, value in about.params.items()}
            model = client.create_logged_model(experiment_id, name, run, tags={ENSEMBLE: digest}, params=params)
        try:
            _save(Path(scratch), folder, name, run, model.model_id)
        except Exception as error:
            client.finalize_logged_model(model.model_id, "FAILED")
            raise StudyError(f"it cannot be saved ({type(error).__name__}: {error})") from None
        client.log_model_artifacts(model.model_id, str(Path(scratch) / name))
    outputs = client.get_run(run).outputs
    if not any(output.model_id == model.model_id for output in (outputs.model_outputs if outputs else ())):
        client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    _link(client, run, model.model_id, about.metrics)
    client.finalize_logged_model(model.model_id, "READY")  # last: by this it is known to be whole


def _link(client: Any, run: str, model: str, metrics: Mapping[str, float]) -> None:
    """The model's metrics, each of the run's dataset where there is one."""
    from mlflow.entities import Metric

    known = client.get_run(run).inputs
    used = [one.dataset for one in (known.dataset_inputs if known else ())][:1]
    of = {"dataset_name": used[0].name, "dataset_digest": used[0].digest} if used else {}
    now = int(time.time() * 1000)
    logged = [Metric(key, value, now, 0, model_id=model, run_id=run, **of) for key, value in metrics.items()]
    if logged:
        client.log_batch(run, metrics=logged)


def _save(scratch: Path, folder: Path, name: str, run: str, model_id: str) -> None:
    """The model as a folder `name` of `scratch`, with a copy of this package, which no index of packages has."""
    import mlflow.pyfunc
    from mlflow.models import Model

    schema = TableSchema.from_json((folder / SCHEMA).read_text(encoding="utf-8"))
    shutil.copytree(CODE, scratch / CODE.name, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    mlflow.pyfunc.save_model(
        scratch / name,
        python_model=Path(__file__).with_name("pyfunc.py"),
        artifacts={"ensemble": str(folder)},
        code_paths=[str(scratch / CODE.name)],
        signature=signature(schema),
        metadata={"columns": taken(schema)},
        pip_requirements=requirements(),
        mlflow_model=Model(artifact_path=name, run_id=run, model_id=model_id),
    )
