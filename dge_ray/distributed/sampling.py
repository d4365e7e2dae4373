"""Members' rows to a bundle: Ray tasks of some shards each, every shard written once, atomically."""

import time
from collections.abc import Callable
from typing import Any

import ray

from dge_ray.distributed.actors import MemberSpec
from dge_ray.distributed.session import ask, ray_session
from dge_ray.storage import Folder
from dge_ray.words import duration

TASK_ROWS = 1 << 20  # about: enough that loading a generator is paid once for many shards, few enough to tell of
SAY_SECONDS = 5.0


def part_file(member: int, shard: int) -> str:
    return f"member={member:03d}/part-{shard:05d}.parquet"


def draw_members(spec: MemberSpec, out: Folder, *, members: int, volume: int, say: Callable[[str], None]) -> None:
    """Write `member=KKK/part-JJJJJ.parquet` to `out`: the first `volume` rows of each member, in shards.

    Parts that are there stay: they are what would be written.
    """
    left = [(k, shards) for k in range(members) for shards in _missing(spec, out, k, volume)]
    total = members * volume
    held = total - sum(_rows(spec, shard, volume) for _, shards in left for shard in shards)
    if held:
        say(f"{held:,} of {total:,} rows were written before")
    if not left:
        return
    with ray_session():
        write = ray.remote(num_cpus=1, max_retries=3)(_write_shards)
        tasks = [write.remote(spec, out, k, shards, volume) for k, shards in left]
        rows, started, told = 0, time.monotonic(), 0.0
        while tasks:
            done, tasks = ray.wait(tasks, num_returns=1)
            rows += sum(ask(done))
            now = time.monotonic()
            if now - told >= SAY_SECONDS or not tasks:
                rate, told = rows / (now - started), now
                ahead = f", about {duration((total - held - rows) / rate)} left" if tasks else ""
                say(f"{held + rows:,} of {total:,} rows, {rate:,.0f} rows a second{ahead}")


def _missing(spec: MemberSpec, out: Folder, member: int, volume: int) -> list[list[int]]:
    """The member's shards that are not in `out`, a list a task."""
    present = set(out.list(f"member={member:03d}"))
    shards = [j for j in range(spec.shards(volume)) if part_file(member, j).rpartition("/")[2] not in present]
    # A small volume is cut as well, so that every core has some.
    size = max(1, min(TASK_ROWS // spec.shard_rows, -(-len(shards) // 4)))
    return [shards[start : start + size] for start in range(0, len(shards), size)]


def _rows(spec: MemberSpec, shard: int, volume: int) -> int:
    return min(spec.shard_rows, volume - shard * spec.shard_rows)


def _write_shards(spec: MemberSpec, out: Folder, member: int, shards: list[int], volume: int) -> int:
    generator: Any = None
    # On the kind of device that drew the study's own shards: another kind gives other bits.
    device = spec.folder.read_json(f"{spec.member_folder(member)}/member.json").get("device", "cpu")
    for shard in shards:
        kept = spec.shard_file(member, shard)
        if spec.balance is None and spec.folder.exists(kept):
            table = spec.folder.read_table(kept)
        else:
            if generator is None:
                generator = spec.load_generator(member, device)
            table, _ = spec.draw(generator, member, shard)
        out.write_table(part_file(member, shard), table.slice(0, _rows(spec, shard, volume)))
    return sum(_rows(spec, shard, volume) for shard in shards)
