"""Ranks counted pair by pair, worked examples, and the property that names and their order change nothing."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, ttest_rel

from dge_ray.commands.select import pairs, ranking
from dge_ray.stats.comparison.crossed import Estimate, uncrossed
from dge_ray.stats.comparison.ranks import (
    halves,
    kendall,
    kendall_rows,
    ranks,
    regret,
    spearman,
    top,
    top_agreement,
    top_shares,
)

# Whole numbers, so that ties are common.
vectors = st.integers(2, 8).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)])
)


@given(vectors)
@settings(max_examples=200, deadline=None)
def test_correlations_are_those_of_rank_vectors(two: tuple[list[int], list[int]]) -> None:
    """Tau-b counted pair by pair, rho as Pearson's correlation of the ranks."""
    a, b = (ranks(np.array(v, float), higher=True) for v in two)
    assert a.tolist() == rankdata(-np.array(two[0])).tolist()
    if len(set(two[0])) == 1 or len(set(two[1])) == 1:
        assert np.isnan(kendall(a, b)) and np.isnan(spearman(a, b))
        return
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    apart = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    assert kendall(a, b) == pytest.approx(sum(x * y for x, y in signs) / np.sqrt(apart[0] * apart[1]), abs=1e-12)
    assert spearman(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)


def test_correlations_of_many_rows_are_those_of_each() -> None:
    """Against scipy, with and without ties; no order at all is NaN in both."""
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 4, size=(200, 5)).astype(float), generator.standard_normal((200, 5))
    first[0] = 1.0
    for a, b in ((first, second), (second, first), (first, first[::-1])):
        expected = [kendall(x, y) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(kendall_rows(a, b), expected, atol=1e-12)


def test_the_published_mistake_is_not_made() -> None:
    """Real order c, a, b, synthetic a, c, b: correlating the lists of names gives -1; the truth is 1/3 and 1/2."""
    real, synthetic = ({n: i for i, n in enumerate(order)} for order in ("cab", "acb"))
    a, b = (np.array([order[n] + 1.0 for n in "abc"]) for order in (real, synthetic))
    assert kendall(a, b) == pytest.approx(1 / 3) and spearman(a, b) == pytest.approx(1 / 2)


def test_direction_and_ties() -> None:
    scores = np.array([0.3, 0.1, 0.3, 0.2])
    assert ranks(scores, higher=False).tolist() == [3.5, 1, 3.5, 2]
    assert ranks(scores, higher=True).tolist() == [1.5, 4, 1.5, 3]
    assert top(scores, higher=True).tolist() == [True, False, True, False]
    # One sum in another order is no difference between estimators.
    assert len(set(ranks(np.array([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]), higher=True))) == 1


def test_regret_is_what_the_choice_loses() -> None:
    chosen_by, truth = np.array([0.9, 0.8, 0.9]), np.array([0.70, 0.75, 0.65])
    assert regret(chosen_by, truth, higher=True) == pytest.approx(0.75 - (0.70 + 0.65) / 2)
    assert regret(-chosen_by, -truth, higher=False) == pytest.approx(0.075)
    assert regret(truth, truth, higher=True) == 0


def test_agreement_on_the_top() -> None:
    first, second = np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([[2.0, 1], [3, 1], [5, 4]])
    assert top_agreement(first, second, higher=True) == pytest.approx((1 + 0 + 0.5) / 3)
    assert top_shares(first, higher=True).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("count", [4, 5, 6, 20])
def test_halves_are_disjoint_and_equal(count: int) -> None:
    made = halves(count, np.random.default_rng(0))
    assert len(made) == {4: 3, 6: 10}.get(count, 500)
    for a, b in made:
        assert len(a) == len(b) == count // 2 == len(set(a)) and not set(a) & set(b)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 6), min_size=2, max_size=6), st.booleans(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_names_and_their_order_change_nothing(scores: list[tuple[int, ...]], higher: bool, random) -> None:
    """Estimators listed in another order and renamed: every number stays with its estimator."""
    made = [
        {"dge": uncrossed(np.array(row[:3], float)), "naive": uncrossed(np.array(row[3:], float))} for row in scores
    ]
    names = [f"e{i}" for i in range(len(made))]
    other = random.sample([chr(97 + i) for i in range(26)], len(made))
    order = random.sample(range(len(made)), len(made))
    first = ranking(dict(zip(names, made, strict=True)), higher=higher)
    second = ranking({other[i]: made[i] for i in order}, higher=higher)
    assert first is not None and second is not None
    assert first["agreement"] == {k: pytest.approx(v) for k, v in second["agreement"].items()}
    assert first["regret"] == pytest.approx(second["regret"])
    for judge in ("dge", "naive"):
        assert [first["ranks"][judge][n] for n in names] == [second["ranks"][judge][n] for n in other]
        assert {names.index(n) for n in first["top"][judge]} == {other.index(n) for n in second["top"][judge]}


def test_pairs_are_paired_and_say_who_is_tied() -> None:
    """Two estimators that differ by .1 on every member, among a large spread that they share, are separable."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1, 8)
    made: dict[str, Estimate] = {
        "a": uncrossed(common),
        "b": uncrossed(common + 0.1 + rng.normal(0, 0.01, 8)),
        "c": uncrossed(common + rng.normal(0, 1, 8)),
    }
    for order in permutations(made):
        found = {frozenset((p["first"], p["second"])): p for p in pairs({n: made[n] for n in order})}
        assert found[frozenset("ab")]["separable"] is True and found[frozenset("bc")]["separable"] is False
        oracle = ttest_rel(made["b"].by_member, made["a"].by_member).confidence_interval()
        assert sorted(map(abs, found[frozenset("ab")]["interval"])) == pytest.approx(list(oracle))
    alone = pairs({name: uncrossed(e.by_member[:2]) for name, e in made.items()})
    assert all(p["interval"] is None and p["separable"] is None for p in alone)
