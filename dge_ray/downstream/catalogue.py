"""The learners that have a name, and the estimator behind a name or a dotted path.

A new learner is one line of `LEARNERS`: an estimator's dotted paths, or a class of this package (`own`).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from typing import Any, Literal, cast

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from dge_ray.downstream.boosters import STOP, package_defaults
from dge_ray.downstream.installed import is_installed, objection
from dge_ray.downstream.own_module import own_folder
from dge_ray.downstream.preparing import BOOSTING
from dge_ray.errors import InputError, nearest

KeepsRows = Literal["all", "some", "values", "words", "none"]


@dataclass(frozen=True)
class NamedLearner:
    """A learner's line in the catalogue.

    Args:
        classifier, regressor: its class for each task, by dotted path; None: not for that task.
        defaults, classifier_defaults: settings in place of the estimator's own defaults.
        own: the class is no estimator but a learner, with `reads` (its settings), `make` and `load`.
        keeps_rows: what of the rows that it was fitted on can be read in a fitted one: all of them, some, values of
            their columns, words of their texts, or nothing that is theirs exactly.
        text: for tables with a text column alone ("only"), without one ("none"), or as the estimator's tags say.
    """

    classifier: str | None
    regressor: str | None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    classifier_defaults: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False
    text: Literal["only", "none", "by tags"] = "by tags"
    keeps_rows: KeepsRows = "none"


def _of_our_own(path: str, text: Literal["only", "none"], keeps_rows: KeepsRows = "none") -> NamedLearner:
    return NamedLearner(path, path, own=True, text=text, keeps_rows=keeps_rows)


LEARNERS: dict[str, NamedLearner] = {
    # early_stopping='auto' would switch itself on above 10,000 rows; without max_features the seed would be unused.
    "boosting": NamedLearner(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        {"early_stopping": False, "max_features": 0.8},
        keeps_rows="values",  # the thresholds of its bins
    ),
    # Ended by a tenth of the rows at hand, whatever their number; a fit costs about what the hundred trees above do.
    "boosting_early": NamedLearner(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        {"early_stopping": True, "n_iter_no_change": 20, "max_iter": 1000, "max_features": 0.8},
        keeps_rows="values",
    ),
    # The same in many small steps.
    "boosting_stopped": NamedLearner(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        {"early_stopping": True, "n_iter_no_change": 50, "max_iter": 2000, "learning_rate": 0.05, "max_features": 0.8},
        keeps_rows="values",
    ),
    "boosting_tuned": _of_our_own("dge_ray.downstream.tuned.TunedBoosting", text="none", keeps_rows="values"),
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
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.neighbors.KNeighborsRegressor",
        {"n_neighbors": 15},
        keeps_rows="all",
    ),
    "svm": NamedLearner("sklearn.svm.SVC", "sklearn.svm.SVR", keeps_rows="some"),  # its support vectors
    "tfidf_linear": NamedLearner(
        "sklearn.linear_model.LogisticRegression", "sklearn.linear_model.Ridge", text="only", keeps_rows="words"
    ),
    "text_lstm": _of_our_own("dge_ray.downstream.text_lstm.TextLSTM", text="only"),
    "torch_mlp": _of_our_own("dge_ray.downstream.torch_mlp.TorchMLP", text="none"),
}

TAKES = (
    "a learner's name or the dotted path of a scikit-learn estimator class of an installed package, or of a module "
    "in a folder of PYTHONPATH"
)
RESERVED = {
    "random_state": "every fit has its own, made of the seed",
    "categorical_features": "the table's schema says which columns are categories",
}
AUTO_STOPS = "early_stopping='auto' switches itself on above 10,000 rows, in the middle of the volumes; set it to false"


def learner_names() -> list[str]:
    """The names that there are; dotted paths are taken besides."""
    return sorted(LEARNERS)


def keeps_rows(name: str) -> KeepsRows | None:
    """What a fitted learner of this name keeps of its rows; None for a dotted path, of which nobody knows."""
    return LEARNERS[name].keeps_rows if name in LEARNERS else None


def module_folder(name: str) -> str | None:
    """The folder of PYTHONPATH that a learner's module lies in; None for names and installed packages."""
    top = name.partition(".")[0]
    return None if name in LEARNERS or top == "dge_ray" or is_installed(top) else own_folder(top)


def warn_of_own_module(name: str) -> None:
    """One line for an estimator of a module that is no installed package."""
    if folder := module_folder(name):
        warnings.warn(f"learner {name} is code of {folder}, which runs as it lies there", UserWarning, stacklevel=3)


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
    if top != "dge_ray" and not is_installed(top) and own_folder(top) is None:
        raise InputError("learner", f"{path!r}, and {top!r} is no installed package", TAKES)
    against = objection(module, attribute)
    if against is not None:
        raise InputError("learner", f"{path!r}, which cannot be imported ({against})", TAKES)
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
