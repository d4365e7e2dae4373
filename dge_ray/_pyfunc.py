"""A fitted ensemble as an MLflow model from code: MLflow copies this file into the model and runs it to load it."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dge_ray.scoring import FittedEnsemble

# `predict` has no type hints, because MLflow would enforce them on every input; it warns of that at each load.
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")


class EnsembleModel(PythonModel):
    """The artifact `ensemble`, as `dge_ray.scoring` reads and applies it."""

    def load_context(self, context: Any) -> None:
        self.ensemble = FittedEnsemble(Path(context.artifacts["ensemble"]))

    def predict(self, context, model_input, params=None) -> pd.DataFrame:
        return self.ensemble.predict(model_input)


set_model(EnsembleModel())
