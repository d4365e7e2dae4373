"""Where a study's rows come from: are some of them synthetic, of which generation, and what does that mean?

Generators fitted on generators' rows drift away from the real law unless enough real rows are kept. Synthetic rows are
known by the mark in their Parquet files (marks.py), or because a column says so (`synthetic_column`). Rows without
either count as real: nobody can tell.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.stats.utility.loops import trend
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.records.files import REPORT, UTILITY
from dge_ray.table.arrow.arrow_types import plain
from dge_ray.table.marks import read_mark
from dge_ray.table.reading.load import load_table, parquet_files
from dge_ray.table.source import check_column_name

ENOUGH_REAL = 2 / 3
NORMAL = 1.959963984540054  # standard errors to an end of a .95 interval
LITERATURE = "Bertrand et al. 2023, arXiv 2310.00429"


@dataclass(frozen=True)
class Origin:
    """Of a table's rows: which are synthetic, (rows,) bool; the youngest's `generation` and its mark's `history`."""

    synthetic: np.ndarray
    generation: int
    history: tuple[dict[str, Any], ...] = ()

    def take(self, rows: np.ndarray) -> "Origin":
        """Of some of the rows, in this order."""
        return replace(self, synthetic=self.synthetic[rows])


@dataclass(frozen=True)
class Lineage:
    """A study's rows and synthetic rows by part; `generation` of the rows that it makes itself; and of what was before.

    `history`: an entry a generation, oldest first: `generation`, `share` (synthetic, of what it was fitted on) and
    `utility` (loss, learner, value, interval; or None where nobody measured it).
    """

    rows: dict[str, int]
    synthetic: dict[str, int]
    generation: int
    history: tuple[dict[str, Any], ...] = ()

    @property
    def share(self) -> float:
        """Synthetic, of the rows that the generators are fitted on."""
        return self.synthetic["train"] / self.rows["train"]

    @property
    def ratio(self) -> float | None:
        """Lambda: synthetic rows over real ones; None without real rows."""
        real = self.rows["train"] - self.synthetic["train"]
        return self.synthetic["train"] / real if real else None

    def as_json(self) -> dict[str, Any]:
        """What report.json keeps."""
        return {
            "synthetic": self.synthetic,
            "share": self.share,
            "ratio": self.ratio,
            "generation": self.generation,
            "history": list(self.history),
        }

    def notes(self) -> list[str]:
        """What the study says at its start."""
        train, measured = self.rows["train"], [part for part in ("validation", "test") if self.synthetic.get(part)]
        ratio = "no real one" if self.ratio is None else f"{self.ratio:.3g} to one real row"
        notes = [
            f"{self.synthetic['train']:,} of the {train:,} rows to learn from are synthetic ({self.share:.0%}; "
            f"{ratio}): what this study makes is generation {self.generation}; keep the original real rows in every "
            "round"
        ]
        if 1 - self.share < ENOUGH_REAL:
            notes.append(
                f"{1 - self.share:.0%} real rows: under the two thirds that are quoted as sufficient for generators "
                f"fitted on their own rows to stay stable (after {LITERATURE}, if the first is good enough); less may "
                "do, but nothing assures it"
            )
        if measured:
            parts = " and ".join(f"{self.synthetic[part]:,} {part} rows" for part in measured)
            notes.append(f"{parts} are synthetic: the risks measured on them are not about real rows alone")
        return notes


def read_origin(config: StudyConfig, table: pa.Table, target: str) -> tuple[pa.Table, Origin | None]:
    """The table without its synthetic column, and which of its rows are synthetic: those where that column is true, or
    else those of marked files. None where there are none. `table`: what was read from the study's source.

    Raises:
        InputError: a synthetic column that is no such column, or that has other values than true and false (or 1 and
            0); or a damaged mark.
    """
    marks, counts = [], []
    for schema, count in parquet_files(config.source):
        marks.append(read_mark(schema))
        counts.append(count)
    youngest = max((mark for mark in marks if mark), key=lambda mark: mark["generation"], default=None)
    if config.synthetic_column is not None:
        synthetic = _flags(table, config.synthetic_column)
        table = table.drop_columns([config.synthetic_column])
    else:
        synthetic = np.repeat(np.array([mark is not None for mark in marks], dtype=bool), counts)
        if synthetic.any() and len(synthetic) > table.num_rows:  # files hold the rows that drop_missing_target took
            synthetic = synthetic[
                plain(load_table(config.source, config.reading, config.columns)[target]).is_valid().to_numpy()
            ]
    if not synthetic.any():
        return table, None
    if youngest is None:
        return table, Origin(synthetic, 1)
    return table, Origin(synthetic, youngest["generation"], tuple(youngest.get("history", ())))


def lineage_of(origin: Origin, parts: Mapping[str, np.ndarray]) -> Lineage:
    """By part, of which `parts` holds the row numbers."""
    return Lineage(
        {name: len(rows) for name, rows in parts.items()},
        {name: int(origin.synthetic[rows].sum()) for name, rows in parts.items()},
        origin.generation + 1,
        origin.history,
    )


def mark_of(folder: Folder, *, told: bool = True) -> dict[str, Any]:
    """What the mark of a finished study's rows says of them: `generation`, `share` and `history`, this study the last.

    The utility in it is that of `dge-ray utility`, where it was run. Not `told`: neither that nor the share, which were
    read off the real rows; a share is then 1, that is at most.
    """
    report = folder.read_json(REPORT) if folder.exists(REPORT) else {}
    before = report.get("synthetic_input") or {"generation": 1, "share": 0.0, "history": []}
    found = folder.read_json(UTILITY) if folder.exists(UTILITY) else {}
    share = before["share"] if told else float(before["generation"] > 1)
    own = {"generation": before["generation"], "share": share, "utility": own_utility(found) if told else None}
    return {"generation": own["generation"], "share": share, "history": [*before["history"], own]}


def own_utility(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Synthetic minus real risk of a utility report's first pipeline, the study's own learner, in its own loss."""
    if not report:
        return None
    label, losses = next(iter(report["utility"].items()))
    one = losses[report["loss"]]
    return {"loss": report["loss"], "learner": label, "value": one["difference"], "interval": list(one["interval"])}


def generations(lineage: Lineage, report: Mapping[str, Any]) -> dict[str, Any]:
    """utility.json's `generations`: those whose U is `known` in this report's loss, this study's the last, and the
    `trend` (None for one alone). A U compares with the learner on that study's own rows, the synthetic ones too.
    """
    own = {"generation": lineage.generation, "share": lineage.share, "utility": own_utility(report)}
    measured = [(entry["generation"], entry["utility"]) for entry in (*lineage.history, own) if entry.get("utility")]
    known = [{"generation": g, **one} for g, one in measured if one["loss"] == report["loss"]]
    moves = None
    if len({one["generation"] for one in known}) > 1:
        errors = [(one["interval"][1] - one["interval"][0]) / (2 * NORMAL) for one in known]
        moves = asdict(trend([one["generation"] for one in known], [one["value"] for one in known], errors))
    return {"generations": {"known": known, "trend": moves}}


def _flags(table: pa.Table, name: str) -> np.ndarray:
    check_column_name("synthetic_column", name, table.column_names)
    values = plain(table[name])
    fine = pa.types.is_boolean(values.type) or pa.types.is_integer(values.type)
    listed = np.array(values.to_pylist()) if fine and not values.null_count else np.empty(0)
    if len(listed) < table.num_rows or not np.isin(listed, [0, 1]).all():
        raise InputError(
            f"synthetic_column '{name}'", f"values of type {values.type}", "true or false (or 1 and 0) a row"
        )
    return listed.astype(bool)
