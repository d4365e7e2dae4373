"""Members' rows to a bundle: one Ray task a shard, each written once, atomically."""

from collections.abc import Callable
from typing import Any

import ray

from dge_ray.distributed.actors import MemberSpec
from dge_ray.distributed.session import ask, ray_session
from dge_ray.storage import Folder


def draw_members(spec: MemberSpec, out: Folder, *, members: int, volume: int, say: Callable[[str], None]) -> None:
    """Write `member=KKK/part-JJJJJ.parquet` to `out`: the first `volume` rows of each member, in shards."""
    with ray_session():
        write = ray.remote(num_cpus=1, max_retries=3)(_write_shards)
        # Tasks of several shards, so that loading a generator is paid once for many.
        per_task = max(1, -(-spec.shards(volume) // 4))
        starts = range(0, spec.shards(volume), per_task)
        left = [
            write.remote(spec, out, k, list(range(a, a + per_task)), volume) for k in range(members) for a in starts
        ]
        total, rows = len(left), 0
        while left:
            done, left = ray.wait(left, num_returns=1)
            rows += sum(ask(done))
            say(f"{total - len(left)}/{total} parts written, {rows:,} rows")


def _write_shards(spec: MemberSpec, out: Folder, member: int, shards: list[int], volume: int) -> int:
    generator: Any = None
    # On the kind of device that drew the study's own shards: another kind gives other bits.
    device = spec.folder.read_json(f"{spec.member_folder(member)}/member.json").get("device", "cpu")
    written = 0
    for shard in shards:
        rows = min(spec.shard_rows, volume - shard * spec.shard_rows)
        if rows <= 0:
            break
        kept = spec.shard_file(member, shard)
        if spec.balance is None and spec.folder.exists(kept):
            table = spec.folder.read_table(kept)
        else:
            if generator is None:
                generator = spec.load_generator(member, device)
            table, _ = spec.draw(generator, member, shard)
        out.write_table(f"member={member:03d}/part-{shard:05d}.parquet", table.slice(0, rows))
        written += rows
    return written
