"""The generator Protocol, its registry, and what a generator may refuse."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.generators.settings import (
    AutoregressiveSettings,
    CausalLmSettings,
    CopulaSettings,
    CtganSettings,
    DiffusionSettings,
    GanSettings,
    LanguageSettings,
    MostlyaiSettings,
    Settings,
    VaeSettings,
)
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema import TableSchema

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

    Constructor arguments are keyword-only settings with defaults (settings.py). `fit` returns self; `stopping` holds
    rows to stop early on (default: the generator cuts what it needs from `table`), `progress` hears of each epoch, and
    `history` keeps those records (empty where there are no epochs); `keeper` holds a long fit's state. `sample` is a
    pure function of (state, n, seed): the same call gives the same bytes on the same kind of device.
    `sample(n)` is *not* a prefix of `sample(n')`. Optional: `log_prob(table) -> (n,) float64 nats`,
    `sample(n, seed=, given=table)` with `given` holding some columns of n rows; `target_law(given, points=)`, the
    target's law given all other columns without draws: encoded values and probabilities, each (n or 1, s), or None.
    With a class attribute `private_fits` that is true, `fit(..., private=PrivateFit)` is differentially private.
    """

    name: str
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


# One line a generator: where it lives and its settings. Imported on use, so that listing and checking cost nothing.
REGISTRY: dict[str, str] = {
    "autoregressive": "dge_ray.generators.autoregressive.generator:Autoregressive",
    "causal_lm": "dge_ray.generators.text.causal_lm:CausalLm",
    "copula": "dge_ray.generators.copula.generator:Copula",
    "ctgan": "dge_ray.generators.adapters.ctgan:Ctgan",
    "diffusion": "dge_ray.generators.diffusion.generator:Diffusion",
    "gan": "dge_ray.generators.gan.generator:Gan",
    "language": "dge_ray.generators.text.language:Language",
    "mostlyai": "dge_ray.generators.adapters.mostlyai:Mostlyai",
    "vae": "dge_ray.generators.vae.generator:Vae",
}
SETTINGS: dict[str, type[Settings]] = {
    "autoregressive": AutoregressiveSettings,
    "causal_lm": CausalLmSettings,
    "copula": CopulaSettings,
    "ctgan": CtganSettings,
    "diffusion": DiffusionSettings,
    "gan": GanSettings,
    "language": LanguageSettings,
    "mostlyai": MostlyaiSettings,
    "vae": VaeSettings,
}
OF_TEXT = frozenset({"causal_lm", "language"})  # these model one text column, given the others
# What stands on another package: the module to look for, and the extra of this package that brings it.
EXTRAS: dict[str, tuple[str, str]] = {
    "causal_lm": ("transformers", "text"),
    "ctgan": ("ctgan", "ctgan"),
    "mostlyai": ("mostlyai.engine", "mostly"),
}


def installed(name: str) -> bool:
    """Whether the package that a registered generator stands on is there; it is not imported."""
    if name not in EXTRAS:
        return True
    try:
        return find_spec(EXTRAS[name][0]) is not None
    except ModuleNotFoundError:  # the module's parent is absent too
        return False


def check_generator(name: str, settings: Mapping[str, Any]) -> None:
    """Whether `make_generator` will make this one; loads no model code.

    Raises:
        InputError: no such generator, one whose package is not installed, or a setting that it does not have or take.
    """
    if name not in REGISTRY:
        raise InputError("generator", repr(name), nearest(name, sorted(REGISTRY)))
    if not installed(name):
        takes = f"it after: pip install 'dge-ray[{EXTRAS[name][1]}]' (README, Generators from other packages)"
        raise InputError("generator", f"{name!r}, whose package is not installed", takes)
    SETTINGS[name].read(settings)


def generator_class(name: str) -> type:
    """The class behind a registered name.

    Raises:
        InputError: no such generator, or one whose package is not installed.
    """
    check_generator(name, {})
    module, attribute = REGISTRY[name].split(":")
    return getattr(import_module(module), attribute)


def fits_privately(name: str) -> bool:
    """Whether `fit` of a registered generator takes `private`. Imports the generator.

    Raises:
        InputError: no such generator, or one whose package is not installed.
    """
    return getattr(generator_class(name), "private_fits", False)


def make_generator(name: str, **settings: Any) -> Generator:
    """A fresh generator by name.

    Raises:
        InputError: as `check_generator`.
    """
    check_generator(name, settings)
    return generator_class(name)(**settings)
