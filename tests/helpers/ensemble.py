"""A fitted ensemble in a folder, as a logged model holds it, put together without a study."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from dge_ray.downstream import make_learner
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema


def make_ensemble(folder: Path, task: str) -> tuple[TableSchema, pa.Table]:
    """Two members on different halves of a small table with two categories, a boolean, a date and missing numbers."""
    random = np.random.default_rng(0)
    n = 200
    size = random.normal(size=n)
    colour = random.choice(["red", "green"], n)
    flag = random.random(n) < 0.5
    target = size + (colour == "red") + 0.1 * random.normal(size=n)
    labels = pa.array(np.where(target > 0.5, "yes", "no")) if task == "binary" else pa.array(target)
    table = pa.table(
        {
            "size": pa.array([None if i % 10 == 0 else float(v) for i, v in enumerate(size)]),
            "colour": pa.array(colour.tolist()),
            "flag": pa.array(flag.tolist()),
            "count": pa.array([None if i % 10 == 1 else int(v) for i, v in enumerate(random.integers(2, 9, n))]),
            "born": pa.array(random.integers(0, 9000, n), pa.int32()).cast(pa.date32()),
            "code": pa.array(random.choice(["01", "02"], n).tolist()),
            "answer": labels,
        }
    )
    answer = (
        Column("answer", Kind.CATEGORICAL, "string", categories=("no", "yes"))
        if task == "binary"
        else Column("answer", Kind.NUMERIC, "double", minimum=-9.0, maximum=9.0)
    )
    columns = (
        Column("size", Kind.NUMERIC, "double", missing=True, minimum=-9.0, maximum=9.0),
        Column("colour", Kind.CATEGORICAL, "string", categories=("green", "red")),
        Column("flag", Kind.BOOLEAN, "bool", categories=(False, True)),
        Column("count", Kind.INTEGER, "int64", missing=True, minimum=2.0, maximum=8.0, decimals=0),
        Column("born", Kind.DATETIME, "date32[day]", minimum=0.0, maximum=9000.0),
        Column("code", Kind.CATEGORICAL, "string", categories=("01", "02")),
        answer,
    )
    schema = TableSchema(columns, "answer", "binary" if task == "binary" else "regression")
    folder.mkdir()
    (folder / "schema.json").write_text(schema.to_json(), encoding="utf-8")
    for member, part in enumerate((table.slice(0, 100), table.slice(100))):
        learner = make_learner("linear", {}, schema, seed=member).fit(TableCodec(schema).encode(part))
        learner.save(folder / f"member={member:03d}")
    return schema, table
