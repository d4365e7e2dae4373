"""Do the intervals of the learning-curve law and of the joint law hold: surfaces that follow the laws exactly.

    python experiments/dge2023/coverage.py [replicates=200] [seed=0] --json FILE

The model: risk 1 + .05 + gain u^-a + (.06 + .1 u^-b) / K at u = m / 1000, 8 volumes from 250 to 32,000, members whose
errors are nested over volumes as those of prefixes are, 60 % along 16 directions, the rest a number a row. A learning
curve has b = a, so that the curve of K members is a power law too.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run_rows

from dge_ray.stats.volume.joint_law import joint_law
from dge_ray.stats.volume.learning_curve import learning_curve

VOLUMES = 250 * 2 ** np.arange(8)
U = VOLUMES / 1000
COSTS = 2.0 + U  # a generator of 2 s, 1 s a thousand rows
EPSILON = 0.03
SHAPES = {"steep": (0.3, 0.7, 0.7), "slow": (0.3, 0.5, 0.5), "apart": (0.1, 0.7, 1.2)}  # gain, a, b


def stream(seed: int, *address: int) -> np.random.Generator:
    """The random stream at an address."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))


def risk(members: float, u: np.ndarray, shape: str) -> np.ndarray:
    """The true mean squared error."""
    gain, a, b = SHAPES[shape]
    return 1.05 + gain * u**-a + (0.06 + 0.1 * u**-b) / members


def draw(members: int, rows: int, shape: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fresh members and rows: predictions (members, 8, rows, 1) and y."""
    gain, a, b = SHAPES[shape]
    x = generator.standard_normal((rows, 16))
    bias = np.zeros((8, 16))
    bias[:, 0], bias[:, 1] = np.sqrt(0.05), np.sqrt(gain * U**-a)
    steps = np.sqrt(0.1 * (U**-b - np.r_[U[1:] ** -b, 0.0]))

    def nested(size: tuple[int, ...]) -> np.ndarray:
        drawn = generator.standard_normal((8, *size)) * steps[:, None, None]
        return np.cumsum(drawn[::-1], axis=0)[::-1] + np.sqrt(0.06) * generator.standard_normal(size)

    own = nested((members, 16)) * np.sqrt(0.6 / 16)
    p = np.einsum("mkj,nj->kmn", bias[:, None] + own, x, optimize=True)
    p += (nested((members, rows)) * np.sqrt(0.4)).swapaxes(0, 1)
    return p[..., None], generator.standard_normal(rows)


def one_curve(members: int, rows: int, shape: str, replicates: int, seed: int) -> dict:
    """Of floor (root: RMSE) and gain still to come; on the Brier-like scale a curve of squares is fitted through its
    root, whose law is close to a power but not one, so the floor's truth is the root of the floor."""
    held, width, fitted = [], [], []
    for replicate in range(replicates):
        p, y = draw(members, rows, shape, stream(seed, 0, members, rows, list(SHAPES).index(shape), replicate))
        found = learning_curve(p, y, task="regression", volumes=VOLUMES, seed=replicate, draws=400)
        fitted.append(found.status == "fitted")
        if found.floor is None or found.still_to_gain is None:
            continue
        end = np.sqrt(1.05 + 0.06 / members)
        gain = np.sqrt(risk(members, U[-1:], shape)[0]) - end
        held.append([found.floor[1] <= end <= found.floor[2], found.still_to_gain[1] <= gain <= found.still_to_gain[2]])
        width.append([found.floor[2] - found.floor[1], found.still_to_gain[2] - found.still_to_gain[1]])
    row = {"what": "learning curve", "shape": shape, "members": members, "rows": rows, "replicates": len(held)}
    row |= dict(zip(("held_floor", "held_still_to_gain"), np.mean(held, axis=0), strict=True))
    row |= dict(zip(("width_floor", "width_still_to_gain"), np.mean(width, axis=0), strict=True))
    return row | {"fitted": np.mean(fitted)}


def one_law(members: int, rows: int, shape: str, replicates: int, seed: int) -> dict:
    """Of the law's parts; of a cell's excess; how often the named cell is within epsilon, and its price over the
    best's."""
    gain, a, b = SHAPES[shape]
    truth = {"floor": 1.05, "rows": gain * 32**-a, "generators": 0.06, "variance": 0.06 + 0.1 * 32**-b, "exponent": a}
    held: dict[str, list[bool]] = {name: [] for name in [*truth, "excess"]}
    inside, sure, price, fitted = [], [], [], []
    for replicate in range(replicates):
        p, y = draw(members, rows, shape, stream(seed, 1, members, rows, list(SHAPES).index(shape), replicate))
        keys = {"task": "regression", "volumes": VOLUMES, "costs": COSTS, "epsilon": EPSILON}
        found = joint_law(p, y, **keys, seed=replicate, draws=200)
        fitted.append(found.status == "fitted")
        if found.best is None or found.cheapest_by_estimate is None or found.cheapest is None:
            continue
        for name, value in truth.items():
            _, low, high = getattr(found, name)
            held[name].append(low <= value <= high)
        at = U[found.best.volume == VOLUMES]
        best = float(risk(found.best.members, at, shape)[0])
        cells = [float(risk(c.members, np.array([c.volume / 1000]), shape)[0]) for c in _named(found)]
        excess = [cell / best - 1 for cell in cells]
        held["excess"].append(found.cheapest_by_estimate.excess[1] <= excess[0] <= found.cheapest_by_estimate.excess[2])
        inside.append(excess[0] <= EPSILON)
        sure.append(excess[1] <= EPSILON)
        price.append([c.cpu_seconds / found.best.cpu_seconds for c in _named(found)])
    row = {"what": "joint law", "shape": shape, "members": members, "rows": rows, "replicates": len(inside)}
    row |= {f"held_{name}": np.mean(values) for name, values in held.items()}
    row |= {"named_within": np.mean(sure), "by_estimate_within": np.mean(inside), "fitted": np.mean(fitted)}
    return row | dict(zip(("by_estimate_price", "named_price"), np.mean(price, axis=0), strict=True))


def _named(found) -> tuple:
    return found.cheapest_by_estimate, found.cheapest


def run(replicates: int = 200, seed: int = 0) -> list[dict]:
    settings = [(4, 500), (4, 3000), (8, 500), (8, 3000), (16, 3000)]
    rows = [one_curve(*at, shape, replicates, seed) for shape in ("steep", "slow") for at in settings]
    rows += [one_law(*at, shape, replicates, seed) for shape in ("steep", "apart") for at in settings]
    return rows


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
