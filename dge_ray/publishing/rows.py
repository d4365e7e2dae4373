"""Members' rows to a bundle: Ray tasks of some shards each, every file written once, atomically."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dge_ray.distributed.session.ray_session import one_thread
from dge_ray.distributed.tasks import Pace, Shared, Task, stream
from dge_ray.inference.debiasing import Shift, debiased
from dge_ray.publishing.leaving import Leaving
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import shard_file
from dge_ray.table.marks import marked

TASK_ROWS = 1 << 20  # about: enough that loading a generator is paid once for many shards, few enough to tell of


def part_file(member: int, part: int) -> str:
    return f"member={member:03d}/part-{part:05d}.parquet"


@dataclass(frozen=True)
class Cut:
    """How the first `volume` rows of each member are cut into parts: `shards` shards each, the last one shorter.

    `shifts`: by member, what its rows are debiased by; none: as they were drawn. `leaving`: what of them is held back.
    """

    spec: MemberSpec
    volume: int
    shards: int = 1
    shifts: tuple[tuple[Shift, ...], ...] = ()
    leaving: Leaving | None = None

    @property
    def rows(self) -> int:
        """Rows of a whole part."""
        return self.spec.shard_rows * self.shards

    @property
    def count(self) -> int:
        """Parts of a member."""
        return -(-self.volume // self.rows)

    def size(self, part: int) -> int:
        """Rows of a part."""
        return min(self.rows, self.volume - part * self.rows)

    def tables(self, member: int, parts: list[int]) -> Iterator[tuple[int, pa.Table]]:
        """Parts of a member with their numbers: shards that the study holds are read, the others drawn."""
        generator: Any = None
        device = self.spec.device(member)
        for part in parts:
            shards = []
            for shard in range(part * self.shards, -(-(part * self.rows + self.size(part)) // self.spec.shard_rows)):
                kept = shard_file(member, shard)
                if self.spec.balance is None and self.spec.folder.exists(kept):
                    shards.append(self.spec.folder.read_table(kept))
                    continue
                if generator is None:
                    one_thread()
                    generator = self.spec.load_generator(member, device)
                shards.append(self.spec.draw(generator, member, shard)[0])
            table = pa.concat_tables(shards).slice(0, self.size(part))
            if self.shifts:
                given = {"seed": self.spec.seed, "member": member, "part": part}
                table = debiased(table, self.shifts[member], self.spec.schema, **given)
            if self.leaving is not None:
                table = self.leaving.rows(table)
            # One chunk a column, so that the file does not tell where shards met.
            yield part, table.combine_chunks()

    def is_held(self, member: int) -> bool:
        """Whether the study holds all of the member's rows."""
        return self.spec.balance is None and not self.spec.missing_shards(member, self.volume)


def draw_members(
    cut: Cut, out: Folder, *, members: int, say: Callable[[str], None], mark: dict[str, Any] | None = None
) -> None:
    """Write `member=KKK/part-JJJJJ.parquet` to `out`, with the mark of synthetic rows if there is one.

    Parts that are there stay: they are what would be written.
    """
    left = [(k, parts) for k in range(members) for parts in _missing(cut, out, k)]
    total = members * cut.volume
    held = total - sum(cut.size(part) for _, parts in left for part in parts)
    if held:
        say(f"{held:,} of {total:,} rows were written before")
    pace = Pace(total, "rows", say, before=held)
    for rows in over_parts(cut, left, _Write(out, mark)):
        pace.add(rows)


def over_parts(cut: Cut, work: list[tuple[int, list[int]]], do: Callable[[Cut, int, list[int]], Any]) -> Iterator[Any]:
    """`do(cut, member, parts)` of each (member, parts), as tasks on Ray, in the order in which they end.

    A moderate number of rows that the study holds is gone through in this process: Ray would take longer to start.
    """
    rows = sum(cut.size(part) for _, parts in work for part in parts)
    if rows <= TASK_ROWS and all(cut.is_held(k) for k in {k for k, _ in work}):
        yield from (do(cut, k, parts) for k, parts in work)
        return
    tasks = [Task(f"{k} {parts[0]}", Shared("do"), (Shared("cut"), k, parts)) for k, parts in work]
    shared = {"do": lambda: do, "cut": lambda: cut}
    yield from (result for _, result, _ in stream(tasks, done={}, shared=shared))


def all_parts(cut: Cut, members: int) -> list[tuple[int, list[int]]]:
    """Every part of every member, for `over_parts`."""
    return [(k, parts) for k in range(members) for parts in _in_tasks(cut, list(range(cut.count)))]


def _missing(cut: Cut, out: Folder, member: int) -> list[list[int]]:
    """The member's parts that are not in `out`, a list a task."""
    present = set(out.list(f"member={member:03d}"))
    return _in_tasks(cut, [j for j in range(cut.count) if part_file(member, j).rpartition("/")[2] not in present])


def _in_tasks(cut: Cut, parts: list[int]) -> list[list[int]]:
    # A small volume is cut as well, so that every core has some.
    size = max(1, min(TASK_ROWS // cut.rows, -(-len(parts) // 4)))
    return [parts[start : start + size] for start in range(0, len(parts), size)]


@dataclass(frozen=True)
class _Write:
    out: Folder
    mark: dict[str, Any] | None

    def __call__(self, cut: Cut, member: int, parts: list[int]) -> int:
        for part, table in cut.tables(member, parts):
            noted = table if self.mark is None else marked(table, {**self.mark, "member": member})
            self.out.write_table(part_file(member, part), noted)
        return sum(cut.size(part) for part in parts)
