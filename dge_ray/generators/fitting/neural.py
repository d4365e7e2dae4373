"""What the generators with weights have in common: the course of a fit, early stopping, starts from other fits."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, Generic

import numpy as np
import pyarrow as pa
import torch

from dge_ray.errors import InputError
from dge_ray.generators.base import Keeper, Progress
from dge_ray.generators.checkpoint import Checkpoint, read_checkpoint
from dge_ray.generators.checks import check_device, row_columns, training_columns
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions, Model, S
from dge_ray.generators.fitting.rounds import RoundsFit, RoundsPlan, fingerprint, run_rounds
from dge_ray.generators.fitting.tuning import FINE_TUNING_RATES, Nowhere, Tuning
from dge_ray.generators.private.fit import PrivateFit, not_private
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.lazy import LazyColumns, TableSource
from dge_ray.table.schema.table_schema import TableSchema

STOPPING_SHARE = 0.1
MOST_STOPPING_ROWS = 1_000


@dataclass(frozen=True)
class FitRows:
    """Rows to fit on and to stop on, with `schema.modelled`'s columns; `seen`: those that encoders may use."""

    train: LazyColumns
    heldout: LazyColumns
    seen: LazyColumns

    @property
    def count(self) -> int:
        return self.train.count


@dataclass(frozen=True)
class Start(Generic[Model]):
    """A fit before its first round: the model that it trains, how to begin at a share of the rate, how long."""

    model: Model
    begin: Callable[[float], RoundsFit]
    plan: RoundsPlan


class Neural(BaseGenerator[S, Model]):
    """A generator with weights. S: its settings' class; Model: what a fit leaves (encoder, network).

    After `fit`: `history`, a record a round (rounds.py).
    """

    architecture: ClassVar[tuple[str, ...]]
    """Settings that a checkpoint to start from must share."""

    @classmethod
    def _check_device(cls, device: str) -> None:
        check_device(device)

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> Model:
        """Fit on `table`; stop early on `options.stopping`, or on a slice of `table` where there is none.

        A dataset's columns are read one at a time: what stays in memory are the encoded rows in the fit's own form.

        `warm_start`: a checkpoint to start from, with its encoders; the fit is then done at several learning rates, and
        the one with the best held-out loss is kept. `keeper`: holds the state between rounds; a fit that was cut off
        goes on from what it holds, to the same weights.

        `private`: the fit is differentially private in the rows of `table` and `stopping`, which are all fitted on:
        it has a fixed number of steps, and no loss is read. `schema` must then be public, not inferred from the rows.

        Raises:
            InputError: rows that do not match the schema, too few of them, an unknown device, or a checkpoint that does
                not fit.
            StudyError: the loss blew up twice.
        """
        seed, device, private, stopping = options.seed, options.device, options.private, options.stopping
        self._check_device(device)
        source = None if options.warm_start is None else self._source(options.warm_start, schema)
        if private is None:
            rows = training_rows(table, stopping, schema, seed, text=self.abilities.text)
            start = self._start(schema, rows, seed=seed, device=device, source=source)
        else:
            if source is not None:
                raise InputError("warm_start", f"{str(options.warm_start)!r} in a private fit", "None")
            if getattr(self.settings, "budget_seconds", None) is not None:
                raise InputError("generator.budget_seconds", "a number in a private fit", "none: its steps are fixed")
            rows = private_rows(table, stopping, schema)
            start = self._start_private(schema, rows, seed=seed, device=device, private=private)
        keeper, identity = options.keeper, ""
        if keeper is not None:
            what = (self.name, self._plain_settings(), schema.to_json(), seed, device, torch.__version__)
            what += () if private is None else (astuple(private),)
            known = {} if source is None else source.arrays
            arrays = chain(rows.seen.values(), (known[name] for name in sorted(known)))  # files are read in any order
            identity = fingerprint(chain(what, (_content(array) for array in arrays)))
        if source is not None:
            return self._restored(self._tuned(schema, start, identity, options.progress, keeper), device)
        self.history = run_rounds(start.begin, start.plan, identity=identity, progress=options.progress, keeper=keeper)
        return start.model

    def _tuned(
        self, schema: TableSchema, start: Start[Model], identity: str, progress: Progress | None, keeper: Keeper | None
    ) -> Checkpoint:
        """The fit at the learning rate with the best held-out loss; at the first rate where no rows are held out."""
        keeper = Nowhere() if keeper is None else keeper
        tuning = Tuning(keeper, identity)
        while tuning.done < len(FINE_TUNING_RATES):
            rate = FINE_TUNING_RATES[tuning.done]

            def begin(lower: float, rate: float = rate) -> RoundsFit:
                return start.begin(rate * lower)

            history = run_rounds(begin, start.plan, identity=f"{identity}-{rate}", progress=progress, keeper=tuning)
            tuning.add(rate, history, *self._files(start.model))
        keeper.clear()
        self.history = tuning.history
        return Checkpoint(self.name, schema, self._plain_settings(), tuning.arrays, tuning.extra)

    def _source(self, path: Path, schema: TableSchema) -> Checkpoint:
        """The checkpoint to start from: of this generator, with the same `architecture`, for this schema.

        Raises:
            InputError: it is not.
        """
        source = read_checkpoint(path, self.name)
        self._check_source_schema(source.schema, schema, path)
        for name in self.architecture:
            if source.settings[name] != getattr(self.settings, name):
                got, takes = source.settings[name], getattr(self.settings, name)
                raise InputError("warm_start", f"a checkpoint with {name}={got} in {path}", f"{name}={takes}")
        return source

    def _check_source_schema(self, source: TableSchema, schema: TableSchema, path: Path) -> None:
        if source != schema:
            raise InputError("warm_start", f"a checkpoint of another schema in {path}", "one of the same schema")

    @abstractmethod
    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[Model]:
        """Fit encoders, make the network, and say how it is trained."""

    def _start_private(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, private: PrivateFit
    ) -> Start[Model]:
        """The same of a private fit: `rows.train` is read by the mechanisms of `private` alone."""
        raise not_private(self.name)


def stream(seed: int, index: int, device: str | torch.device = "cpu") -> torch.Generator:
    """One of a fit's random streams."""
    return torch.Generator(device).manual_seed(integer(seed, Purpose.FIT, index=index))


def sample_stream(seed: int, index: int, device: str | torch.device = "cpu") -> torch.Generator:
    """One of a sample's random streams."""
    return torch.Generator(device).manual_seed(integer(seed, Purpose.SHARD, index=index))


def _content(array: np.ndarray) -> bytes:
    """An array's values as bytes; those of text columns are objects."""
    return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()


def training_rows(
    table: TableSource, stopping: TableSource | None, schema: TableSchema, seed: int, *, text: bool = False
) -> FitRows:
    """Checked rows; those to stop on are cut from `table` where there are no others.

    Raises:
        InputError: rows that do not match the schema, or too few of them.
    """
    values = training_columns(table, schema, text=text)
    if stopping is not None:
        return FitRows(values, row_columns(stopping, schema, text=text), values)
    n = values.count
    cut = min(MOST_STOPPING_ROWS, max(1, round(STOPPING_SHARE * n)))
    order = numpy_generator(seed, Purpose.STOPPING).permutation(n)
    return FitRows(values.take(np.sort(order[cut:])), values.take(order[:cut]), values)


def private_rows(table: TableSource, stopping: TableSource | None, schema: TableSchema) -> FitRows:
    """The rows of a private fit: all of them to fit on, none to stop on.

    Raises:
        InputError: rows that do not match the schema, or too few of them.
    """
    if stopping is not None and stopping.num_rows:
        if not (isinstance(table, pa.Table) and isinstance(stopping, pa.Table)):
            raise InputError("stopping", "a dataset in a private fit", "None: all rows are fitted on")
        table = pa.concat_tables([table, stopping])
    values = training_columns(table, schema)
    return FitRows(values, values.take(np.empty(0, np.int64)), values)
