"""Coverage of the utility interval: two-way against rows alone and members alone, on simulated loss tensors.

    python experiments/utility2023/coverage.py [replicates=10000] [seed=0] --json FILE

Crossed random effects with a known mean, the least that a loss tensor has: d[s, i] = mean + row_i + member_s + e_si for
S members, and B = 5 real fits with an effect and errors of their own on the same rows. "Rows alone" is the paired t
interval over rows, "members alone" the t interval over the members' mean differences. About 30 CPU-seconds.
"""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import read_words, write

from dge_ray.stats.utility.gap import mean_difference

MEAN = 0.01
REAL_FITS = 5


@dataclass(frozen=True)
class Setting:
    """Standard deviations of the effects. What the mean's variance comes from is in the name."""

    name: str
    members: int
    rows: int
    row: float
    member: float
    error: float
    real: float = 0.0


# S and N span 5 to 20 and 300 to 1,000. The standard error of the mean over rows is row / sqrt(N), over members
# member / sqrt(S): about .017 and .004 in the first line, .003 and .045 in the last.
SETTINGS = (
    Setting("rows dominate", 5, 300, row=0.30, member=0.01, error=0.30),
    Setting("both alike", 5, 300, row=0.30, member=0.04, error=0.30),
    Setting("both alike, more of each", 20, 1000, row=0.30, member=0.04, error=0.30, real=0.005),
    Setting("members lead, real fits vary", 10, 500, row=0.20, member=0.08, error=0.30, real=0.01),
    Setting("members dominate", 5, 1000, row=0.10, member=0.10, error=0.20),
)


def draw(setting: Setting, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Losses of members (S, N) and of real fits (B, N) on the same rows."""
    s, n = setting.members, setting.rows
    rows = setting.row * generator.standard_normal(n)
    synthetic = MEAN + rows + setting.member * generator.standard_normal((s, 1))
    synthetic += setting.error * generator.standard_normal((s, n), dtype=np.float32)
    real = setting.real * generator.standard_normal((REAL_FITS, 1))
    return synthetic, real + setting.real * generator.standard_normal((REAL_FITS, n))


def one_way(values: np.ndarray) -> tuple[float, float]:
    """The t interval of a mean of independent values."""
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def run(setting: Setting, replicates: int, seed: int) -> dict:
    """The share of replicates in which each interval held the mean, and the two-way one's mean width."""
    held = {"two_way": 0, "rows_alone": 0, "members_alone": 0}
    width = 0.0
    number = SETTINGS.index(setting)
    for replicate in range(replicates):
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, replicate)))
        synthetic, real = draw(setting, generator)
        paired = synthetic - real.mean(axis=0)
        intervals = {
            "two_way": mean_difference(synthetic, real).interval(),
            "rows_alone": one_way(paired.mean(axis=0)),
            "members_alone": one_way(paired.mean(axis=1)),
        }
        for name, (lo, hi) in intervals.items():
            held[name] += lo <= MEAN <= hi
        width += intervals["two_way"][1] - intervals["two_way"][0]
    shares = {name: count / replicates for name, count in held.items()}
    return {**asdict(setting), **shares, "mean_width": width / replicates, "replicates": replicates, "seed": seed}


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, print the table, write."""
    options, file = read_words(arguments)
    started = time.process_time()
    rows = [run(s, int(options.get("replicates", 10000)), int(options.get("seed", 0))) for s in SETTINGS]
    print("| setting | S | N | sd of row, member, error, real fit | two-way | rows alone | members alone |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['name']} | {r['members']} | {r['rows']} | {r['row']}, {r['member']}, {r['error']}, {r['real']} | "
            f"{r['two_way']:.3f} | {r['rows_alone']:.3f} | {r['members_alone']:.3f} |"
        )
    print(f"{time.process_time() - started:.0f} CPU-seconds", file=sys.stderr)
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
