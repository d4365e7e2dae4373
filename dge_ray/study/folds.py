"""Cross-fitted studies: how the rows that are not test are cut into folds, and what goes by fold.

On a small table a tenth of the rows chooses nothing, and what they leave is too few to learn from. So the rows that are
not test are cut into F folds, and a member is F generators, each fitted without one fold (its early-stopping rows are
taken from the other folds). Each row is predicted by the generator that has not seen it. Put together, predictions have
the form that they have in every study, P[member, volume, row, class], and all that reads them reads them as before: the
jackknife drops a member, and so one generator of each fold.

Rows that are test (`report=test`) are read once by each fold's ensemble: their risk is the mean over folds of the risk
of an ensemble of K generators. That is what the other rows tell of, too; the mean of a member's F predictions would be
an ensemble of K x F, whose risk is less, and for which neither K nor the volume was chosen. Errors take the F readings
of a row for one cluster. Without test rows (`report=crossfit`) each fold is read at the volume that does best on the
others (`stats.volume.nested`).

Fold 0 alone is a study without folds whose validation rows are that fold: its K members are those that other verbs
open, sample from and publish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.records.files import IDENTITY
from dge_ray.table import Split, TableSchema
from dge_ray.table.split import MIN_TRAIN_ROWS, carve, strata_of
from dge_ray.table.units import Units

AUTO_FOLDS = 5
FEW_ROWS = 1_000  # of validation: with fewer, auto cross-fits
_FOLDS = 2  # the first index of Purpose.SPLIT's streams that is of folds


@dataclass(frozen=True)
class Folds:
    """The folds of a cross-fitted study.

    parts: of each fold the tables that its fits see: train, stopping, validation (the fold's own rows), test.
    held: of each fold which of the study's validation rows are its own; together all that are not test.
    pool: the study's validation rows.
    nested: there are no test rows, and each fold is read at the others' choice.
    clusters: (rows of the pool,) codes of rows that belong together, where whole groups are parted.
    """

    parts: tuple[dict[str, pa.Table], ...]
    held: tuple[np.ndarray, ...]
    pool: pa.Table
    nested: bool
    clusters: np.ndarray | None = None

    @property
    def count(self) -> int:
        return len(self.parts)

    @property
    def n(self) -> int:
        """Rows that a generator is fitted on, the mean over folds."""
        return round(float(np.mean([part["train"].num_rows for part in self.parts])))


def check_folds(config: StudyConfig) -> None:
    """Raises InputError where folds are asked for that do not go with another key."""
    if config.report == "crossfit" and config.folds == 1:
        raise InputError(
            "report", "crossfit with folds=1", "report=test, or folds from 2: each is read at others' choice"
        )
    asked = config.folds not in ("auto", 1) or config.report == "crossfit"
    if asked and (why := _without_folds(config)) is not None:
        key = "report" if config.folds == "auto" else "folds"
        raise InputError(key, f"{getattr(config, key)} with {why}", "folds=1" if key == "folds" else "report=test")


def may_have_folds(config: StudyConfig) -> bool:
    """Whether nothing of a configuration stands against folds; where a column says which rows are which, that may."""
    return config.split_column is None and _without_folds(config) is None


def _without_folds(config: StudyConfig) -> str | None:
    """What of a configuration leaves no folds: the key, in words."""
    if config.private:
        return "privacy.epsilon (every generator of a fold would be charged)"
    if config.time_column is not None:
        return "time_column (a fold's generators would learn from later rows)"
    if config.canaries:
        return "canaries (they are planted in one train part)"
    if config.groups > 1:
        return "groups (of members, each with its baselines)"
    if any(abilities(name).holds_rows for name, _ in config.generators):
        return "generator=tables (its rows were made of all folds)"
    return None


def as_begun(config: StudyConfig, folder: Folder | None = None) -> StudyConfig:
    """The configuration with the folds, and what they report on, of the study that is there, where the keys are not
    given: a study goes on as it was begun. `folder`: where it is now; None: below its storage."""
    given = config.model_fields_set
    if given.issuperset(("folds", "report")):
        return config
    if folder is None:
        folder = Folder.open(config.storage) / str(config.study)
        folder.check_readable()
    return config.model_copy(update={key: value for key, value in begun_folds(folder).items() if key not in given})


def begun_folds(folder: Folder) -> dict[str, Any]:
    """The keys `folds` and `report` of the study in a folder; nothing where there is none, or its identity is damaged,
    which is told elsewhere."""
    if not folder.exists(IDENTITY):
        return {}
    try:
        split = folder.read_json(IDENTITY)["split"]
    except (InputError, KeyError, TypeError):
        return {}
    kept = next((one for one in split if isinstance(one, dict) and "folds" in one), {"folds": 1})
    return {"folds": int(kept["folds"]), "report": kept.get("report", "test")}


def fold_count(config: StudyConfig, split: Split, labels: np.ndarray | None, units: Units | None) -> int:
    """How many folds a study has, 1 for none: as asked; auto is AUTO_FOLDS where validation has fewer than FEW_ROWS
    rows.

    Raises:
        InputError: the split column names rows that folds have no place for.
    """
    named = set() if labels is None else set(np.unique(labels)) & {"validation", "raw"}
    asked = config.folds != "auto" or config.report == "crossfit"
    wanted = AUTO_FOLDS if config.folds == "auto" else config.folds
    if asked and wanted > 1:
        if named:
            got = f"{wanted} with rows that split_column names {sorted(named)[0]}"
            raise InputError("folds", got, "folds=1, or a split column of train and test alone")
        if config.report == "crossfit" and labels is not None:
            raise InputError("report", "crossfit with a split column that names test rows", "report=test")
        return wanted
    if asked or named or _without_folds(config) is not None:
        return 1
    if len(split.validation) >= FEW_ROWS or (units is not None and _units(units, split) < AUTO_FOLDS):
        return 1
    return AUTO_FOLDS


def _units(units: Units, split: Split) -> int:
    return len(np.unique(units.unit[_not_test(split)]))


def _not_test(split: Split) -> np.ndarray:
    return np.sort(np.concatenate([split.train, split.stopping, split.validation]))


def folds_identity(count: int, report: str) -> list[dict[str, object]]:
    """What the identity's `split` ends with; nothing in a study without folds."""
    if count == 1:
        return []
    return [{"folds": count, **({"report": report} if report == "crossfit" else {})}]


def cut_folds(
    table: pa.Table, schema: TableSchema, split: Split, count: int, config: StudyConfig, units: Units | None
) -> list[Split]:
    """Each fold as the split of a study whose validation rows are that fold; `split`: the plain one, which gives test.

    Classes, or target tenths, are spread evenly over the folds, and whole groups stay in one.

    Raises:
        InputError: there are too few rows, or groups, for so many folds.
    """
    nested = config.report == "crossfit"
    test = np.empty(0, np.int64) if nested else split.test
    rows = np.setdiff1d(np.arange(table.num_rows), test) if nested else _not_test(split)
    strata = strata_of(table, schema)
    classification = bool(schema.classes)
    if units is not None:
        units.check_count(rows, max(count, 4))
    folds = []
    for fold, held in enumerate(_cut(rows, strata, count, config.seed, units)):
        rest = np.setdiff1d(rows, held, assume_unique=True)
        rng = numpy_generator(config.seed, Purpose.STOPPING, index=fold)
        if units is not None:
            stopping = units.carve(rest, strata[rest], config.stopping_fraction, 1, rng)
        else:
            stopping = carve(rest, strata[rest], config.stopping_fraction, 1 if classification else 0, rng)
        train = np.setdiff1d(rest, stopping, assume_unique=True)
        if len(train) < MIN_TRAIN_ROWS or not len(stopping):
            got = f"{count} folds of {len(rows):,} rows, which leave {len(train)} to learn from"
            raise InputError("folds", got, f"folds that leave at least {MIN_TRAIN_ROWS}, or folds=1")
        if classification and len(np.unique(strata[train])) < len(np.unique(strata[rows])):
            got = f"{count} folds, of which one leaves a class without a row to learn from"
            raise InputError("folds", got, "folds=1, or rare classes merged or dropped")
        folds.append(Split(train=train, stopping=stopping, validation=held, test=test))
    return folds


def _cut(rows: np.ndarray, strata: np.ndarray, count: int, seed: int, units: Units | None) -> list[np.ndarray]:
    """The rows in so many parts of about one size, each ascending."""
    if units is None:
        order = numpy_generator(seed, Purpose.SPLIT, index=_FOLDS).permutation(len(rows))
        order = order[np.argsort(strata[rows][order], kind="stable")]  # then dealt out, one after another
        return [np.sort(rows[order[fold::count]]) for fold in range(count)]
    parts, left = [], rows
    for fold in range(count - 1):
        rng = numpy_generator(seed, Purpose.SPLIT, index=_FOLDS + fold)
        parts.append(units.carve(left, strata[left], 1 / (count - fold), count - 1 - fold, rng))
        left = np.setdiff1d(left, parts[-1], assume_unique=True)
    return [*parts, left]


def folds_of(table: pa.Table, splits: Sequence[Split], *, nested: bool, units: Units | None) -> Folds:
    """The folds' tables. `units`: where whole groups are parted."""
    rows = np.sort(np.concatenate([split.validation for split in splits]))
    absent = ("test",) if nested else ()
    parts = ({n: t for n, t in split.tables(table).items() if n not in absent} for split in splits)
    return Folds(
        parts=tuple(parts),
        held=tuple(np.searchsorted(rows, split.validation) for split in splits),
        pool=table.take(pa.array(rows)),
        nested=nested,
        clusters=None if units is None else units.unit[rows],
    )
