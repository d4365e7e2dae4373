"""A fitted ensemble as an MLflow model from code: MLflow copies this file into the model and runs it to load the model.

The artifact `ensemble` is a folder with `schema.json` (a TableSchema) and `member=000/`, `member=001/`, ..., a saved
learner each. No pickle is involved.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dge_ray.downstream import Learner, load_learner
from dge_ray.errors import StudyError
from dge_ray.table.codec import TableCodec
from dge_ray.table.frame import from_pandas
from dge_ray.table.schema import TableSchema


class EnsembleModel(PythonModel):
    """The mean over the members' predictions.

    Predicts a frame with the column `prediction` and, in classification, `proba_CLASS` for every class, on the input's
    index. Columns that are no features, the target among them, may be there or not.
    """

    schema: TableSchema
    members: Sequence[Learner]

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["ensemble"])
        self.schema = TableSchema.from_json((folder / "schema.json").read_text())
        self.members = [load_learner(path, self.schema) for path in sorted(folder.glob("member=*"))]
        if not self.members:
            raise StudyError(f"{folder}: an ensemble without members")

    def predict(self, context, model_input, params=None) -> pd.DataFrame:  # no hints: MLflow would enforce them
        table = from_pandas(model_input)
        columns = TableCodec(self.schema).encode(table, [column.name for column in self.schema.features])
        mean = np.stack([member.predict(columns) for member in self.members]).mean(axis=0, dtype=np.float64)
        if self.schema.task == "regression":
            return pd.DataFrame({"prediction": mean[:, 0]}, index=model_input.index)
        classes = np.asarray(self.schema.classes)
        frame = {f"proba_{name}": mean[:, code] for code, name in enumerate(self.schema.classes)}
        return pd.DataFrame({**frame, "prediction": classes[mean.argmax(axis=1)]}, index=model_input.index)


set_model(EnsembleModel())
