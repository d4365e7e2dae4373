"""Fitted learners on disk: skops or safetensors beside one JSON file, and never a pickle. Read by `learners.py`."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from dge_ray.errors import StudyError
from dge_ray.skops_files import skops_bytes, skops_io
from dge_ray.table.schema.table_schema import TableSchema

DESCRIPTION, MODEL = "learner.json", "model.skops"
LIBRARIES = ("scikit-learn", "skops", "numpy", "scipy", "torch")  # whose versions a saved learner depends on

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
    """The JSON beside a model, with the versions that saved it. Written last: a folder without it is no learner."""
    text = json.dumps({**description, "versions": dict(versions_here())}, indent=1, allow_nan=False)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


@cache
def versions_here() -> Mapping[str, str]:
    """The versions of the libraries that a saved learner depends on, as far as they are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def other_versions(description: Mapping[str, Any]) -> str:
    """Which libraries saved a learner in another version than is here: "saved by A 1, B 2, read by A 3, B 2"; empty
    where none did."""
    now = versions_here()
    saved = description.get("versions") or {"scikit-learn": description.get("sklearn")}  # as it was noted at first
    then = {name: text for name, text in saved.items() if text is not None and text != now.get(name)}
    if not then:
        return ""
    by, read = (", ".join(f"{name} {of.get(name, 'none')}" for name in then) for of in (then, now))
    return f"saved by {by}, read by {read}"


def save_estimator(model: Any, present: np.ndarray, schema: TableSchema, folder: Path) -> None:
    """Write a fitted scikit-learn model.

    Raises:
        StudyError: the model holds a type that is not on the allowlist.
    """
    skops = skops_io()
    from skops.io.exceptions import UnsupportedTypeException

    name = type(model[-1] if hasattr(model, "steps") else model).__name__
    try:
        data = skops_bytes(model)
    except UnsupportedTypeException as error:
        raise StudyError(f"a fitted {name} cannot be saved safely: {error}") from None
    unknown = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
    if unknown:
        raise StudyError(f"a fitted {name} cannot be saved safely: it holds {', '.join(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(data)
    description = describe("estimator", schema, present=present.tolist())
    write_description(folder, description)
