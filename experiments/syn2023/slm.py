"""Prediction with conditional generators (Syn-Slm) against boosting on the same rows, at four noise levels.

    python experiments/syn2023/slm.py [seeds=3] [members=4] [rows=3000] [generators=autoregressive,copula] \
        [sigmas=0.1,0.2,0.5,1.0] --json FILE

y = 8 + x1^2 + x2 x3 + cos(x4) + exp(x5 x6) + 0.1 x7 + sigma e, x uniform on (0, 1), e standard normal: a simulation of
Shen, Liu & Shen 2023, whose conditional generator saw 3,000 rows, test rows' targets included, and whose baseline
1,000. Here both see the same `rows` and nothing else. Of 5,000 test rows a seed: RMSE is that of new rows,
sqrt(sigma^2 + mean (prediction - E[y|x])^2), without their noise; CRPS is the mean over the rows' y.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict

from dge_ray import SynSlmRegressor
from dge_ray.estimators.laws import Laws
from dge_ray.stats.metrics.crps import atoms_of_quantiles, crps

FEATURES, TEST_ROWS, BLOCK = 7, 5_000, 1_000
LEVELS = np.arange(1, 20) / 20
ATOMS = 200  # of a law that is known by its quantiles
# Chosen on rows of seeds from 100 (README.slm.md), for the generators and for boosting alike.
GENERATORS: dict[str, dict[str, Any]] = {
    "autoregressive": {"stop_on": "target", "epochs": 30, "lr": 1e-3, "dropout": 0.05},
    "diffusion": {"width": 128, "batch_size": 256, "steps": 1_500},
    "copula": {},
}
BOOSTING: dict[str, Any] = {"early_stopping": False, "learning_rate": 0.05, "max_iter": 300, "max_leaf_nodes": 8}
BASELINE = "boosting_quantiles"


def expected(x: np.ndarray) -> np.ndarray:
    """E[y|x] (n,) of x (n, 7)."""
    return 8 + x[:, 0] ** 2 + x[:, 1] * x[:, 2] + np.cos(x[:, 3]) + np.exp(x[:, 4] * x[:, 5]) + 0.1 * x[:, 6]


def draw(n: int, sigma: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x (n, 7) and y (n,)."""
    x = rng.random((n, FEATURES))
    return x, expected(x) + sigma * rng.standard_normal(n)


class Boosting:
    """Boosting's mean, and as its law the mean with the residuals of five-fold cross-fitting around it."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Boosting":
        model = HistGradientBoostingRegressor(**BOOSTING, random_state=0)
        self.residuals = np.sort(y - cross_val_predict(model, x, y, cv=5))
        self.model = model.fit(x, y)
        return self

    def law(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = self.model.predict(x)
        return mean, mean[:, None] + np.quantile(self.residuals, (np.arange(ATOMS) + 0.5) / ATOMS)


class QuantileBoosting:
    """Boosting of 19 quantiles; its mean is that of the law through them."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "QuantileBoosting":
        options = {**BOOSTING, "loss": "quantile", "random_state": 0}
        self.models = [HistGradientBoostingRegressor(**options, quantile=level).fit(x, y) for level in LEVELS]
        return self

    def law(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        atoms = atoms_of_quantiles(np.stack([model.predict(x) for model in self.models], axis=1), LEVELS, ATOMS)
        return atoms.mean(axis=1), atoms


def scores(sigma: float, x: np.ndarray, mean: np.ndarray, score: np.ndarray) -> dict[str, float]:
    excess = np.mean((mean - expected(x)) ** 2)
    return {"rmse": float(np.sqrt(sigma**2 + excess)), "crps": float(score.mean())}


def ensembles(model: SynSlmRegressor, x: np.ndarray, y: np.ndarray) -> dict[int, list[np.ndarray]]:
    """By number of members, the first of them: the mean (n,) and CRPS (n,); of all, the calibrated law's CRPS too."""
    found: dict[int, list[list[np.ndarray]]] = {}
    for start in range(0, len(x), BLOCK):
        laws = model.predict_distribution(x[start : start + BLOCK])
        count = 1
        while count <= model.n_members:
            first = Laws(laws.values[:count], laws.weights[:count])
            part = [first.mean().mean(axis=0), first.crps(y[start : start + BLOCK])]
            if count == model.n_members:
                part.append(laws.crps(y[start : start + BLOCK]))
            found.setdefault(count, []).append(part)
            count *= 2
    return {count: [np.concatenate(part) for part in zip(*parts, strict=True)] for count, parts in found.items()}


def one(seed: int, sigma: float, rows: int, members: int, generators: list[str]) -> Iterator[dict[str, Any]]:
    """Each model's figures on one training table."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(round(1000 * sigma),)))
    (x, y), (at, truth) = draw(3_000, sigma, rng), draw(TEST_ROWS, sigma, rng)
    x, y = x[:rows], y[:rows]
    where = {"sigma": sigma, "rows": rows, "seed": seed}
    normal = expected(at)[:, None] + sigma * ndtri((np.arange(ATOMS) + 0.5) / ATOMS)
    even = np.full((1, ATOMS), 1 / ATOMS)
    yield where | {"model": "truth"} | scores(sigma, at, expected(at), crps(normal, even, truth))
    for name, model in (("boosting", Boosting()), (BASELINE, QuantileBoosting())):
        started = process_time()
        mean, atoms = model.fit(x, y).law(at)
        found = scores(sigma, at, mean, crps(atoms, even, truth))
        yield where | {"model": name} | found | {"cpu_seconds": process_time() - started}
    for name in generators:
        started = process_time()
        model = SynSlmRegressor(name, GENERATORS[name], members, n_draws=20, calibrate=True, random_state=seed)
        fitted = model.fit(x, y)
        fit_seconds = process_time() - started
        for count, (mean, *crps_of) in ensembles(fitted, at, truth).items():
            cost = {"fit_cpu_seconds": fit_seconds * count / members}
            laws = {"members": count} if len(crps_of) == 1 else {"members": count, "spread": fitted.spread_}
            yield where | {"model": name, "law": "own"} | laws | scores(sigma, at, mean, crps_of[0]) | cost
            if len(crps_of) > 1:
                yield where | {"model": name, "law": "calibrated"} | laws | scores(sigma, at, mean, crps_of[1]) | cost


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, and differences to quantile boosting and to boosting with 95 % t intervals over seeds."""
    cells: dict[tuple, dict[int, dict[str, Any]]] = {}
    for row in results:
        key = (row["sigma"], row["rows"], row["model"], row.get("members"), row.get("law"))
        cells.setdefault(key, {})[row["seed"]] = row
    out = []
    for (sigma, rows, model, members, law), by_seed in cells.items():
        line: dict[str, Any] = {"sigma": sigma, "rows": rows, "model": model, "members": members, "law": law}
        line["seeds"] = len(by_seed)
        for metric in ("rmse", "crps"):
            line[metric] = float(np.mean([row[metric] for row in by_seed.values()]))
            for other in ("boosting", BASELINE):
                theirs = cells[sigma, rows, other, None, None]
                line[f"{metric}_less_{other}"] = interval([r[metric] - theirs[s][metric] for s, r in by_seed.items()])
        out.append(line)
    return out


def interval(differences: list[float]) -> list[float]:
    """Mean, and ends of its 95 % t interval; of one difference no ends."""
    d = np.array(differences)
    half = student.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.nan
    return [float(d.mean()), float(d.mean() - half), float(d.mean() + half)]


def main(words: list[str]) -> None:
    target = Path(words[words.index("--json") + 1])
    options = dict(word.split("=") for word in words if "=" in word)
    seeds, members, rows = (int(options.get(k, v)) for k, v in (("seeds", 3), ("members", 4), ("rows", 3_000)))
    first = int(options.get("first", 0))
    generators = [name for name in options.get("generators", "autoregressive,copula").split(",") if name]
    results = []
    for sigma in map(float, options.get("sigmas", "0.1,0.2,0.5,1.0").split(",")):
        for seed in range(first, first + seeds):
            for row in one(seed, sigma, rows, members, generators):
                results.append(row)
                text = (f"{k}={v:.5g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
                print(" ".join(text), flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"summary": summary(results), "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
