"""The estimators with `backend="ray"`, checked bit by bit against `backend="local"`."""

from typing import Any, Self

import numpy as np
import pytest
import ray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from dge_ray import DGEClassifier, StudyError

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.mark.parametrize("estimator", [None, DecisionTreeClassifier(max_depth=3)])
def test_ray_gives_what_one_process_gives(estimator: Any) -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    common: dict[str, Any] = {"generator": "copula", "n_members": 3, "estimator": estimator}
    local = DGEClassifier(**common).fit(x, y)
    spread = DGEClassifier(**common, backend="ray").fit(x, y)
    np.testing.assert_array_equal(spread.predict_members(x), local.predict_members(x))
    assert spread.sample(20, member=2).equals(local.sample(20, member=2))
    assert ray.is_initialized()  # a session that was there before is left running


def failing() -> Any:
    """A user's own estimator that cannot be fitted. Made in a function, its class travels with its code."""

    class Failing(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Self:
            raise RuntimeError("boom in fit\nand a second line")

        def predict_proba(self, X: Any) -> np.ndarray:
            return np.zeros((len(X), 3))

    return Failing()


class Unseen(DecisionTreeClassifier):
    """In a module that Ray's processes cannot import."""


def test_a_failure_is_the_same_error_with_the_same_words(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    said = []
    for backend in ("local", "ray"):
        with pytest.raises(RuntimeError) as raised:
            DGEClassifier(generator="copula", n_members=2, estimator=failing(), backend=backend).fit(x, y)
        said.append((type(raised.value), str(raised.value)))
    assert said[0] == said[1] == (RuntimeError, "boom in fit\nand a second line")
    with pytest.raises(StudyError, match=r"^RaySystemError: .*No module named") as raised:
        DGEClassifier(generator="copula", n_members=2, estimator=Unseen(), backend="ray").fit(x, y)
    assert len(str(raised.value).splitlines()) == 1
    assert capfd.readouterr().out == ""
