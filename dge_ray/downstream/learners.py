"""Learners by name, by dotted path, or from a folder; and whether one will do for a table."""

import json
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import has_fit_parameter

from dge_ray.downstream.base import Learner
from dge_ray.downstream.catalogue import LEARNERS, estimator_by_name, warn_of_auto_stopping, warn_of_own_module
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.mixture import no_weights
from dge_ray.downstream.preparing import refuse_text, takes_text
from dge_ray.downstream.store import DESCRIPTION, MODEL, TRUSTED, describe, other_versions
from dge_ray.errors import InputError, StudyError
from dge_ray.skops_files import skops_io
from dge_ray.table.schema.table_schema import Column, TableSchema


def check_learner(
    name: str, settings: Mapping[str, Any], task: str, *, texts: Sequence[Column] = (), weighted: bool = False
) -> None:
    """Whether `make_learner` will make this learner for this task; warns of settings that would mislead.

    `texts`: the table's text columns. `weighted`: whether its rows shall count differently.

    Raises:
        InputError: no such learner, not one for this task, for (no) text or for weights, or a setting it does not have
            or take.
    """
    _check_text(name, texts)
    if own := _own_learner(name):
        own.reads.read(settings)
        return
    estimator = estimator_by_name(name, settings, task)
    if texts and not takes_text(estimator):
        raise refuse_text(name, texts[0].name)
    if weighted and not has_fit_parameter(estimator, "sample_weight"):
        raise no_weights("weights", f"learner={name}")
    warn_of_own_module(name)
    warn_of_auto_stopping(estimator)


def check_estimator(name: str, settings: Mapping[str, Any], schema: TableSchema, field: str) -> str:
    """The name of a learner that can be made; an error calls it by the user's key.

    Raises:
        InputError: as `check_learner`.
    """
    try:
        check_learner(name, settings, str(schema.task), texts=schema.texts)
    except InputError as error:
        raise InputError(error.field.replace("learner", field, 1), error.got, error.takes) from None
    return name


def _check_text(name: str, texts: Sequence[Column]) -> None:
    """Whether a learner of our own is for tables with, or without, text; an estimator's tags say it of that."""
    text = LEARNERS[name].text if name in LEARNERS else "by tags"
    if text == "only" and not texts:
        raise InputError("learner", f"{name!r} for a table without text", "a text column: columns.NAME=text says so")
    if text == "none" and texts:
        raise refuse_text(name, texts[0].name)


def _own_learner(name: str) -> Any:
    """The class of a learner of our own; None for estimators."""
    if name not in LEARNERS or not LEARNERS[name].own:
        return None
    module, _, attribute = str(LEARNERS[name].classifier).rpartition(".")
    return getattr(import_module(module), attribute)


def make_learner(name: str, settings: Mapping[str, Any], schema: TableSchema, *, seed: int) -> Learner:
    """A fresh learner of a schema's target; `seed` gives all its randomness.

    Raises:
        InputError: as `check_learner`, or a schema without a target or without features.
    """
    if schema.task is None:
        raise InputError("target", "none", "the name of the column to predict")
    if not schema.features:
        raise InputError("columns", "no column to predict from", "a table with at least one feature that varies")
    _check_text(name, schema.texts)
    if own := _own_learner(name):
        return own.make(own.reads.read(settings), schema, seed=seed)
    return EstimatorLearner(estimator_by_name(name, settings, schema.task), schema, seed=seed)


def load_learner(folder: Path, schema: TableSchema) -> Learner:
    """A fitted learner from its folder; predictions are the same bits as before saving.

    Raises:
        StudyError: the folder holds no learner, a damaged one, one of another table, types not on the allowlist, or
            what the libraries here cannot read; where other versions saved it, both are named.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        kind = description["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(f"{folder}: no learner there, or a damaged one") from None
    expected = describe(kind, schema)
    if any(description.get(key) != value for key, value in expected.items()):
        raise StudyError(f"{folder}: a learner of a table with other columns or classes")
    if own := _own_learner(kind):
        return own.load(folder, description, schema)
    others = other_versions(description)
    model = _read_model(folder, others)
    if others:
        warnings.warn(f"{folder}: {others}", stacklevel=2)
    return EstimatorLearner.restored(model, np.asarray(description["present"], np.int64), schema)


def _read_model(folder: Path, others: str) -> Any:
    skops = skops_io()
    from skops.io.exceptions import UntrustedTypesFoundException

    why = f"; {others}" if others else ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)  # the caller is told once, of all libraries
            return skops.load(folder / MODEL, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        raise StudyError(f"{folder / MODEL}: refused, types not on the allowlist: {error}{why}") from None
    except Exception as error:  # a file of other versions fails in ways of its own
        raise StudyError(f"{folder / MODEL}: damaged ({type(error).__name__}){why}") from None
