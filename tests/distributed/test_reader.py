"""Reading a member: every prefix is the member's own rows, whatever the order of asking, and each is read once."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.distributed import reader as module
from dge_ray.distributed.reader import MemberReader
from dge_ray.table import TableCodec, infer_schema

SHARD = 8
ROWS = pa.table({"x": np.arange(400, dtype=np.float64), "y": np.arange(400) % 2})
CODEC = TableCodec(infer_schema(ROWS, target="y", overrides={"x": "numeric"}))


class _Streams:
    """Members whose rows are ROWS times (member + 1), and a record of every shard read."""

    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []

    def __call__(self, member: int, shards: Sequence[int]) -> Iterator[pa.Table]:
        for j in shards:
            self.read.append((member, j))
            block = ROWS.slice(j * SHARD, SHARD)
            block = block.set_column(0, "x", pa.array(block["x"].to_numpy() * (member + 1)))
            yield from (block.slice(0, 5), block.slice(5))  # as Ray Data cuts a shard of many bytes


@settings(deadline=None)  # on a busy machine too
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 200), st.integers(0, 200)), min_size=1, max_size=12))
def test_every_prefix_is_the_members_first_rows(asked: list[tuple[int, int, int]]) -> None:
    streams = _Streams()
    reader = MemberReader(CODEC, streams, SHARD)
    for member, volume, ahead in asked:
        rows = reader.prefix(member, volume, ahead)
        assert rows["x"].tolist() == [(member + 1) * i for i in range(volume)]


def test_a_member_at_hand_is_read_on_and_never_twice() -> None:
    streams = _Streams()
    reader = MemberReader(CODEC, streams, SHARD)
    for volume in (3, 20, 11, 40):
        reader.prefix(1, volume)
    assert streams.read == [(1, j) for j in range(5)]
    reader.prefix(0, 5, ahead=30)
    reader.prefix(0, 30)
    assert streams.read[5:] == [(0, j) for j in range(4)]


@pytest.mark.parametrize("kept", [10, 100])
def test_ranges_are_the_same_rows_kept_or_streamed(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_ROWS", kept)
    streams = _Streams()
    reader = MemberReader(CODEC, streams, SHARD)
    for _ in range(2):
        pieces = list(reader.rows(0, 50, [range(0, 20), range(20, 50)], ahead=90))
        assert np.concatenate([piece["x"] for piece in pieces]).tolist() == list(range(50))
    assert len(streams.read) == (14 if kept == 10 else 12)  # streamed twice, or 96 rows read once and kept


@settings(deadline=None)  # on a busy machine too
@given(st.lists(st.integers(0, 30), min_size=2, max_size=9), st.integers(0, 1))
def test_a_part_of_many_rows_needs_its_own_shards_alone(lengths: list[int], parity: int) -> None:
    """Every second range, as a worker's parts of the blocks are."""
    ends = np.cumsum(lengths)
    spans = [range(int(end) - n, int(end)) for n, end in zip(lengths, ends, strict=True)][parity::2]
    streams = _Streams()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEPT_ROWS", 0)
        pieces = list(MemberReader(CODEC, streams, SHARD).rows(1, int(ends[-1]) or 1, spans))
    rows = [i for span in spans for i in span]
    assert np.concatenate([*(piece["x"] for piece in pieces), np.empty(0)]).tolist() == [2 * i for i in rows]
    assert streams.read == [(1, j) for j in sorted({i // SHARD for i in rows})]
