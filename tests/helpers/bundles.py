"""Bundles made of frames, as `dge-ray sample` writes them, for tests of the receiver's side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dge_ray.storage import Folder
from dge_ray.table import arrow_schema, from_pandas, infer_schema


def write_frames(place: Path | str, frames: Sequence[pd.DataFrame], target: str, part_rows: int = 10**6) -> Path:
    """The frames, all of one length, as the members of a bundle; the schema is that of all rows together."""
    table = from_pandas(pd.concat(frames, ignore_index=True))
    schema = infer_schema(table, target=target)
    folder, rows = Folder.open(place), len(frames[0])
    for k in range(len(frames)):
        member = table.slice(k * rows, rows).cast(arrow_schema(schema))
        for j, start in enumerate(range(0, rows, part_rows)):
            folder.write_table(f"member={k:03d}/part-{j:05d}.parquet", member.slice(start, part_rows).combine_chunks())
    folder.write_bytes("schema.json", schema.to_json().encode())
    facts = {"generator": "frames", "version": "0", "members": len(frames), "rows_per_member": rows}
    folder.write_json("bundle.json", facts)
    return Path(folder.path)


def members_of(count: int, rows: int, *, seed: int = 0, task: str = "binary") -> list[pd.DataFrame]:
    """Frames of one law with a number, a category and missing values; each "generator" tilts it a little."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        x, c = rng.normal(size=rows).round(3), rng.choice(["a", "b", "c"], rows)
        signal = x * rng.normal(1.0, 0.2) + (c == "a") + rng.normal(0, 0.2) + rng.normal(0, 0.7, rows)
        y = signal.round(3) if task == "regression" else np.where(signal > 0.4, "yes", "no")
        made.append(pd.DataFrame({"x": x, "c": c, "z": np.where(rng.random(rows) < 0.1, np.nan, x**2), "y": y}))
    return made
