"""The estimators with `backend="ray"`, checked bit by bit against `backend="local"`."""

from typing import Any

import numpy as np
import pytest
import ray
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from dge_ray import DGEClassifier

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
