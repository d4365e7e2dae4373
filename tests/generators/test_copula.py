"""The copula against what it should recover: a Gaussian law's correlations, marginals and missing shares."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp, spearmanr

from dge_ray.errors import InputError
from dge_ray.generators.copula.generator import Copula, _interval_means, _latent_correlation
from dge_ray.generators.encoding.tokens import Bins
from dge_ray.table import infer_schema

N = 20_000


def gaussian_table() -> pa.Table:
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0, 0], [[1, 0.7, -0.4], [0.7, 1, 0], [-0.4, 0, 1]], N)
    return pa.table(
        {
            "a": np.exp(z[:, 0]),
            "b": pa.array(z[:, 1], mask=rng.random(N) < 0.2),
            "c": np.where(z[:, 2] > 0.5, "high", "low"),
        }
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[pa.Table, pa.Table, Copula]:
    table = gaussian_table()
    copula = Copula(resample=False).fit(table, infer_schema(table, target="c"), seed=0)
    return table, copula.sample(N, seed=1), copula


def test_marginals_are_kept(fitted: tuple[pa.Table, pa.Table, Copula]) -> None:
    """KS below its .1 % point for two samples of 20,000; shares within 5 standard errors of a difference (.02)."""
    table, rows, _ = fitted
    assert ks_2samp(table["a"].to_numpy(), rows["a"].to_numpy()).statistic < 0.0195
    assert ks_2samp(table["b"].drop_null().to_numpy(), rows["b"].drop_null().to_numpy()).statistic < 0.022
    assert abs(table["b"].null_count - rows["b"].null_count) / N < 0.02
    high = [np.mean([v == "high" for v in t["c"].to_pylist()]) for t in (table, rows)]
    assert abs(high[0] - high[1]) < 0.02


def test_correlations_are_recovered(fitted: tuple[pa.Table, pa.Table, Copula]) -> None:
    """A latent -.4 seen through one binary threshold comes back: the scores' own correlation would be -.3.

    The correction is exact for weak dependence only, so .04.
    """
    _, _, copula = fitted
    factor = copula._state()[1].factor
    correlation = factor @ factor.T
    assert abs(correlation[0, 2] - 0.4) < 0.04  # "high" comes before "low" in the codes, which turns the sign


def test_rank_correlation_of_measured_columns() -> None:
    """Without missing values Spearman's rho of the rows is the table's; its standard error is about .007 twice."""
    table = gaussian_table().drop_columns(["b"])
    rng = np.random.default_rng(1)
    table = table.append_column("d", pa.array(np.log(table["a"].to_numpy()) + rng.normal(size=N)))
    rows = Copula().fit(table, infer_schema(table), seed=0).sample(N, seed=0)
    expected = spearmanr(table["a"].to_numpy(), table["d"].to_numpy()).statistic
    assert abs(spearmanr(rows["a"].to_numpy(), rows["d"].to_numpy()).statistic - expected) < 0.03


@pytest.mark.parametrize(("informative", "place"), [(False, 0.5), (True, 0.9)])
def test_missing_values_rank_where_their_targets_do(informative: bool, place: float) -> None:
    """Missing at random stand in the middle, so that they weaken no correlation; where only large values are missing
    they stand high. The place is the mass of values below; its error is about .5 / (slope sqrt(rows missing)), .04."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=N)
    label = np.where(x + rng.normal(size=N) > 0, "yes", "no")
    missing = (x > 0.84) & (rng.random(N) < 0.5) if informative else rng.random(N) < 0.05
    table = pa.table({"x": pa.array(x, mask=missing), "y": label})
    copula = Copula(resample=False).fit(table, infer_schema(table, target="y"), seed=0)
    model = copula._state()[1]
    scale, tokens = model.scales[0], next(iter(model.tokens.columns.values()))
    assert isinstance(tokens, Bins)
    at = int(np.flatnonzero(np.isnan(tokens.centres()[scale.order]))[0])
    below = scale.upper[at - 1] / (1 - (scale.upper[at] - scale.upper[at - 1]))
    assert abs(below - place) < 0.12


def test_interval_means_are_those_of_a_normal() -> None:
    """Against a million draws; a token of share .1 has 100,000 of them, so 4 standard errors are .01."""
    upper = np.array([0.1, 0.1, 0.45, 1.0])  # the second token is empty
    means = _interval_means(upper)
    z = np.random.default_rng(0).normal(size=1_000_000)
    u = np.argsort(np.argsort(z)) / len(z)
    for token, (low, high) in enumerate([(0, 0.1), (0.1, 0.1), (0.1, 0.45), (0.45, 1.0)]):
        inside = (u >= low) & (u < high)
        assert abs(means[token] - (z[inside].mean() if inside.any() else 0)) < 0.01


def test_correlation_of_copies_is_positive_definite() -> None:
    """Five copies of one column and its negative: singular before the repair."""
    z = np.random.default_rng(0).normal(size=500)
    repaired = _latent_correlation(np.stack([z, z, z, -z, z]), np.full(500, 1 / 500))
    np.testing.assert_allclose(np.diag(repaired), 1.0)
    np.linalg.cholesky(repaired)


def test_plain_fit_ignores_the_seed_and_resampled_fit_does_not() -> None:
    table = gaussian_table().slice(0, 500)
    schema = infer_schema(table, target="c")

    def rows(resample: bool, seed: int) -> pa.Table:
        return Copula(resample=resample).fit(table, schema, seed=seed).sample(200, seed=0)

    assert rows(False, 0).equals(rows(False, 1))
    assert not rows(True, 0).equals(rows(True, 1))


def test_warm_start_is_refused(tmp_path: Path) -> None:
    table = gaussian_table().slice(0, 100)
    with pytest.raises(InputError, match="closed form"):
        Copula().fit(table, infer_schema(table), seed=0, warm_start=tmp_path)
