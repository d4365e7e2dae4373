"""A recurrent network over words that learns from a stream of rows as the torch MLP does, and is its first layers.

Words are hashed to rows of the embedding: nothing of a vocabulary has to be gathered before the first batch, and
workers agree on it. What the MLP sees of a text are the largest and the mean outputs of a LSTM over its first words.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import embedding

from dge_ray.downstream.mlp_parts import MLPNetwork, Scale, encode_features
from dge_ray.downstream.torch_mlp import TAKES, MLPSettings, TorchMLP, is_integer
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.table.text import pieces

EMPTY = -1e4  # the largest output of a text without words, before it is clipped


@dataclass(frozen=True)
class TextSettings(MLPSettings):
    """`words`: rows of the embedding, the row of padding included; `tokens`: words of a text that are read; `width`: of
    words' embeddings; `units`: of the LSTM. The other settings are the MLP's."""

    hidden: tuple[int, ...] = (64,)
    learning_rate: float = 4e-3
    batch_size: int = 64
    min_steps: int = 300
    words: int = 20_000
    tokens: int = 200
    width: int = 64
    units: int = 64
    takes: ClassVar[dict[str, tuple[str, Callable[[Any], bool]]]] = TAKES | {
        "words": ("a whole number from 2", lambda v: is_integer(v, 2)),
        "tokens": ("a whole number from 1", lambda v: is_integer(v, 1)),
        "width": ("a whole number from 1", lambda v: is_integer(v, 1)),
        "units": ("a whole number from 1", lambda v: is_integer(v, 1)),
    }


class TextLSTM(TorchMLP):
    """`TorchMLP` behind a LSTM over each text column; several text columns share it."""

    kind: ClassVar[str] = "text_lstm"
    reads: ClassVar[type[MLPSettings]] = TextSettings
    predict_rows: ClassVar[int] = 512

    def __init__(self, schema: TableSchema, settings: TextSettings | None = None, *, seed: int) -> None:
        super().__init__(schema, settings or TextSettings(), seed=seed)
        s = self.text = settings or TextSettings()
        self.network = MLPNetwork.of(
            schema, embedding=s.embedding, hidden=s.hidden, more=2 * s.units * len(schema.texts)
        )
        self.shapes = [(s.words, s.width), (4 * s.units, s.width), (4 * s.units, s.units), (4 * s.units,)]

    @property
    def size(self) -> int:
        return sum(map(math.prod, self.shapes)) + self.network.size

    def _initial(self, generator: torch.Generator) -> torch.Tensor:
        words, *maps, _ = self.shapes
        reach = self.text.units**-0.5
        parts = [torch.randn(words, generator=generator) * 0.3]
        parts += [(torch.rand(shape, generator=generator) * 2 - 1) * reach for shape in maps]
        bias = torch.zeros(4, self.text.units)
        bias[1] = 1.0  # what was seen is kept until the network learns to forget
        return torch.cat([part.flatten() for part in (*parts, bias)] + [self.network.initial(generator)])

    def _features(self, columns: Columns, scale: Scale) -> tuple[torch.Tensor, ...]:
        codes, numbers = encode_features(columns, self.schema, scale)
        texts = [_hashed(columns[c.name], self.text.words, self.text.tokens) for c in self.schema.texts]
        return codes, numbers, torch.from_numpy(np.stack(texts, axis=1))

    def _scores(
        self, weights: torch.Tensor, features: tuple[torch.Tensor, ...], masks: list[torch.Tensor] | None
    ) -> torch.Tensor:
        codes, numbers, texts = features
        *sizes, rest = [*map(math.prod, self.shapes), self.network.size]
        *parts, head = weights.split([*sizes, rest])
        maps = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        seen = [_pooled(texts[:, j], *maps, units=self.text.units) for j in range(texts.shape[1])]
        return self.network.forward(head, codes, torch.cat([numbers, *seen], 1), masks)


def _hashed(texts: np.ndarray, words: int, tokens: int) -> np.ndarray:
    """Rows of the embedding (n, tokens) int32: 0 behind a text's end."""
    hashes = np.zeros((len(texts), tokens), dtype=np.int32)
    for row, text in zip(hashes, texts, strict=True):
        rows = [1 + zlib.crc32(word.encode()) % (words - 1) for word in pieces(text or "")[:tokens]]
        row[: len(rows)] = rows
    return hashes


def _pooled(
    words: torch.Tensor,
    vectors: torch.Tensor,
    inputs: torch.Tensor,
    own: torch.Tensor,
    bias: torch.Tensor,
    *,
    units: int,
) -> torch.Tensor:
    """The largest and the mean outputs of the LSTM over words (n, tokens); zeros for no words. (n, 2 units)."""
    present = words > 0
    length = max(int(present.sum(1).max()), 1)
    words, present = words[:, :length], present[:, :length, None]
    first = torch.zeros(1, len(words), units)
    gates = [inputs, own, bias, torch.zeros_like(bias)]
    out, _, _ = torch.lstm(embedding(words, vectors), (first, first), gates, True, 1, 0.0, False, False, True)
    largest = torch.where(present, out, EMPTY).amax(1).clamp_min(-1.0)  # an output lies between -1 and 1
    mean = torch.where(present, out, 0.0).sum(1) / present.sum(1).clamp_min(1)
    return torch.cat([torch.where(present.any(1), largest, 0.0), mean], 1)
