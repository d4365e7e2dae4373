"""A member's rows as a Ray Dataset: whole shards, in order, back-pressured, each generated once."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import DataContext, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask
from ray.exceptions import RayActorError

from dge_ray.distributed.session.ray_session import NAMESPACE, TINY
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import shard_file

READS_AT_ONCE = 2  # one shard is consumed while the next is drawn; more would only fill the object store


class SyntheticDatasource(Datasource):
    """Some shards of one member. A shard on disk is read; one that is not is asked of the actor named `holder`."""

    def __init__(self, spec: MemberSpec, member: int, shards: Sequence[int], holder: str) -> None:
        self.spec, self.member, self.shards, self.holder = spec, member, shards, holder

    def get_name(self) -> str:
        return f"Member{self.member}"

    def _row_bytes(self) -> int:
        columns, texts = self.spec.schema.columns, self.spec.schema.texts
        return 12 * len(columns) + 1_000 * len(texts)

    def estimate_inmemory_data_size(self) -> int | None:
        return len(self.shards) * self.spec.shard_rows * self._row_bytes()

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        rows = self.spec.shard_rows
        size = rows * self._row_bytes()
        return [
            ReadTask(
                _Read(self.spec, self.member, shard, self.holder),
                BlockMetadata(num_rows=rows, size_bytes=size, input_files=None, exec_stats=None),
            )
            for shard in self.shards
        ]


class _Read:
    """Reads one shard, in whatever process Ray Data chose."""

    def __init__(self, spec: MemberSpec, member: int, shard: int, holder: str) -> None:
        self.spec, self.member, self.shard, self.holder = spec, member, shard, holder

    def __call__(self) -> Iterable[pa.Table]:
        name = shard_file(self.member, self.shard)
        if self.spec.folder.exists(name):
            yield self.spec.folder.read_table(name)
            return
        try:
            actor: Any = ray.get_actor(self.holder, namespace=NAMESPACE)
            table = ray.get(actor.shard.remote(self.member, self.shard))
        except (RayActorError, ValueError):
            # An actor is ended once its shards are on disk, perhaps between writing this one and answering.
            if not self.spec.folder.exists(name):
                raise
            table = self.spec.folder.read_table(name)
        yield table


def _configure() -> None:
    """Ray Data's settings in this process; a Dataset keeps those of the process that made it."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True  # without it two concurrent reads hand out blocks 1, 0, 3, 2
    context.print_on_execution_start = False


def member_dataset(spec: MemberSpec, member: int, shards: Sequence[int], holder: str) -> ray.data.Dataset:
    """These shards of a member, whole and in order, as a lazy Dataset.

    `holder` names the actor that has the member's generator.
    """
    _configure()
    return ray.data.read_datasource(
        SyntheticDatasource(spec, member, shards, holder),
        override_num_blocks=len(shards),
        num_cpus=TINY,
        concurrency=min(READS_AT_ONCE, len(shards)),
    )
