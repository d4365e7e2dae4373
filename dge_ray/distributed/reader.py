"""How a downstream worker reads a member's rows: as far as they are wanted, each once, and no stream left open."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from dge_ray.distributed.actors import MemberSpec
from dge_ray.distributed.session import NAMESPACE
from dge_ray.distributed.stream import member_dataset
from dge_ray.table import Columns, TableCodec

KEPT_ROWS = 1 << 18  # a stream this short is kept in memory between epochs instead of being read again


class MemberReader:
    """Reads one member's rows, as far as asked, and keeps what it read: the volumes are prefixes.

    `stream(member, held, volume)` gives the rows after the first `held` up to row `volume`, both rounded up to whole
    shards, in blocks of any length: Ray Data may cut a wide shard in two. A stream is read to its end at once: one that
    is left open costs a fifth of a core in Ray Data's scheduling, for as long as a fit takes.
    """

    def __init__(self, codec: TableCodec, stream: Callable[[int, int, int], Iterator[pa.Table]]) -> None:
        self.codec, self.stream = codec, stream
        self.member: int | None = None
        self._chunks: list[Columns] = []
        self._rows = 0

    def prefix(self, member: int, volume: int, ahead: int = 0) -> Columns:
        """The first `volume` rows of a member, encoded. If more must be read, then to row `ahead`."""
        if member != self.member:
            self.member, self._chunks, self._rows = member, [], 0
        if self._rows < volume:
            for block in self.stream(member, self._rows, max(volume, ahead)):
                self._chunks.append(self.codec.encode(block))
                self._rows += block.num_rows
            names = self._chunks[0].keys()
            self._chunks = [{name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in names}]
        return {name: values[:volume] for name, values in self._chunks[0].items()}

    def batches(self, member: int, volume: int, ahead: int = 0) -> Iterator[Columns]:
        """The same rows block by block, without keeping them unless they are few."""
        if volume <= KEPT_ROWS:
            yield self.prefix(member, volume, min(ahead, KEPT_ROWS))
            return
        left = volume
        for block in self.stream(member, 0, volume):
            columns = self.codec.encode(block.slice(0, left))
            yield columns
            left -= min(left, block.num_rows)
            if not left:
                return


def member_blocks(spec: MemberSpec, member: int, held: int, volume: int) -> Iterator[pa.Table]:
    """A member's rows after the first `held`, in order.

    Through a Dataset while some shards are still to be drawn, else from their files. `held` is whole shards.
    """
    shard = held // spec.shard_rows
    if not spec.missing_shards(member, volume):
        for j in range(shard, spec.shards(volume)):
            yield spec.folder.read_table(spec.shard_file(member, j))
        return
    board: Any = ray.get_actor(spec.board_name, namespace=NAMESPACE)
    dataset = member_dataset(spec, member, volume, ray.get(board.holder.remote(member)), after=shard)
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)  # type: ignore[misc]
