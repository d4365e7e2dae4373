"""What `verify` recounts of identities and orders in a bundle's parts."""

import numpy as np
import pyarrow as pa

from dge_ray.commands.verify import _Parts
from dge_ray.table import infer_schema
from dge_ray.table.kept import with_identities
from dge_ray.table.reading.options import AS_FOUND
from dge_ray.table.schema.outward import outward_schema


def _rows(seed: int, n: int = 2000) -> pa.Table:
    rng = np.random.default_rng(seed)
    a, b = rng.gamma(2, 100, n).round(2), rng.gamma(2, 100, n).round(2)
    word = rng.choice(list("abcd"), n)
    columns = {"a": a, "b": b, "sum": np.round(a + b, 2), "word": word, "more": np.round(a + rng.exponential(50, n), 2)}
    return pa.table({**columns, "told": np.char.add("t", word), "y": rng.normal(size=n)})


def test_identities_are_recounted() -> None:
    """As a bundle's schema has them, what single categories tell left out. One row in 1,000 may break one."""
    schema = outward_schema(with_identities(infer_schema(_rows(0), target="y"), _rows(0))[0])
    assert len(schema.identities) == 2 and schema.orders == (("more", "a"),)
    parts, notes = _Parts(None, AS_FOUND), []
    parts.begins({}, schema)
    parts.rows("member=000/part-00000.parquet", _rows(1))
    parts.rows("member=001/part-00000.parquet", _rows(2))
    assert parts.identity_faults(notes) == []
    assert notes == ["3 of 3 identities and orders hold in all 4,000 rows"]
    for name, values in (("sum", 0.0), ("more", 0.0), ("told", "ta")):
        for count, faults in ((3, 0), (9, 1)):
            table = _rows(1)
            word, column = table["word"].to_pylist(), table[name].to_pylist()
            wrong = [i for i, each in enumerate(word) if each != "a"][:count]
            changed = [values if i in wrong else value for i, value in enumerate(column)]
            at = table.schema.get_field_index(name)
            parts, notes = _Parts(None, AS_FOUND), []
            parts.begins({}, schema)
            parts.rows("member=000/part-00000.parquet", table.set_column(at, name, pa.array(changed)))
            parts.rows("member=001/part-00000.parquet", _rows(2))
            found = parts.identity_faults(notes)
            assert len(found) == faults, (name, found)
            if found:
                assert found[0].startswith(f"rows: got {count} of 4,000 that break '{name}'")
            assert notes == ["2 of 3 identities and orders hold in all 4,000 rows"]
