"""The ensemble's difference to each baseline, with an interval over all that would be drawn anew.

A difference is told of the *procedure*: new members, new seeds of the learner, new rows, given the real training rows.
Each source of variance is estimated apart (`intervals`), and the sources that two sides share are taken together. With
J_k the ensemble's jackknife pseudo-values by member and row, the baseline's own part is

    naive ensemble      K learner seeds on one member: it varies as a member does. With L_k the one-member losses, the
                        members' part is var(J) / K + var(L) - 2 cov(J, L) / K
    naive concatenated  a model on all members' rows: a delete-a-group jackknife of the *difference* over groups of
                        members, each side without the group
    real, real_all      the mean over B fits with seeds of their own: var over fits / B
    real_ensemble       jackknife pseudo-values over its fits
    simple, constant    nothing: the same rows give the same model

"These fitted models" alone, new rows, is what `paired_difference` is about; read as a statement on new fits it held .24
to .82 in an audit's simulation. Coverage here: experiments/coverage.
"""

from dataclasses import dataclass, replace

import numpy as np

from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import ensemble_mean, leave_one_out_means
from dge_ray.stats.intervals import FEWEST_MEMBERS, Source, interval, over_fits, over_rows
from dge_ray.stats.metrics.losses import METRICS, contributions
from dge_ray.stats.twoway import pseudo_values, two_way

PROCEDURE, THESE_MODELS = "new members, fits and rows", "these fitted models, new rows"


@dataclass(frozen=True)
class Fits:
    """A baseline's fits on the test rows. `how` they are read: "mean" over seeds, "ensemble" of them, "first_member"
    (the ensemble of seeds on a member's rows) or "grouped" (the first is on all members' rows, the others without each
    group of members in turn). Shape: predictions (B, N, C)."""

    how: str
    predictions: np.ndarray


@dataclass(frozen=True)
class Compared:
    """A metric of the ensemble less that of a baseline; `target`: what its interval is about."""

    value: float
    lo: float
    hi: float
    target: str


class Ensemble:
    """The ensemble's part of its differences, in one metric: it is the same against every baseline.

    Args:
        members: (K, N, C) predictions on test rows.
        y: (N,) truth.
        metric: a name in METRICS; differences are in its own direction.
        clusters: (N,) codes of rows that belong together, whose errors are taken over clusters.
    """

    def __init__(self, members: np.ndarray, y: np.ndarray, metric: str, *, clusters: np.ndarray | None = None) -> None:
        self.members, self._of = members, _Contributions(metric, y, clusters)
        self._own = self._of(ensemble_mean(members))
        self._pseudo: np.ndarray | None = None
        if len(members) >= FEWEST_MEMBERS:
            self._pseudo = pseudo_values(self._own, self._of(leave_one_out_means(members)))

    def less(self, baseline: Fits, *, level: float = 0.95) -> Compared:
        """The ensemble of all members less a baseline, on rows that chose nothing."""
        apart = self._own - _contributions(baseline, self._of)
        rows = self._of.over_rows(apart)
        target, others = THESE_MODELS, list[Source]()
        if self._pseudo is not None:
            target, others = PROCEDURE, _sources(baseline, self.members, self._pseudo, rows, self._of)
        lo, hi = interval(float(apart.mean()), rows, others, level=level)
        return Compared(float(apart.mean()), lo, hi, target)


def difference(
    members: np.ndarray,
    baseline: Fits,
    y: np.ndarray,
    metric: str,
    *,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> Compared:
    """The ensemble less a single baseline; arguments as in `Ensemble`."""
    return Ensemble(members, y, metric, clusters=clusters).less(baseline, level=level)


def ensembles_difference(
    first: np.ndarray,
    second: np.ndarray,
    y: np.ndarray,
    metric: str,
    *,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> Compared:
    """The ensemble of one learner less that of another, on the same members' rows: a member is drawn for both.

    Shape: first, second (K, N, C), y (N,).
    """
    of = _Contributions(metric, y, clusters)
    whole = of(ensemble_mean(first)) - of(ensemble_mean(second))
    rows = of.over_rows(whole)
    target, others = THESE_MODELS, list[Source]()
    if len(first) >= FEWEST_MEMBERS:
        target = PROCEDURE
        without = of(leave_one_out_means(first)) - of(leave_one_out_means(second))
        others = [over_fits(pseudo_values(whole, without), rows)]
    lo, hi = interval(float(whole.mean()), rows, others, level=level)
    return Compared(float(whole.mean()), lo, hi, target)


def sized_difference(
    members: np.ndarray,
    size: int,
    risk: float,
    baseline: Fits,
    y: np.ndarray,
    metric: str,
    *,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> Compared:
    """What an ensemble of `size` new members, 1 to K, is expected to have, less a baseline on real rows.

    Contributions and pseudo-values are taken as linear in 1/K between one member and all, as the surface's errors are.

    Args:
        members: (K, N, C) predictions on test rows, all that there are.
        risk: the metric of that size, as the surface has it: the mean over subsets of the members.
        baseline: "mean" or "ensemble": one that no member has a part in.
    """
    of, count = _Contributions(metric, y, clusters), len(members)
    share = 0.0 if count == 1 else (1 / size - 1 / count) / (1 - 1 / count)
    whole, single = of(ensemble_mean(members)), of(members)
    own = share * single.mean(axis=0) + (1 - share) * whole
    apart = own + (risk - own.mean()) - _contributions(baseline, of)
    rows = of.over_rows(apart)
    target, others = THESE_MODELS, list[Source]()
    if count >= FEWEST_MEMBERS:
        pseudo = share * single + (1 - share) * pseudo_values(whole, of(leave_one_out_means(members)))
        target, others = PROCEDURE, _sources(baseline, members, pseudo, rows, of)
    lo, hi = interval(float(apart.mean()), rows, others, level=level)
    return Compared(float(apart.mean()), lo, hi, target)


@dataclass(frozen=True)
class _Contributions:
    """Row contributions to a metric on some real rows, or cluster contributions where rows belong together."""

    metric: str
    y: np.ndarray
    clusters: np.ndarray | None

    def __call__(self, p: np.ndarray) -> np.ndarray:
        return by_cluster(contributions(self.metric, p, self.y), self.clusters)

    def over_rows(self, apart: np.ndarray) -> Source:
        """New rows, the fits as they are; of a metric that counts rows with the noise of one that differs more."""
        record = METRICS[self.metric]
        rows = over_rows(apart, self.y if record.by_class and self.clusters is None else None)
        if not record.counted or not np.isfinite(rows.variance):
            return rows
        deciding = int(np.bincount(self.y)[np.bincount(self.y) > 0].min()) if record.by_class else len(self.y)
        return replace(rows, variance=rows.variance + deciding**-2, adds=rows.adds + deciding**-2)


def _contributions(baseline: Fits, of: _Contributions) -> np.ndarray:
    """Row contributions of the baseline's value. Shape: -> (N,)."""
    if baseline.how == "mean":
        return of(baseline.predictions).mean(axis=0)
    if baseline.how == "grouped":
        return of(baseline.predictions[0])
    return of(ensemble_mean(baseline.predictions))


def _sources(baseline: Fits, members: np.ndarray, pseudo: np.ndarray, rows: Source, of: _Contributions) -> list[Source]:
    """What varies beside the rows. Shape: members (K, N, C), pseudo (K, N)."""
    fits, predictions = len(baseline.predictions), baseline.predictions
    if baseline.how == "first_member":
        return [_with_a_member(pseudo, of(members), rows)]
    if baseline.how == "grouped" and fits > 2:
        return [_by_groups(members, predictions, rows, of)]
    others = [over_fits(pseudo, rows)]
    if fits < 2:
        return others
    if baseline.how == "mean":
        return [*others, over_fits(of(predictions), rows)]
    pseudo_of_fits = pseudo_values(of(ensemble_mean(predictions)), of(leave_one_out_means(predictions)))
    return [*others, over_fits(pseudo_of_fits, rows)]


def _with_a_member(pseudo: np.ndarray, single: np.ndarray, rows: Source) -> Source:
    """Members' part of the ensemble less something on one member's rows. Shape: (K, N), (K, N)."""
    count = len(pseudo)
    both = np.stack([pseudo, single], axis=1)  # (K, 2, N)
    spread = two_way(both.mean(axis=0), both)  # covariances of the two means over members
    weights = np.array([[1.0, -1.0], [-1.0, count]])  # a member in place of the mean: K times its variance
    variance, interaction = float((weights * spread.members).sum()), float((weights * spread.interaction).sum())
    return Source(variance, max(variance - interaction, variance - rows.variance, 0.0), count - 1.0)


def _by_groups(members: np.ndarray, predictions: np.ndarray, rows: Source, of: _Contributions) -> Source:
    """Members' part of the ensemble less one model on all members' rows: member k is in group k modulo G."""
    groups = len(predictions) - 1
    group = np.arange(len(members)) % groups
    without = [of(ensemble_mean(members[group != g])) - of(predictions[1 + g]) for g in range(groups)]
    whole = of(ensemble_mean(members)) - of(predictions[0])
    return over_fits(pseudo_values(whole, np.stack(without)), rows)
