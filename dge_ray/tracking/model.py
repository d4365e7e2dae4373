"""A fitted ensemble on its way to MLflow as a logged model."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from dge_ray.tracking.records import folder_digest, plain, requirements

ENSEMBLE = "dge_ray.ensemble"  # the tag that holds the digest of the ensemble's files


def send_model(
    client: Any,
    experiment_id: str,
    run: str,
    folder: Path,
    example: pd.DataFrame,
    predictions: pd.DataFrame,
    name: str,
) -> None:
    """The ensemble in `folder` as the run's model, once: an attempt that was cut short goes on where it was."""
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model, infer_signature

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
        mlflow.pyfunc.save_model(
            Path(scratch) / name,
            python_model=Path(__file__).with_name("pyfunc.py"),
            artifacts={"ensemble": str(folder)},
            signature=infer_signature(plain(example), predictions),
            pip_requirements=requirements(),
            mlflow_model=Model(artifact_path=name, run_id=run, model_id=model.model_id),
        )
        client.log_model_artifacts(model.model_id, str(Path(scratch) / name))
    outputs = client.get_run(run).outputs
    if not any(output.model_id == model.model_id for output in (outputs.model_outputs if outputs else ())):
        client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, "READY")  # last: by this it is known to be whole
