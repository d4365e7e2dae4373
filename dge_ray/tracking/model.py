"""A fitted ensemble on its way to MLflow as a logged model."""

import shutil
import tempfile
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


def send_model(client: Any, experiment_id: str, run: str, folder: Path, name: str) -> None:
    """The ensemble in `folder` as the run's model, once: an attempt that was cut short goes on where it was.

    Raises:
        StudyError: MLflow cannot make a model of it, whatever the server says.
    """
    from mlflow.entities import LoggedModelOutput

    digest = folder_digest(folder)
    model = None
    for known in client.search_logged_models([experiment_id], f"source_run_id = '{run}'"):
        if known.name == name and known.tags.get(ENSEMBLE) == digest:
            if known.status == "READY":
                return
            model = known
    with tempfile.TemporaryDirectory() as scratch:
        if model is None:
            model = client.create_logged_model(experiment_id, name, run, tags={ENSEMBLE: digest})
        try:
            _save(Path(scratch), folder, name, run, model.model_id)
        except Exception as error:
            client.finalize_logged_model(model.model_id, "FAILED")
            raise StudyError(f"it cannot be saved ({type(error).__name__}: {error})") from None
        client.log_model_artifacts(model.model_id, str(Path(scratch) / name))
    outputs = client.get_run(run).outputs
    if not any(output.model_id == model.model_id for output in (outputs.model_outputs if outputs else ())):
        client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, "READY")  # last: by this it is known to be whole


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
