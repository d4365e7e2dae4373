"""A generator actor: owns one member's generator, its checkpoint and its shards, or some members' at once; one after
another."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.ray_session import NAMESPACE, one_thread
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import generator_class, make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import fit_state_file, generator_folder, member_file, sampling_file, shard_file

FIT_RETRIES = 3  # a fit that runs out of memory must not loop for ever


def fit_member(
    spec: MemberSpec,
    member: int,
    train: pa.Table,
    stopping: pa.Table | None,
    *,
    device: str,
    progress: Callable[[dict[str, Any]], None],
) -> Generator:
    """Fit one member's generator and save it, its record last; from the state that an earlier fit has kept."""
    started, cpu = time.perf_counter(), time.process_time()
    name, settings = spec.generator(member)
    generator = make_generator(name, **settings)
    private = spec.private_fit(member)
    one_thread()
    with spec.pretrained_generator(member) as source:
        generator.fit(
            train,
            spec.schema,
            seed=integer(spec.seed, Purpose.FIT, member=member),
            device=device,
            warm_start=source,
            stopping=stopping,
            progress=progress,
            keeper=FolderKeeper(spec.folder, fit_state_file(member)),
            **({} if private is None else {"private": private}),
        )
    cost = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    _save(spec, member, generator, train.num_rows, device, cost)
    return generator


def _save(spec: MemberSpec, member: int, generator: Generator, rows: int, device: str, cost: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        generator.save(Path(scratch))
        spec.folder.upload(Path(scratch), generator_folder(member))
    record = {
        "member": member,
        "generator": spec.generator(member)[0],
        "seed": integer(spec.seed, Purpose.FIT, member=member),
        "rows": rows,
        **({"canaries": spec.canaries} if spec.canaries else {}),
        "device": device,
        **cost,
        "loss": list(getattr(generator, "history", [])),
    }
    spec.folder.write_json(member_file(member), record)


class GeneratorActor:
    """One member's generator at a time, or those of members that were fitted together. Restarted by Ray after a crash,
    it goes on from the checkpoint; it alone writes the members' shards. Once they are on disk the next member may have
    the process: a new one would cost two CPU-seconds of imports."""

    def __init__(self, spec: MemberSpec, device: str) -> None:
        self.spec, self.device = spec, device
        # By name: a handle among the arguments would tie this actor's restart to an object that may be gone.
        self.board: Any = ray.get_actor(spec.board_name, namespace=NAMESPACE)
        self.members: list[int] = []
        self._generators: dict[int, Generator] = {}
        self._sampling: dict[int, dict[str, dict[str, float]]] = {}

    def _own(self, members: list[int]) -> None:
        if not set(members) <= set(self.members):
            self.members, self._generators, self._sampling = members, {}, {}

    @ray.method(max_task_retries=FIT_RETRIES)
    def fit(self, member: int, train: pa.Table, stopping: pa.Table) -> dict[str, Any]:
        """Fit and save the member's generator, unless its checkpoint is there. Returns member.json's content."""
        self._own([member])
        spec = self.spec
        if spec.is_fitted(member):
            return spec.record(member)
        if spec.model_of(member) != member:
            return self._share(member, spec.model_of(member))
        told = partial(self._report_epoch, member)
        # The generator in memory and the one read back sample alike (the conformance suite holds it), so keep this one.
        self._generators[member] = fit_member(spec, member, train, stopping, device=self.device, progress=told)
        return spec.record(member)

    @ray.method(max_task_retries=FIT_RETRIES)
    def fit_together(self, members: list[int], train: pa.Table, stopping: pa.Table) -> None:
        """`fit` of members with one generator and one set of settings, as one program; those that are fitted stay.

        Its state is not kept between epochs: one that is cut off begins anew. CPU-seconds are shared out evenly.
        """
        self._own(members)
        spec, members = self.spec, [member for member in members if not self.spec.is_fitted(member)]
        if not members:
            return
        started, cpu = time.perf_counter(), time.process_time()
        name, settings = spec.generator(members[0])
        one_thread()
        generators = generator_class(name).fit_together(  # type: ignore[attr-defined]
            [integer(spec.seed, Purpose.FIT, member=member) for member in members],
            train,
            spec.schema,
            settings=settings,
            device=self.device,
            stopping=stopping,
            progress=lambda k, record: self._report_epoch(members[k], record),
        )
        share = (time.process_time() - cpu) / len(members)
        cost = {"seconds": time.perf_counter() - started, "cpu_seconds": share, "together": len(members)}
        for member, generator in zip(members, generators, strict=True):
            _save(spec, member, generator, train.num_rows, self.device, cost)
            self._generators[member] = generator

    def _share(self, member: int, source: int) -> dict[str, Any]:
        """Give a member another's model: the same weights, of which its own random streams draw other rows."""
        spec = self.spec
        with spec.folder.downloaded(generator_folder(source)) as path:
            spec.folder.upload(path, generator_folder(member))
        record = spec.record(source)
        record |= {"member": member, "shares": source, "seconds": 0.0, "cpu_seconds": 0.0, "loss": []}
        spec.folder.write_json(member_file(member), record)
        return record

    def _report_epoch(self, member: int, record: dict[str, Any]) -> None:
        self.board.epoch.remote(member, record)

    def _loaded(self, member: int) -> Generator:
        if member not in self._generators:
            one_thread()
            self._generators[member] = self.spec.load_generator(member, self.device)
        return self._generators[member]

    def shard(self, member: int, index: int) -> pa.Table:
        """Shard `index`: read where it was written before, else drawn, written, and given back."""
        self._own([member])
        spec, name = self.spec, shard_file(member, index)
        if spec.folder.exists(name):
            return spec.folder.read_table(name)
        started, cpu = time.perf_counter(), time.process_time()
        # Always a whole shard: sample(n) is no prefix of sample(n'), and a volume's end must not change its rows.
        generator = self._loaded(member)
        table, met = spec.draw(generator, member, index)
        spec.folder.write_table(name, table)
        self._note_sampling(member, index, {"cpu_seconds": time.process_time() - cpu, "met": met})
        self.board.drew.remote(member, index, table.num_rows, time.perf_counter() - started)
        return table

    def draw(self, member: int, indices: list[int]) -> None:
        """Write these shards, so that the actor is not needed for the member any more."""
        for index in indices:
            self.shard(member, index)

    def _note_sampling(self, member: int, index: int, record: dict[str, float]) -> None:
        name = sampling_file(member)
        if member not in self._sampling:
            self._sampling[member] = self.spec.folder.read_json(name) if self.spec.folder.exists(name) else {}
        self._sampling[member][str(index)] = record
        self.spec.folder.write_json(name, self._sampling[member])

    def process(self) -> int:
        """This actor's process id."""
        return os.getpid()


def start_actor(spec: MemberSpec, slot: int, demand: MemberDemand, node: str | None = None) -> Any:
    """A named generator actor, on `node` if it is still there and free. Shard calls are retried without end: each is a
    pure function and idempotent."""
    return (
        ray.remote(GeneratorActor)
        .options(
            name=spec.actor_name(slot),
            namespace=NAMESPACE,
            max_restarts=-1,
            max_task_retries=-1,
            **demand.options(node),
        )
        .remote(spec, "cuda" if demand.gpus else "cpu")
    )
