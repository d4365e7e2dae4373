"""How a downstream worker reads a member's rows: as far as they are wanted, each once, and no stream left open."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from dge_ray.distributed.session.ray_session import NAMESPACE
from dge_ray.distributed.stream import member_dataset
from dge_ray.downstream import slices
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import shard_file
from dge_ray.table import Columns, TableCodec

KEPT_ROWS = 1 << 18  # a stream this short is kept in memory between epochs instead of being read again


class MemberReader:
    """Reads one member's rows, as far as asked, and keeps what it read: the volumes are prefixes.

    `stream(member, shards)` gives these shards, of `shard_rows` rows each, in blocks of any length: Ray Data may cut a
    wide shard in two. A stream is read to its end at once: one that is left open costs a fifth of a core in Ray Data's
    scheduling, for as long as a fit takes.
    """

    def __init__(
        self, codec: TableCodec, stream: Callable[[int, Sequence[int]], Iterator[pa.Table]], shard_rows: int
    ) -> None:
        self.codec, self.stream, self.shard_rows = codec, stream, shard_rows
        self.member: int | None = None
        self._chunks: list[Columns] = []
        self._rows = 0

    def prefix(self, member: int, volume: int, ahead: int = 0) -> Columns:
        """The first `volume` rows of a member, encoded. If more must be read, then to row `ahead`."""
        if member != self.member:
            self.member, self._chunks, self._rows = member, [], 0
        if self._rows < volume:
            shards = range(self._rows // self.shard_rows, -(-max(volume, ahead) // self.shard_rows))
            for block in self.stream(member, shards):
                self._chunks.append(self.codec.encode(block))
                self._rows += block.num_rows
            names = self._chunks[0].keys()
            self._chunks = [{name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in names}]
        return {name: values[:volume] for name, values in self._chunks[0].items()}

    def rows(self, member: int, volume: int, ranges: Sequence[range], ahead: int = 0) -> Iterator[Columns]:
        """The rows of some ranges, apart and in order, of the first `volume` rows; in pieces of any length.

        Few rows are all read and kept; of many only the shards that hold the ranges are read, and nothing is kept.
        """
        if volume <= KEPT_ROWS:
            yield from slices(self.prefix(member, volume, min(ahead, KEPT_ROWS)), ranges)
            return
        size = self.shard_rows
        shards = sorted({j for span in ranges if span for j in range(span.start // size, -(-span.stop // size))})
        if not shards:
            return
        where = {shard: i * size for i, shard in enumerate(shards)}  # its first row's place in the stream
        wanted = [range(begin := where[s.start // size] + s.start % size, begin + len(s)) for s in ranges if s]
        at = 0
        for block in self.stream(member, shards):
            for span in wanted:
                start, stop = max(span.start, at), min(span.stop, at + block.num_rows)
                if start < stop:
                    yield self.codec.encode(block.slice(start - at, stop - start))
            at += block.num_rows
            wanted = [span for span in wanted if span.stop > at]


def member_blocks(spec: MemberSpec, member: int, shards: Sequence[int]) -> Iterator[pa.Table]:
    """Some shards of a member, in order: through a Dataset while one is still to be drawn, else from their files."""
    if not set(spec.missing_shards(member, (max(shards) + 1) * spec.shard_rows)).intersection(shards):
        for j in shards:
            yield spec.folder.read_table(shard_file(member, j))
        return
    board: Any = ray.get_actor(spec.board_name, namespace=NAMESPACE)
    dataset = member_dataset(spec, member, shards, ray.get(board.holder.remote(member)))
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)  # type: ignore[misc]
