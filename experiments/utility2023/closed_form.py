"""The closed-form benchmark of utility: a problem whose limits are known exactly, and how finite samples approach them.

    python experiments/utility2023/closed_form.py [replicates=200] [seed=0] --json FILE

X ~ U(0, 1), Y = X^2 + 0.3 N(0, 1); synthetic features have the density 0.5 + x, and synthetic responses one of three
regression functions. Classes: linear (misspecified), quadratic (right), nearest neighbours, and a stump at 1/2. U is
|Phi(trained on synthetic) - Phi(trained on real)|, Phi the excess risk under the real law on 2,000 midpoints, n rows of
each. `problem.py` states all of it. About 10 CPU-seconds.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from problem import CLASSES, LIMITS, REFERENCE, RESPONSES, SIZES, excess, fit, real_rows, stream, synthetic_rows

LARGE, LARGE_REPLICATES = 1_000_000, 40
SCALE = {10_000: 5}  # so many times fewer replicates where they are dear


def cell(responses: str, n: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """Excess risks on real and synthetic rows. Shape: class -> (replicates, 2)."""
    found: dict[str, list] = {name: [] for name in CLASSES}
    for replicate in range(replicates):
        generator = stream(seed, RESPONSES.index(responses), n, replicate)
        real = real_rows(n, generator)
        synthetic = synthetic_rows(n, responses, real, generator)
        for name in CLASSES:
            found[name].append([excess(fit(name, *real)), excess(fit(name, *synthetic))])
    return {name: np.array(values) for name, values in found.items()}


def finite(replicates: int, seed: int) -> tuple[list[dict], list[dict]]:
    """Mean U of every cell, and how often two classes keep their order."""
    utilities, orders = [], []
    for responses in RESPONSES:
        for n in SIZES:
            excesses = cell(responses, n, max(20, replicates // SCALE.get(n, 1)), seed)
            for name in ("linear", "quadratic", "neighbours"):
                utilities.append(_mean(responses, name, n, np.abs(np.diff(excesses[name], axis=1)[:, 0])))
            for first, second in (("linear", "stump"), ("quadratic", "linear")):
                gaps = excesses[first] - excesses[second]
                share = float(np.mean(gaps[:, 0] * gaps[:, 1] > 0))
                orders.append({"responses": responses, "pair": f"{first}, {second}", "n": n, "agreement": share})
    return utilities, orders


def large(seed: int) -> list[dict]:
    """U at n = 10^6 against its limit, least squares from sums alone."""
    rows = []
    for responses, name in (("oracle", "linear"), ("biased", "quadratic"), ("biased", "linear")):
        values = []
        for replicate in range(LARGE_REPLICATES):
            generator = stream(seed, 9, RESPONSES.index(responses), CLASSES.index(name), replicate)
            real = real_rows(LARGE, generator)
            synthetic = synthetic_rows(LARGE, responses, real, generator)
            values.append(excess(fit(name, *synthetic)) - excess(fit(name, *real)))
        row = _mean(responses, name, LARGE, np.array(values))
        rows.append({**row, "limit": LIMITS[responses, name], "ratio": row["utility"] / LIMITS[responses, name]})
    return rows


def _mean(responses: str, name: str, n: int, values: np.ndarray) -> dict:
    se = float(values.std(ddof=1) / np.sqrt(len(values)))
    return {
        "responses": responses,
        "class": name,
        "n": n,
        "utility": float(values.mean()),
        "se": se,
        "replicates": len(values),
        "reference": REFERENCE.get((responses, name, n)),
    }


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, print the tables, write."""
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    file = Path(arguments[arguments.index("--json") + 1]) if "--json" in arguments else None
    seed, started = int(options.get("seed", 0)), time.process_time()
    limits = large(seed)
    print("| responses | class | exact limit T2 | U at n = 10^6 (se) | U / T2 |\n|---|---|---|---|---|")
    for r in limits:
        found = f"{r['utility']:.6f} ({r['se']:.6f}) | {r['ratio']:.4f}"
        print(f"| {r['responses']} | {r['class']} | {r['limit']:.6f} | {found} |")
    utilities, orders = finite(int(options.get("replicates", 200)), seed)
    print("\n| responses | class | n | mean U (se) | reference |\n|---|---|---|---|---|")
    for r in utilities:
        found = f"{r['utility']:.5f} ({r['se']:.5f}) | {r['reference']}"
        print(f"| {r['responses']} | {r['class']} | {r['n']:,} | {found} |")
    print("\n| responses | pair | n | order kept |\n|---|---|---|---|")
    for r in orders:
        print(f"| {r['responses']} | {r['pair']} | {r['n']:,} | {r['agreement']:.3f} |")
    print(f"{time.process_time() - started:.0f} CPU-seconds", file=sys.stderr)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"large": limits, "finite": utilities, "orders": orders}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
