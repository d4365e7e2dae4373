"""The generator of chosen marginals: its inference by brute force, its mechanisms by their laws and their cost."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.generator_cases import tiny_cells, tiny_table
from scipy.special import ndtr, ndtri

from dge_ray.errors import InputError
from dge_ray.generators.marginals import choose
from dge_ray.generators.marginals.choose import Candidates, choice_epsilon, count, marginal_noise
from dge_ray.generators.marginals.estimate import Estimate, Measured, estimate
from dge_ray.generators.marginals.generator import Marginals
from dge_ray.generators.marginals.junction import JunctionTree, Model, bags_of
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.table import TableCodec, TableSchema, infer_schema

SIZES = (3, 4, 2, 5, 3)
CLIQUES = [(0,), (4,), (0, 1), (1, 2), (2, 3), (0, 3), (3, 4)]  # a cycle with a tail: it must be triangulated


def private(noise: float = 1.0, key: int = 2**250 + 7) -> PrivateFit:
    return PrivateFit(1.0, noise, 1.0, 1, 5.0, key=key)


def potentials(seed: int = 0) -> dict[tuple[int, ...], np.ndarray]:
    rng = np.random.default_rng(seed)
    return {c: rng.normal(size=[SIZES[v] for v in c]) for c in CLIQUES}


def joint() -> np.ndarray:
    """The law of these potentials in all 360 cells."""
    logs = np.zeros(SIZES)
    for c, table in potentials().items():
        logs += table.reshape([SIZES[v] if v in c else 1 for v in range(len(SIZES))])
    return np.exp(logs) / np.exp(logs).sum()


def model() -> Model:
    tree = JunctionTree.over(SIZES, CLIQUES)
    return Model(tree, tree.calibrated(potentials()))


def every_clique() -> list[tuple[int, ...]]:
    return [c for k in (1, 2, 3) for c in itertools.combinations(range(len(SIZES)), k)]


def schema(table) -> TableSchema:
    return infer_schema(table, target="a")


def test_marginals_of_the_tree_are_those_of_the_joint_law() -> None:
    assert max(len(bag) for bag in bags_of(SIZES, CLIQUES)) == 3
    found, law = model(), joint()
    for clique in every_clique():
        wanted = law.sum(axis=tuple(v for v in range(len(SIZES)) if v not in clique))
        assert np.allclose(found.project(clique), wanted, atol=1e-12), clique


def test_log_prob_is_that_of_the_joint_law_and_draws_follow_it() -> None:
    """Shares of 100,000 draws: standard errors of at most .0016 each; 5 of them."""
    found, law = model(), joint()
    cells = np.array(list(itertools.product(*map(range, SIZES)))).T
    assert np.allclose(np.exp(found.log_prob(cells)), law.ravel(), atol=1e-12)
    drawn = found.draw(100_000, np.random.default_rng(1))
    for clique in every_clique():
        shares = count(drawn, SIZES, clique) / 100_000
        assert np.abs(shares - found.project(clique)).max() < 0.008, clique


def test_columns_in_no_common_clique_are_independent() -> None:
    tree = JunctionTree.over(SIZES, [(0, 1)])
    law = Model(tree, tree.calibrated({(0, 1): np.log(np.arange(1.0, 13).reshape(3, 4))}))
    assert np.allclose(law.project((2, 3)), 0.1)
    assert np.allclose(law.project((0, 2)), np.outer(law.project((0,)), [0.5, 0.5]))


def test_exact_measurements_give_the_law_that_has_them() -> None:
    """It is the law of highest entropy with these marginals, so marginals that were not measured agree too."""
    law = model()
    measured = [Measured(c, 500 * law.project(c), 1.0) for c in CLIQUES]
    found = estimate(Estimate(SIZES, {}, 500.0), measured, 2_000)
    for clique in every_clique():
        assert np.abs(found.counts(clique) - 500 * law.project(clique)).max() < 0.01


def test_without_noise_the_tables_own_marginals_come_out() -> None:
    """Three columns that hang together and degree 3: all of the table's marginals, within a row in a thousand."""
    table = tiny_table()
    made = Marginals(resample=False, degree=3).fit(table, schema(table), seed=0)
    assert made._fitted is not None
    tokens = made._fitted[1].discretiser.encode(TableCodec(schema(table)).encode(table))
    for clique in every_clique():
        if max(clique) < 3:
            truth = count(tokens, (2, 3, 4), clique) / table.num_rows
            assert np.abs(made._fitted[1].law.project(clique) - truth).max() < 1e-3
    assert np.exp(made.log_prob(tiny_cells())).sum() == pytest.approx(1)
    truth = np.mean([value == "x" for value in table["a"].to_pylist()])
    assert np.exp(made.log_prob(tiny_cells().slice(0, 12))).sum() == pytest.approx(truth, abs=1e-3)


def candidates(tokens: np.ndarray, weights: np.ndarray | None = None) -> Candidates:
    return Candidates.of(tokens, SIZES, degree=3, cells=10_000, weights=weights)


def test_one_rows_contribution_changes_no_error_by_more_than_one() -> None:
    """Neighbours: the same rows, one of which counts nothing; n is public, so the model's counts stay."""
    rng = np.random.default_rng(3)
    tokens = model().draw(40, rng)
    start = Estimate(SIZES, potentials(1), 40.0)
    whole = candidates(tokens)
    cliques = list(whole.worth)
    assert len(cliques) == 5 + 10 + 10
    errors, sharp = whole.errors(cliques, start), 0.0
    for row in range(40):
        weights = np.ones(40)
        weights[row] = 0.0
        off = np.abs(candidates(tokens, weights).errors(cliques, start) - errors)
        assert off.max() <= 1 + 1e-9
        sharp = max(sharp, off.max())
    assert sharp > 0.9  # the bound is met, or nearly


def gaussian_of_choice(epsilon: float) -> float:
    """The mean of the Gaussian that every mechanism whose log ratios lie within a range of epsilon is as private as:
    of the two-point laws with ratios e^t and e^(t - epsilon), the worst t on a grid."""
    t = np.linspace(0, epsilon, 2_001)[1:-1]
    q = -np.expm1(t - epsilon) / (np.exp(t) - np.exp(t - epsilon))
    return float((ndtri(np.exp(t) * q) - ndtri(q)).max())


@pytest.mark.parametrize("cost", [1e-6, 1e-3, 0.1, 1.0, 10.0])
def test_a_choice_costs_what_it_is_charged(cost: float) -> None:
    assert gaussian_of_choice(choice_epsilon(cost)) == pytest.approx(math.sqrt(cost), rel=1e-4)


@pytest.mark.parametrize("cost", [1e-2, 1.0, 10.0])
def test_the_worst_pair_of_a_choice_lies_within_the_gaussian(cost: float) -> None:
    """At every level: what the best test misses with the two-point pair is no less than with the Gaussian."""
    half = choice_epsilon(cost) / 2
    p = 1 / (1 + math.exp(-half))
    level = np.linspace(1e-6, 1 - 1e-6, 5_001)
    two_points = np.maximum(1 - level * p / (1 - p), (1 - level) * (1 - p) / p)
    assert (two_points >= ndtr(-ndtri(level) - math.sqrt(cost)) - 1e-9).all()


@pytest.mark.parametrize("noise", [0.3, 4.0, 30.0])
def test_all_rounds_together_cost_the_plans_noise(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by what reaches the two mechanisms: 1 / sd^2 a count, and a choice's cost by the test's own formula."""
    costs = []

    def measured(private: PrivateFit, number: int, cells: int, sd: float) -> np.ndarray:
        costs.append(sd**-2)
        return marginal_noise(private, number, cells, sd)

    def chosen(private: PrivateFit, turn: int, scores: np.ndarray, epsilon: float) -> int:
        costs.append(gaussian_of_choice(epsilon) ** 2)
        return real(private, turn, scores, epsilon)

    real = choose.choose
    monkeypatch.setattr(choose, "marginal_noise", measured)
    monkeypatch.setattr(choose, "choose", chosen)
    monkeypatch.setattr(choose, "STEPS", 3)
    monkeypatch.setattr(choose, "LAST_STEPS", 3)
    tokens = model().draw(300, np.random.default_rng(0))
    choose.private_estimate(candidates(tokens), private(noise))
    assert sum(costs) == pytest.approx(noise**-2, rel=1e-3)
    assert sum(costs) <= noise**-2 * (1 + 1e-9)
    assert len(costs) > 5 + 2 * 2  # the single columns, and some rounds


def test_noise_of_counts_has_the_sd_that_it_is_charged_for() -> None:
    """4,000 draws: the sd's standard error is 1.1 %; 5 of them. Each number of a measurement has its own noise."""
    noise = marginal_noise(private(), 0, 4_000, 7.3)
    assert noise.dtype == np.int64 and abs(noise.std() / math.sqrt(7.3**2 + 2) - 1) < 0.056
    assert not np.array_equal(noise[:50], marginal_noise(private(), 1, 50, 7.3))
    assert np.array_equal(noise[:50], marginal_noise(private(), 0, 50, 7.3))


def test_choices_have_the_exponential_mechanisms_law() -> None:
    """4,000 rounds: standard errors of at most .008; 5 of them."""
    scores = np.array([3.0, 1.0, 0.0, 2.5])
    wanted = np.exp(0.5 * 1.2 * scores)
    shares = np.bincount([choose.choose(private(), turn, scores, 1.2) for turn in range(4_000)], minlength=4) / 4_000
    assert np.abs(shares - wanted / wanted.sum()).max() < 0.04


def test_a_private_fit_is_one_gaussian_on_all_rows_and_a_function_of_the_key(tmp_path: Path) -> None:
    assert private_steps("marginals", private_settings("marginals", {}), 5_000) == (1.0, 1.0, 1)
    with pytest.raises(InputError, match="resample"):
        private_settings("marginals", {"resample": False})
    table = tiny_table(400)
    one, again, other = (
        Marginals().fit(table, schema(table), seed=seed, private=private(key=key))
        for seed, key in ((0, 5), (1, 5), (0, 6))
    )
    for made, name in ((one, "one"), (again, "again"), (other, "other")):
        made.save(tmp_path / name)
    files = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "again", "other")]
    assert files[0] == files[1] != files[2]
    shares = np.exp(one.log_prob(tiny_cells()))
    assert shares.sum() == pytest.approx(1)
    truth = np.mean([value == "x" for value in table["a"].to_pylist()])
    assert abs(shares[:12].sum() - truth) < 0.1
