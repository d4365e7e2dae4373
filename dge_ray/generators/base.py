"""The generator Protocol, its registry, and what a generator may refuse."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.table.schema import TableSchema

Progress = Callable[[dict[str, Any]], None]
"""Called after each epoch with that epoch's record: at least `epoch`, `epochs`, `train`, `heldout` and `seconds`."""


class Unsupported(InputError):
    """A generator was asked for something it cannot do (a column kind, a condition, a device)."""


@runtime_checkable
class Generator(Protocol):
    """A model of the joint law of a table's columns, target included.

    Constructor arguments are keyword-only tuning settings with defaults. `fit` returns self; `stopping` holds rows to
    stop early on (default: the generator cuts what it needs from `table`), `progress` hears of each epoch, and
    `history` keeps those records (empty where there are no epochs). `sample` is a pure
    function of (state, n, seed): the same call gives the same bytes on the same kind of device, and nothing else does:
    `sample(n)` is *not* a prefix of `sample(n')`. Optional: `log_prob(table) -> (n,) float64 nats`,
    `sample(n, seed=, given=table)` with `given` holding some columns of n rows.
    """

    name: str
    history: list[dict[str, Any]]

    def fit(
        self,
        table: pa.Table,
        schema: TableSchema,
        *,
        seed: int,
        device: str = "cpu",
        warm_start: Path | None = None,
        stopping: pa.Table | None = None,
        progress: Progress | None = None,
    ) -> "Generator": ...

    def sample(self, n: int, *, seed: int) -> pa.Table: ...

    def save(self, path: Path) -> None: ...

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> "Generator": ...


# One line a generator: its name and where it lives. Imported on use, so that listing them costs nothing.
REGISTRY: dict[str, str] = {
    "autoregressive": "dge_ray.generators.autoregressive:Autoregressive",
    "copula": "dge_ray.generators.copula:Copula",
}


def generator_class(name: str) -> type:
    """The class behind a registered name.

    Raises:
        InputError: no such generator.
    """
    if name not in REGISTRY:
        raise InputError("generator", repr(name), nearest(name, sorted(REGISTRY)))
    module, attribute = REGISTRY[name].split(":")
    return getattr(import_module(module), attribute)


def make_generator(name: str, **settings: Any) -> Generator:
    """A fresh generator by name.

    Raises:
        InputError: no such generator, or a setting it does not have.
    """
    import inspect

    cls = generator_class(name)
    known = [p for p in inspect.signature(cls).parameters]
    for setting in settings:
        if setting not in known:
            raise InputError(f"generator.{setting}", "an unknown setting", nearest(setting, known))
    return cls(**settings)
