"""What an analysis of one table gave, in whatever form: names, estimates and variances of its parameters.

Standard errors do not come with scikit-learn. Of a LinearRegression, and of a binary LogisticRegression without
penalty, they are computed here from the rows, by the model: (X'X)^-1 times the residual mean square, and the inverse
information. Any other estimator's are not known, and guessing them is refused.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from dge_ray.errors import InputError
from dge_ray.stats.inference.regression import Coefficients, least_squares, logistic

if TYPE_CHECKING:
    import pandas as pd

TAKES = (
    "(estimate, variance) with numbers, arrays or series, (estimates, covariance matrix), a result with params and bse "
    "or cov_params(), or scikit-learn's LinearRegression or LogisticRegression fitted on the member's frame"
)
SAME = 0.05  # of a standard error: coefficients further apart are not those of the same rows and likelihood


@dataclass(frozen=True)
class FitResult:
    """p parameters of one table: names (made of places where there are none), estimates and variances, (p,) each."""

    names: tuple[str, ...]
    estimate: np.ndarray
    variance: np.ndarray


def read_result(fitted: Any, frame: "pd.DataFrame", target: str | None) -> FitResult:
    """`fitted` as estimates and variances; `frame`, `target`: the rows, for estimators that do not tell variances.

    Raises:
        InputError: a form that is none of those above, shapes that do not match, or standard errors that are not known.
    """
    if hasattr(fitted, "coef_"):
        return _of_sklearn(fitted, frame, target)
    if hasattr(fitted, "params"):
        return _of_statsmodels(fitted)
    if isinstance(fitted, (tuple, list)) and len(fitted) == 2:
        return _of_pair(*fitted)
    _refuse(f"a {type(fitted).__name__}")


def _of_pair(estimate: Any, spread: Any) -> FitResult:
    values, spreads = _numbers(estimate), _numbers(spread)
    if values.ndim > 1:
        _refuse(f"estimates with {values.ndim} axes")
    flat = np.atleast_1d(values)
    if spreads.ndim == 2 and spreads.shape == (len(flat), len(flat)):
        spreads = np.diag(spreads)
    variance = np.atleast_1d(spreads)
    if variance.shape != flat.shape:
        _refuse(f"{len(flat)} estimates and variances of shape {spreads.shape}")
    index = getattr(estimate, "index", None)
    names = ["estimate"] if values.ndim == 0 else [f"x{j}" for j in range(len(flat))]
    return FitResult(
        tuple(str(name) for name in (names if index is None or callable(index) else index)), flat, variance
    )


def _of_statsmodels(fitted: Any) -> FitResult:
    if hasattr(fitted, "bse"):
        spread = _numbers(fitted.bse) ** 2
    elif hasattr(fitted, "cov_params"):
        spread = _numbers(fitted.cov_params())
    else:
        _refuse(f"a {type(fitted).__name__} with params, without bse or cov_params()")
    result = _of_pair(fitted.params, spread)
    if hasattr(fitted.params, "index"):
        return result
    known = getattr(getattr(fitted, "model", None), "exog_names", None)
    return result if not known or len(known) != len(result.names) else FitResult(tuple(known), *_parts(result))


def _of_sklearn(fitted: Any, frame: "pd.DataFrame", target: str | None) -> FitResult:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    kind = type(fitted)
    if kind not in (LinearRegression, LogisticRegression):
        _refuse(f"a {kind.__name__}, whose standard errors are not known")
    names = [str(name) for name in getattr(fitted, "feature_names_in_", ())]
    if not names or not set(names) <= set(frame.columns):
        _refuse(f"a {kind.__name__} of columns that the member's frame does not have")
    if target is None or target not in frame.columns:
        _refuse(f"a {kind.__name__} without target=COLUMN, whose rows its standard errors need")
    x, y = frame[names].to_numpy(np.float64), frame[target]
    if kind is LogisticRegression:
        if len(fitted.classes_) != 2:
            _refuse(f"a LogisticRegression of {len(fitted.classes_)} classes")
        y = y == fitted.classes_[1]
    elif np.ndim(fitted.coef_) != 1:
        _refuse("a LinearRegression of several targets")
    values = np.ravel(fitted.coef_)
    if fitted.fit_intercept:
        x, values = np.column_stack([np.ones(len(x)), x]), np.concatenate([np.ravel(fitted.intercept_), values])
        names = ["intercept", *names]
    estimator = logistic if kind is LogisticRegression else least_squares
    exact: Coefficients = estimator(x, y.to_numpy(np.float64))
    if exact.reason:
        _refuse(f"a {kind.__name__} of rows with {exact.reason}")
    if (np.abs(values - exact.value) > SAME * np.sqrt(exact.variance)).any():
        cause = "C=numpy.inf, a smaller tol, no weights" if kind is LogisticRegression else "no weights, no constraint"
        _refuse(f"a {kind.__name__} whose coefficients are not the rows' unpenalised maximum likelihood ({cause})")
    return FitResult(tuple(names), values, exact.variance)


def _numbers(value: Any) -> np.ndarray:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        _refuse(f"{type(value).__name__} values that are no numbers")


def _parts(result: FitResult) -> tuple[np.ndarray, np.ndarray]:
    return result.estimate, result.variance


def _refuse(got: str) -> NoReturn:
    raise InputError("fit", got, TAKES)
