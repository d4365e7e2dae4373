"""One replicate of the pipeline bootstrap: what is resampled, that it is a pure function of its address, and that what
fails is told."""

import numpy as np
import pandas as pd
import pytest

from dge_ray.errors import StudyError
from dge_ray.inference.estimands import Estimands, read_estimands
from dge_ray.inference.replicates import Recipe
from dge_ray.inference.resampling import DRAWS, FITS, Resampled
from dge_ray.table import from_pandas, infer_schema

rng = np.random.default_rng(0)
X = rng.standard_normal(120)
FRAME = pd.DataFrame({"x": X, "y": np.where(rng.random(120) < 1 / (1 + np.exp(-X)), "yes", "no")})
TABLE = from_pandas(FRAME)
SCHEMA = infer_schema(TABLE, target="y")
ESTIMANDS: Estimands = read_estimands("mean(x), logistic(y = yes ~ x)[x]", SCHEMA)
AUTOREGRESSIVE = {"epochs": 2, "hidden": 4, "bins": 4}


def replicate(name: str = "copula", **others) -> Resampled:
    settings = AUTOREGRESSIVE if name == "autoregressive" else {}
    given = {
        "train": TABLE.slice(0, 100),
        "stopping": TABLE.slice(100),
        "estimands": ESTIMANDS,
        "volume": 80,
        "seed": 3,
    }
    return Resampled(generator=Recipe(name, settings), **{**given, **others})


@pytest.mark.parametrize("name", ["copula", "autoregressive"])
def test_a_pure_function_of_its_address(name: str) -> None:
    found = replicate(name)(4)
    assert found == replicate(name)(4) and found["failures"] == {}
    values = np.array(found["synthetic"])
    assert values.shape == (FITS, DRAWS, 2) and np.isfinite(values).all()
    assert len(np.unique(values[..., 0])) == FITS * DRAWS  # fits and draws differ
    assert found != replicate(name)(5) and found != replicate(name, seed=4)(4)


def test_parts_are_resampled_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy of a row stands on both sides, rows come with copies, and the real rows' estimates are of the same."""
    seen = []

    def watched(self, table, schema, *, seeds, stopping=None):
        seen.append((table, stopping, tuple(seeds)))
        return [Recipe("copula", {}).fit(table, schema, seed=seed) for seed in seeds]

    monkeypatch.setattr(Recipe, "fit_each", watched)
    for r in range(20):
        found = replicate()(r)
        train, stopping, seeds = seen[-1]
        inside, outside = set(train["x"].to_pylist()), set(stopping["x"].to_pylist())
        assert inside <= set(X[:100]) and outside <= set(X[100:])
        assert (train.num_rows, stopping.num_rows, len(set(seeds))) == (100, 20, FITS)
        assert found["real"] == ESTIMANDS(train).value.tolist()
    # A resample of n has (1 - 1/e) n distinct rows on average: 63.4 of 100, sd 3.1; within 4 sd / sqrt(20).
    assert np.mean([len(set(t["x"].to_pylist())) for t, _, _ in seen]) == pytest.approx(63.4, abs=2.8)


def test_what_fails_is_counted() -> None:
    one_class = replicate(volume=2)(0)  # two rows tell of no slope
    assert np.array(one_class["synthetic"], float)[..., 0].shape == (FITS, DRAWS)
    assert all(value is None for fit in one_class["synthetic"] for value in np.array(fit, dtype=object)[:, 1])
    ((reason, count),) = one_class["failures"].items()
    assert "2 rows for 2 coefficients" in reason and count == FITS * DRAWS
    hopeless = replicate(constraints=("x > 1000",))(0)
    assert all(value is None for value in np.array(hopeless["synthetic"], dtype=object).ravel())
    ((reason, count),) = hopeless["failures"].items()
    assert reason.startswith("constraints:") and count == 1 and None not in hopeless["real"]


def test_fits_in_one_program_are_those_alone() -> None:
    """But for rounding: `fit_together`'s own promise, kept through the recipe; one that cannot is fitted one by one."""
    recipe = Recipe("autoregressive", AUTOREGRESSIVE)
    together = recipe.fit_each(TABLE.slice(0, 100), SCHEMA, seeds=[1, 2], stopping=TABLE.slice(100))
    alone = [recipe.fit(TABLE.slice(0, 100), SCHEMA, seed=seed, stopping=TABLE.slice(100)) for seed in (1, 2)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.log_prob(TABLE), other.log_prob(TABLE), rtol=1e-3)
    timed = Recipe("autoregressive", {**AUTOREGRESSIVE, "budget_seconds": 30.0})
    assert len(timed.fit_each(TABLE.slice(0, 100), SCHEMA, seeds=[1, 2])) == 2


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Recipe, "fit_each", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        replicate()(0)
    assert not issubclass(StudyError, ValueError)
