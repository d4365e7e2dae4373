"""A fitted ensemble as an MLflow model from code: MLflow copies this file into the model and runs it to load it."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dge_ray.tracking.scoring import FittedEnsemble


class EnsembleModel(PythonModel):
    """The artifact `ensemble`, as `dge_ray.tracking.scoring` reads and applies it."""

    def load_context(self, context: Any) -> None:
        self.ensemble = FittedEnsemble(Path(context.artifacts["ensemble"]))

    def predict(self, context, model_input, params=None) -> pd.DataFrame:  # no hints: MLflow would enforce them
        return self.ensemble.predict(model_input)


set_model(EnsembleModel())
