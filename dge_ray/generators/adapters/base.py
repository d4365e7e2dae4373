"""What generators that stand on other packages share: random states of their own, the course of a fit, and files.

Such a package draws from the process's random states and keeps its models as pickles or as folders. Here a fit leaves
arrays and JSON values, from which each draw makes the package's model anew: nothing outlives a call but the files' own
content, so a loaded generator draws what the saved one drew.
"""

import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from joblib import parallel_config

from dge_ray.generators.base import SETTINGS, Keeper, Progress, Unsupported
from dge_ray.generators.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from dge_ray.generators.checks import (
    check_count,
    check_device,
    encode_rows,
    no_warm_start,
    not_fitted,
    training_columns,
)
from dge_ray.generators.rows.conditions import encode_given, with_given
from dge_ray.generators.settings import Settings
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema import TableSchema

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class State:
    """What a fit leaves: arrays by name, `weights` (p,) float32 among them, and JSON values."""

    arrays: dict[str, np.ndarray]
    extra: dict[str, Any]


class Adapter(ABC, Generic[S]):
    """A generator of another package. S: its settings' class."""

    name: ClassVar[str]
    conditions: ClassVar[bool]
    """Whether `sample` takes `given`."""

    def __init__(self, **settings: Any) -> None:
        self.settings: S = SETTINGS[self.name].read(settings)  # type: ignore[assignment]
        self.history: list[dict[str, Any]] = []
        self._fitted: tuple[TableSchema, State] | None = None
        self._device = "cpu"

    def fit(
        self,
        table: TableSource,
        schema: TableSchema,
        *,
        seed: int,
        device: str = "cpu",
        warm_start: Path | None = None,
        stopping: TableSource | None = None,
        progress: Progress | None = None,
        keeper: Keeper | None = None,
    ) -> Self:
        """Fit on `table`. `keeper` has no use here: a fit that was cut off begins anew.

        Raises:
            InputError: rows that do not match the schema, too few of them, an unknown device, or `warm_start`.
        """
        if warm_start is not None:
            raise no_warm_start(self.name, "its package begins every fit anew")
        check_device(device)
        values = dict(training_columns(table, schema))
        heldout = None if stopping is None else encode_rows(stopping, schema)
        history: list[dict[str, Any]] = []

        def heard(record: dict[str, Any]) -> None:
            history.append(record)
            if progress is not None:
                progress(record)

        with own_random_states(integer(seed, Purpose.FIT, bits=32), device):
            state = self._fit(schema, values, heldout, device, heard)
        self.history, self._device, self._fitted = history, device, (schema, state)
        return self

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the fit, n, seed and `given`, where the generator takes it (`conditions`).

        Raises:
            InputError: not fitted, n < 1, or `given` with other than n rows, or with values that are not the schema's.
            Unsupported: `given`, which it does not take.
        """
        if self._fitted is None:
            raise not_fitted(self.name)
        if given is not None and not self.conditions:
            raise Unsupported("given", "conditions", f"None: {self.name} samples whole rows only")
        check_count(n)
        schema, state = self._fitted
        known = {} if given is None else encode_given(given, n, schema)
        with own_random_states(integer(seed, Purpose.SHARD, bits=32), self._device):
            values = self._draw(schema, state, n, known, self._device)
        rows = TableCodec(schema).decode(values, seed=seed)
        return rows if given is None else with_given(rows, given)

    def save(self, path: Path) -> None:
        """Write generator.json and weights.safetensors into the folder `path`."""
        if self._fitted is None:
            raise not_fitted(self.name)
        schema, state = self._fitted
        extra = {**state.extra, "history": self.history}
        write_checkpoint(path, Checkpoint(self.name, schema, self.settings.model_dump(), state.arrays, extra))

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: no checkpoint there, a damaged one, one of another generator, or an unknown device.
        """
        check_device(device)
        saved = read_checkpoint(path, cls.name)
        generator = cls(**saved.settings)
        extra = dict(saved.extra)
        generator.history = extra.pop("history")
        generator._fitted, generator._device = (saved.schema, State(saved.arrays, extra)), device
        return generator

    @abstractmethod
    def _fit(
        self, schema: TableSchema, values: Columns, heldout: Columns | None, device: str, heard: Progress
    ) -> State:
        """Fit on encoded rows, under random states of its own; `heard` takes a record an epoch."""

    @abstractmethod
    def _draw(self, schema: TableSchema, state: State, n: int, known: Columns, device: str) -> Columns:
        """`n` encoded rows, under random states of their own; `known`: the encoded columns that are given."""


@contextmanager
def own_random_states(seed: int, device: str) -> Iterator[None]:
    """A block in which Python, numpy and torch draw from `seed` (below 2**32), and after which they are as before.

    Joblib starts no workers in it: they would draw from states of their own. Warnings and torch's default type are
    given back too, since packages change them for the whole process.
    """
    cuda = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    python, legacy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    with torch.random.fork_rng(cuda), parallel_config("sequential"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach for the GPUs too
            if cuda:
                torch.cuda.manual_seed_all(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)
            torch.set_default_dtype(dtype)
