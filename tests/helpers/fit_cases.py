"""What several generators' tests check: cut-off fits that are gone on with, starts from another fit, what is learnt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.storage import Folder
from helpers.generator_cases import SMALL, mixed_schema, mixed_table

Fit = Callable[..., Any]
"""`fit(keeper=, progress=)` gives a fitted generator; without either, the whole fit."""


class Cut(Exception):
    """A fit is cut off here."""


def cut_at(epoch: int) -> Callable[[dict[str, Any]], None]:
    """A `progress` that ends the fit at an epoch."""

    def progress(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise Cut

    return progress


def every_round(folder: Path) -> FolderKeeper:
    """A keeper that holds the state after each round."""
    return FolderKeeper(Folder.open(folder), "fit", every=0)


def weights_file(generator: Any, folder: Path) -> bytes:
    """What a generator's weights are when it is saved to `folder`."""
    generator.save(folder)
    return (folder / "weights.safetensors").read_bytes()


def resumed_bit_for_bit(fit: Fit, folder: Path, *, cut: int) -> tuple[Any, Any, list[int]]:
    """A whole fit, one that was cut off at epoch `cut` and gone on with, and the epochs that this then told of.

    Their saved weights are checked to be the same bytes.
    """
    whole = fit()
    with pytest.raises(Cut):
        fit(keeper=every_round(folder), progress=cut_at(cut))
    epochs: list[int] = []
    resumed = fit(keeper=every_round(folder), progress=lambda record: epochs.append(record["epoch"]))
    assert weights_file(resumed, folder / "resumed") == weights_file(whole, folder / "whole")
    return whole, resumed, epochs


def income_gap(rows: pa.Table) -> float:
    """By how much the mean logarithm of incomes above 0 differs between the mixed table's labels; 1 in the table."""
    means = [
        np.mean([np.log(r["income"]) for r in rows.to_pylist() if r["label"] == label and (r["income"] or 0) > 0])
        for label in ("yes", "no")
    ]
    return float(means[0] - means[1])


def refuses_another_width(name: str, short: dict[str, Any], changed: dict[str, int], folder: Path) -> None:
    """A short fit from a saved generator of `SMALL` settings keeps its weights, and one of another width is refused."""
    table = mixed_table()
    schema = mixed_schema(table)
    source: Any = make_generator(name, **SMALL[name]).fit(table, schema, seed=0)
    source.save(folder)
    warm: Any = make_generator(name, **short).fit(table.slice(0, 300), schema, seed=1, warm_start=folder)
    before, after = source._state()[1].weights.flat, warm._state()[1].weights.flat
    assert float((before - after).abs().max()) < 1e-4
    ((setting, value),) = changed.items()
    line = rf"warm_start: got a checkpoint with {setting}={SMALL[name][setting]} .*; takes {setting}={value}"
    with pytest.raises(InputError, match=line):
        make_generator(name, **{**short, **changed}).fit(table, schema, seed=0, warm_start=folder)
