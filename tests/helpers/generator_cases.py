"""Tables that the generators' tests share: every column kind, and a tiny table whose cells can be listed."""

import datetime
import itertools
import warnings

import numpy as np
import pyarrow as pa

from dge_ray.table import TableSchema, infer_schema

SMALL = {  # settings that fit in a blink
    "autoregressive": {"epochs": 3, "hidden": 16, "bins": 16},
    "causal_lm": {"epochs": 2, "tokens": 12, "vocabulary": 300, "width": 16, "layers": 1},
    "copula": {},
    "ctgan": {"epochs": 20, "hidden": 32, "latent": 8, "batch_size": 100, "lr": 2e-3},
    "diffusion": {"steps": 120, "width": 32, "layers": 1, "bins": 16, "lr": 1e-2},
    "gan": {"epochs": 30, "hidden": 16, "latent": 8, "batch_size": 100, "bins": 16},
    "language": {"epochs": 2, "hidden": 16, "embedding": 8, "tokens": 8},
    "marginals": {"bins": 8, "degree": 1},
    "mostlyai": {"epochs": 4, "model": "small", "batch_size": 32},
    "trees": {"trees": 1, "bins": 16},
    "vae": {"epochs": 10, "hidden": 16, "latent": 4, "bins": 16},
}

LEARNING = {  # settings that learn the mixed table's dependence in a second or few
    "autoregressive": {"hidden": 32},
    "causal_lm": {"epochs": 3, "tokens": 12, "vocabulary": 300, "width": 16, "layers": 1},
    "copula": {},
    "ctgan": {"epochs": 600, "hidden": 64, "latent": 16, "batch_size": 100, "lr": 2e-3, "pac": 1},
    "diffusion": {"width": 64, "steps": 800},
    "gan": {"epochs": 300, "hidden": 64, "latent": 8, "batch_size": 100, "lr": 3e-3},
    "language": {"epochs": 4, "hidden": 16, "embedding": 8, "tokens": 8},
    "marginals": {"degree": 2},
    "mostlyai": {},
    "trees": {},
    "vae": {"hidden": 64, "latent": 8},
}
# Fits that stop themselves learn too little of fewer rows.
LEARNING_ROWS = dict.fromkeys(LEARNING, 400) | dict.fromkeys(["causal_lm", "language", "mostlyai"], 2_000)
A_WHOLE_NUMBER = dict.fromkeys(SMALL, "bins") | {
    "causal_lm": "tokens",
    "ctgan": "epochs",
    "language": "tokens",
    "mostlyai": "epochs",
}  # a setting that takes one


def mixed_table(n: int = 400, seed: int = 0) -> pa.Table:
    """Every kind of column, with missing values, an atom, a constant and an identifier, and a dependence to learn."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    income = np.where(rng.random(n) < 0.3, 0.0, np.exp(rng.normal(size=n) + label))
    colour = np.array(["red", "green", "blue"])[np.where(label, 0, rng.integers(0, 3, n))]
    start = datetime.datetime(2020, 1, 1)
    return pa.table(
        {
            "key": [f"id-{i}-{seed}" for i in range(n)],
            "income": pa.array(income, mask=rng.random(n) < 0.1),
            "age": pa.array(rng.integers(18, 90, n), pa.int16()),
            "price": np.round(rng.gamma(2.0, 10.0, n), 2),
            "flag": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < 0.05),
            "colour": pa.array(colour, mask=rng.random(n) < 0.05).dictionary_encode(),
            "day": pa.array([start + datetime.timedelta(days=int(d)) for d in rng.integers(0, 900, n)]),
            "unit": ["kg"] * n,
            "label": np.where(label, "yes", "no"),
        }
    )


def with_notes(table: pa.Table, seed: int = 0) -> pa.Table:
    """A text column behind the others: a few words that depend on the label, missing now and then."""
    rng = np.random.default_rng(seed)
    opinion = {"yes": ["good", "fine", "great"], "no": ["bad", "poor", "dull"]}
    things, ends = ["film", "book", "play"], [".", "!", " (really)."]
    notes = [
        f"A {rng.choice(opinion[label])} {rng.choice(things)}{rng.choice(ends)}" for label in table["label"].to_pylist()
    ]
    return table.append_column("note", pa.array(notes, mask=rng.random(table.num_rows) < 0.05))


def mixed_schema(table: pa.Table) -> TableSchema:
    """The schema; a column called note is text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the identifier's warning is not what is tested here
        return infer_schema(table, target="label", overrides={"note": "text"} if "note" in table.column_names else {})


def tiny_table(n: int = 3_000, seed: int = 0) -> pa.Table:
    """Three categorical columns of 2, 3 and 3 levels, the last one missing in places: 2 x 3 x 4 cells."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, n)
    b = (a + (rng.random(n) < 0.3) * rng.integers(0, 3, n)) % 3
    c = (b + (rng.random(n) < 0.5) * rng.integers(0, 3, n)) % 3
    names = np.array(["x", "y", "z"])
    return pa.table({"a": names[a], "b": names[b], "c": pa.array(names[c], mask=rng.random(n) < 0.1)})


def tiny_cells() -> pa.Table:
    """Every possible row of `tiny_table`, 24 rows."""
    rows = list(itertools.product(["x", "y"], ["x", "y", "z"], ["x", "y", "z", None]))
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate("abc")})
