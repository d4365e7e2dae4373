"""How models are kept: skops without torch, the names that it trusts all there, and the same model as the same bytes,
wherever its parts lie in memory."""

import copy
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dge_ray.downstream.store import TRUSTED
from dge_ray.skops_files import skops_bytes, skops_io

NAMES = """
import sys
from dge_ray.skops_files import skops_io
skops_io()
assert "torch" not in sys.modules
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES
from sklearn.utils import all_estimators  # with torch, now
every = {f"{one.__module__}.{one.__name__}" for _, one in all_estimators()}
assert "torch" in sys.modules
assert {name for name in every if name.startswith("sklearn.")} == set(SKLEARN_ESTIMATOR_TYPE_NAMES)
"""
X = np.random.default_rng(0).normal(size=(200, 4))
MODELS: dict[str, Any] = {
    "boosting": HistGradientBoostingClassifier(max_iter=4, random_state=0, early_stopping=True),
    "pipeline": make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 1])]), LogisticRegression()),
    "forest": RandomForestRegressor(3, random_state=0),
    "ridge": Ridge(),
}


def test_it_is_skops_and_nothing_stays_barred() -> None:
    import skops.io

    assert skops_io() is skops.io
    assert None not in sys.modules.values()


@pytest.mark.slow
def test_torch_stays_out_and_the_trusted_names_are_the_same() -> None:
    pytest.importorskip("torch")
    subprocess.run([sys.executable, "-c", NAMES], check=True, timeout=120)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_comes_to_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = [copy.deepcopy(MODELS[name]).fit(X, X[:, 0] > 0) for _ in range(2)]
    now = time.localtime()
    found = [skops_bytes(fits[0])]
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2031, 2, 3, 4, 5, 6, *now[6:])))
    assert skops_io().dumps(fits[0]) != skops_io().dumps(fits[1])  # else nothing is tested
    found += [skops_bytes(model) for model in fits]
    if name != "forest":  # a copy of its nodes has other bytes between their fields, which nothing sets
        found.append(skops_bytes(copy.deepcopy(fits[1])))
    assert len(set(found)) == 1
    read = skops_io().loads(found[0], trusted=TRUSTED)
    np.testing.assert_array_equal(read.predict(X), fits[0].predict(X))
    assert name == "forest" or skops_bytes(read) == found[0]


def test_another_model_comes_to_others() -> None:
    assert skops_bytes(Ridge(1.0).fit(X, X[:, 0])) != skops_bytes(Ridge(2.0).fit(X, X[:, 0]))
