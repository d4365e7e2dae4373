"""Fits that are cut off between rounds and gone on with, and that start from another fit: what they must come to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.storage import Folder

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
