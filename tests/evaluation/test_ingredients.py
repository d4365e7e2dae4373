"""Ingredients of utility against the closed-form problem: density ratio 1 / (0.5 + x), chi^2 = ln 3 - 1, W = 2, and
what the bound says of it: weighting the rows changes nothing for a class that holds the truth, and gains T2 for one
that does not."""

import math

import numpy as np
import pytest

from dge_ray.downstream import make_learner
from dge_ray.evaluation.ingredients import Stack, density_ratio, fit_weighted, redraw
from dge_ray.stats.utility.attribution import VARIANTS, Attribution, attribution, misspecification
from dge_ray.stats.utility.overlap import overlap
from dge_ray.table import Column, Columns, Kind, TableSchema

N, MEMBERS, NOISE = 5000, 3, 0.3
SCHEMA = TableSchema((Column("x", Kind.NUMERIC, "double"), Column("y", Kind.NUMERIC, "double")), "y", "regression")
GRID = (np.arange(2000) + 0.5) / 2000
T2 = 13 / 27225


def rows(generator: np.random.Generator, n: int = N, *, synthetic: bool = False, slope: float = 0.0) -> Columns:
    x = generator.random(n)
    x = np.sqrt(0.25 + 2 * x) - 0.5 if synthetic else x
    return {"x": x, "y": x**2 + slope * x + NOISE * generator.normal(size=n)}


def test_overlap_of_the_true_ratio() -> None:
    """With the exact log odds only the clipping at 99.5 % is left: under 1 % of each figure here. c > 1/2 where
    x < 1/2: accuracy (1/2 + P(x > 1/2 | synthetic)) / 2 = (.5 + .625) / 2."""
    generator = np.random.default_rng(0)
    real, synthetic = rows(generator, 200_000)["x"], rows(generator, 200_000, synthetic=True)["x"]
    weights, found = overlap(-np.log(0.5 + synthetic), -np.log(0.5 + real))
    chi2 = math.log(3) - 1
    assert weights.mean() == pytest.approx(1)
    assert (found.chi2_real, found.chi2_synthetic) == (pytest.approx(chi2, abs=0.005), pytest.approx(chi2, abs=0.005))
    assert found.largest_ratio == pytest.approx(2, abs=0.03) and found.clipped < 0.01
    assert found.domination == pytest.approx(1.0481, abs=0.003)
    assert found.ess_share == pytest.approx(1 / (1 + chi2), abs=0.005)
    assert found.c2st == pytest.approx(0.5625, abs=0.005) and found.c2st_interval[0] < 0.5625 < found.c2st_interval[1]
    assert not found.support_failure


def test_missing_support_is_no_number() -> None:
    _, found = overlap(np.r_[np.full(999, -9.0), 9.0], np.full(500, 9.0))
    assert found.support_failure and found.domination is None and found.c2st > 0.99


@pytest.fixture(scope="module")
def weighed() -> tuple[Columns, list[Columns], list[np.ndarray], list]:
    """Real rows, members' rows, their weights and overlaps."""
    generator = np.random.default_rng(1)
    real, held_out = rows(generator), rows(generator, 4000)
    members = [rows(generator, synthetic=True) for _ in range(MEMBERS)]
    found = [density_ratio(real, held_out, member, SCHEMA, seed=k) for k, member in enumerate(members)]
    return real, members, [w for w, _ in found], [o for _, o in found]


def test_density_ratio_is_found(weighed: tuple) -> None:
    """5,000 rows a side: the standard error of chi^2 is about .01, and the classifier's shrinkage pulls it down."""
    _, members, weights, overlaps = weighed
    assert np.mean([o.chi2_real for o in overlaps]) == pytest.approx(math.log(3) - 1, abs=0.03)
    assert np.mean([o.chi2_synthetic for o in overlaps]) == pytest.approx(math.log(3) - 1, abs=0.03)
    assert all(o.c2st_interval[0] < 0.58 and o.c2st > 0.53 and not o.support_failure for o in overlaps)
    for member, weight in zip(members, weights, strict=True):
        # Weighted synthetic features have the real mean of 1/2 (unweighted: 7/12).
        assert np.average(member["x"], weights=weight) == pytest.approx(0.5, abs=0.015)
        assert np.mean(np.abs(weight - 1 / (0.5 + member["x"]))) < 0.12


def losses(degree: int, columns: Columns, weights: np.ndarray | None) -> np.ndarray:
    """Squared distance to the truth on the grid, of the least-squares polynomial: a loss without noise."""
    root = None if weights is None else np.sqrt(weights)
    return (np.polyval(np.polyfit(columns["x"], columns["y"], degree, w=root), GRID) - GRID**2) ** 2


@pytest.fixture(scope="module")
def response(weighed: tuple) -> Stack:
    return Stack(SCHEMA, seed=9).fit(weighed[0])


def attributed(degree: int, slope: float, weighed: tuple, response: Stack) -> Attribution:
    real, members, weights, _ = weighed
    variants: dict[str, list[np.ndarray]] = {name: [] for name in VARIANTS}
    for k, (member, weight) in enumerate(zip(members, weights, strict=True)):
        biased = {**member, "y": member["y"] + slope * member["x"]}
        redrawn = {**member, "y": redraw(response, real, member, seed=k)}
        for name, columns in zip(VARIANTS, (biased, biased, redrawn, redrawn), strict=True):
            variants[name].append(losses(degree, columns, weight if name in ("reweighted", "both") else None))
    return attribution({name: np.stack(v) for name, v in variants.items()}, losses(degree, real, None)[None])


def test_a_right_class_does_not_care_for_the_features(weighed: tuple, response: Stack) -> None:
    """The bound: features only multiply misspecification. i - ii is estimation noise, of the order 3 * .09 / 5,000."""
    right, wrong = attributed(2, 0.0, weighed, response), attributed(1, 0.0, weighed, response)
    assert abs(right.features.value) < 1e-4
    # Members share nothing but the law: T2 to the standard error over three of them, about 15 %.
    assert wrong.features.value == pytest.approx(T2, rel=0.4)
    assert wrong.features.interval[0] > 0


def test_biased_responses_are_told_from_features(weighed: tuple, response: Stack) -> None:
    """Responses biased by 0.1 x cost 1/300 in a right class; labels redrawn from the real rows' model repair most of
    it: what is left is that model's own error, a fifth of the cost at most on 5,000 rows."""
    found = attributed(2, 0.1, weighed, response)
    assert found.responses.value == pytest.approx(1 / 300, rel=0.3)
    assert found.responses.interval[0] > 0
    assert abs(found.features.value) < 3e-4 < found.responses.value / 5
    assert abs(found.residue.value) < 1 / 300 / 5


def test_misspecification() -> None:
    generator = np.random.default_rng(2)
    test = 0.09 + 0.05 * generator.normal(size=3000)
    noise = 0.01 * generator.normal(size=(2, 3000))
    assert not misspecification((test + 0.01)[None] + noise, test[None]).well_specified
    level = misspecification((test - 0.001)[None] + noise, test[None])
    assert level.well_specified and level.lower < level.value < 0


def classes(n: int, generator: np.random.Generator) -> Columns:
    x = generator.normal(size=n)
    return {"x": x, "y": (generator.random(n) < 1 / (1 + np.exp(-2 * x))).astype(np.int32)}


LABELLED = TableSchema(
    (Column("x", Kind.NUMERIC, "double"), Column("y", Kind.CATEGORICAL, "string", categories=("n", "y"))), "y", "binary"
)


def test_redrawn_classes_follow_the_real_rows() -> None:
    """Synthetic labels without any signal get the real rows' signal back: the logistic slope of 2, to its standard
    error on 5,000 rows (.07) and the model's own."""
    generator = np.random.default_rng(3)
    real, synthetic = classes(5000, generator), classes(5000, generator)
    synthetic["y"] = generator.integers(0, 2, 5000).astype(np.int32)
    drawn = redraw(Stack(LABELLED, seed=0).fit(real), real, synthetic, seed=0)
    assert set(drawn) == {0, 1} and drawn.dtype == np.int32
    learner = make_learner("logistic", {}, LABELLED, seed=0).fit({**synthetic, "y": drawn})
    p = learner.predict({"x": np.array([0.0, 1.0]), "y": np.zeros(2, np.int32)})[:, 1]
    assert np.log(p / (1 - p))[1] - np.log(p / (1 - p))[0] == pytest.approx(2, abs=0.25)


def test_a_stack_is_calibrated_and_a_pure_function_of_its_seed() -> None:
    generator = np.random.default_rng(4)
    columns, new = classes(4000, generator), classes(4000, generator)
    stack = Stack(LABELLED, seed=0).fit(columns)
    p, true = stack.predict(new)[:, 1], 1 / (1 + np.exp(-2 * new["x"]))
    assert np.mean(np.abs(p - true)) < 0.03
    assert stack.out_of_fold.shape == (4000, 2)
    few = {name: values[:200] for name, values in columns.items()}
    first, second = (Stack(LABELLED, seed=0).fit(few) for _ in range(2))
    assert np.array_equal(first.predict(new), second.predict(new))


@pytest.mark.parametrize(("name", "settings"), [("logistic", {}), ("tree", {"max_depth": 2}), ("knn", {})])
def test_weights_are_used_or_made_of_duplicates(name: str, settings: dict) -> None:
    """Weight on the rows of class 1 alone: the model gives hardly anything else, but in leaves of class 0
    alone. knn takes no weights."""
    columns = classes(2000, np.random.default_rng(5))
    weights = np.where(columns["y"] == 1, 1.0, 1e-6)
    plain = make_learner(name, settings, LABELLED, seed=0).fit(columns).predict(columns)[:, 1].mean()
    heavy = fit_weighted(make_learner(name, settings, LABELLED, seed=0), columns, weights, seed=0).predict(columns)[
        :, 1
    ]
    assert plain < 0.6 and heavy.mean() > 0.95
