"""A utility report's fits by address, and their losses row by row on disk: what is there is never fitted again."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.stats.metrics.losses import LOSSES, loss_names
from dge_ray.stats.utility.attribution import VARIANTS
from dge_ray.storage import Folder
from dge_ray.study.records.files import UTILITY_LOSSES, UTILITY_PREDICTIONS, loss_file, utility_predictions_file
from dge_ray.study.records.predictions import Job, learner_label


@dataclass(frozen=True)
class Estimator:
    """A downstream pipeline of the report."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return learner_label(self.name, self.settings)


@dataclass(frozen=True)
class UtilityFit:
    """One fit: on a variant of the first `volume` rows of member `index`, or on the real rows with seed `index`."""

    label: str
    kind: Literal["as_is", "reweighted", "redrawn", "both", "real"]
    index: int
    volume: int = 0

    @property
    def file(self) -> str:
        return loss_file(self.label, self.kind, self.index, self.volume)

    @property
    def job(self) -> Job | None:
        """The study's own fit that this one equals, where there may be one."""
        if self.kind == "real":
            return Job("real") if self.index == 0 else None
        return Job("member", self.index, self.volume) if self.kind == "as_is" else None


def member_fits(label: str, members: int, volume: int, kinds: tuple[str, ...] = VARIANTS) -> list[UtilityFit]:
    return [UtilityFit(label, kind, k, volume) for k in range(members) for kind in kinds]  # type: ignore[arg-type]


def real_fits(label: str, count: int) -> list[UtilityFit]:
    return [UtilityFit(label, "real", b) for b in range(count)]


def write_losses(folder: Folder, fit: UtilityFit, p: np.ndarray, y: np.ndarray, task: str) -> None:
    """The losses of one fit's predictions (N, C) on the test rows, atomically, as float32 columns."""
    values = {name: pa.array(LOSSES[name].of(p.astype(np.float64), y), pa.float64()) for name in loss_names(task)}
    folder.write_table(fit.file, pa.table({n: v.cast(pa.float32()) for n, v in values.items()}))


def read_losses(folder: Folder, fits: list[UtilityFit], loss: str, rows: int) -> np.ndarray:
    """One loss of some fits, (fits, rows) float64.

    Raises:
        InputError: a file is damaged or of other rows.
    """
    values = np.empty((len(fits), rows))
    for i, fit in enumerate(fits):
        table = folder.read_table(fit.file)
        if table.num_rows != rows or loss not in table.column_names:
            raise InputError(str(folder / fit.file), "other columns or rows", f"{rows} rows of {loss}; delete it")
        values[i] = table[loss].to_numpy()
    return values


def write_ensemble_part(folder: Folder, fit: UtilityFit, p: np.ndarray) -> None:
    """The predictions (N, C) of a fit on a member's rows as they are: of them the ensemble is made."""
    columns = {str(c): pa.array(p[:, c].astype(np.float64)) for c in range(p.shape[1])}
    folder.write_table(utility_predictions_file(fit.label, fit.index, fit.volume), pa.table(columns))


def read_ensemble_parts(folder: Folder, fits: list[UtilityFit], rows: int) -> np.ndarray:
    """The members' predictions on test rows. Shape: -> (fits, rows, classes).

    Raises:
        InputError: a file is damaged or of other rows.
    """
    values = []
    for fit in fits:
        name = utility_predictions_file(fit.label, fit.index, fit.volume)
        table = folder.read_table(name)
        if table.num_rows != rows:
            raise InputError(str(folder / name), f"{table.num_rows} rows", f"{rows} test rows; delete it")
        values.append(np.stack([column.to_numpy() for column in table.columns], axis=1))
    return np.stack(values)


def missing(folder: Folder, fits: list[UtilityFit]) -> list[UtilityFit]:
    """The fits that are not on disk; of a fit on rows as they are, the predictions too."""
    there = {f"{part}/{name}" for part in (UTILITY_LOSSES, UTILITY_PREDICTIONS) for name in folder.list(part)}

    def is_there(fit: UtilityFit) -> bool:
        part = utility_predictions_file(fit.label, fit.index, fit.volume)
        return fit.file in there and (fit.kind != "as_is" or part in there)

    return [fit for fit in fits if not is_there(fit)]
