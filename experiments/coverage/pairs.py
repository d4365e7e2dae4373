"""Coverage where learner and volume are chosen together: the best pair, and the chosen learner's own best volume.

    python experiments/coverage/pairs.py [replicates=400] [seed=0] --json FILE

Two learners over six volumes, a number as the target. A member errs by a bias of its learner and volume along a
direction that all members share, and by noise of its own that is alike over volumes to one half; rows have noise of
their own. So the risk of K members is known in closed form. Every replicate draws fresh members and fresh rows; the
learner of least risk on them is chosen, and its interval is made as a study of two learners makes it. About 1
CPU-minute.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.volume.pairs import best_pairs
from dge_ray.stats.volume.reflection import reflection_point

VOLUMES = [1, 2, 4, 8, 16, 32]
LAWS = {  # biases by learner and volume, and the noise of a member at each volume
    "two alike": ([[0.6, 0.4, 0.3, 0.25, 0.3, 0.4]] * 2, [0.6, 0.5, 0.4, 0.35, 0.3, 0.3]),
    "one at the small end, one at the large": (
        [[0.2, 0.25, 0.35, 0.45, 0.55, 0.6], [0.7, 0.55, 0.4, 0.3, 0.22, 0.18]],
        [0.35, 0.35, 0.3, 0.3, 0.3, 0.3],
    ),
    "flat beside curved": ([[0.3] * 6, [0.6, 0.45, 0.3, 0.28, 0.3, 0.4]], [0.4] * 6),
}
SIZES = ((4, 70), (8, 300), (4, 1000))


def draw(biases: np.ndarray, noise: np.ndarray, members: int, rows: int, random: np.random.Generator) -> tuple:
    """Predictions by learner, (members, volumes, rows, 1) each, and the truth (rows,)."""
    y, direction = random.standard_normal((2, rows))
    own = random.standard_normal((len(biases), members, 1, rows))
    apart = random.standard_normal((len(biases), members, len(noise), rows))
    errors = biases[:, None, :, None] * direction + noise[:, None] * (own + apart) / np.sqrt(2)
    return [one[..., None] for one in errors], y


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All claims."""
    lines = []
    for place, (name, (biases, noise)) in enumerate(LAWS.items()):
        b, s = np.array(biases), np.array(noise)
        for members, rows in SIZES:
            random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(15, place, members, rows)))
            risk = b**2 + s**2 / members  # beside the rows' noise, which all have
            least = risk <= risk.min() + 1e-12
            pair, own, counts, widths = [], [], [], []
            for _ in range(replicates):
                p, y = draw(b, s, members, rows, random)
                held = best_pairs(p, y, metric="rmse", seed=0)
                pair.append(bool(any((mask & at).any() for mask, at in zip(held, least, strict=True))))
                counts.append(float(sum(mask.sum() for mask in held)))
                points = [
                    reflection_point(one, y, task="regression", volumes=VOLUMES, metric="rmse", looks=2) for one in p
                ]
                chosen = int(np.argmin([point.value for point in points]))
                lo, hi = points[chosen].interval
                best = VOLUMES[int(np.argmin(risk[chosen]))]
                own.append(lo <= best <= hi or bool((risk[chosen] <= risk[chosen].min() + 1e-12).all()))
                widths.append(float(sum(lo <= volume <= hi for volume in VOLUMES)))
            setting = f"{name}, {members} members, {rows} rows"
            target = "this law's best, given the train split"
            lines.append(claim("best pair of learner and volume", setting, target, pair, counts))
            lines.append(claim("best volume of the chosen learner", setting, target, own, widths))
    return lines


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
