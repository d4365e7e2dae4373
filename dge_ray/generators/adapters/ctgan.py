"""CTGAN as its authors' package has it (Xu et al. 2019), an extra: `ctgan`, whose licence is BUSL-1.1.

The package wants numbers without gaps, and blurs a value that many rows share. Coded columns therefore go in as
categories, missing among them; so do measured columns of few values; any other measured column goes in as a number, and
beside it, where it has missing values or atoms, a category that says which of them the row has, or neither.

A fit leaves the maker's weights, each number's normals and how often categories are asked for, as arrays. A draw makes
the package's `CTGAN` anew around them and lets it sample; its last step, back from the matrix, is done here (the same
numbers, without the package's data frames). This relies on what the package does not document: `_generator`,
`_transformer`, `_data_sampler` of its model, the classes behind them, and rdt's `_bgm_transformer` and `dummies`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from dge_ray.generators.adapters.base import Adapter, State
from dge_ray.generators.adapters.settings import CtganSettings
from dge_ray.generators.base import Progress
from dge_ray.generators.encoding.tokens import ATOM_ROWS, ROWS_PER_VALUE
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import CODED, TableSchema

FEW_VALUES = 9  # measured columns with at most so many values are categories
ATOM_SHARE = 0.1  # of a measured column's rows: a value that so many share, ATOM_ROWS at least, is a category
REACH = 4.0  # standard deviations that make 1 of offset, the package's STD_MULTIPLIER


@dataclass(frozen=True)
class Categories:
    """A matrix column that is one of `values` (k,): codes, numbers, or nan for missing."""

    values: np.ndarray

    @property
    def width(self) -> int:
        return len(self.values)

    def decode(self, part: np.ndarray) -> np.ndarray:
        """Values (n,) of the matrix's part (n, k)."""
        return self.values[part.argmax(axis=1)]


@dataclass(frozen=True)
class Normals:
    """A matrix column that is a number: which of the normals (`means`, `sds`, each (k,)), and where within it."""

    means: np.ndarray
    sds: np.ndarray

    @property
    def width(self) -> int:
        return 1 + len(self.means)

    def decode(self, part: np.ndarray) -> np.ndarray:
        """Values (n,) of the matrix's part (n, 1 + k)."""
        mode = part[:, 1:].argmax(axis=1)
        return np.clip(part[:, 0].astype(np.float64), -1, 1) * REACH * self.sds[mode] + self.means[mode]


Layout = dict[str, Categories | Normals]
"""The matrix's columns in order: a table column's by its place ("3"), what beside it says which atom ("3-atom")."""


class Ctgan(Adapter[CtganSettings]):
    """The ctgan package's CTGAN. Settings: `CtganSettings`. All rows are fitted, `history` stays empty: the package
    tells of no epoch before the last."""

    name = "ctgan"
    abilities = CtganSettings.abilities

    def _fit_package(
        self, schema: TableSchema, values: Columns, heldout: Columns | None, device: str, record_epoch: Progress
    ) -> State:
        frame, categories = _frame(schema, values)
        model = _package_model(self.settings, device)
        model.fit(frame, list(categories))
        layout: Layout = {}
        for info in model._transformer._column_transform_info_list:
            if info.column_type == "discrete":
                layout[info.column_name] = Categories(
                    categories[info.column_name][np.array(info.transform.dummies, int)]
                )
            else:
                mixture, kept = info.transform._bgm_transformer, info.transform.valid_component_indicator
                sds = np.sqrt(mixture.covariances_.reshape(-1)[kept])
                layout[info.column_name] = Normals(mixture.means_.reshape(-1)[kept], sds)
        weights = parameters_to_vector(model._generator.parameters()).detach().cpu().numpy()
        arrays = {"weights": weights, "frequencies": model._data_sampler._discrete_column_category_prob}
        for name, column in layout.items():
            arrays |= {f"column.{name}.{key}": value for key, value in vars(column).items()}
        return State(arrays, {"columns": list(layout)})

    def _draw(self, schema: TableSchema, state: State, n: int, known: Columns, device: str) -> Columns:
        layout = _layout(state)
        matrix = _restored(self.settings, layout, state, device).sample(n)
        parts, at = {}, 0
        for name, column in layout.items():
            parts[name] = column.decode(matrix[:, at : at + column.width])
            at += column.width
        values: Columns = {}
        for j, column in enumerate(schema.modelled):
            numbers = parts[str(j)]
            if column.kind in CODED:
                numbers = numbers.astype(np.int32)
            elif f"{j}-atom" in parts:
                atoms = parts[f"{j}-atom"]
                numbers = np.where(np.isinf(atoms), numbers, atoms)
            values[column.name] = numbers
        return values


def _frame(schema: TableSchema, values: Columns) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The rows as the package takes them, and what its categories stand for: a column's values (k,) by number.

    In a column of atoms, inf says that the row has none of them.
    """
    columns: dict[str, np.ndarray] = {}
    categories: dict[str, np.ndarray] = {}

    def add(name: str, labels: np.ndarray) -> None:
        categories[name], columns[name] = np.unique(labels, return_inverse=True)

    for j, column in enumerate(schema.modelled):
        numbers = values[column.name]
        distinct, counts = np.unique(numbers, return_counts=True)  # nan counts as one value
        few = len(distinct) <= FEW_VALUES and len(numbers) >= ROWS_PER_VALUE * len(distinct)
        if column.kind in CODED or few:
            add(str(j), numbers)
            continue
        atoms = distinct[(counts >= max(ATOM_ROWS, ATOM_SHARE * len(numbers))) | np.isnan(distinct)]
        columns[str(j)] = np.where(np.isnan(numbers), np.nanmean(numbers), numbers)
        if len(atoms):
            add(f"{j}-atom", np.where(np.isin(numbers, atoms) | np.isnan(numbers), numbers, np.inf))
    return pd.DataFrame(columns), categories


def _package_model(settings: CtganSettings, device: str) -> Any:
    from ctgan import CTGAN  # type: ignore[import-not-found]

    widths = (settings.hidden,) * settings.layers
    sizes = {"embedding_dim": settings.latent, "generator_dim": widths, "discriminator_dim": widths}
    rates = {"generator_lr": settings.lr, "discriminator_lr": settings.lr}
    steps = {"epochs": settings.epochs, "discriminator_steps": settings.critic_steps}
    rows = {"batch_size": settings.batch_size, "pac": settings.pac, "log_frequency": settings.frequencies == "log"}
    model = CTGAN(**sizes, **rates, **steps, **rows)
    model.set_device(torch.device(device))
    return model


def _layout(state: State) -> Layout:
    layout: Layout = {}
    for name in state.extra["columns"]:
        prefix = f"column.{name}."
        fields = {k.removeprefix(prefix): v for k, v in state.arrays.items() if k.startswith(prefix)}
        layout[name] = Categories(**fields) if "values" in fields else Normals(**fields)
    return layout


class _Matrix:
    """Stands where the package's fitted transformer was: the matrix's parts, and the matrix left as it is."""

    def __init__(self, layout: Layout) -> None:
        from ctgan.data_transformer import SpanInfo  # type: ignore[import-not-found]

        self.output_info_list = [
            [SpanInfo(column.width, "softmax")]
            if isinstance(column, Categories)
            else [SpanInfo(1, "tanh"), SpanInfo(column.width - 1, "softmax")]
            for column in layout.values()
        ]

    def inverse_transform(self, data: np.ndarray) -> np.ndarray:
        return data


def _restored(settings: CtganSettings, layout: Layout, state: State, device: str) -> Any:
    """The package's model as the fit left it, but that it samples the matrix (n, width)."""
    from ctgan.data_sampler import DataSampler  # type: ignore[import-not-found]
    from ctgan.synthesizers.ctgan import Generator as Maker  # type: ignore[import-not-found]

    model = _package_model(settings, device)
    sampler = DataSampler.__new__(DataSampler)  # its constructor wants the rows
    coded = [column.width for column in layout.values() if isinstance(column, Categories)]
    sampler._n_discrete_columns, sampler._n_categories = len(coded), sum(coded)
    sampler._discrete_column_category_prob = state.arrays["frequencies"]
    width = sum(column.width for column in layout.values())
    maker = Maker(settings.latent + sum(coded), model._generator_dim, width)
    vector_to_parameters(torch.from_numpy(state.arrays["weights"]), maker.parameters())
    model._transformer, model._data_sampler, model._generator = _Matrix(layout), sampler, maker.to(device)
    return model
