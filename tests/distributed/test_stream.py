"""A member's stream: against the generator called directly, shard by shard, in one process."""

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray
import ray.data

from dge_ray.distributed.actors import start_actor
from dge_ray.distributed.board import Board
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.ray_session import NAMESPACE, TINY
from dge_ray.distributed.stream import member_dataset
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import shard_file
from dge_ray.table import check_table

SHARD = 256


@pytest.fixture
def spec(cluster: object, tmp_path: Path) -> MemberSpec:
    """Member 0 of a study, fitted and saved, and a Board for its actor."""
    prepared = prepare(read_config("breast_cancer", ["generator=copula"]))
    spec = MemberSpec(Folder.open(tmp_path), prepared.schema, (("copula", {}),), 0, SHARD, f"run-{tmp_path.name}")
    seed = integer(0, Purpose.FIT, member=0)
    generator = make_generator("copula").fit(prepared.parts["train"], prepared.schema, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        generator.save(Path(scratch))
        spec.folder.upload(Path(scratch), "members/000/generator")
    spec.folder.write_json("members/000/member.json", {"rows": prepared.n})
    return spec


@pytest.fixture
def board(spec: MemberSpec) -> object:
    return ray.remote(Board).options(name=spec.board_name, namespace=NAMESPACE, num_cpus=TINY).remote()


def _direct(spec: MemberSpec, shards: int) -> pa.Table:
    from dge_ray.generators.registry import generator_class

    generator = generator_class("copula").load(Path(spec.folder.path) / "members/000/generator")
    draws = [integer(0, Purpose.SHARD, member=0, index=j) for j in range(shards)]
    return pa.concat_tables(generator.sample(SHARD, seed=seed) for seed in draws)


def _dataset(spec: MemberSpec, shards: int) -> ray.data.Dataset:
    return member_dataset(spec, 0, range(shards), spec.actor_name(0))


def _streamed(spec: MemberSpec, volume: int) -> pa.Table:
    dataset = _dataset(spec, spec.shards(volume))
    return pa.concat_tables(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))


def test_rows_are_the_generators_whole_shards_in_order(spec: MemberSpec, board: object) -> None:
    actor = start_actor(spec, 0, MemberDemand())
    first = _streamed(spec, 5 * SHARD - 100)
    assert first.equals(_direct(spec, 5))
    assert check_table(first, spec.schema) == []
    ray.kill(actor)
    assert _streamed(spec, 5 * SHARD).equals(first)  # from the files: nobody is left to draw them
    assert sorted(spec.folder.list("shards/member=000")) == [f"part-{j:05d}.parquet" for j in range(5)]


def test_a_killed_actor_gives_the_same_rows(spec: MemberSpec, board: object) -> None:
    actor = start_actor(spec, 0, MemberDemand())
    process = ray.get(actor.process.remote())
    blocks = iter(_dataset(spec, 12).iter_batches(batch_size=None, batch_format="pyarrow"))
    parts = [next(blocks)]
    os.kill(process, signal.SIGKILL)
    parts += list(blocks)
    assert ray.get(actor.process.remote()) != process
    assert pa.concat_tables(parts).equals(_direct(spec, 12))
    ray.kill(actor)


def test_a_stalled_consumer_stops_the_generator(spec: MemberSpec, board: object) -> None:
    """Back-pressure: of 400 shards with one consumed, only what fits the reads in flight may be drawn ahead."""
    from ray.data import DataContext

    actor = start_actor(spec, 0, MemberDemand())
    limits = DataContext.get_current().execution_options.resource_limits
    DataContext.get_current().execution_options.resource_limits = limits.copy(object_store_memory=20 * 120_000)
    try:
        blocks = iter(_dataset(spec, 400).iter_batches(batch_size=None, batch_format="pyarrow"))
        next(blocks)
        time.sleep(3)
        drawn = len(spec.folder.list("shards/member=000"))
        assert drawn < 200
    finally:
        DataContext.get_current().execution_options.resource_limits = limits
    ray.kill(actor)


def test_an_actor_that_ends_before_it_answers_loses_nothing(spec: MemberSpec) -> None:
    """Killed between writing a shard and answering: the reader finds the file."""

    class WritesAndHangs:  # in here, so that it travels to its process by value
        def __init__(self, spec: MemberSpec, table: pa.Table) -> None:
            self.spec, self.table = spec, table

        def shard(self, member: int, index: int) -> None:
            import time

            self.spec.folder.write_table(shard_file(member, index), self.table)
            time.sleep(60)

    table = _direct(spec, 1)
    actor = (
        ray.remote(WritesAndHangs)
        .options(name=spec.actor_name(0), namespace=NAMESPACE, num_cpus=TINY)
        .remote(spec, table)
    )

    def end_it() -> None:
        while not spec.folder.exists(shard_file(0, 0)):
            time.sleep(0.05)
        time.sleep(0.3)
        ray.kill(actor)

    ending = threading.Thread(target=end_it)
    ending.start()
    assert _streamed(spec, SHARD).equals(table)
    ending.join()


def test_a_shard_does_not_depend_on_what_was_drawn_before(spec: MemberSpec, board: object) -> None:
    actor = start_actor(spec, 0, MemberDemand())
    third = ray.get(actor.shard.remote(0, 3))
    assert third.equals(_direct(spec, 4).slice(3 * SHARD))
    assert not np.array_equal(third[0].to_numpy(), _direct(spec, 1)[0].to_numpy())
    ray.kill(actor)


def test_an_actor_that_takes_the_next_member_draws_both_as_their_own(spec: MemberSpec, board: object) -> None:
    prepared = prepare(read_config("breast_cancer", ["generator=copula"]))
    actor = start_actor(spec, 0, MemberDemand())
    first = ray.get(actor.shard.remote(0, 0))
    record = ray.get(actor.fit.remote(1, prepared.parts["train"], prepared.parts["stopping"]))
    assert record["member"] == 1 and record["seed"] == integer(0, Purpose.FIT, member=1)
    second = ray.get(actor.shard.remote(1, 0))
    again = ray.get(actor.shard.remote(0, 1))
    assert pa.concat_tables([first, again]).equals(_direct(spec, 2))
    own = make_generator("copula").fit(prepared.parts["train"], prepared.schema, seed=record["seed"])
    assert second.equals(own.sample(SHARD, seed=integer(0, Purpose.SHARD, member=1, index=0)))
    assert sorted(spec.folder.list("shards/member=000")) == ["part-00000.parquet", "part-00001.parquet"]
    ray.kill(actor)
