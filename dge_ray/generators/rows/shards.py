"""A member's rows as shards: whole shards are drawn and then cut, so that row i is the same in every run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.base import Draws, Generator
from dge_ray.generators.registry import abilities
from dge_ray.generators.rows.balanced import sample_balanced
from dge_ray.generators.rows.constraints import Constraint, sample_within
from dge_ray.seeds import Purpose, integer
from dge_ray.table.schema.table_schema import TableSchema


def default_shard_rows(n: int) -> int:
    """A power of two near `n`, from 256 to 65,536: large enough to draw fast, small enough to waste little."""
    return int(min(65_536, max(256, 2 ** int(np.ceil(np.log2(max(n, 1)))))))


def draw_shard(
    generator: Generator,
    index: int,
    *,
    shard_rows: int,
    seed: int,
    member: int,
    constraints: Sequence[Constraint] = (),
    balance: tuple[str, TableSchema] | None = None,
) -> tuple[pa.Table, float]:
    """Shard `index` of a member's rows: a pure function of the generator's state, the seed and the address.

    Of a generator that holds rows the last shard may be shorter. Beside it the share of the rows drawn that were
    kept. `balance`: a coded column with as many rows of each category, and the rows' schema.
    """
    if abilities(generator).holds_rows:
        return _in_order(generator, index * shard_rows, shard_rows), 1.0
    address = integer(seed, Purpose.SHARD, member=member, index=index)
    if balance is not None:
        return sample_balanced(generator, shard_rows, *balance, constraints, seed=address)
    return sample_within(generator, shard_rows, constraints, seed=address)


def draw_rows(
    generator: Draws, n: int, *, shard_rows: int, seed: int, member: int, constraints: Sequence[Constraint] = ()
) -> pa.Table:
    """The first `n` rows of a member; fewer rows are a prefix of more.

    Raises:
        InputError: more than a generator that holds rows has.
    """
    if abilities(generator).holds_rows:
        rows = _in_order(generator, 0, n)
        if rows.num_rows < n:
            raise InputError("volume", f"{n:,} rows", f"at most {rows.num_rows:,}: the table has no more")
        return rows
    addresses = (integer(seed, Purpose.SHARD, member=member, index=i) for i in range(-(-n // shard_rows)))
    shards = [sample_within(generator, shard_rows, constraints, seed=address)[0] for address in addresses]
    return pa.concat_tables(shards).slice(0, n)


def _in_order(generator: Any, start: int, n: int) -> pa.Table:
    return generator.rows(start, n)
