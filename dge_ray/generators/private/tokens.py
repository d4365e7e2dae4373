"""Tokens from noisy counts: what `tokens.fit_column` makes of rows, made of what a private fit may know."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.hashed import MOST_CODES, Hashed
from dge_ray.generators.encoding.tokens import ATOM_SHARE, Bins, ColumnTokens, Discretiser, Values
from dge_ray.generators.private.marginals import Cells, NoisyMarginal
from dge_ray.table.schema.table_schema import CODED, Column

ROWS_A_BIN = 100  # of noisy counts: finer bins would follow the noise
SMOOTHING = 1e-3  # of the rows, spread over all cells: no place within a bin is impossible


def private_discretiser(columns: Sequence[Column], marginals: Mapping[str, NoisyMarginal], *, bins: int) -> Discretiser:
    """The tokens of all modelled columns. `bins`: the most values or bins that a measured column may have."""
    return Discretiser({c.name: private_tokens(c, marginals[c.name], bins=bins) for c in columns})


def private_tokens(column: Column, marginal: NoisyMarginal, *, bins: int) -> ColumnTokens:
    """A column's tokens: its codes; the values of a short lattice; else atoms and bins of about as many rows each."""
    cells = marginal.cells
    if column.kind in CODED:
        if cells.levels > MOST_CODES:
            as_rows = np.repeat(np.arange(cells.levels), np.rint(marginal.present).astype(np.int64))
            return Hashed.fit(column.categories, column.missing, as_rows)
        return Codes(cells.levels, column.missing)
    single = (np.diff(cells.edges) == 1) if cells.step else np.isin(cells.edges[:-1], cells.spikes)
    if single.all() and cells.count <= bins:
        return Values(cells.edges[:-1] * (cells.step or 1.0), column.missing)
    return _bins(cells, marginal.present, single, bins=bins)


def _bins(cells: Cells, counts: np.ndarray, single: np.ndarray, *, bins: int) -> Bins:
    """`single` (cells,): those that hold one value, and may be atoms."""
    total = max(counts.sum(), 1.0)
    is_atom = single & (counts >= ATOM_SHARE * total)
    inside = np.flatnonzero(~is_atom & (counts > 0))
    if not len(inside):  # all mass in atoms: the bins are there for values that nobody counted
        inside = np.flatnonzero(~is_atom)
    first, last = inside[0], inside[-1] + 1  # beyond is noise that was taken for empty
    edges, mass = cells.edges[first : last + 1], np.where(is_atom, 0.0, counts)[first:last]
    mass = mass + np.where(is_atom[first:last], 0.0, SMOOTHING * total / len(mass))
    if not cells.step:  # a spike that is no atom, or an atom's empty place, joins its neighbour
        wide = ~np.isin(edges[:-1], cells.spikes)
        wide[-1] |= not wide.any()
        starts = np.flatnonzero(wide)
        starts[0] = 0
        edges, mass = np.append(edges[starts], edges[-1]), np.add.reduceat(mass, starts)
    below = np.concatenate([[0.0], np.cumsum(mass)])
    count = int(np.clip(below[-1] // ROWS_A_BIN, 1, min(bins, len(mass))))
    at = np.searchsorted(below, np.arange(1, count) * below[-1] / count)  # the cells' edges next to even ones
    coarse = np.unique(np.concatenate([[0], at, [len(mass)]]))
    coarse = coarse[np.append(True, np.diff(below[coarse]) > 0)]
    knots = np.interp(below, below[coarse], np.arange(len(coarse), dtype=np.float64))
    knots[coarse] = np.arange(len(coarse))
    scale = cells.step or 1.0
    return Bins(cells.edges[:-1][is_atom] * scale, edges, knots, cells.step, cells.missing)


def token_shares(tokens: ColumnTokens, marginal: NoisyMarginal) -> np.ndarray:
    """Each token's share (size,) of the rows, as the noisy counts have it; none is 0."""
    counts = np.zeros(tokens.size)
    cells = marginal.cells
    if cells.levels:
        at = tokens.encode(np.arange(cells.levels, dtype=np.int32))
        np.add.at(counts, at, marginal.present)
    elif isinstance(tokens, Values):
        counts[: cells.count] = marginal.present
    else:
        assert isinstance(tokens, Bins)
        scale = cells.step or 1.0
        middles = cells.edges[:-1] if cells.step else (cells.edges[:-1] + cells.edges[1:]) / 2
        np.add.at(counts, tokens.encode(middles * scale), marginal.present)
    if cells.missing:
        counts[-1] += marginal.counts[-1]
    counts += 0.5
    return counts / counts.sum()


def marginals_as_tensors(discretiser: Discretiser, marginals: Mapping[str, NoisyMarginal]) -> list[torch.Tensor]:
    """`token_shares` of all columns, as `TokenNetwork.initialise` takes them."""
    shares = [token_shares(tokens, marginals[name]) for name, tokens in discretiser.columns.items()]
    return [torch.from_numpy(share).float() for share in shares]
