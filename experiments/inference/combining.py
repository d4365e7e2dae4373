"""Do the combining rules hold? Coverage of .95 intervals for a normal mean and for regression coefficients.

    python experiments/inference/combining.py [runs=20000] [regression_runs=10000] [seed=0] --json FILE

Each run draws n = 200 real rows, fits the right parametric model to them, and makes m tables of k rows from it:
`simple` at the estimated parameters, `proper` at parameters drawn anew for each table from their posterior. The eight
settings are those of the reference table for the mean, which some with few tables follow. Regressions: x1 normal, x2
normal given x1, then y linear in both, or P(y = 1) logistic; x and y are both synthesised, in that order, and the
intervals of both slopes are counted. Rules come from dge_ray.stats.inference.pooled. A row: settings, then coverages
(`naive`: table 1 taken as real rows; `corrected`: its standard error times sqrt(1 + k/n)), the share of T_f <= 0, and
the mean of T_f over the true variance of the estimate. About 1 CPU-minute.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import read_words, write

from dge_ray.stats.inference.pooled import combine

N = 200
SETTINGS = [
    (200, 1, "simple"),
    (200, 1, "proper"),
    (1000, 1, "simple"),
    (200, 5, "simple"),
    (200, 5, "proper"),
    (200, 20, "proper"),
    (1000, 5, "proper"),
    (200, 20, "simple"),
]
FEW = [(k, m, "proper") for k in (50, 200) for m in (2, 3, 4, 5)]  # of the mean alone: how many tables T_p needs
SLOPES = {"linear": (1.0, 0.5, -0.5), "logistic": (-0.5, 0.8, -0.5)}  # intercept, x1, x2
BLOCK = 500  # runs at a time: memory

Draw = Callable[[int, int, bool, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def mean_tables(k: int, m: int, proper: bool, runs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means of m synthetic tables less the true mean, and their variances, (m, runs) each; by sufficient statistics."""
    mean = rng.normal(0, 1 / np.sqrt(N), runs)
    variance = np.broadcast_to(rng.chisquare(N - 1, runs) / (N - 1), (m, runs))
    if proper:
        variance = variance * (N - 1) / rng.chisquare(N - 1, (m, runs))
        mean = mean + rng.normal(size=(m, runs)) * np.sqrt(variance / N)
    estimates = mean + rng.normal(size=(m, runs)) * np.sqrt(variance / k)
    return estimates, variance * rng.chisquare(k - 1, (m, runs)) / (k - 1) / k


def least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (r, p), (X'X)^-1 (r, p, p) and residual variance (r,) of r regressions: x (r, n, p), y (r, n)."""
    inverse = np.linalg.inv(np.einsum("rni,rnj->rij", x, x, optimize=True))
    beta = np.einsum("rij,rnj,rn->ri", inverse, x, y, optimize=True)
    left = y - np.einsum("rni,ri->rn", x, beta, optimize=True)
    return beta, inverse, (left**2).sum(axis=1) / (x.shape[1] - x.shape[2])


def logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (r, p) and inverse information (r, p, p) of r logistic regressions, by Newton's method."""
    beta = np.zeros((len(x), x.shape[2]))
    for _ in range(8):
        p = 1 / (1 + np.exp(-np.einsum("rni,ri->rn", x, beta, optimize=True)))
        inverse = np.linalg.inv(np.einsum("rni,rn,rnj->rij", x, p * (1 - p), x, optimize=True))
        beta = beta + np.einsum("rij,rnj,rn->ri", inverse, x, y - p, optimize=True)
    return beta, inverse


def around(beta: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A normal draw (r, p) around each coefficient vector."""
    return beta + np.einsum("rij,rj->ri", np.linalg.cholesky(covariance), rng.normal(size=beta.shape))


class Normal:
    """y given design columns: linear, normal; one model a run. Posterior under the usual flat prior."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        (self.beta, self.inverse, self.variance), self.df = least_squares(x, y), x.shape[1] - x.shape[2]

    def draw(self, x: np.ndarray, proper: bool, rng: np.random.Generator) -> np.ndarray:
        beta, variance = self.beta, self.variance
        if proper:
            variance = variance * self.df / rng.chisquare(self.df, len(variance))
            beta = around(beta, variance[:, None, None] * self.inverse, rng)
        return np.einsum("rni,ri->rn", x, beta) + rng.normal(size=x.shape[:2]) * np.sqrt(variance)[:, None]


class Logit:
    """P(y = 1) given design columns. Posterior: normal around the estimate."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.beta, self.inverse = logistic(x, y)

    def draw(self, x: np.ndarray, proper: bool, rng: np.random.Generator) -> np.ndarray:
        beta = around(self.beta, self.inverse, rng) if proper else self.beta
        p = 1 / (1 + np.exp(-np.einsum("rni,ri->rn", x, beta)))
        return (rng.random(p.shape) < p).astype(np.float64)


def regression_tables(kind: str) -> Draw:
    """As `mean_tables`, of both slopes: (m, 2, runs) each."""
    truth = np.array(SLOPES[kind])

    def fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if kind == "logistic":
            beta, inverse = logistic(x, y)
            return beta, np.einsum("rii->ri", inverse)
        beta, inverse, variance = least_squares(x, y)
        return beta, variance[:, None] * np.einsum("rii->ri", inverse)

    def block(k: int, m: int, proper: bool, runs: int, rng: np.random.Generator) -> list[np.ndarray]:
        one = np.ones((runs, N, 1))
        x1 = rng.normal(size=(runs, N))
        x2 = 0.3 * x1 + rng.normal(size=(runs, N))
        x = np.concatenate([one, x1[..., None], x2[..., None]], axis=2)
        score = x @ truth
        y = score + rng.normal(size=score.shape) if kind == "linear" else 1.0 * (rng.logistic(size=score.shape) < score)
        first, second = Normal(one, x1), Normal(x[..., :2], x2)
        last = (Normal if kind == "linear" else Logit)(x, y)
        estimates, variances = [], []
        for _ in range(m):
            z = np.ones((runs, k, 1))
            for part in (first, second):
                z = np.concatenate([z, part.draw(z, proper, rng)[..., None]], axis=2)
            q, u = fit(z, last.draw(z, proper, rng))
            estimates.append((q - truth)[:, 1:].T)
            variances.append(u[:, 1:].T)
        return [np.stack(estimates), np.stack(variances)]

    def draw(k: int, m: int, proper: bool, runs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        blocks = [block(k, m, proper, min(BLOCK, runs - at), rng) for at in range(0, runs, BLOCK)]
        estimates, variances = (np.concatenate(parts, axis=2) for parts in zip(*blocks, strict=True))
        return estimates, variances

    return draw


def held(q: np.ndarray, u: np.ndarray, rule: str, k: float, n: float) -> float:
    """The share of intervals that hold 0."""
    lo, hi = combine(q, u, rule, k=k, n=n).interval()
    return float(((lo <= 0) & (hi >= 0)).mean())


def simulate(what: str, draw: Draw, k: int, m: int, generator: str, runs: int, rng: np.random.Generator) -> dict:
    """One line of the table."""
    proper = generator == "proper"
    q, u = draw(k, m, proper, runs, rng)
    row = {"what": what, "k": k, "m": m, "generator": generator, "runs": runs}
    row["naive"] = float((np.abs(q[0]) <= 1.959963984540054 * np.sqrt(u[0])).mean())
    row["corrected"] = held(q[:1], u[:1], "T_s", k, N)
    row["T_s"] = held(q, u, "T_s proper" if proper else "T_s", k, N)
    if m > 1:
        row["T_p"] = held(q, u, "T_p", k, N)
        row["T_p plain"] = held(q, u, "T_p", 1, 1)
        row["T_f*"] = held(q, u, "T_f*", k, N)
        full = combine(q, u, "T_f").variance
        row["share T_f <= 0"] = float((full <= 0).mean())
        row["T_f / true"] = float(np.mean(full.mean(axis=-1) / q.mean(axis=0).var(axis=-1)))
    return row


def table(what: str, draw: Draw, settings: list[tuple[int, int, str]], runs: int, seed: int) -> list[dict]:
    """All lines for one estimand."""
    rows = []
    for line, (k, m, generator) in enumerate(settings):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(what), line)))
        rows.append(simulate(what, draw, k, m, generator, runs, rng))
    return rows


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, write."""
    options, file = read_words(arguments)
    runs, fewer, seed = (
        int(options.get(key, default)) for key, default in (("runs", 20_000), ("regression_runs", 10_000), ("seed", 0))
    )
    rows = table("mean", mean_tables, SETTINGS + FEW, runs, seed)
    for kind in SLOPES:
        rows += table(kind, regression_tables(kind), SETTINGS, fewer, seed)
    for row in rows:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        print("| " + " | ".join(cells) + " |", file=sys.stderr)
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
