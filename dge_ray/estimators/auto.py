"""The generator of a synthesizer without a name: the cheapest whose likelihood of held-out rows is as good as any.

A study chooses by what a learner makes of the rows; here there is no learner, and perhaps no target, but the whole row
counts. The candidates are those that have likelihoods.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.study.keys.choices import NAMED, GeneratorChoice
from dge_ray.table.schema.table_schema import TableSchema

CHEAPEST_FIRST = (
    GeneratorChoice(name="trees"),
    GeneratorChoice(name="trees", settings={"target": "boosted"}),
    GeneratorChoice(name="autoregressive"),
)
FEWEST = 200  # rows; fewer leave too few to choose on, and the named generator is taken
HELD_OUT, MOST_HELD_OUT = 0.2, 5_000
MOST_FITTED = 20_000  # rows of a candidate's fit: the choice costs little beside a fit to many
LEAST_LIKELY = 30.0  # nats below the likeliest candidate's: a row that one finds impossible does not decide alone


def choose(rows: pa.Table, schema: TableSchema, seed: int) -> tuple[GeneratorChoice, list[dict[str, Any]]]:
    """The cheapest candidate that is not worse than the best by more than one standard error of their difference in
    log-likelihood, and a record each of what was compared: `generator`, `settings`, `nats` a row (higher is better),
    `se` and `chosen`. Of few rows the named generator, and no record.

    Each is fitted on rows of which the others are held out; `rows` may be in any order.
    """
    if rows.num_rows < FEWEST:
        return GeneratorChoice(name=NAMED), []
    order = numpy_generator(seed, Purpose.SPLIT).permutation(rows.num_rows)
    count = min(int(HELD_OUT * rows.num_rows), MOST_HELD_OUT)
    held, fitted = rows.take(np.sort(order[:count])), rows.take(np.sort(order[count : count + MOST_FITTED]))
    found: list[tuple[GeneratorChoice, np.ndarray]] = []
    for choice in CHEAPEST_FIRST:
        if schema.target is None and choice.settings:
            continue  # there is no target to be boosted
        try:
            made = make_generator(choice.name, **choice.settings)
            made.fit(fitted, schema, seed=integer(seed, Purpose.FIT, member=0))
            found.append((choice, made.log_prob(held)))  # type: ignore[attr-defined]  # the candidates have it
        except InputError:  # of a table that this one cannot model
            continue
    nats = np.stack([each for _, each in found]) if found else np.empty((1, 0))  # (candidates, rows)
    nats = nats[:, np.isfinite(nats).any(axis=0)]  # a row that is impossible for all tells nothing
    count = nats.shape[1]
    if count < 2:
        return GeneratorChoice(name=NAMED), []
    nats = np.maximum(nats, nats.max(axis=0) - LEAST_LIKELY)
    best = nats[int(np.argmax(nats.mean(axis=1)))]
    behind = (best - nats).mean(axis=1)
    errors = (best - nats).std(axis=1, ddof=1) / np.sqrt(count)
    at = int(np.argmax(behind <= errors))
    return found[at][0], [
        {
            "generator": choice.name,
            "settings": dict(choice.settings),
            "nats": float(each.mean()),
            "se": float(each.std(ddof=1) / np.sqrt(count)),
            "chosen": index == at,
        }
        for index, ((choice, _), each) in enumerate(zip(found, nats, strict=True))
    ]
