"""Fitted learners on disk: skops or safetensors beside one JSON file, and never a pickle."""

import json
import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import sklearn

from dge_ray.downstream.base import Learner
from dge_ray.downstream.estimator import EstimatorLearner
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


def load_learner(folder: Path, schema: TableSchema) -> Learner:
    """A fitted learner from its folder; predictions are the same bits as before saving.

    Raises:
        StudyError: the folder holds no learner, a damaged one, one of another table, or types not on the allowlist.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        kind = description["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(f"{folder}: no learner there, or a damaged one") from None
    expected = describe(kind, schema)
    if any(description.get(key) != value for key, value in expected.items()):
        raise StudyError(f"{folder}: a learner of a table with other columns or classes")
    if kind == "torch_mlp":
        from dge_ray.downstream.torch_mlp import TorchMLP

        return TorchMLP.load(folder, description, schema)
    if kind == "text_lstm":
        from dge_ray.downstream.text_lstm import TextLSTM

        return TextLSTM.load(folder, description, schema)
    if description["sklearn"] != sklearn.__version__:
        line = f"{folder}: saved by scikit-learn {description['sklearn']}, read by {sklearn.__version__}"
        warnings.warn(line, stacklevel=2)
    return EstimatorLearner.restored(_read_model(folder), np.asarray(description["present"], np.int64), schema)


def _read_model(folder: Path) -> Any:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.load(folder / MODEL, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        raise StudyError(f"{folder / MODEL}: refused, types not on the allowlist: {error}") from None
    except (OSError, BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{folder / MODEL}: damaged ({type(error).__name__})") from None
