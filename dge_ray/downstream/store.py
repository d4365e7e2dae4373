"""Fitted learners on disk: skops or safetensors beside one JSON file, and never a pickle. Read by `learners.py`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from dge_ray.errors import StudyError
from dge_ray.table.schema import TableSchema

DESCRIPTION, MODEL = "learner.json", "model.skops"

# Types that skops does not trust by itself and that the learners here are made of. None of them runs code that a file
# brings along: `partial` wraps a function that must itself be trusted, and `check_array` is the only one here.
TRUSTED = [
    "functools.partial",
    "numpy.dtype",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
]


def describe(kind: str, schema: TableSchema, **more: Any) -> dict[str, Any]:
    """What every saved learner says of itself; `check_description` reads it."""
    return {"kind": kind, "features": [c.name for c in schema.features], "classes": len(schema.classes), **more}


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """The JSON beside a model. Written last: a folder without it is no learner."""
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, allow_nan=False))


def save_estimator(model: Any, present: np.ndarray, schema: TableSchema, folder: Path) -> None:
    """Write a fitted scikit-learn model.

    Raises:
        StudyError: the model holds a type that is not on the allowlist.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    name = type(model[-1] if hasattr(model, "steps") else model).__name__
    try:
        data = skops.io.dumps(model)
    except UnsupportedTypeException as error:
        raise StudyError(f"a fitted {name} cannot be saved safely: {error}") from None
    unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED))
    if unknown:
        raise StudyError(f"a fitted {name} cannot be saved safely: it holds {', '.join(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(data)
    description = describe("estimator", schema, present=present.tolist(), sklearn=sklearn.__version__)
    write_description(folder, description)
