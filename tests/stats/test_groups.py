"""The table over disjoint groups of members, against scikit-learn's metrics and the t interval's coverage."""

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import log_loss, roc_auc_score

from dge_ray.errors import InputError
from dge_ray.stats.comparison.groups import group_table


def cells(rng: np.random.Generator, groups: int, size: int, rows: int) -> tuple[np.ndarray, ...]:
    """Members, ensembles, concatenated, real: probabilities of two classes; and the truth."""

    def some(*shape: int) -> np.ndarray:
        p = rng.uniform(0.05, 0.95, (*shape, rows))
        return np.stack([1 - p, p], axis=-1)

    truth = rng.integers(0, 2, rows)
    return some(groups, size), some(groups, size), some(groups), some(size), truth


def test_methods_are_the_papers() -> None:
    members, ensembles, concatenated, real, truth = cells(np.random.default_rng(0), 3, 12, 60)
    ensembles[:, 0] = members[:, 0]
    table = group_table(members, ensembles, concatenated, real, truth, task="binary")["methods"]
    assert list(table) == [
        *("dge_5", "dge_10", "dge_12"),
        *("naive_single", "naive_ensemble", "naive_concatenated", "real_ensemble", "real_single"),
    ]
    for g in range(3):
        for k in (5, 10, 12):
            want = roc_auc_score(truth, members[g, :k].mean(axis=0)[:, 1])
            assert table[f"dge_{k}"]["auc"]["values"][g] == pytest.approx(want)
        assert table["naive_single"]["log_loss"]["values"][g] == pytest.approx(log_loss(truth, members[g, 0]))
        want = log_loss(truth, ensembles[g].mean(axis=0))
        assert table["naive_ensemble"]["log_loss"]["values"][g] == pytest.approx(want)
        assert table["naive_concatenated"]["log_loss"]["values"][g] == pytest.approx(log_loss(truth, concatenated[g]))
    assert table["real_ensemble"]["auc"]["values"] == [pytest.approx(roc_auc_score(truth, real.mean(axis=0)[:, 1]))]
    found = table["dge_12"]["brier"]
    assert found["sd"] == pytest.approx(np.std(found["values"], ddof=1)) and table["real_single"]["brier"]["sd"] is None


def test_differences_are_paired_by_group() -> None:
    members, ensembles, concatenated, real, truth = cells(np.random.default_rng(1), 4, 3, 50)
    table = group_table(members, ensembles, concatenated, real, truth, task="binary")
    mine, other = (table["methods"][name]["auc"]["values"] for name in ("dge_3", "naive_concatenated"))
    found = table["differences"]["naive_concatenated"]["auc"]
    want = ttest_rel(mine, other).confidence_interval(0.95)
    assert found == [pytest.approx(v) for v in (np.mean(mine) - np.mean(other), want.low, want.high)]
    assert set(table["differences"]) == set(table["methods"]) - {"dge_3"}


def test_the_interval_covers_the_difference_over_new_groups() -> None:
    """Regression with members whose errors have a common and an own part: 600 times 5 groups of 4; the true difference
    is that of the mean over all. A binomial of 600 at .95 has a standard error of .009: .92 is 3.4 of them below."""
    rng = np.random.default_rng(2)
    rows, truth = 20, np.zeros(20)
    members = rng.normal(0, 1, (600 * 5, 4, rows, 1)) + 0.2 * rng.normal(0, 1, (600 * 5, 1, rows, 1))
    concatenated = 0.7 * rng.normal(0, 1, (600 * 5, rows, 1))
    expected = np.abs(members.mean(axis=1)).mean() - np.abs(concatenated).mean()
    covered = 0
    for i in range(0, len(members), 5):
        part = slice(i, i + 5)
        table = group_table(members[part], members[part], concatenated[part], members[0], truth, task="regression")
        _, lo, hi = table["differences"]["naive_concatenated"]["mae"]
        covered += lo <= expected <= hi
    assert covered / 600 >= 0.92


def test_one_group_is_refused() -> None:
    members, ensembles, concatenated, real, truth = cells(np.random.default_rng(0), 1, 4, 10)
    with pytest.raises(InputError, match=r"^groups: got"):
        group_table(members, ensembles, concatenated, real, truth, task="binary")
