"""Mode-specific normalisation: a number as one of a mixture's normals, and where it lies within it.

Source: Xu et al. 2019, Modeling tabular data using conditional GAN, section 4.2: a variational Gaussian mixture a
column, a mode drawn from its posterior, and the value's distance from the mode's mean in units of 4 sd.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.tokens import ColumnTokens, Discretiser, Values, fit_column
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import Column

MOST_MODES = 10
LEAST_SHARE = 0.005  # modes of smaller weight are left out
FIT_ROWS = 10_000  # a column's mixture is fitted on at most so many rows
ONE_HOT_VALUES = 9  # measured columns with at most so many values are coded ones
REACH = 4.0  # standard deviations that make 1 of offset


@dataclass(frozen=True)
class Modes:
    """A column's normals: `means`, `sds` and `shares`, each (modes,). Missing is a mode more, the last."""

    means: np.ndarray
    sds: np.ndarray
    shares: np.ndarray
    missing: bool

    @property
    def size(self) -> int:
        return len(self.means) + self.missing

    @classmethod
    def fit(cls, values: np.ndarray, missing: bool, *, index: int) -> "Modes":
        """From a column's encoded values (n,). The same values give the same modes, whatever the member's seed.

        `index`: the column's, by which its random start is addressed.
        """
        present = values[~np.isnan(values)]
        if len(present) > FIT_ROWS:
            rng = numpy_generator(0, Purpose.SUBSAMPLE, index=index)
            present = present[rng.choice(len(present), FIT_ROWS, replace=False)]
        centre, scale = float(present.mean()), float(present.std()) or 1.0
        mixture = BayesianGaussianMixture(
            n_components=min(MOST_MODES, len(np.unique(present)), len(present)),
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=1e-3,
            random_state=integer(0, Purpose.FIT, index=index, bits=32),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture short of its optimum is a fair scale too
            mixture.fit((present[:, None] - centre) / scale)
        kept = mixture.weights_ > LEAST_SHARE
        return cls(
            mixture.means_[kept, 0] * scale + centre,
            np.sqrt(mixture.covariances_[kept, 0, 0]) * scale,
            mixture.weights_[kept] / mixture.weights_[kept].sum(),
            missing,
        )

    def encode(self, values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (n,) in [-1, 1] and modes (n,), drawn by each mode's posterior."""
        lost = np.isnan(values)
        at = np.where(lost, self.means[0], values)
        log_p = np.log(self.shares / self.sds) - ((at[:, None] - self.means) / self.sds) ** 2 / 2
        modes = np.argmax(log_p + rng.gumbel(size=log_p.shape), axis=1)
        offsets = np.clip((at - self.means[modes]) / (REACH * self.sds[modes]), -1, 1)
        return np.where(lost, 0.0, offsets), np.where(lost, len(self.means), modes)

    def decode(self, offsets: np.ndarray, modes: np.ndarray) -> np.ndarray:
        """Values (n,)."""
        at = np.minimum(modes, len(self.means) - 1)
        values = self.means[at] + np.clip(offsets, -1, 1) * REACH * self.sds[at]
        return np.where(modes == len(self.means), np.nan, values)


class ModeEncoder:
    """Rows as `ranks.MixedEncoder` has them, with offsets for scores and the modes as further codes.

    `sizes`: codes a column, those of `coded` first (the columns of categories or few values), then the modes of
    `measured`.
    """

    def __init__(self, discretiser: Discretiser, modes: dict[str, Modes], names: list[str]) -> None:
        self.discretiser, self.modes, self.names = discretiser, modes, names
        self.measured, self.coded = list(modes), list(discretiser.columns)
        self.sizes = [*discretiser.sizes, *(mixture.size for mixture in modes.values())]

    @classmethod
    def fit(cls, columns: list[Column], values: Mapping[str, np.ndarray]) -> "ModeEncoder":
        """From encoded rows."""
        tokens: dict[str, ColumnTokens] = {}
        modes: dict[str, Modes] = {}
        for index, column in enumerate(columns):
            coded = fit_column(column, values[column.name], bins=ONE_HOT_VALUES)
            if isinstance(coded, Codes) or (isinstance(coded, Values) and len(coded.values) <= ONE_HOT_VALUES):
                tokens[column.name] = coded
            else:
                modes[column.name] = Modes.fit(values[column.name], column.missing, index=index)
        return cls(Discretiser(tokens), modes, [column.name for column in columns])

    def encode(self, values: Mapping[str, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (n, q) float32 and codes (n, c + q) int64 of n encoded rows."""
        n = len(next(iter(values.values())))
        offsets, codes = np.empty((n, len(self.measured)), np.float32), np.empty((n, len(self.sizes)), np.int64)
        for i, (name, tokens) in enumerate(self.discretiser.columns.items()):
            codes[:, i] = tokens.encode(values[name])
        for i, (name, modes) in enumerate(self.modes.items()):
            offsets[:, i], codes[:, len(self.coded) + i] = modes.encode(values[name], rng)
        return offsets, codes

    def decode(self, scores: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> Columns:
        """Encoded rows of offsets (n, q) and codes (n, c + q); codes that several values share are told apart at
        random."""
        columns: Columns = {}
        for name in self.names:
            if name in self.modes:
                i = self.measured.index(name)
                columns[name] = self.modes[name].decode(scores[:, i].astype(float), codes[:, len(self.coded) + i])
            else:
                code = codes[:, self.coded.index(name)].astype(np.int32)
                tokens = self.discretiser.columns[name]
                columns[name] = tokens.decode(code, rng.random(len(code)) if tokens.placed else None)
        return columns

    def state(self) -> tuple[dict[str, np.ndarray], list[dict]]:
        """Arrays by name and JSON values, from which `from_state` makes the same encoder."""
        arrays, plain = self.discretiser.state()
        for i, modes in enumerate(self.modes.values()):
            arrays |= {f"modes.{i}.{key}": getattr(modes, key) for key in ("means", "sds", "shares")}
        more = [{"name": name, "tokens": "modes", "missing": modes.missing} for name, modes in self.modes.items()]
        by_name = {record["name"]: record for record in plain + more}
        return arrays, [by_name[name] for name in self.names]

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], plain: list[dict]) -> "ModeEncoder":
        discretiser = Discretiser.from_state(arrays, [r for r in plain if r["tokens"] != "modes"])
        modes = {}
        for i, record in enumerate(r for r in plain if r["tokens"] == "modes"):
            parts = {key: arrays[f"modes.{i}.{key}"] for key in ("means", "sds", "shares")}
            modes[record["name"]] = Modes(**parts, missing=record["missing"])
        return cls(discretiser, modes, [record["name"] for record in plain])
