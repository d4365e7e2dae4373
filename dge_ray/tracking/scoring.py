"""A fitted ensemble applied to a frame: a folder with schema.json and `member=000/`, ..., a saved learner each."""

from pathlib import Path

import numpy as np
import pandas as pd

from dge_ray.downstream import load_learner
from dge_ray.errors import StudyError
from dge_ray.table import TableCodec, TableSchema
from dge_ray.table.schema.served import served_rows

SCHEMA = "schema.json"
PREDICTION, SHARE = "prediction", "proba_"  # columns of what is predicted


class FittedEnsemble:
    """The mean over the members' predictions. No pickle is involved in loading it.

    Raises:
        StudyError: the folder holds no member.
    """

    def __init__(self, folder: Path) -> None:
        self.schema = TableSchema.from_json((folder / SCHEMA).read_text(encoding="utf-8"))
        self.members = [load_learner(path, self.schema) for path in sorted(folder.glob("member=*"))]
        if not self.members:
            raise StudyError(f"{folder}: an ensemble without members")

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column `prediction` and, in classification, `proba_CLASS` for every class, on the frame's index.

        The features' values as `served_rows` reads them. Other columns, the target among them, may be there or not.

        Raises:
            InputError: a feature is absent that always has a value, or a value is none of its column's type.
        """
        features = self.schema.features
        rows = served_rows(frame, features)
        columns = TableCodec(self.schema).encode(rows, [column.name for column in features])
        mean = np.stack([member.predict(columns) for member in self.members]).mean(axis=0, dtype=np.float64)
        if self.schema.task == "regression":
            return pd.DataFrame({PREDICTION: mean[:, 0]}, index=frame.index)
        classes = np.asarray(self.schema.classes)
        shares = {f"{SHARE}{name}": mean[:, code] for code, name in enumerate(self.schema.classes)}
        return pd.DataFrame({**shares, PREDICTION: classes[mean.argmax(axis=1)]}, index=frame.index)
