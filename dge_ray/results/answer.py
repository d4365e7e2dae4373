"""The answer of a study: how many members and rows, at what price, against the best model on real rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dge_ray.phrases import about
from dge_ray.results.baselines import HOW, Baselines
from dge_ray.results.findings import member_costs
from dge_ray.results.outcomes import Outcome
from dge_ray.stats.comparison.differences import Compared, Fits, sized_difference
from dge_ray.stats.comparison.judged import judged
from dge_ray.stats.metrics.losses import margin_of
from dge_ray.stats.volume.recommendation import Recommendation, recommend
from dge_ray.stats.volume.surface import estimate_surface
from dge_ray.storage import Folder
from dge_ray.study.folds import AUTO_FOLDS, may_have_folds
from dge_ray.study.prepared import Prepared

FAR = 1e9  # rows that nobody has
NOT_TEST = ("train", "stopping", "validation")
VERDICTS = {"better": "better", "level": "same", "worse": "worse", "untold": "not told apart"}


def answer(
    outcome: Outcome,
    folder: Folder,
    baselines: Baselines,
    rival: Mapping[str, Any],
    truth: Mapping[str, np.ndarray],
    margin: float,
) -> dict[str, Any]:
    """`answer` of report.json: the recommended cell of the chosen arm (chosen on validation), and its difference to the
    best model on real rows (on test).

    `curves`: that difference at every volume, for the number of members that is recommended and for one.

    Args:
        rival: `best_real` of report.json.
        margin: on test, in the study's metric.
    """
    prepared, metric, method = outcome.prepared, outcome.prepared.metric, rival["method"]
    # Where raw rows alone are the choice, no volume of synthetic rows is known to do better.
    columns = [outcome.choice.index] if outcome.choice.volume == 0 else outcome.complete
    volumes = [outcome.volumes[j] for j in columns]
    members = len(outcome.at_choice)
    costs = member_costs(folder, outcome.arm.label, members, volumes, prepared.shard_rows, folds=prepared.fold_count)
    keys = {"task": prepared.task, "seed": prepared.config.seed}
    cell = recommend(
        outcome.predictions["validation"][:, columns],
        truth["validation"],
        volumes=volumes,
        prices=costs,
        margin=margin_of(metric, rival["validation"][rival["chosen"]]),
        metric=metric,
        clusters=prepared.judged_clusters("validation"),
        **keys,
    )
    fits = Fits(HOW[method], baselines.test[method].astype(np.float64))
    test = np.asarray(outcome.predictions["test"][:, columns], dtype=np.float64)
    surface = estimate_surface(test, truth["test"], volumes=volumes, metrics=[metric], **keys)
    risks = np.array([one.value for one in surface]).reshape(len(volumes), members)
    at, clusters = volumes.index(cell.volume), prepared.judged_clusters("test")

    def against(size: int, place: int) -> Compared:
        risk = float(risks[place, size - 1])
        return sized_difference(test[:, place], size, risk, fits, truth["test"], metric, clusters=clusters)

    compared = against(cell.members, at)
    difference = (compared.value, compared.lo, compared.hi)
    curves = [
        {
            "members": size,
            "differences": [[c.value, c.lo, c.hi] for c in (against(size, j) for j in range(len(volumes)))],
        }
        for size in dict.fromkeys((cell.members, 1))
    ]
    verdict = VERDICTS[judged(difference, metric, margin)]
    return {
        "members": cell.members,
        "volume": cell.volume,
        "price_cpu_s": cell.price,
        "against": method,
        "difference": list(difference),
        "verdict": verdict,
        "what_would_tell": _would_tell(cell, difference, verdict, margin, prepared),
        "target": compared.target,
        "risk": float(risks[at, cell.members - 1]),
        "told": cell.told,
        "margin": cell.margin,
        "excess": list(cell.excess),
        "curves": {"volumes": volumes, "of": curves},
        "best": {"members": cell.best_members, "volume": cell.best_volume, "price_cpu_s": cell.best_price},
    }


def _would_tell(
    cell: Recommendation, difference: tuple[float, float, float], verdict: str, margin: float, prepared: Prepared
) -> str | None:
    """What would tell what is not told, roughly; None where all is. Folds are named first where they give rows enough:
    they cost fits, and no new row."""
    parts, rows, folded = [], prepared.once, prepared.fold_count > 1
    chosen = prepared.rows["validation"] if folded else sum(prepared.rows.get(part, 0) for part in NOT_TEST)
    possible = may_have_folds(prepared.config)
    if not cell.told:
        ways = []
        if possible and not folded and (cell.rows_needed or FAR) <= chosen:
            ways.append(f"folds={AUTO_FOLDS} (a choice on all {chosen:,} rows that are not test)")
        ways += [f"{about(cell.rows_needed)} validation rows"] if cell.rows_needed else []
        ways += [f"{about(cell.members_needed)} generators"] if cell.members_needed else []
        if not ways and cell.both_needed:
            rows_both, members_both = map(about, cell.both_needed)
            ways = [f"{rows_both} validation rows and {members_both} generators together"]
        parts.append(" or ".join(ways) or "more validation rows and more generators together")
    if verdict == VERDICTS["untold"]:
        value, lo, hi = difference
        # Rows' errors fall as the root of their number; at this one the interval is clear of 0, or within the margin.
        goal = max(abs(value), margin - abs(value))
        needed = rows * ((hi - lo) / 2 / goal) ** 2 if goal > 0 else np.inf
        every = chosen + rows
        ways = [f"{about(max(needed, rows + 1))} test rows" if needed < FAR else "another table"]
        if possible and prepared.config.report == "test" and needed <= every:
            key = "report=crossfit" if folded else f"folds={AUTO_FOLDS} report=crossfit"
            ways.insert(0, f"{key} (a report on all {every:,} rows)")
        parts.append(" or ".join(ways))
    return "; ".join(parts) or None
