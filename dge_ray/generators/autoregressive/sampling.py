"""Drawing tokens from the autoregressor, column by column in cache-sized blocks of rows.

A row costs about one product of hidden x hidden and one of hidden x size a column. The first layer costs next to
nothing: an input is one of few embeddings, so A's part of each is looked up in a table made beforehand, and summed
(`embedding_bag`).
"""

import torch
from torch.nn import functional

from dge_ray.generators.autoregressive.network import BLOCK_ROWS, TokenNetwork

UNKNOWN = -1  # the token of a column that is to be drawn
SAMPLE_ROWS = 1024  # a column's logits and their running sums (1 MiB at 128 tokens) then stay in the second-level cache
TABLE_BYTES = 1 << 26  # beyond this (many columns, or many categories) the embeddings are multiplied out


class Sampler:
    """Draws from a network whose weights do not change any more."""

    def __init__(self, network: TokenNetwork) -> None:
        self.network = network
        self.offsets = [sum(network.sizes[:j]) for j in range(len(network.sizes))]
        bytes_needed = 4 * network.hidden * sum(self.offsets)
        self.tables = self._lookup_tables() if bytes_needed <= TABLE_BYTES else None

    def _lookup_tables(self) -> list[torch.Tensor]:
        """For each column but the first, its first layer's part of every earlier token, (tokens before, hidden)."""
        network, tables = self.network, []
        for j in range(1, len(network.sizes)):
            layer = network.weights[f"{j}.A"]
            parts = [network.weights[f"{i}.embed"] @ layer[network.starts[i] : network.starts[i + 1]] for i in range(j)]
            parts[0] = parts[0] + network.weights[f"{j}.a"]  # column 0 has exactly one token in every row
            tables.append(torch.cat(parts))
        return tables

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Tokens (d, n) int32.

        `generator` lives on the network's device; with it, the draw is a pure function of the weights.
        """
        out = torch.full((len(self.network.sizes), n), UNKNOWN, dtype=torch.int32, device=self.network.device)
        self.fill(out, generator)
        return out

    def fill(self, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw the columns of tokens (c, n), c <= d, that are UNKNOWN (in all rows alike), in place.

        Returns the log probability (n,) of each row's known columns, given all columns before them; those before the
        first unknown one do not count: they are the same whatever is drawn.
        """
        weights = torch.zeros(tokens.shape[1], device=self.network.device)
        rows = SAMPLE_ROWS if self.network.device.type == "cpu" else BLOCK_ROWS * 16
        unknown = (tokens[:, 0] == UNKNOWN).tolist()
        if not any(unknown):
            return weights
        for start in range(0, tokens.shape[1], rows):
            block = tokens[:, start : start + rows]
            self._fill_block(block, unknown, weights[start : start + rows], generator)
        return weights

    def _fill_block(
        self, block: torch.Tensor, unknown: list[bool], weights: torch.Tensor, generator: torch.Generator
    ) -> None:
        """Draw unknown columns by inverting each row's distribution function."""
        network = self.network
        first = unknown.index(True)
        uniform = iter(torch.rand(sum(unknown), block.shape[1], generator=generator, device=network.device))
        inputs = self.inputs(block, first)
        for j in range(first, len(block)):
            size = network.sizes[j]
            if not unknown[j]:
                p = torch.softmax(self.logits(j, inputs), 1).gather(1, block[j].long()[:, None])
                weights += p.squeeze(1).clamp_min_(1e-38).log_()
            else:
                logits = network.weights["0.c"] if j == 0 else self.logits(j, inputs)
                block[j] = invert(torch.softmax(logits, -1)[..., :size], next(uniform))
            self.put(inputs, j, block[j])

    def inputs(self, block: torch.Tensor, known: int) -> torch.Tensor:
        """What `logits` takes of rows (d, rows), with the first `known` columns in it."""
        network, rows = self.network, block.shape[1]
        if self.tables is None:
            inputs = torch.empty(rows, network.starts[-2], device=network.device)
        else:
            inputs = torch.empty(rows, len(network.sizes), dtype=torch.int32, device=network.device)
        for j in range(known):
            self.put(inputs, j, block[j])
        return inputs

    def put(self, inputs: torch.Tensor, j: int, tokens: torch.Tensor) -> None:
        """Enter column j's tokens (rows,) into the inputs of the columns after it."""
        network = self.network
        if j == len(network.sizes) - 1:
            return
        if self.tables is None:
            embedded = network.weights[f"{j}.embed"].index_select(0, tokens)
            inputs[:, network.starts[j] : network.starts[j + 1]] = embedded
        else:
            torch.add(tokens, self.offsets[j], out=inputs[:, j])

    def logits(self, j: int, inputs: torch.Tensor) -> torch.Tensor:
        """Column j's logits (rows, padded size), j > 0."""
        if self.tables is None:
            return self.network.logits(j, inputs)
        w = self.network.weights
        h = functional.embedding_bag(inputs[:, :j], self.tables[j - 1], mode="sum").relu_()
        h.add_(torch.addmm(w[f"{j}.b"], h, w[f"{j}.B"]).relu_())
        return torch.addmm(w[f"{j}.c"], h, w[f"{j}.C"])


def invert(p: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Tokens (n,) int32 at `uniform` (n,) of the distribution functions of probabilities (n, size); (size,): the same
    for all."""
    cdf = p.cumsum(-1)
    if p.ndim == 1:
        token = torch.searchsorted(cdf, uniform * cdf[-1], right=True, out_int32=True)
    else:
        at = uniform.unsqueeze(1) * cdf[:, -1:]
        token = torch.searchsorted(cdf, at, right=True, out_int32=True).squeeze(1)
    return token.clamp_(max=p.shape[-1] - 1)  # u * total may round up to the total, and past the last token
