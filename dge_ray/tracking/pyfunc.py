"""A fitted ensemble as an MLflow model from code: MLflow copies this file into the model and runs it to load it."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dge_ray.errors import InputError
from dge_ray.tracking.scoring import FittedEnsemble


class EnsembleModel(PythonModel):
    """The artifact `ensemble`, as `dge_ray.tracking.scoring` reads and applies it."""

    def load_context(self, context: Any) -> None:
        self.ensemble = FittedEnsemble(Path(context.artifacts["ensemble"]))

    def predict(self, context, model_input, params=None) -> pd.DataFrame:  # no hints: MLflow would enforce them
        if isinstance(model_input, dict):  # as {"inputs": {...}} comes from JSON, one row or columns
            one = all(isinstance(value, str) or not hasattr(value, "__len__") for value in model_input.values())
            model_input = [model_input] if one else model_input
        try:
            return self.ensemble.predict(pd.DataFrame(model_input))
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(EnsembleModel())
