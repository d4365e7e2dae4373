"""What generators that stand on other packages share: random states of their own, the course of a fit, and files.

Such a package draws from the process's random states and keeps its models as pickles or as folders. Here a fit leaves
arrays and JSON values, from which each draw makes the package's model anew: nothing outlives a call but the files' own
content, so a loaded generator draws what the saved one drew.
"""

import random
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from joblib import parallel_config

from dge_ray.generators.base import Progress, Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import (
    check_count,
    check_device,
    encode_rows,
    training_columns,
)
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions, S
from dge_ray.generators.rows.conditions import encode_given, with_given
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema


@dataclass(frozen=True)
class State:
    """What a fit leaves: arrays by name, `weights` (p,) float32 among them, and JSON values."""

    arrays: dict[str, np.ndarray]
    extra: dict[str, Any]


class Adapter(BaseGenerator[S, State]):
    """A generator of another package. S: its settings' class."""

    no_warm_start: ClassVar[str] = "its package begins every fit anew"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._device = "cpu"

    @classmethod
    def _check_device(cls, device: str) -> None:
        check_device(device)

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> State:
        """Fit on `table`. `keeper` has no use here: a fit that was cut off begins anew."""
        self._check_device(options.device)
        values = dict(training_columns(table, schema))
        heldout = None if options.stopping is None else encode_rows(options.stopping, schema)
        history: list[dict[str, Any]] = []

        def record_epoch(record: dict[str, Any]) -> None:
            history.append(record)
            if options.progress is not None:
                options.progress(record)

        with own_random_states(integer(options.seed, Purpose.FIT, bits=32), options.device):
            state = self._fit_package(schema, values, heldout, options.device, record_epoch)
        self.history, self._device = history, options.device
        return state

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the fit, n, seed and `given`, where the generator takes it (`abilities.given`).

        Raises:
            InputError: not fitted, n < 1, or `given` with other than n rows, or with values that are not the schema's.
            Unsupported: `given`, which it does not take.
        """
        schema, state = self._state()
        if given is not None and self.abilities.given == "nothing":
            raise Unsupported("given", "conditions", f"None: {self.name} samples whole rows only")
        check_count(n)
        known = {} if given is None else encode_given(given, n, schema)
        with own_random_states(integer(seed, Purpose.SHARD, bits=32), self._device):
            values = self._draw(schema, state, n, known, self._device)
        rows = TableCodec(schema).decode(values, seed=seed)
        return rows if given is None else with_given(rows, given, schema)

    def _files(self, model: State) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return model.arrays, model.extra

    def _restored(self, saved: Checkpoint, device: str) -> State:
        self._device = device
        return State(saved.arrays, {name: value for name, value in saved.extra.items() if name != "history"})

    @abstractmethod
    def _fit_package(
        self, schema: TableSchema, values: Columns, heldout: Columns | None, device: str, record_epoch: Progress
    ) -> State:
        """Fit on encoded rows, under random states of its own; `record_epoch` takes a record an epoch."""

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
