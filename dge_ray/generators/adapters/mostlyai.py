"""The mostlyai-engine package's TabularARGN, an extra: `mostly` (Apache-2.0).

The package works in a folder: rows go in as Parquet, its statistics and its model come out as JSON and a torch file.
Here the folder is a temporary one. A fit leaves the JSON files' content and the weights, as one array; a draw writes
them into a folder again and lets the package generate. Torch files are read as bare tensors (`weights_only`), and never
kept.

Coded columns go in as categories, measured ones as numbers of the column's steps; missing values are the package's own.
Its value protection is on, as by default: categories with few rows are one token, drawn evenly among them here, and
the extreme values are clipped. What it relies on: the functions `split`, `analyze`, `encode`, `train` and `generate`,
which are public, and the names of four files.
"""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from dge_ray.generators.adapters.base import Adapter, State
from dge_ray.generators.adapters.settings import MostlyaiSettings
from dge_ray.generators.base import Progress
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import CODED, Column, TableSchema

STATISTICS = "ModelStore/tgt-stats/stats.json"
CONFIGURATION = "ModelStore/model-data/model-configs.json"
WEIGHTS = "ModelStore/model-data/model-weights.pt"
DRAWN = "SyntheticData"
FITTED_SHARE = 0.8  # of the rows, where none to stop on are given: the package's own cut, at random
DRAW_ROWS = 10_000  # rows drawn at a time; the package would ask how much memory is free
MODELS = {"small": "MOSTLY_AI/Small", "medium": "MOSTLY_AI/Medium", "large": "MOSTLY_AI/Large"}


class Mostlyai(Adapter[MostlyaiSettings]):
    """TabularARGN: a network a column, fitted on all orders of the columns, stopped early on held-out rows.

    Settings: `MostlyaiSettings`. Stops on `stopping`, else on a fifth of the rows, which the package cuts.
    """

    name = "mostlyai"
    abilities = MostlyaiSettings.abilities

    def _fit_package(
        self, schema: TableSchema, values: Columns, heldout: Columns | None, device: str, record_epoch: Progress
    ) -> State:
        from mostlyai import engine  # type: ignore[import-not-found]

        s = self.settings
        frame = _frame(schema, values)
        fitted = round(FITTED_SHARE * len(frame))
        if heldout is not None:
            fitted = len(frame)
            frame = pd.concat([frame, _frame(schema, heldout)], ignore_index=True)

        def cut(keys: pd.Series) -> tuple[pd.Series, pd.Series]:
            return keys.head(fitted), keys.tail(len(keys) - fitted)

        def report(message: dict[str, Any] | None = None, **_: Any) -> None:
            if message is not None and message["val_loss"] is not None:
                record = {"epoch": round(message["epoch"]), "epochs": s.epochs, "train": message["trn_loss"]}
                record_epoch({**record, "heldout": message["val_loss"], "seconds": message["total_time"]})

        with TemporaryDirectory() as folder:
            split = FITTED_SHARE if heldout is None else cut
            types = {name: _type(column) for name, column in zip(frame, schema.modelled, strict=True)}
            engine.split(frame, tgt_encoding_types=types, trn_val_split=split, workspace_dir=folder)
            engine.analyze(workspace_dir=folder)
            engine.encode(workspace_dir=folder)
            try:
                engine.train(
                    model=MODELS[s.model],
                    max_epochs=s.epochs,
                    batch_size=s.batch_size or _batch_size(fitted),
                    device=device,
                    workspace_dir=folder,
                    update_progress=report,
                )
            finally:
                torch.set_flush_denormal(False)  # the package sets it for the whole process
            weights = torch.load(Path(folder, WEIGHTS), map_location="cpu", weights_only=True)
            extra = {
                "statistics": json.loads(Path(folder, STATISTICS).read_text(encoding="utf-8")),
                "configuration": json.loads(Path(folder, CONFIGURATION).read_text(encoding="utf-8")),
                "shapes": {name: list(weight.shape) for name, weight in weights.items()},
            }
        return State({"weights": torch.cat([weight.flatten() for weight in weights.values()]).numpy()}, extra)

    def _draw(self, schema: TableSchema, state: State, n: int, known: Columns, device: str) -> Columns:
        from mostlyai import engine  # type: ignore[import-not-found]

        with TemporaryDirectory() as folder:
            _write_folder(Path(folder), state)
            engine.generate(
                sample_size=n,
                seed_data=_frame(schema, known) if known else None,
                batch_size=DRAW_ROWS,
                device=device,
                workspace_dir=folder,
            )
            parts = [pd.read_parquet(part) for part in sorted(Path(folder, DRAWN).glob("*.parquet"))]
        columns = pd.concat(parts, ignore_index=True).to_dict("series")
        statistics = state.extra["statistics"]["columns"]
        values: Columns = {}
        for name, column in _names(schema).items():
            if column.kind in CODED:
                values[column.name] = _codes(columns[name], column, statistics[name]["codes"])
            else:
                values[column.name] = _measured(columns[name], column)
        return values


def _names(schema: TableSchema) -> dict[str, Column]:
    """The columns by the names that the package sees."""
    return {f"c{j}": column for j, column in enumerate(schema.modelled)}


def _type(column: Column) -> str:
    return "TABULAR_CATEGORICAL" if column.kind in CODED else "TABULAR_NUMERIC_AUTO"


def _frame(schema: TableSchema, values: Columns) -> pd.DataFrame:
    """Encoded rows, or those of their columns that there are, as the package takes them."""
    columns = {}
    for name, column in _names(schema).items():
        if column.name in values:
            series = pd.Series(values[column.name])
            columns[name] = series.astype(str).where(series >= 0) if column.kind in CODED else series / column.step
    return pd.DataFrame(columns)


def _batch_size(rows: int) -> int:
    """The package's own rule, without the part of it that asks how much memory is free."""
    return int(np.clip(2 ** int(math.log2(max(rows / 64, 1))), 8, 512))


def _write_folder(folder: Path, state: State) -> None:
    """The part of the package's folder that it generates from."""
    for file, content in ((STATISTICS, "statistics"), (CONFIGURATION, "configuration")):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(state.extra[content]), encoding="utf-8")
    shapes = state.extra["shapes"]
    parts = torch.from_numpy(state.arrays["weights"]).split([math.prod(shape) for shape in shapes.values()])
    weights = {name: part.view(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}
    torch.save(weights, folder / WEIGHTS)


def _codes(series: pd.Series, column: Column, known: dict[str, int]) -> np.ndarray:
    """Codes (n,). The token of the categories with few rows becomes one of these, each as likely as another."""
    codes = pd.Series(pd.to_numeric(series, errors="coerce")).fillna(-1).to_numpy(np.int32)
    protected = (series.notna() & (codes < 0)).to_numpy(bool)
    rare = [code for code in range(len(column.categories)) if str(code) not in known]
    if protected.any():
        codes[protected] = np.random.choice(rare, protected.sum())
    return codes


def _measured(series: pd.Series, column: Column) -> np.ndarray:
    """Values (n,). Where the package protects all of so few that it has none to give, any in the column's range."""
    values = series.astype("Float64").to_numpy(np.float64, na_value=np.nan) * column.step
    if not column.missing and (lost := np.isnan(values)).any():
        values[lost] = np.random.uniform(column.minimum or 0.0, column.maximum or 0.0, lost.sum())
    return values
