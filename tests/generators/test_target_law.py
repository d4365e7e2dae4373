"""The target's law given the other columns, against exact likelihoods, the generators' own draws, and rejection."""

import numpy as np
import pyarrow as pa
import pytest
from helpers.generator_cases import SMALL, tiny_cells, tiny_table
from scipy.special import ndtr

from dge_ray.errors import InputError
from dge_ray.generators.autoregressive import marginals
from dge_ray.generators.autoregressive.generator import Autoregressive
from dge_ray.generators.copula.latents import complete
from dge_ray.generators.diffusion.generator import Diffusion
from dge_ray.table import TableSchema, infer_schema

TINY = tiny_table().drop_null()
TINY_SCHEMA = infer_schema(TINY, target="c")
N = 4_000
KOLMOGOROV = 1.95 / N**0.5  # the .1 % point of one sample's distance from its law


def measured_table(n: int = 600) -> tuple[pa.Table, TableSchema]:
    """A category, and a number whose mean and spread follow it."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, n)
    table = pa.table({"group": np.array(["a", "b"])[group], "y": rng.normal(3 * group, 1 + group)})
    return table, infer_schema(table, target="y")


def distance(values: np.ndarray, weights: np.ndarray, draws: np.ndarray) -> float:
    """The largest distance between the distribution functions of weighted atoms (s,) and of draws (n,)."""
    at = np.quantile(draws, np.linspace(0.02, 0.98, 49))
    law = (weights * (values <= at[:, None])).sum(axis=1)
    return float(np.abs(law - (draws <= at[:, None]).mean(axis=1)).max())


def test_the_autoregressors_law_is_its_likelihoods() -> None:
    generator = Autoregressive(epochs=4).fit(TINY, TINY_SCHEMA, seed=0)
    cells = tiny_cells().drop_null()  # 6 pairs, and 3 values of the target each
    joint = np.exp(generator.log_prob(cells)).reshape(6, 3)
    law = generator.target_law(cells.select(["a", "b"]).take(np.arange(0, 18, 3)), points=5)
    assert law is not None
    values, p = law
    assert values.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(p, joint / joint.sum(axis=1, keepdims=True), rtol=1e-5)  # float32 logits


def test_a_target_that_is_not_last_has_no_law_without_draws() -> None:
    schema = infer_schema(TINY, target="a")
    generator = Autoregressive(epochs=1, target="in_place").fit(TINY, schema, seed=0)
    assert generator.target_law(TINY.select(["b", "c"]), points=5) is None


@pytest.mark.parametrize("name", ["autoregressive", "diffusion"])
def test_a_measured_targets_law_is_that_of_draws(name: str) -> None:
    """For the diffusion .02 more: 100 points stand for the law, and draws end at a noise that is not quite 0."""
    table, schema = measured_table()
    kinds = {"autoregressive": Autoregressive, "diffusion": Diffusion}
    generator = kinds[name](**SMALL[name]).fit(table, schema, seed=0)
    for group in ("a", "b"):
        given = pa.table({"group": pa.array([group] * N)})
        draws = generator.sample(N, seed=1, given=given)["y"].to_numpy()
        law = generator.target_law(given.slice(0, 2), points=100)
        assert law is not None
        values, weights = (np.broadcast_to(part, (2, part.shape[1])) for part in law)
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
        np.testing.assert_allclose(values[0], values[1], atol=1e-5)
        assert distance(values[0], weights[0], draws) < KOLMOGOROV + (0.02 if name == "diffusion" else 0.0)


def test_a_coded_targets_law_is_that_of_the_diffusions_draws() -> None:
    """Shares of 4,000 draws: standard error at most .008. What is learnt at much noise and at less may be .04 apart."""
    generator = Diffusion(width=32, layers=1, steps=300).fit(TINY, TINY_SCHEMA, seed=0)
    for i in (0, 1, 2):
        given = TINY.select(["a", "b"]).take([i] * N)
        drawn = generator.sample(N, seed=1, given=given)["c"].to_pylist()
        law = generator.target_law(given.slice(0, 1), points=5)
        assert law is not None
        shares = [drawn.count(value) / N for value in TINY_SCHEMA["c"].categories]
        np.testing.assert_allclose(law[1][0], shares, atol=0.04 + 4 * 0.008)


def test_the_published_diffusion_has_draws_only() -> None:
    generator = Diffusion(formulation="tabddpm", steps=20, width=16, timesteps=5).fit(TINY, TINY_SCHEMA, seed=0)
    assert generator.target_law(TINY.select(["a", "b"]), points=5) is None


def test_stopping_on_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded and kept is the held-out rows' mean -log p(target | the rest)."""
    monkeypatch.setattr(marginals, "SWEEPS", 0)  # biases settled after the fit change the law
    left_out = TINY.slice(0, 200)
    generator = Autoregressive(epochs=6, stop_on="target").fit(TINY, TINY_SCHEMA, seed=0, stopping=left_out)
    law = generator.target_law(left_out.select(["a", "b"]), points=1)
    assert law is not None
    codes = [TINY_SCHEMA["c"].categories.index(value) for value in left_out["c"].to_pylist()]
    nats = -np.log(law[1][np.arange(200), codes]).mean()
    assert abs(nats - min(record["heldout"] for record in generator.history)) < 1e-5
    with pytest.raises(InputError, match="'rows'"):
        Autoregressive(stop_on="target").fit(TINY, infer_schema(TINY), seed=0)


def test_latents_within_intervals_are_those_that_rejection_keeps() -> None:
    """Two latents tied to intervals and one unknown, against rows of 400,000 that fall into them (about 30,000).

    Means and standard deviations of 20,000 draws each side have standard errors of about .007: 5 of a difference.
    """
    correlation = np.array([[1.0, 0.6, -0.5], [0.6, 1.0, 0.2], [-0.5, 0.2, 1.0]])
    rng = np.random.default_rng(0)
    z = np.linalg.cholesky(correlation) @ rng.normal(size=(3, 400_000))
    kept = z[:, (ndtr(z[0]) > 0.7) & (ndtr(z[1]) < 0.4)]
    n = 20_000
    lower, upper = (np.tile(np.array(ends)[:, None], n) for ends in ([0.7, 0, 0], [1, 0.4, 1]))
    found = complete(correlation, lower, upper, rng)
    np.testing.assert_allclose(found.mean(axis=1), kept.mean(axis=1), atol=0.05)
    np.testing.assert_allclose(np.cov(found), np.cov(kept), atol=0.05)
    at = np.array([[0.3], [-0.2], [0.0]]).repeat(n, axis=1)
    points = [np.where([[1], [1], [0]], ndtr(at), end) for end in (0.0, 1.0)]
    found = complete(correlation, *points, rng)
    np.testing.assert_allclose(found[:2], at[:2], atol=1e-9)
    slope = np.linalg.solve(correlation[:2, :2], correlation[:2, 2])
    spread = (1 - slope @ correlation[:2, 2]) ** 0.5
    assert abs(found[2].mean() - slope @ at[:2, 0]) < 5 * spread / n**0.5 and abs(found[2].std() - spread) < 0.02
