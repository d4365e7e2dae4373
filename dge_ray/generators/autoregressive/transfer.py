"""An autoregressor's weights for another table of the same columns: tokens matched by value, new ones grown.

Measured columns keep the source's tokens. A coded column's categories are the new table's: those that the source knew
keep their weights, the others start where nothing is known of them, at the mean of the known embeddings and at their
share of the new rows (of very many categories: in their bucket, hashed.py). Then each column's biases are set so that
its tokens come as often as in the new rows, as far as these can tell (shares.py): descent at rates that keep what was
learnt moves them too little. (Adult, male to 1,350 female, means of two splits: held-out rows are 0.12 nats likelier
and W1 to them is 1.288 for 1.337; it is 1.298 from a fit on the 1,350 alone.)
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from dge_ray.generators.autoregressive.network import NEVER, TokenNetwork
from dge_ray.generators.autoregressive.shares import LEAST_SHARE, updated_shares
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.hashed import Hashed
from dge_ray.generators.encoding.tokens import ColumnTokens, Discretiser
from dge_ray.table.schema.table_schema import CODED, Column, TableSchema

SWEEPS = 3  # biases act through a softmax: each sweep brings the shares nearer

logger = logging.getLogger(__name__)


def matched_tokens(
    source: TableSchema, schema: TableSchema, known: Discretiser, values: Mapping[str, np.ndarray]
) -> tuple[Discretiser, list[np.ndarray]]:
    """The new table's tokens, and for each column which token of the source each one was, (size,); -1: none.

    `values`: the new rows, encoded.
    """
    columns: dict[str, ColumnTokens] = {}
    origins = []
    for name, tokens in known.columns.items():  # in the network's order
        theirs, ours = source[name], schema[name]
        if isinstance(tokens, Hashed):
            matched = tokens.for_table(theirs.categories, ours.categories, ours.missing, values[name])
            columns[name], origin = matched[0], _and_missing(matched[1], theirs, ours, tokens)
        else:
            match = _matched_codes if ours.kind in CODED else _with_missing
            columns[name], origin = match(theirs, ours, tokens)
        origins.append(origin)
    return Discretiser(columns), origins


def _matched_codes(theirs: Column, ours: Column, tokens: ColumnTokens) -> tuple[ColumnTokens, np.ndarray]:
    where = {value: i for i, value in enumerate(theirs.categories)}
    origin = [where.get(value, -1) for value in ours.categories]
    if grown := [str(value) for value, i in zip(ours.categories, origin, strict=True) if i < 0]:
        few = ", ".join(grown[:5])
        logger.warning("column '%s': %d categories that the source had not: %s", ours.name, len(grown), few)
    return Codes(len(ours.categories), ours.missing), _and_missing(np.array(origin), theirs, ours, tokens)


def _and_missing(origin: np.ndarray, theirs: Column, ours: Column, tokens: ColumnTokens) -> np.ndarray:
    """With the token of missing values, where the new table has some."""
    return np.append(origin, tokens.size - 1 if theirs.missing else -1) if ours.missing else origin


def _with_missing(theirs: Column, ours: Column, tokens: ColumnTokens) -> tuple[ColumnTokens, np.ndarray]:
    origin = np.arange(tokens.size)
    if ours.missing and not theirs.missing:
        logger.warning("column '%s': missing values, which the source had not", ours.name)
        return replace(tokens, missing=True), np.append(origin, -1)
    return tokens, origin


def move_weights(
    source: TokenNetwork, network: TokenNetwork, origins: list[np.ndarray], marginals: list[torch.Tensor]
) -> None:
    """Fill `network` with the source's weights; `marginals` (size,) are the new rows' token shares."""
    w, old = network.weights, source.weights
    network.flat.zero_()
    for j, origin in enumerate(origins):
        known = torch.from_numpy(np.flatnonzero(origin >= 0)).to(network.device)
        at = torch.from_numpy(origin[origin >= 0]).to(network.device)
        new = torch.from_numpy(np.flatnonzero(origin < 0)).to(network.device)
        if j < len(origins) - 1:
            width = source.widths[j]  # a column of few tokens had a narrow embedding: what is new stays 0
            w[f"{j}.embed"][known, :width] = old[f"{j}.embed"][at]
            w[f"{j}.embed"][new, :width] = old[f"{j}.embed"].mean(0)
        if j > 0:
            for i in range(j):
                width, start = source.widths[i], network.starts[i]
                w[f"{j}.A"][start : start + width] = old[f"{j}.A"][source.starts[i] : source.starts[i + 1]]
            for name in ("a", "B", "b"):
                w[f"{j}.{name}"].copy_(old[f"{j}.{name}"])
            w[f"{j}.C"][:, known] = old[f"{j}.C"][:, at]
        w[f"{j}.c"].fill_(NEVER)
        w[f"{j}.c"][known] = old[f"{j}.c"][at]
        # A new token's bias sets its share beside the known ones', as the source would draw them on average.
        w[f"{j}.c"][new] = torch.log(marginals[j].to(network.device)[new]) + old[f"{j}.c"][at].logsumexp(0)


def settle_biases(network: TokenNetwork, tokens: torch.Tensor, ranks: list[np.ndarray | None]) -> list[torch.Tensor]:
    """Set output biases by the new rows' tokens (d, n); `ranks`: the tokens' places (`Discretiser.ranks`).

    Returns each column's token shares (size,) as the new rows bring the source's up to date.
    """
    wanted: list[np.ndarray] = []
    for _ in range(SWEEPS):
        shares = [share.cpu().numpy() for share in network.shares(tokens)]
        for j, (share, rank) in enumerate(zip(shares, ranks, strict=True)):
            if len(wanted) == j:
                order = np.argsort(-share if rank is None else rank, kind="stable")
                counts = np.bincount(tokens[j].cpu().numpy(), minlength=len(share))
                wanted.append(np.empty(len(share)))
                wanted[j][order] = updated_shares(share[order], counts[order])
            change = np.log(wanted[j] / np.maximum(share, LEAST_SHARE))
            network.weights[f"{j}.c"][: len(share)] += torch.from_numpy(change).float().to(network.device)
    return [torch.from_numpy(shares).float() for shares in wanted]


def saved_network(saved: Checkpoint, discretiser: Discretiser, device: str) -> TokenNetwork:
    """The network that a checkpoint holds."""
    hidden, widths = saved.extra["hidden"], saved.extra["widths"]
    network = TokenNetwork(discretiser.sizes, hidden=hidden, widths=widths, device=device)
    network.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
    return network
