"""What the generators here share, whatever they model: settings, the call of a fit, and files. Loads no torch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from dge_ray.generators.abilities import Abilities
from dge_ray.generators.base import Keeper, Progress
from dge_ray.generators.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from dge_ray.generators.checks import no_warm_start, not_fitted
from dge_ray.generators.registry import settings_class
from dge_ray.generators.settings import Settings
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema

if TYPE_CHECKING:  # torch is loaded by those who use it
    from dge_ray.generators.private.fit import PrivateFit

S = TypeVar("S", bound=Settings)
Model = TypeVar("Model")


@dataclass(frozen=True)
class FitOptions:
    """How one fit is done: the keywords of `BaseGenerator.fit`."""

    seed: int
    device: str
    warm_start: Path | None
    stopping: TableSource | None
    progress: Progress | None
    keeper: Keeper | None
    private: "PrivateFit | None"


class BaseGenerator(ABC, Generic[S, Model]):
    """A generator. S: its settings' class; Model: what a fit leaves."""

    name: ClassVar[str]
    abilities: ClassVar[Abilities]
    no_warm_start: ClassVar[str] = ""
    """Why it starts from no other fit, where it does not."""
    keeps_history: ClassVar[bool] = True
    """Whether a saved one holds its `history`."""

    def __init__(self, **settings: Any) -> None:
        self.settings: S = settings_class(self.name).read(settings)  # type: ignore[assignment]
        self.history: list[dict[str, Any]] = []
        self._fitted: tuple[TableSchema, Model] | None = None

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
        private: "PrivateFit | None" = None,
    ) -> Self:
        """Fit on `table`; what the others are for: the Protocol in generators/base.py, and `_fit` of each generator.

        Raises:
            InputError: rows that do not match the schema, too few of them, or an option that will not do.
            Unsupported: `warm_start` or `private`, of a generator that has no such fit.
        """
        if warm_start is not None and not self.abilities.warm_starts:
            raise no_warm_start(self.name, self.no_warm_start)
        if private is not None and self.abilities.private is None:
            from dge_ray.generators.private.fit import not_private

            raise not_private(self.name)
        options = FitOptions(seed, device, warm_start, stopping, progress, keeper, private)
        self._fitted = schema, self._fit(table, schema, options)
        return self

    def save(self, path: Path) -> None:
        """Write generator.json and weights.safetensors into the folder `path`."""
        schema, model = self._state()
        arrays, extra = self._files(model)
        if self.keeps_history:
            extra = {**extra, "history": self.history}
        write_checkpoint(path, Checkpoint(self.name, schema, self._plain_settings(), arrays, extra))

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> Self:
        """Read what `save` wrote, onto `device`.

        Raises:
            InputError: no checkpoint there, a damaged one, one of another generator, or an unknown device.
        """
        cls._check_device(device)
        saved = read_checkpoint(path, cls.name)
        generator = cls(**saved.settings)
        generator.history = saved.extra.get("history", [])
        generator._fitted = saved.schema, generator._restored(saved, device)
        return generator

    def _state(self) -> tuple[TableSchema, Model]:
        """The schema and the model of the fit.

        Raises:
            InputError: there was no fit.
        """
        if self._fitted is None:
            raise not_fitted(self.name)
        return self._fitted

    def _plain_settings(self) -> dict[str, Any]:
        return self.settings.model_dump()

    @classmethod
    def _check_device(cls, device: str) -> None:
        """Raises InputError where the generator cannot compute on `device`."""

    @abstractmethod
    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> Model:
        """Fit on `table`; leaves the records of its epochs in `history`."""

    @abstractmethod
    def _files(self, model: Model) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays, and JSON values, from which `_restored` makes the same model."""

    @abstractmethod
    def _restored(self, saved: Checkpoint, device: str) -> Model: ...
