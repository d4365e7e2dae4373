"""The generator Protocol, and what a generator may refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.abilities import Abilities
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema

Progress = Callable[[dict[str, Any]], None]
"""Called after each epoch with that epoch's record: at least `epoch`, `epochs`, `train`, `heldout` and `seconds`."""


class Unsupported(InputError):
    """A generator was asked for something it cannot do (a column kind, a condition, a device)."""


class Keeper(Protocol):
    """Where a fit keeps its state between rounds, so that a cut-off fit is not begun anew."""

    def due(self) -> bool:
        """Whether it is time to keep the state again."""
        ...

    def read(self) -> bytes | None:
        """What was written last, whole or not at all."""
        ...

    def write(self, state: bytes) -> None: ...

    def clear(self) -> None:
        """Forget it: the fit is over, or begins anew."""
        ...


class Draws(Protocol):
    """What rows can be drawn from: a fitted generator, or a part of its law."""

    def sample(self, n: int, *, seed: int) -> pa.Table: ...


@runtime_checkable
class Generator(Protocol):
    """A model of the joint law of a table's columns, target included.

    Constructor arguments are keyword-only settings with defaults (`settings.py` of its folder). `fit` returns self;
    `stopping` holds rows to stop early on (default: the generator cuts what it needs from `table`), `progress` hears of
    each epoch, and `history` keeps those records (empty where there are no epochs); `keeper` holds a long fit's state.
    `sample` is a pure function of (state, n, seed): the same call gives the same bytes on the same kind of device.
    `sample(n)` is *not* a prefix of `sample(n')`. What it can do beside, the class attribute `abilities` says
    (abilities.py): those of its settings' class.
    """

    name: str
    abilities: Abilities
    history: list[dict[str, Any]]

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
    ) -> "Generator": ...

    def sample(self, n: int, *, seed: int) -> pa.Table: ...

    def save(self, path: Path) -> None: ...

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> "Generator": ...
