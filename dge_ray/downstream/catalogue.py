"""Learners by name, by dotted path, or from a folder, and what is wrong with a name or a setting.

A new learner is one line of `LEARNERS`: an estimator's dotted paths, or a class of this package (`own`).
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Literal, cast
from zipfile import BadZipFile

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from dge_ray.downstream.base import Learner
from dge_ray.downstream.boosters import STOP, package_defaults
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.installed import is_installed
from dge_ray.downstream.mixture import no_weights
from dge_ray.downstream.preparing import BOOSTING, refuse_text, takes_text
from dge_ray.downstream.store import DESCRIPTION, MODEL, TRUSTED, describe
from dge_ray.errors import InputError, StudyError, nearest
from dge_ray.table.schema import Column, TableSchema


@dataclass(frozen=True)
class NamedLearner:
    """A learner's line in the catalogue.

    Args:
        classifier, regressor: its class for each task, by dotted path; None: not for that task.
        defaults, classifier_defaults: settings in place of the estimator's own defaults.
        own: the class is no estimator but a learner, with `reads` (its settings), `make` and `load`.
        text: for tables with a text column alone ("only"), without one ("none"), or as the estimator's tags say.
    """

    classifier: str | None
    regressor: str | None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    classifier_defaults: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False
    text: Literal["only", "none", "by tags"] = "by tags"


def _of_our_own(path: str, text: Literal["only", "none"]) -> NamedLearner:
    return NamedLearner(path, path, own=True, text=text)


LEARNERS: dict[str, NamedLearner] = {
    # early_stopping='auto' would switch itself on above 10,000 rows; without max_features the seed would be unused.
    "boosting": NamedLearner(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        {"early_stopping": False, "max_features": 0.8},
    ),
    # Many small steps, ended by a tenth of the rows at hand.
    "boosting_stopped": NamedLearner(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        {"early_stopping": True, "n_iter_no_change": 50, "max_iter": 2000, "learning_rate": 0.05, "max_features": 0.8},
    ),
    "boosting_tuned": _of_our_own("dge_ray.downstream.tuned.TunedBoosting", text="none"),
    "linear": NamedLearner(
        "sklearn.linear_model.LogisticRegression",
        "sklearn.linear_model.Ridge",
        classifier_defaults={"max_iter": 500},
    ),
    "logistic": NamedLearner("sklearn.linear_model.LogisticRegression", None, {"max_iter": 500}),
    "ridge": NamedLearner(None, "sklearn.linear_model.Ridge"),
    "tree": NamedLearner(
        "sklearn.tree.DecisionTreeClassifier", "sklearn.tree.DecisionTreeRegressor", {"min_samples_leaf": 10}
    ),
    "forest": NamedLearner(
        "sklearn.ensemble.RandomForestClassifier", "sklearn.ensemble.RandomForestRegressor", {"min_samples_leaf": 2}
    ),
    "mlp": NamedLearner("sklearn.neural_network.MLPClassifier", "sklearn.neural_network.MLPRegressor"),
    "knn": NamedLearner(
        "sklearn.neighbors.KNeighborsClassifier", "sklearn.neighbors.KNeighborsRegressor", {"n_neighbors": 15}
    ),
    "svm": NamedLearner("sklearn.svm.SVC", "sklearn.svm.SVR"),
    "tfidf_linear": NamedLearner("sklearn.linear_model.LogisticRegression", "sklearn.linear_model.Ridge", text="only"),
    "text_lstm": _of_our_own("dge_ray.downstream.text_lstm.TextLSTM", text="only"),
    "torch_mlp": _of_our_own("dge_ray.downstream.torch_mlp.TorchMLP", text="none"),
}

TAKES = "a learner's name or the dotted path of a scikit-learn estimator class of an installed package"
RESERVED = {
    "random_state": "every fit has its own, made of the seed",
    "categorical_features": "the table's schema says which columns are categories",
}
AUTO_STOPS = "early_stopping='auto' switches itself on above 10,000 rows, in the middle of the volumes; set it to false"


def learner_names() -> list[str]:
    """The names that `make_learner` knows; it takes dotted paths besides."""
    return sorted(LEARNERS)


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
    if own := _own_learner(kind):
        return own.load(folder, description, schema)
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


def warn_of_auto_stopping(estimator: BaseEstimator) -> None:
    """One line for a histogram boosting whose early stopping depends on the number of rows."""
    if isinstance(estimator, BOOSTING) and estimator.get_params()["early_stopping"] == "auto":
        warnings.warn(f"{type(estimator).__name__}: {AUTO_STOPS}", UserWarning, stacklevel=3)


def estimator_by_name(name: str, settings: Mapping[str, Any], task: str) -> BaseEstimator:
    """An unfitted estimator for a task ("binary", "multiclass" or "regression").

    Raises:
        InputError: as `check_learner`.
    """
    path, defaults = name, package_defaults(name)
    if name in LEARNERS:
        entry = LEARNERS[name]
        path = entry.regressor if task == "regression" else entry.classifier
        if path is None:
            other = "regression" if entry.classifier is None else "classification"
            raise InputError("learner", f"'{name}' for {_words(task)}", f"'linear' here; '{name}' is for {other}")
        defaults = {**entry.defaults, **({} if task == "regression" else entry.classifier_defaults)}
    elif "." not in name:
        raise InputError("learner", repr(name), f"{nearest(name, learner_names())}, or an estimator's dotted path")
    estimator = _instance(_estimator_class(path), {**defaults, **settings}, settings, path)
    if name == "svm" and task != "regression":
        return CalibratedClassifierCV(estimator, ensemble=cast(Any, False))
    if name in ("mlp", "svm") and task == "regression":  # both are tuned to a target of unit scale
        return TransformedTargetRegressor(estimator, transformer=StandardScaler())
    _check_task(name, estimator, task)
    return estimator


def _words(task: str) -> str:
    return "regression" if task == "regression" else f"{task} classification"


def _estimator_class(path: str) -> type[BaseEstimator]:
    module, _, attribute = path.rpartition(".")
    top = module.partition(".")[0]
    if top != "dge_ray" and not is_installed(top):
        raise InputError("learner", f"{path!r}, and {top!r} is no installed package", TAKES)
    try:
        cls = getattr(import_module(module), attribute)
    except Exception as error:  # a user's module may fail in any way while it is imported
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("learner", f"{path!r}, which cannot be imported ({reason})", TAKES) from None
    if not isinstance(cls, type):
        raise InputError("learner", f"{path!r}, which is a {type(cls).__name__} and not a class", TAKES)
    # By its methods, not its ancestors: CatBoost's estimators keep scikit-learn's rules and have none of its classes.
    if not all(hasattr(cls, method) for method in ("fit", "predict", "get_params", "set_params")):
        raise InputError("learner", f"{path!r}, which is not a scikit-learn estimator with fit and predict", TAKES)
    return cls


def _arguments(cls: type[BaseEstimator]) -> list[str]:
    """What the constructor names: `get_params` of some packages tells only what was set."""
    return [p.name for p in signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD]


def _instance(cls: type[BaseEstimator], values: dict[str, Any], given: Mapping[str, Any], path: str) -> BaseEstimator:
    try:
        estimator = cls(**{k: v for k, v in values.items() if k not in given})
    except TypeError as error:
        raise InputError("learner", f"{cls.__name__} ({error})", "an estimator whose arguments have defaults") from None
    more = [STOP] if package_defaults(path) else []
    known: list[str] = sorted(set(estimator.get_params(deep=False)) | set(_arguments(cls)) | set(more))
    for setting, value in given.items():
        if setting not in known:
            raise InputError(f"learner.{setting}", "an unknown setting", nearest(setting, known))
        if setting in RESERVED:
            raise InputError(f"learner.{setting}", repr(value), f"nothing: {RESERVED[setting]}")
        estimator.set_params(**{setting: value})
        _check_value(estimator, setting, value)
    return estimator


def _check_value(estimator: BaseEstimator, setting: str, value: Any) -> None:
    """Let scikit-learn judge a value now and not in the first fit; estimators of other makers judge it themselves."""
    validate = getattr(estimator, "_validate_params", None)
    if validate is None or not isinstance(getattr(type(estimator), "_parameter_constraints", None), dict):
        return
    try:
        validate()
    except ValueError as error:
        text = str(error).partition(" must be ")[2].partition(". Got ")[0] or str(error)
        raise InputError(f"learner.{setting}", repr(value), text) from None


def _check_task(name: str, estimator: BaseEstimator, task: str) -> None:
    wanted = "regressor" if task == "regression" else "classifier"
    estimator_type = get_tags(estimator).estimator_type
    if estimator_type != wanted:
        known = estimator_type in ("classifier", "regressor")
        kind = f"a {estimator_type}" if known else "neither a classifier nor a regressor"
        raise InputError("learner", f"{name!r}, which is {kind}", f"a {wanted}: the task is {_words(task)}")
    if wanted == "classifier" and not hasattr(estimator, "predict_proba"):
        raise InputError(
            "learner", f"{name!r}, which gives no probabilities", "a classifier with predict_proba (svm has one)"
        )
