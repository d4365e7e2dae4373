"""Private fits with a canary and without: attackers prove no more than epsilon, and see it where epsilon is large."""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.accounting import renyi_alone

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "privacy"))
import audit

from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals
from dge_ray.table import TableCodec

NUMBERS = {"clip": 1.0, "noise_multiplier": 1.0, "sample_rate": 0.5, "steps": 20, "marginals_multiplier": 5.0, "key": 9}


def test_the_last_row_counts_for_nothing_in_the_fits_without_it() -> None:
    """The noisy counts are those of the other rows under the same noise, and the batches those of the same draws."""
    table, n = audit.rows(), audit.N
    own = audit.counts_of(table.slice(n - 1))
    whole, without = PrivateFit(**NUMBERS), audit.WithoutTheLast(**NUMBERS, own_counts=own)
    values, columns = TableCodec(audit.SCHEMA).encode(table), audit.SCHEMA.modelled
    others = {name: column[:-1] for name, column in values.items()}
    found, expected = (noisy_marginals(columns, *of) for of in ((values, n, without), (others, n, whole)))
    for name, marginal in expected.items():
        assert np.array_equal(found[name].counts, marginal.counts)
    drawn = [np.setdiff1d(whole.batch(step, n), without.batch(step, n)).tolist() for step in range(20)]
    assert {tuple(rows) for rows in drawn} == {(), (n - 1,)}


def test_a_bound_is_that_of_the_rates_and_no_threshold_is_judged_by_what_chose_it() -> None:
    seen, unseen = np.arange(100.0), np.arange(-60.0, 40.0)
    above, below = audit.bound(seen, unseen, 39.5, 1), audit.bound(seen, unseen, -0.5, -1)
    assert above == pytest.approx(np.log((0.4972 - audit.DELTA) / 0.0362), abs=0.02)  # 60 of 100 and none of 100
    assert below == pytest.approx(above)
    assert audit.bound(seen, unseen, 1e9, 1) == -np.inf
    fits = [{"canary": i % 2 == 0, "steps": float(i % 4 == 0)} for i in range(400)]  # told in the first half alone
    assert audit.audit(fits, "steps")["epsilon_at_least"] == 0.0
    told = [{"canary": i % 2 == 0, "steps": float(i % 2 == 0)} for i in range(400)]
    assert audit.audit(told, "steps")["epsilon_at_least"] > 3


@pytest.mark.slow
def test_private_fits_prove_no_more_than_their_epsilon_and_the_attack_has_power(tmp_path: Path) -> None:
    with renyi_alone():
        private, _ = audit.fit_case(1.0, 200, 0, tmp_path / "private.jsonl")
        loose, _ = audit.fit_case(20.0, 60, 0, tmp_path / "loose.jsonl")
    assert all(audit.audit(private, attacker)["epsilon_at_least"] <= 1.0 for attacker in audit.ATTACKERS)
    assert audit.audit(loose, "steps")["auc"] >= 0.9
    again, _ = audit.fit_case(20.0, 60, 0, tmp_path / "loose.jsonl")
    assert again == loose
