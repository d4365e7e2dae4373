"""What the generators of text have in common: the other columns first, by their own model, then the text given them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch

from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, text_column
from dge_ray.generators.fitting.neural import FitRows, Neural, Start, sample_stream
from dge_ray.generators.fitting.rounds import RoundsPlan, run_rounds
from dge_ray.generators.fitting.schedule import epochs_for
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.conditions import encode_given, with_given, with_told
from dge_ray.generators.settings import Settings
from dge_ray.generators.text.language_training import Encoded, LanguageFit
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema.table_schema import Kind, TableSchema

WORDS, OTHERS_STREAM = 0, 1  # the streams of a sample, its words' and the seed of the other columns': at Purpose.SHARD
OTHERS = "autoregressive"  # the generator of the other columns
LEAST_STEPS = 600  # of a fit, where no epochs are set
REST_SEED = 1_000  # the seed of the other columns' fit: index at Purpose.FIT

S = TypeVar("S", bound=Settings)


class Vocabulary(Protocol):
    """Texts (n,) as tokens (n, most) int32, -1 behind a text's end, and back to objects (n,); None for a null."""

    def encode(self, texts: Any) -> np.ndarray: ...

    def decode(self, tokens: np.ndarray) -> np.ndarray: ...


class TextLaw(Protocol):
    """The law of a text's tokens given conditions (c, n), other columns' tokens."""

    device: torch.device

    def log_prob(self, tokens: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor: ...

    def draw(self, conditions: torch.Tensor, random: torch.Generator) -> torch.Tensor: ...


@dataclass(frozen=True)
class Rest:
    """The columns that are modelled and no text, and the `OTHERS` model of them; None where there are none."""

    schema: TableSchema
    model: Any

    @classmethod
    def fit(cls, schema: TableSchema, rows: FitRows, epochs: int | None, *, seed: int, device: str) -> "Rest":
        others = _others(schema)
        if not others.columns:
            return cls(others, None)
        model: Any = make_generator(OTHERS, epochs=epochs)
        start = model._start(others, rows, seed=integer(seed, Purpose.FIT, index=REST_SEED), device=device, source=None)
        model.history = run_rounds(start.begin, start.plan, identity="")
        model._fitted = others, start.model
        return cls(others, model)

    @property
    def _order(self) -> list[int]:
        """The places that the model has the columns at, the target's first."""
        names = list(self.model._state()[1].discretiser.columns)
        return sorted(range(len(names)), key=lambda j: names[j] != self.schema.target)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many tokens the columns have, in the order of `conditions`."""
        if self.model is None:
            return ()
        sizes = self.model._state()[1].discretiser.sizes
        return tuple(sizes[j] for j in self._order)

    def conditions(self, columns: Columns, n: int) -> torch.Tensor:
        """Tokens (c, n) int64 of encoded columns, the target's first; -1 where a column cannot hold the value."""
        if self.model is None:
            return torch.zeros(0, n, dtype=torch.int64)
        return torch.from_numpy(self.model._state()[1].discretiser.encode(columns)[self._order]).long()

    def files(self) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
        """Arrays and JSON values for a checkpoint."""
        if self.model is None:
            return {}, None
        arrays, extra = self.model._files(self.model._state()[1])
        return {f"rest.{name}": value for name, value in arrays.items()}, extra

    @classmethod
    def restored(cls, saved: Checkpoint, device: str) -> "Rest":
        others = _others(saved.schema)
        if not others.columns:
            return cls(others, None)
        arrays = {n.removeprefix("rest."): value for n, value in saved.arrays.items() if n.startswith("rest.")}
        model: Any = make_generator(OTHERS)
        theirs = Checkpoint(model.name, others, model._plain_settings(), arrays, saved.extra["rest"])
        model._fitted = others, model._restored(theirs, device)
        return cls(others, model)


@dataclass(frozen=True)
class TextModel:
    """The other columns' model, and the text's."""

    rest: Rest
    words: Vocabulary
    network: Any
    """A `TextLaw`, and what the generator's own `_files` needs of it."""

    def encode(self, text: str, rows: Any) -> Encoded:
        """The text column of `LazyColumns`, and the others as conditions."""
        tokens = torch.from_numpy(self.words.encode(rows[text])).to(self.network.device)
        return tokens, self.rest.conditions(rows, rows.count).to(self.network.device)


class OfText(Neural[S, TextModel]):
    """A generator of one text column and any others."""

    least_epochs: ClassVar[int]
    """Of a fit, where no epochs are set."""

    def _training(
        self, schema: TableSchema, rows: FitRows, model: TextModel, first: Callable[[Encoded], Any], *, seed: int
    ) -> Start[TextModel]:
        """How the text's network is trained. `first` puts its weights to where each fit begins, given the
        rows that are fitted."""
        s: Any = self.settings
        train, heldout = (model.encode(text_column(schema).name, part) for part in (rows.train, rows.heldout))
        least = {"least_epochs": self.least_epochs, "least_steps": LEAST_STEPS}
        epochs = s.epochs or epochs_for(rows.count, s.batch_size, **least)

        def begin(rate: float) -> LanguageFit:
            first(train)
            dropout = getattr(s, "dropout", 0.0)
            return LanguageFit(model.network, train, heldout, settings=s, rate=rate, dropout=dropout, seed=seed)

        return Start(model, begin, RoundsPlan(epochs, s.patience or max(2, round(epochs / 4)), s.budget_seconds))

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n, seed and `given`.

        `given`: any columns of `n` rows but the text. They come back as they are, and the others are drawn from their
        law given them.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not columns of n rows with known values.
            Unsupported: the text is among the conditions.
        """
        schema, model = self._state()
        check_count(n)
        text, rest = text_column(schema).name, model.rest
        known: list[str] = []
        if given is not None:
            if text in given.column_names:
                raise Unsupported("given", f"the text column '{text}'", "the other columns")
            known = list(encode_given(given, n, schema))
            given = with_told(given, schema)
        columns: Columns = {}
        if rest.model is not None:
            part = None if given is None or not known else given.select(known)
            address = integer(seed, Purpose.SHARD, index=OTHERS_STREAM)
            columns = TableCodec(rest.schema).encode(rest.model.sample(n, seed=address, given=part))
        device = model.network.device
        tokens = model.network.draw(rest.conditions(columns, n).to(device), sample_stream(seed, WORDS, device))
        columns[text] = model.words.decode(tokens.cpu().numpy())
        rows = TableCodec(schema).decode(columns, seed=seed)
        return rows if given is None else with_given(rows, given, schema)

    def log_prob(self, table: pa.Table) -> np.ndarray:
        """log p(row) in nats, (n,) float64: of the other columns as the autoregressive generator has it, and of the
        text's tokens given them, as far as it is modelled (its first `tokens` of them). A text of tokens that no draw
        has, such as an unknown word, still has a probability.

        Raises:
            InputError: not fitted, or a modelled column is absent.
        """
        schema, model = self._state()
        columns, n, device = TableCodec(schema).encode(table), table.num_rows, model.network.device
        tokens = torch.from_numpy(model.words.encode(columns[text_column(schema).name])).to(device)
        others = np.zeros(n) if model.rest.model is None else model.rest.model.log_prob(table)
        conditions = model.rest.conditions(columns, n).to(device)
        known = (conditions >= 0).all(0)
        log_p = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)
        log_p[known] = model.network.log_prob(tokens[known], conditions[:, known])
        return others + log_p.cpu().numpy()


def _others(schema: TableSchema) -> TableSchema:
    columns = tuple(column for column in schema.modelled if column.kind is not Kind.TEXT)
    return TableSchema(columns, schema.target, schema.task)
