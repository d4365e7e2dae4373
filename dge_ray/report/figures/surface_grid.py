"""One (split, metric) of surface.parquet as arrays over (member count, volume)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Grid:
    """One (split, metric) of the surface: arrays of shape (member count, volume), nan where there is no cell."""

    members: np.ndarray
    volumes: np.ndarray
    value: np.ndarray
    se: np.ndarray
    dropped: np.ndarray

    def row(self, members: int) -> tuple[np.ndarray, np.ndarray]:
        """(value, se) over volumes for one member count."""
        at = int(np.flatnonzero(self.members == members)[0])
        return self.value[at], self.se[at]


def grid(surface: pa.Table, report: Mapping, *, split: str, metric: str) -> Grid | None:
    """The report's learner's cells of one split and metric; None where the surface has none.

    A cell that is absent although its volume and member count occur elsewhere counts as dropped.
    """
    names = ["learner", "members", "volume", "split", "metric", "value", "se", "dropped"]
    columns = {name: surface.column(name).to_pylist() for name in names}
    learners = set(columns["learner"])
    learner = report.get("learner") if report.get("learner") in learners else min(learners, default=None)
    rows = [
        at
        for at in range(surface.num_rows)
        if columns["split"][at] == split and columns["metric"][at] == metric and columns["learner"][at] == learner
    ]
    if not rows:
        return None
    members = np.unique([columns["members"][at] for at in rows])
    volumes = np.unique([columns["volume"][at] for at in rows])
    value, se = np.full((2, len(members), len(volumes)), np.nan)
    dropped = np.ones(value.shape, bool)
    for at in rows:
        cell = np.searchsorted(members, columns["members"][at]), np.searchsorted(volumes, columns["volume"][at])
        value[cell] = np.nan if columns["value"][at] is None else columns["value"][at]
        se[cell] = np.nan if columns["se"][at] is None else columns["se"][at]
        dropped[cell] = bool(columns["dropped"][at])
    return Grid(members, volumes, value, se, dropped)
