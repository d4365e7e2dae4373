"""attacks.json's content, from tables: every attack's figures, what differential privacy allows, canaries, limits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.privacy.attacks.attributes import MOST_ROWS, guess
from dge_ray.privacy.attacks.membership import Material, Scores, membership_scores
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.leakage.attacks import (
    RATES,
    auc_allowed,
    auc_with_interval,
    epsilon_at_least,
    leak_found,
    thinned_roc,
    tpr_allowed,
    tpr_at_fpr,
)
from dge_ray.stats.leakage.exposure import exposure
from dge_ray.stats.leakage.nearest import nearness
from dge_ray.table.codec import TableCodec

SEEN, UNSEEN = 0, 1  # indices of the streams of Purpose.ATTACK: which rows are asked about
MOST_NEAR = 20_000  # rows of a member whose nearest real rows are looked up


@dataclass(frozen=True)
class Candidates:
    """The rows whose membership is in question: as many of train as of test, and the canaries with their twins."""

    seen: pa.Table
    unseen: pa.Table
    canaries: tuple[pa.Table, pa.Table] | None

    @property
    def parts(self) -> list[pa.Table]:
        return [self.seen, self.unseen, *(self.canaries or ())]

    def table(self) -> pa.Table:
        """All of them, in the order of `parts`."""
        return pa.concat_tables([part.select(self.seen.column_names).cast(self.seen.schema) for part in self.parts])


def draw_candidates(
    train: pa.Table, test: pa.Table, most: int, *, seed: int, canaries: tuple[pa.Table, pa.Table] | None = None
) -> Candidates:
    """At most `most` rows of each, drawn without replacement. `train` without the canaries."""
    count = min(most, train.num_rows, test.num_rows)

    def drawn(table: pa.Table, index: int) -> pa.Table:
        order = numpy_generator(seed, Purpose.ATTACK, index=index).permutation(table.num_rows)
        return table.take(pa.array(np.sort(order[:count])))

    return Candidates(drawn(train, SEEN), drawn(test, UNSEEN), canaries)


def attack(
    material: Material, candidates: Candidates, columns: Sequence[str], ledger: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the attacks found; `columns` are guessed, `ledger` is privacy/ledger.json's content.

    Args:
        material: its `candidates` is `candidates.table()`.
    """
    private = _private(ledger)
    delta = private["delta"] if private else 0.0
    ends = np.cumsum([part.num_rows for part in candidates.parts])[:-1]
    scores = membership_scores(material)
    pooled, seed = material.pooled(MOST_ROWS), material.seed
    guesses = [guess(material.schema, name, pooled, candidates.seen, candidates.unseen, seed=seed) for name in columns]
    return {
        "rows": {
            "seen": candidates.seen.num_rows,
            "unseen": candidates.unseen.num_rows,
            "auxiliary": material.auxiliary.num_rows,
        },
        "attacks": [_judged(one, ends, delta) for one in scores],
        "attributes": [one for one in guesses if one is not None],
        "nearest": _nearness(material, candidates),
        "canaries": None if candidates.canaries is None else _canaries(scores, ends, delta),
        "privacy": private,
    }


def _judged(scores: Scores, ends: np.ndarray, delta: float) -> dict[str, Any]:
    seen, unseen = np.split(scores.values, ends)[:2]
    auc, lower, upper = auc_with_interval(seen, unseen)
    epsilon = epsilon_at_least(seen, unseen, delta)
    record = {
        "name": scores.name,
        "knows": scores.knows,
        "leak": leak_found([lower, upper], epsilon),
        "auc": auc,
        "auc_interval": [lower, upper],
        "tpr_at_fpr": {f"{rate:g}": list(tpr_at_fpr(seen, unseen, rate)) for rate in RATES},
        "epsilon_at_least": epsilon,
        "roc": thinned_roc(seen, unseen),
    }
    if scores.by_member is not None:
        each = [auc_with_interval(*np.split(values, ends)[:2])[0] for values in scores.by_member]
        record["auc_by_member"] = each
    return record


def _nearness(material: Material, candidates: Candidates) -> dict[str, Any]:
    """Of each member's rows, and their mean; distances in units of the train rows' ranges."""
    codec = TableCodec(material.schema)
    train, holdout = codec.encode(candidates.seen), codec.encode(candidates.unseen)
    each = [asdict(nearness(codec.encode(rows.slice(0, MOST_NEAR)), train, holdout)) for rows in material.released]
    together = nearness(codec.encode(material.pooled(MOST_NEAR)), train, holdout)
    return {**asdict(together), "by_member": each}


def _canaries(scores: Sequence[Scores], ends: np.ndarray, delta: float) -> dict[str, Any]:
    ranked = []
    for one in scores:
        planted, twins = np.split(one.values, ends)[2:]
        figures, epsilon = asdict(exposure(planted, twins)), epsilon_at_least(planted, twins, delta)
        leak = leak_found(figures["auc_interval"], epsilon)
        ranked.append({"name": one.name, "leak": leak, **figures, "epsilon_at_least": epsilon})
    counts = np.diff(ends)
    return {"planted": int(counts[1]), "ranked": ranked}


def _private(ledger: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the epsilon that the ledger says is spent allows any attack on one row."""
    if ledger is None:
        return None
    epsilon, delta = float(ledger["spent"]), float(ledger["delta"])
    return {
        "epsilon": epsilon,
        "delta": delta,
        "auc_at_most": auc_allowed(epsilon, delta),
        "tpr_at_most": {f"{rate:g}": float(tpr_allowed(rate, epsilon, delta)) for rate in RATES},
    }
