"""What a column costs that is not read as what it is: the AUC of learners on synthetic rows, by how the column that
decides is written.

    python experiments/tables/harm.py members=3 --json experiments/tables/results/harm.json

1,200 rows, of which 300 are for the test; the class is driven by one column of numbers, or of dates. It is written
plainly (the reference), with question marks in 3 % of the rows, with a decimal comma, with thousands, and as US and
German dates.
`as_text`: the column is taken as it is written, which is what happens to it where nothing is repaired.
"""

import csv
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run_rows
from sklearn.metrics import roc_auc_score

from dge_ray.downstream import make_learner
from dge_ray.generators.registry import make_generator
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec, target_vector

ROWS, MARKED = 1200, 0.03
GENERATORS = ("autoregressive", "copula")
START = date(2015, 1, 1)


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


NUMBERS: dict[str, Callable[[float], str]] = {
    "plain": lambda value: f"{value:.2f}",
    "decimal comma": lambda value: f"{value:.2f}".replace(".", ","),
    "thousands": lambda value: f"{value:,.2f}",
    "thousands and decimal comma": german,
}
DATES = {"ISO dates": "%Y-%m-%d", "US dates": "%m/%d/%Y", "German dates": "%d.%m.%Y"}


def cases(seed: int) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """By name: what the case is compared with, and its rows."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 1, ROWS)
    label = np.where(rng.random(ROWS) < 1 / (1 + np.exp(-2.3 * score)), "yes", "no")
    amount = np.round(4000 + 1500 * score, 2)
    day = [START + timedelta(days=int(value)) for value in np.clip(1500 + 500 * score, 0, 3000)]
    age, segment = rng.integers(18, 80, ROWS), rng.choice(["low", "mid", "high"], ROWS)
    marked = rng.random(ROWS) < MARKED

    def rows(texts: Sequence[str]) -> list[dict[str, Any]]:
        columns = zip(texts, age, segment, label, strict=True)
        return [{"x": x, "age": a, "segment": s, "y": y} for x, a, s, y in columns]

    made = {name: ("plain", rows([write(value) for value in amount])) for name, write in NUMBERS.items()}
    texts = ["?" if m else NUMBERS["plain"](value) for m, value in zip(marked, amount, strict=True)]
    made["3 % question marks"] = ("plain", rows(texts))
    made |= {name: ("ISO dates", rows([d.strftime(style) for d in day])) for name, style in DATES.items()}
    return made


def auc(path: Path, generator: str, members: int, words: Sequence[str] = ()) -> tuple[float, str]:
    """The mean AUC on real rows of one-member learners, and the kind of the column that decides."""
    words = ["target=y", "test_fraction=0.25", f"generator={generator}", f"storage={path.parent}", *words]
    prepared = prepare(read_config(str(path), words))
    codec, found = TableCodec(prepared.schema), []
    test = codec.encode(prepared.parts["test"])
    for seed in range(members):
        fitted = make_generator(generator).fit(
            prepared.parts["train"], prepared.schema, seed=seed, stopping=prepared.parts["stopping"]
        )
        rows = codec.encode(fitted.sample(2 * prepared.n, seed=seed))
        shares = make_learner("boosting", {}, prepared.schema, seed=seed).fit(rows).predict(test)
        found.append(roc_auc_score(target_vector(test, prepared.schema), shares[:, 1]))
    return float(np.mean(found)), prepared.schema["x"].kind.value


def run(members: int = 3, seed: int = 0) -> list[dict[str, Any]]:
    """A row a case and generator: its AUC, that of the reference, and that of the column as text."""
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    clean: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (reference, table) in cases(seed).items():
            path = Path(folder) / "table.csv"
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(table[0]))
                writer.writeheader()
                writer.writerows(table)
            for generator in GENERATORS:
                value, kind = auc(path, generator, members)
                text, _ = auc(path, generator, members, ["columns.x=categorical"]) if name != reference else (None, "")
                clean[name, generator] = value
                row = {"case": name, "generator": generator, "kind": kind, "auc": value, "as_text": text}
                rows.append({**row, "reference": clean[reference, generator]})
    return rows


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
