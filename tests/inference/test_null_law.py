"""Residuals against plain loops, and the null law: one that is right, and two that are wrong."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.inference import null_law
from dge_ray.inference.additive import Additive
from dge_ray.inference.residuals import FOLDS, expected, gcm_test, residuals, row_folds
from dge_ray.table import TableCodec, TableSchema, infer_schema


def squares(n: int = 300, seed: int = 0, effect: float = 0.0) -> pa.Table:
    """x = z^2 + noise, y = z^2 + noise: independent given z without an effect."""
    rng = np.random.default_rng(seed)
    z, noise, e = rng.standard_normal((3, n))
    x = z**2 + noise
    return pa.table({"z": z, "x": x, "y": z**2 + e + effect * x})


@dataclass
class Law:
    """A `Null` with a law of one's own: `draw(z, rng)` gives columns."""

    schema: TableSchema
    draw: Any
    features: tuple[str, ...] = ("x",)
    redraws: None = None

    def load(self) -> tuple[Any, Any]:
        return self, self

    def sample(self, n: int, *, seed: int, given: pa.Table) -> pa.Table:
        z = given["z"].to_numpy()
        return pa.table({"z": z, **self.draw(z, np.random.default_rng(seed))})


def right(z: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    noise, e = rng.standard_normal((2, len(z)))
    return {"x": z**2 + noise, "y": z**2 + e}


def no_squares(z: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    noise, e = rng.standard_normal((2, len(z)))
    return {"x": 1 + np.sqrt(3) * noise, "y": z**2 + e}


def too_narrow(z: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    noise, e = rng.standard_normal((2, len(z)))
    return {"x": z**2 + 0.3 * noise, "y": z**2 + e}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_law, "DRAWS", 5)


@pytest.mark.parametrize(
    ("draw", "matters", "at_all"), [(right, False, False), (no_squares, True, True), (too_narrow, False, True)]
)
def test_a_wrong_law_is_told(draw: Any, matters: bool, at_all: bool) -> None:
    """Ridge errs in the square alone: there the second law is wrong; the third one's mean is right."""
    table = squares()
    found = null_law.null_law(Law(infer_schema(table, target="y"), draw), table, ("ridge", {}), seed=0)
    assert [test.p_value <= 0.05 for test in found] == [matters, at_all]


def test_without_a_learner_all_that_tells_of_the_target_matters() -> None:
    table = squares()
    found, _ = null_law.null_law(Law(infer_schema(table, target="y"), no_squares), table, None, seed=0)
    assert found.p_value <= 0.05


def test_residuals_are_by_the_other_folds() -> None:
    """With a learner that predicts the mean: each row's residual is from the mean of the four other folds."""
    table = squares(200)
    schema = infer_schema(table, target="y")
    columns, folds = TableCodec(schema).encode(table), row_folds(200, 5)
    assert np.bincount(folds).tolist() == [200 // FOLDS] * FOLDS
    constant = [("sklearn.dummy.DummyRegressor", {})]
    mean = expected(columns, schema, "x", ["z"], seed=5, learners=constant)[:, 0]
    x = table["x"].to_numpy()
    for fold in range(FOLDS):
        assert mean[folds == fold] == pytest.approx(x[folds != fold].mean(), rel=1e-6)


def test_residuals_of_a_class_are_its_indicator_less_its_share() -> None:
    z, e = np.random.default_rng(4).standard_normal((2, 200))
    table = pa.table({"z": z, "c": pa.array(["a", "b"]).take(pa.array((z + e > 0).astype(int)))})
    schema = infer_schema(table, target="c")
    columns = TableCodec(schema).encode(table)
    left, shares = (how(columns, schema, "c", ["z"], seed=5) for how in (residuals, expected))
    assert left.shape == (200, 1) and left[:, 0] == pytest.approx((columns["c"] == 1) - shares[:, 0])
    assert np.abs(left.mean()) < 0.1 and left.std() < 0.45  # sd .5 without z


def test_a_smooth_regression_finds_a_square_and_goes_on_straight() -> None:
    """Least squares of 300 rows on 10 curves leave an error of variance 10 / 300 on average: a fifth is far above."""
    table = squares()
    schema = replace(infer_schema(table, target="y"), columns=infer_schema(table, target="y").columns[::2])
    columns = TableCodec(schema).encode(table)
    z = table["z"].to_numpy()
    model = Additive(schema).fit(columns)
    assert np.mean((model.predict(columns)[:, 0] - z**2) ** 2) < 0.2
    far = model.predict({"z": np.array([9.0, 10.0, 11.0]), "y": np.zeros(3)})[:, 0]
    assert far[2] - far[1] == pytest.approx(far[1] - far[0])


def test_a_missing_value_has_no_residual() -> None:
    table = squares(100)
    holes = np.where(np.arange(100) % 7 == 0, np.nan, table["x"].to_numpy())
    table = table.set_column(1, "x", pa.array(holes, from_pandas=True))
    schema = infer_schema(table, target="y")
    left = residuals(TableCodec(schema).encode(table), schema, "x", ["z"], seed=0)
    assert (left[::7] == 0).all() and np.isfinite(left).all()


def test_an_effect_is_found_and_none_is_not() -> None:
    for effect, told in ((0.0, False), (0.5, True)):
        table = squares(400, 1, effect)
        assert (gcm_test(table, infer_schema(table, target="y"), ["x"], seed=0).p_value <= 0.01) == told
