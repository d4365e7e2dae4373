"""Do `safe_estimate`'s intervals cover, and is it ever worse than the labelled rows alone?

    python experiments/inference/prediction_powered.py [replicates=200] --json FILE

Each replicate draws 200 labelled rows and 600 unlabelled ones of a known law (age, score, town; income, or whether it
is above 48) and estimates a mean and a regression on age, or a proportion and a logistic regression, with a copula's
predictions. The copula is

    own        fitted on the labelled rows outside each of two folds
    elsewhere  fitted once on 3,000 other rows of the same law
    wrong      fitted once on 3,000 rows of another law: incomes turned round
    useless    own, where income depends on age alone: nothing to gain for its regression on age

Truths: closed forms, and for the logistic slope the fit to 2,000,000 rows.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd

from dge_ray import safe_estimate
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.inference.regression import logistic
from dge_ray.table import from_pandas, infer_schema

LABELLED, UNLABELLED, ELSEWHERE, FOLDS, DRAWS = 200, 600, 3_000, 2, 5
RICH = 48.0
ESTIMANDS = {
    "income": "mean(income), ols(income ~ age)[age]",
    "rich": "proportion(rich = yes), logistic(rich = yes ~ age)[age]",
}
SETTINGS = ("own", "elsewhere", "wrong", "useless")


def draw(n: int, rng: np.random.Generator, target: str, setting: str) -> pd.DataFrame:
    """Rows of the law; `wrong` turns incomes round, `useless` takes the score out of them."""
    age, score = rng.normal(50, 10, n), rng.normal(0, 1, n)
    income = 20 + 0.5 * age + (0 if setting == "useless" else 8) * score + 4 * rng.normal(size=n)
    if setting == "wrong":
        income = 90 - income
    frame = pd.DataFrame({"age": age.round(2), "score": score.round(4), "town": rng.choice(["Bern", "Oslo"], n)})
    return frame.assign(**{target: income.round(3) if target == "income" else np.where(income > RICH, "yes", "no")})


def truths(target: str, setting: str) -> np.ndarray:
    """Of the two estimands."""
    if target == "income":
        return np.array([45.0, 0.5])
    frame = draw(2_000_000, numpy_generator(0, Purpose.SUBSAMPLE), target, "useless" if setting == "useless" else "own")
    x, y = np.column_stack([np.ones(len(frame)), frame["age"]]), (frame[target] == "yes").to_numpy(np.float64)
    return np.array([y.mean(), logistic(x, y).value[1]])


def cell(target: str, setting: str, replicates: int) -> Iterator[dict[str, Any]]:
    """A line for each estimand: coverage, and squared errors against the labelled rows' own."""
    rng, law = numpy_generator(1, Purpose.SUBSAMPLE), "useless" if setting == "useless" else "own"
    generator: Any = "copula"
    if setting in ("elsewhere", "wrong"):
        table = from_pandas(draw(ELSEWHERE, rng, target, setting))
        generator = make_generator("copula").fit(table, infer_schema(table, target=target), seed=0)
    found = []
    for replicate in range(replicates):
        labelled, more = draw(LABELLED, rng, target, law), draw(UNLABELLED, rng, target, law).drop(columns=target)
        seed = integer(replicate, Purpose.REPLICATE, bits=31)
        keys = {"generator": generator, "folds": FOLDS, "draws": DRAWS, "random_state": seed}
        found.append(safe_estimate(ESTIMANDS[target], labelled, more, **keys))
    truth = truths(target, setting)
    for j, name in enumerate(found[0].index):
        at = pd.DataFrame([one.iloc[j] for one in found])
        errors, own = (at["value"] - truth[j]) ** 2, (at["labelled_value"] - truth[j]) ** 2
        ratio = errors.mean() / own.mean()
        # delta method, paired over replicates
        se = float((errors - ratio * own).std() / own.mean() / np.sqrt(replicates))
        yield {
            "setting": setting,
            "estimand": name,
            "replicates": replicates,
            "coverage": float(((at["lower"] <= truth[j]) & (truth[j] <= at["upper"])).mean()),
            "coverage_labelled": float(((at["labelled_value"] - truth[j]).abs() <= 1.96 * at["labelled_se"]).mean()),
            "squared_error_ratio": [float(ratio), float(ratio - 1.96 * se), float(ratio + 1.96 * se)],
            "variance_ratio": float((at["se"] ** 2).mean() / (at["labelled_se"] ** 2).mean()),
            "weight": float(at["weight"].mean()),
        }


def main(words: list[str]) -> None:
    target = Path(words[words.index("--json") + 1])
    options, started = dict(word.split("=") for word in words if "=" in word), process_time()
    rows = []
    print("| copula | estimand | coverage | labelled alone | squared error over theirs | mean weight |")
    print("|---|---|---|---|---|---|")
    for name in ESTIMANDS:
        for setting in SETTINGS:
            for row in cell(name, setting, int(options.get("replicates", 200))):
                rows.append(row)
                ratio, low, high = row["squared_error_ratio"]
                print(
                    f"| {setting} | `{row['estimand']}` | {row['coverage']:.3f} | {row['coverage_labelled']:.3f} | "
                    f"{ratio:.2f} ({low:.2f} to {high:.2f}) | {row['weight']:.2f} |",
                    flush=True,
                )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"rows": rows, "cpu_seconds": process_time() - started}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
