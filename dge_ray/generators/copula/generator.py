"""A Gaussian copula over all columns, in closed form: cheap enough for tests, and the floor a generator should beat.

Each column is cut into ordered tokens (tokens.py); a row's latent normals, one a column, fall between thresholds that
give each token its share. Correlations of the latents come from the columns' normal scores. What it cannot show:
anything beyond pairwise, monotone dependence.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, training_columns
from dge_ray.generators.copula.latents import complete
from dge_ray.generators.copula.settings import CopulaSettings
from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.ranks import RankScale, by_value
from dge_ray.generators.encoding.tokens import Bins, ColumnTokens, Discretiser, Values
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions
from dge_ray.generators.rows.conditions import encode_given, with_given
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema

SMALLEST_EIGENVALUE = 1e-4
BLOCK_ROWS = 16_384
_FLAT = 0.02  # a slope of ranks on ranks that says nothing of where a value belongs


@dataclass(frozen=True)
class CopulaModel:
    """Tokens, each column's ranks of them, and the Cholesky factor (d, d) of the latents' correlation."""

    tokens: Discretiser
    scales: list[RankScale]
    factor: np.ndarray


class Copula(BaseGenerator[CopulaSettings, CopulaModel]):
    """Gaussian copula of mixed columns.

    The closed form has no random start, so members would be copies of one another. Each fit therefore weights the rows
    at random (the Bayesian bootstrap: exponential weights of mean one): members spread as fits to resampled rows would.
    """

    name = "copula"
    abilities = CopulaSettings.abilities
    no_warm_start = "it is fitted in closed form"
    keeps_history = False

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> CopulaModel:
        """Fit on all rows of `table`; of the options, only `seed` has a use here."""
        values = training_columns(table, schema)
        n = values.count
        rng = numpy_generator(options.seed, Purpose.FIT)
        weights = rng.standard_exponential(n) if self.settings.resample else np.ones(n)
        weights /= weights.sum()
        tokens = Discretiser.fit(schema.modelled, values, bins=self.settings.bins)
        encoded = tokens.encode(values)
        lead = _target_scores(schema, encoded, weights)
        scores = np.empty((len(encoded), n))
        scales: list[RankScale] = []
        for j, (column, row) in enumerate(zip(tokens.columns.values(), encoded, strict=True)):
            is_target = schema.modelled[j].name == schema.target
            order = _token_order(column, row, None if is_target else lead, weights)
            scales.append(RankScale.fit(order, np.bincount(row, weights, minlength=column.size)))
            by_token = np.empty(column.size)
            by_token[order] = _interval_means(scales[-1].upper)
            scores[j] = by_token[row]
        return CopulaModel(tokens, scales, np.linalg.cholesky(_latent_correlation(scores, weights)))

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the fit, n, seed and `given`.

        `given`: any columns of `n` rows. They come back as they are, and the others are drawn given them (latents.py).
        A measured value counts as its place within the bin that was fitted, or as the nearest value.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not columns of n rows with known values.
        """
        schema, model = self._state()
        check_count(n)
        rng = numpy_generator(seed, Purpose.SHARD)
        values = {} if given is None else encode_given(given, n, schema)
        tokens = np.empty((len(model.scales), n), dtype=np.int32)
        place = np.empty((len(model.scales), n))
        for start in range(0, n, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, n))
            if values:
                known = _intervals(model, {name: column[rows] for name, column in values.items()})
                latent = complete(model.factor @ model.factor.T, *known, rng)
            else:
                latent = model.factor @ rng.standard_normal((len(model.scales), rows.stop - start))
            for j, (scale, uniform) in enumerate(zip(model.scales, ndtr(latent), strict=True)):
                tokens[j, rows], place[j, rows] = scale.from_uniform(uniform)
        columns = {
            name: column.decode(tokens[j], place[j]) for j, (name, column) in enumerate(model.tokens.columns.items())
        }
        sampled = TableCodec(schema).decode(columns, seed=seed)
        return sampled if given is None else with_given(sampled, given, schema)

    def _files(self, model: CopulaModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, plain = model.tokens.state()
        arrays["factor"] = model.factor
        for j, scale in enumerate(model.scales):
            arrays[f"order.{j}"], arrays[f"cuts.{j}"] = scale.order, scale.upper
        return arrays, {"tokens": plain}

    def _restored(self, saved: Checkpoint, device: str) -> CopulaModel:
        columns = range(len(saved.schema.modelled))
        scales = [RankScale(saved.arrays[f"order.{j}"], saved.arrays[f"cuts.{j}"]) for j in columns]
        return CopulaModel(Discretiser.from_state(saved.arrays, saved.extra["tokens"]), scales, saved.arrays["factor"])


def _intervals(model: CopulaModel, values: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Between which ranks (d, n), lower and upper, the latents of encoded rows lie: 0 and 1 of unknown columns."""
    n = len(next(iter(values.values())))
    ends = np.zeros((len(model.scales), n)), np.ones((len(model.scales), n))
    for j, (name, column) in enumerate(model.tokens.columns.items()):
        if name in values:
            tokens = column.encode(values[name])
            for end, dither in zip(ends, (np.zeros(n), np.ones(n)), strict=True):
                places = column.places(values[name], dither) if isinstance(column, Bins) else dither
                end[j] = model.scales[j].to_uniform(tokens, places)
    return ends


def _interval_means(upper: np.ndarray) -> np.ndarray:
    """E[z | z between two neighbouring thresholds] of a standard normal whose distribution is `upper` there."""
    lower = np.concatenate([[0.0], upper[:-1]])
    density = np.exp(-0.5 * ndtri(np.stack([lower, upper]).clip(1e-300, 1 - 1e-16)) ** 2) / np.sqrt(2 * np.pi)
    density = np.where(np.stack([lower <= 0, upper >= 1]), 0.0, density)
    share = upper - lower
    return np.where(share > 0, (density[0] - density[1]) / np.where(share > 0, share, 1.0), 0.0)


def _target_scores(schema: TableSchema, encoded: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """The target's mid-ranks (n,), by which other columns' categories are put in order."""
    names = [c.name for c in schema.modelled]
    if schema.target not in names:
        return None
    row = encoded[names.index(schema.target)]
    share = np.bincount(row, weights)
    return (np.cumsum(share) - share / 2)[row]


def _token_order(column: ColumnTokens, row: np.ndarray, lead: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Which token comes at which rank, (size,).

    Measured values rank by size, and missing where the target's mean is that of the missing rows: lowest, as without a
    target, 3 % of question marks in the column that decides cost .02 to .04 of AUC. Categories have no order of their
    own: they rank by the mean of the target, so that what separates the classes survives. The target's own categories
    rank by code.
    """
    if not isinstance(column, Codes):
        order = by_value(column)
        return order if lead is None else _with_missing_placed(order, column, row, lead, weights)
    if lead is None:
        return np.arange(column.size)
    share = np.bincount(row, weights, minlength=column.size)
    total = np.bincount(row, weights * lead, minlength=column.size)
    overall = float(weights @ lead)
    return np.argsort((total + 1e-3 * overall) / (share + 1e-3), kind="stable")


def _with_missing_placed(
    order: np.ndarray, column: Values | Bins, row: np.ndarray, lead: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The order (size,) of a measured column's tokens, its missing one moved from the lowest rank to where a line of
    the target's mid-ranks (n,) on the column's own meets the mean of the rows without a value."""
    absent = row == order[0]
    if not np.isnan(column.centres()[order[0]]) or not absent.any() or absent.all():
        return order
    share = np.bincount(row, np.where(absent, 0.0, weights), minlength=column.size)[order[1:]]
    middle = (np.cumsum(share) - share / 2) / share.sum()  # mid-ranks of the values among themselves
    rank = np.zeros(column.size)
    rank[order[1:]] = middle
    there = weights[~absent] / weights[~absent].sum()
    x, y = rank[row[~absent]], lead[~absent]
    x, y = x - there @ x, y - there @ y
    slope = (there @ (x * y)) / max(there @ (x * x), 1e-12)
    gap = np.average(lead[absent], weights=weights[absent]) - there @ lead[~absent]
    at = 0.5 + (gap / slope if abs(slope) > _FLAT else 0.0)
    return np.insert(order[1:], np.searchsorted(middle, np.clip(at, 0.0, 1.0)), order[0])


def _latent_correlation(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation matrix (d, d) of the latents behind normal scores (d, n), positive definite.

    Scores are means of the latent within a token, so cov(score_i, score_j) is about rho var(score_i) var(score_j):
    dividing undoes what cutting into few tokens takes away from the correlation.
    """
    centred = scores - (scores @ weights)[:, None]
    covariance = (centred * weights) @ centred.T
    variance = np.maximum(np.diag(covariance), 1e-6)
    correlation = np.clip(covariance / np.outer(variance, variance), -0.99, 0.99)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    repaired = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(repaired))
    return repaired / np.outer(scale, scale)
