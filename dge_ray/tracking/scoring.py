"""A fitted ensemble applied to a frame: a folder with schema.json and `member=000/`, ..., a saved learner each."""

from pathlib import Path

import numpy as np
import pandas as pd

from dge_ray.downstream import load_learner
from dge_ray.errors import StudyError
from dge_ray.table import TableCodec, TableSchema, from_pandas

SCHEMA = "schema.json"


class FittedEnsemble:
    """The mean over the members' predictions. No pickle is involved in loading it.

    Raises:
        StudyError: the folder holds no member.
    """

    def __init__(self, folder: Path) -> None:
        self.schema = TableSchema.from_json((folder / SCHEMA).read_text())
        self.members = [load_learner(path, self.schema) for path in sorted(folder.glob("member=*"))]
        if not self.members:
            raise StudyError(f"{folder}: an ensemble without members")

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column `prediction` and, in classification, `proba_CLASS` for every class, on the frame's index.

        Columns that are no features, the target among them, may be there or not.
        """
        features = [column.name for column in self.schema.features]
        columns = TableCodec(self.schema).encode(from_pandas(frame), features)
        mean = np.stack([member.predict(columns) for member in self.members]).mean(axis=0, dtype=np.float64)
        if self.schema.task == "regression":
            return pd.DataFrame({"prediction": mean[:, 0]}, index=frame.index)
        classes = np.asarray(self.schema.classes)
        shares = {f"proba_{name}": mean[:, code] for code, name in enumerate(self.schema.classes)}
        return pd.DataFrame({**shares, "prediction": classes[mean.argmax(axis=1)]}, index=frame.index)
