"""The target given the other columns by boosting in place of trees: a distillation of the model that predicts it best.

Each of FOLDS models is fitted on the rows of the other folds and stopped early on its own. A class is drawn from the
probabilities of one of them, at random, so that the law is their mean. As drawn features are not quite those that the
models have learnt from, the probabilities are tilted until drawn rows have the classes' shares. A measured target is
predicted on normal scores; rows with near predictions, made by models that had not seen them, then share a law: the
values of their targets, spread as in a leaf. It has the spread and the atoms that the target has there. Two cuts of the
predictions, half a part apart, are used in turn.

Models are kept as skops writes them, with the types that it may read back named here.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from dge_ray.errors import InputError
from dge_ray.generators.trees.leaves import SIZES, Law
from dge_ray.generators.trees.rows import Scale
from dge_ray.skops_files import skops_bytes, skops_io

FOLDS = 4
MOST_CLASSES = 50
MOST_ROWS = 2**18
CUTS = 2
TABLE = 1e-3  # the weight of the target's law without the other columns, so that nothing is impossible
APART = 5  # values are drawn between two of these rows that lie so many apart
MOST_TILT = 10.0
SETTLING = 10  # steps of the iteration for the factors
FEWEST = 20  # rows that share a law at least; else the square root of all
SETTINGS = {"max_iter": 400, "learning_rate": 0.1, "n_iter_no_change": 15, "early_stopping": True}
# Types that skops does not trust by itself. None of them runs code that a file brings along: `partial` wraps a function
# that must itself be trusted, and `check_array` is the only one here.
TRUSTED = [
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
]


@dataclass(frozen=True)
class Boosted:
    """Models by fold, and what their predictions say. `files`: what skops wrote of them. `classes`: for each model, the
    symbols of its classes, of a coded target, and `tilt` (symbols,): the factors of their probabilities; `edges` (CUTS,
    parts - 1) and `law` of a measured one."""

    models: list[Any]
    files: list[bytes]
    scale: Scale
    classes: list[np.ndarray] | None
    edges: np.ndarray | None
    law: Law | None
    tilt: np.ndarray | None = None

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A symbol (n,) for each row of codes (predictors, n)."""
        n = codes.shape[1]
        fold, out = rng.integers(len(self.models), size=n), np.empty(n, np.int64)
        cut, uniform = rng.integers(CUTS, size=n), rng.random(n)
        for which in range(len(self.models)):
            rows = np.flatnonzero(fold == which)
            if not len(rows):
                continue
            if self.law is not None:
                out[rows] = self.law.draw(self._parts(which, codes[:, rows], cut[rows]), uniform[rows])
            else:
                ends = self._classes(which, codes[:, rows]).cumsum(1)
                out[rows] = (ends[:, :-1] <= (uniform[rows] * ends[:, -1])[:, None]).sum(1)
        return out

    def probability(self, codes: np.ndarray, symbol: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """p(symbol | codes), (n,): the mean over models and cuts, or by one each that `rng` draws."""
        n, out = codes.shape[1], np.zeros(codes.shape[1])
        folds = range(len(self.models))
        if rng is not None:
            fold, cut = rng.integers(len(self.models), size=n), rng.integers(CUTS, size=n)
            for which in folds:
                rows = np.flatnonzero(fold == which)
                if len(rows):
                    out[rows] = self._probability(which, codes[:, rows], symbol[rows], cut[rows])
            return out
        for which in folds:
            cuts = range(CUTS if self.law is not None else 1)
            for cut in cuts:
                out += self._probability(which, codes, symbol, np.full(n, cut)) / len(cuts)
        return out / len(self.models)

    def _probability(self, which: int, codes: np.ndarray, symbol: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """p(symbol | codes), (n,), by one model."""
        if self.law is not None:
            return self.law.probability(self._parts(which, codes, cut), symbol)
        return self._classes(which, codes)[np.arange(len(symbol)), symbol]

    def _classes(self, which: int, codes: np.ndarray) -> np.ndarray:
        """Probabilities (n, symbols) by one model."""
        assert self.classes is not None
        p = np.tile(TABLE * self.scale.shares, (codes.shape[1], 1))
        p[:, self.classes[which]] += (1 - TABLE) * self.models[which].predict_proba(codes.T)
        return p if self.tilt is None else _tilted(p, self.tilt)

    def settled(self, codes: np.ndarray) -> "Boosted":
        """The same, tilted so that rows of these codes (predictors, n) are drawn with the shares of the table."""
        if self.classes is None:
            return self
        parts = np.array_split(codes, len(self.models), axis=1)
        p = np.concatenate([self._classes(which, part) for which, part in enumerate(parts)])
        tilt = np.ones(p.shape[1])
        for _ in range(SETTLING):
            tilt *= self.scale.shares / _tilted(p, tilt).mean(0)
            tilt = np.clip(tilt, 1 / MOST_TILT, MOST_TILT)  # a class without a row stays next to impossible
        return replace(self, tilt=tilt)

    def _parts(self, which: int, codes: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """The parts (n,) of each row's cut in which its predictions by one model lie."""
        assert self.edges is not None
        return _part_of(self.edges, self.models[which].predict(codes.T), cut)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and JSON values of which `restored` makes the same; the law is the stage's."""
        arrays = {f"model.{i}": np.frombuffer(data, np.uint8) for i, data in enumerate(self.files)}
        arrays |= {name: part for name in ("edges", "tilt") if (part := getattr(self, name)) is not None}
        return arrays, {"classes": None if self.classes is None else [part.tolist() for part in self.classes]}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray], plain: dict[str, Any], scale: Scale, law: Law | None) -> "Boosted":
        """What `state` gave.

        Raises:
            InputError: models that the libraries here cannot read.
        """
        files = [arrays[f"model.{i}"].tobytes() for i in range(FOLDS)]
        try:
            models = [skops_io().loads(data, trusted=TRUSTED) for data in files]
        except Exception as error:  # a file of other versions fails in ways of its own
            got = f"a boosted target that cannot be read ({type(error).__name__})"
            raise InputError("checkpoint", got, "one saved with the scikit-learn and skops that are here") from None
        classes = None if plain["classes"] is None else [np.array(part) for part in plain["classes"]]
        return cls(models, files, scale, classes, arrays.get("edges"), law, arrays.get("tilt"))


def fit_boosted(
    codes: np.ndarray,
    symbols: np.ndarray,
    rank: np.ndarray | None,
    scale: Scale,
    categories: list[int],
    rng: np.random.Generator,
) -> Boosted | None:
    """From codes (predictors, n) and symbols (n,). `rank` (n,): an ordered target's; None: classes. `categories`: the
    predictors without order. None where there is nothing to boost: a class has all rows of some fold's others."""
    n = len(symbols)
    if n > MOST_ROWS:
        kept = np.sort(rng.permutation(n)[:MOST_ROWS])
        codes, symbols, rank, n = codes[:, kept], symbols[kept], None if rank is None else rank[kept], MOST_ROWS
    fold = np.empty(n, np.int64)
    shuffled = rng.permutation(n)
    fold[shuffled[np.argsort(symbols[shuffled], kind="stable")]] = np.arange(n) % FOLDS  # each has its share of a class
    x, y = np.ascontiguousarray(codes.T), symbols if rank is None else _normal_scores(rank)
    settings: dict[str, Any] = {
        **SETTINGS,
        "categorical_features": categories,
        "min_samples_leaf": 20 if n > 2000 else 10,
    }
    models: list[Any] = []
    out_of_fold = np.empty(n)
    for which in range(FOLDS):
        train, held = np.flatnonzero(fold != which), np.flatnonzero(fold == which)
        seed = int(rng.integers(2**31))
        if rank is None:
            seen = np.unique(y[train])
            if len(seen) < 2:
                return None
            judged = held[np.isin(y[held], seen)]
            model = HistGradientBoostingClassifier(**settings, random_state=seed)
            model.fit(x[train], y[train], X_val=x[judged], y_val=y[judged])
        else:
            model = HistGradientBoostingRegressor(**settings, random_state=seed)
            model.fit(x[train], y[train], X_val=x[held], y_val=y[held])
            out_of_fold[held] = model.predict(x[held])
        models.append(model)
    files = [skops_bytes(model) for model in models]
    if rank is None:
        return Boosted(models, files, scale, [model.classes_.astype(np.int64) for model in models], None, None)
    edges, law = _law_of_predictions(out_of_fold, symbols, scale)
    return Boosted(models, files, scale, None, edges, law)


def _tilted(p: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """Probabilities (n, symbols) times their factors (symbols,), with sums of 1."""
    p = p * tilt
    return p / p.sum(1, keepdims=True)


def _normal_scores(rank: np.ndarray) -> np.ndarray:
    """Normal scores (n,) of ranks (n,), ties at their middle."""
    counts = np.bincount(rank)
    return ndtri((counts.cumsum() - counts / 2) / len(rank))[rank]


def _law_of_predictions(predicted: np.ndarray, symbols: np.ndarray, scale: Scale) -> tuple[np.ndarray, Law]:
    """Edges (CUTS, parts - 1) of predictions (n,), and the law of the symbols (n,) in each part of each cut."""
    n = len(predicted)
    parts = max(1, n // max(FEWEST, round(n**0.5)))
    levels = (np.arange(1, parts)[None, :] + np.arange(CUTS)[:, None] / CUTS - 0.5 / CUTS) / parts
    edges = np.quantile(predicted, levels)
    node = np.concatenate([_part_of(edges, predicted, np.full(n, cut)) for cut in range(CUTS)])
    size = np.bincount(node, minlength=CUTS * parts)
    begin = size.cumsum() - size
    donors = np.tile(symbols, CUTS)[np.lexsort((np.tile(symbols, CUTS), node))]
    weights = np.tile([1 - TABLE, 0.0, TABLE], (SIZES, 1))
    return edges, Law(begin, size, np.arange(len(size)), np.zeros(len(size), np.int64), donors, weights, scale, APART)


def _part_of(edges: np.ndarray, predicted: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Which part, counted over all cuts, predictions (n,) fall into by their cuts (n,)."""
    out = np.empty(len(predicted), np.int64)
    for which, row in enumerate(edges):
        here = np.flatnonzero(cut == which)
        out[here] = which * (len(row) + 1) + np.searchsorted(row, predicted[here], side="right")
    return out
