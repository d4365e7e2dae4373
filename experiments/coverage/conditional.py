"""Tests of conditional independence where the null hypothesis is true: how often Syn-Test is withheld and rejects, and
how often the test by residuals (gcm) and least squares' own t-test do. And their power.

    python experiments/coverage/conditional.py [replicates=100] [few=20] [seed=0] --json FILE

Laws of 500 rows: `square`, y = z^2 + w + e and x = z^2 + u / 2 (x tells of z^2, but of y nothing more than z does);
`linear`, y = z + w + e, x = (z + w) / 2 + u. Tested: x. A row's `covered` is the share of tables in which the true
hypothesis was not rejected (`target` .95); `decided` the share in which Syn-Test was not withheld. `power`: the same
with x / 5 added to y, where `covered` is the share rejected. `few`: replicates for what costs seconds. Syn-Test has 39
null tables; it is not run beyond the look at the null law where it is withheld, nor beyond the null tables after which
it cannot reject any more, whatever the others give (Besag, Clifford 1991): the decision is that of all 39.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import read_words, write
from scipy.stats import t as student

from dge_ray.inference.null_law import null_law
from dge_ray.inference.relevance import Relevance
from dge_ray.inference.replicates import Null, Pipeline, Recipe, RefitNull, Stream, saved, stream
from dge_ray.inference.residuals import gcm_test
from dge_ray.seeds import Purpose, integer
from dge_ray.table import infer_schema

ROWS, ALPHA, NULL_TABLES = 500, 0.05, 39
EFFECT = 0.2
# generator, learner, whether its fit costs seconds
PIPELINES = (
    ("copula", "ridge", False),
    ("copula", "boosting", True),
    ("trees", "ridge", True),
    ("autoregressive", "ridge", True),
)


def address(seed: int, replicate: int) -> int:
    """A seed of its own for what is random in one table's tests."""
    return integer(seed, Purpose.REPLICATE, member=replicate)


def table(law: str, effect: float, rng: np.random.Generator) -> pa.Table:
    z, w, e, u = rng.standard_normal((4, ROWS))
    x = z**2 + u / 2 if law == "square" else (z + w) / 2 + u
    y = (z**2 if law == "square" else z) + w + e + effect * x
    return pa.table({"z": z, "w": w, "x": x, "y": y})


def by_least_squares(rows: pa.Table) -> float:
    """The p-value of x's coefficient beside z and w."""
    z, w, x, y = (rows[name].to_numpy() for name in ("z", "w", "x", "y"))
    design = np.column_stack([np.ones(ROWS), z, w, x])
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    left = y - design @ beta
    free = ROWS - design.shape[1]
    return float(2 * student.sf(abs(beta[3]) / np.sqrt(inverse[3, 3] * (left @ left) / free), free))


def by_syntest(rows: pa.Table, generator: str, learner: str, seed: int) -> float | None:
    """Its p-value, or, where it is surely above ALPHA, the least that it can still be; None where it is withheld."""
    schema = infer_schema(rows, target="y")
    recipe = Recipe(generator, {})
    law = saved(recipe.fit(rows, schema, seed=stream(seed, 0, Stream.LAW)).save)
    null = Null(schema, ("x",), recipe, law, None)
    if null_law(null, rows, (learner, {}), seed=seed)[0].p_value <= ALPHA:
        return None
    judge = Relevance(schema, ("x",), learner, {})
    replicate = RefitNull(rows, null, Pipeline(schema, recipe, 4 * ROWS, judge, seed))
    own, as_large = replicate(0)["statistic"], 0
    for r in range(1, 1 + NULL_TABLES):
        as_large += replicate(r)["statistic"] >= own
        if (1 + as_large) / (1 + NULL_TABLES) > ALPHA:
            break
    return (1 + as_large) / (1 + NULL_TABLES)


def lines(replicates: int, few: int, seed: int) -> list[dict[str, Any]]:
    made = []
    for number, (law, effect) in enumerate([("square", 0.0), ("linear", 0.0), ("square", EFFECT), ("linear", EFFECT)]):

        def one(replicate: int, number: int = number, law: str = law, effect: float = effect) -> pa.Table:
            return table(law, effect, np.random.default_rng([seed, number, replicate]))

        schema = infer_schema(one(0), target="y")
        found = {
            "least squares": [by_least_squares(one(r)) for r in range(replicates)],
            "gcm": [gcm_test(one(r), schema, ["x"], seed=address(seed, r)).p_value for r in range(replicates)],
        }
        for name, p in found.items():
            made.append(_line(name, law, effect, p))
        for generator, learner, dear in PIPELINES:
            p = [by_syntest(one(r), generator, learner, address(seed, r)) for r in range(few if dear else replicates)]
            made.append(_line(f"Syn-Test, {generator}, {learner}", law, effect, p))
            print(made[-1], flush=True)
    return made


def _line(name: str, law: str, effect: float, p: list[float | None]) -> dict[str, Any]:
    rejected = [value is not None and value <= ALPHA for value in p]
    held = rejected if effect else [not one for one in rejected]
    claimed = "power" if effect else "level"
    line = claim(f"{claimed} of {name}", law, "rejected" if effect else "not rejected", held, [0.0] * len(held))
    # least squares knows no square, and a power is what it is
    line["holds"] = not effect and (name, law) != ("least squares", "square")
    return {**line, "decided": float(np.mean([value is not None for value in p]))}


if __name__ == "__main__":
    options, file = read_words(sys.argv[1:])
    write(file, lines(int(options.get("replicates", 100)), int(options.get("few", 20)), int(options.get("seed", 0))))
