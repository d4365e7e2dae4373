"""A generator actor: owns one member's generator, its checkpoint and its shards, or some members' at once; one after
another."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from dge_ray.distributed.keeper import FolderKeeper
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session import NAMESPACE, one_thread
from dge_ray.errors import InputError
from dge_ray.generators.base import Generator, generator_class, make_generator
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.rows.constraints import read_constraints
from dge_ray.generators.rows.shards import draw_shard
from dge_ray.privacy.key import FILE as KEY
from dge_ray.privacy.key import read_key
from dge_ray.privacy.plan import PrivacyPlan
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.table.schema import TableSchema

GeneratorChoice = tuple[str, dict[str, Any]]
"""A generator's name and its settings."""

FIT_RETRIES = 3  # a fit that runs out of memory must not loop for ever


@dataclass(frozen=True)
class MemberSpec:
    """What every process needs to know about a study's members. `run` names this run's actors."""

    folder: Folder
    schema: TableSchema
    generators: tuple[GeneratorChoice, ...]  # members take them in turn
    seed: int
    shard_rows: int
    run: str = ""
    constraints: tuple[str, ...] = ()
    pretrained: tuple[str, ...] = ()  # folders of saved generators that members start from in turn
    private: PrivacyPlan | None = None  # its secret key stays in the folder
    canaries: int = 0  # planted in train: a member's facts say so
    balance: str | None = None  # a coded column whose categories get equal shares; only in bundles

    def generator(self, member: int) -> GeneratorChoice:
        """The name and settings of a member's generator."""
        return self.generators[member % len(self.generators)]

    def fits_together(self, member: int) -> bool:
        """Whether a member's generator can be fitted with others' of the same settings as one program."""
        name, settings = self.generator(member)
        able = hasattr(generator_class(name), "fit_together") and not self.pretrained and self.private is None
        return able and settings.get("budget_seconds") is None

    def model_of(self, member: int) -> int:
        """The member whose model this one draws from: itself, or 0 where all draw from one private model."""
        return 0 if self.private is not None and self.private.models == "one" else member

    def private_fit(self, member: int) -> PrivateFit | None:
        """How a member is fitted privately, its key read from the folder; None where privacy is off.

        Raises:
            InputError: there is no key.
        """
        if self.private is None:
            return None
        key, steps = read_key(self.folder), self.private.steps_of(member)
        if key is None:
            raise InputError(str(self.folder / KEY), "no file", "the key that this study was begun with")
        noise, marginals = self.private.noise_multiplier, self.private.marginals_multiplier
        return PrivateFit(steps.clip, noise, steps.sample_rate, steps.steps, marginals, key, member)

    def load_generator(self, member: int, device: str) -> Generator:
        """A fitted member's generator."""
        one_thread()
        with self.folder.downloaded(f"{self.member_folder(member)}/generator") as path:
            return generator_class(self.generator(member)[0]).load(path, device=device)

    @contextmanager
    def pretrained_generator(self, member: int) -> Iterator[Path | None]:
        """A local folder with the generator that a member starts from; None where there is none."""
        if not self.pretrained:
            yield None
            return
        with Folder.open(self.pretrained[member % len(self.pretrained)], "pretrained").downloaded() as path:
            yield path

    def draw(self, generator: Generator, member: int, shard: int) -> tuple[pa.Table, float]:
        """A whole shard, and the share of the rows drawn for it that met the constraints."""
        return draw_shard(
            generator,
            shard,
            shard_rows=self.shard_rows,
            seed=self.seed,
            member=member,
            constraints=read_constraints(self.constraints, self.schema),
            balance=None if self.balance is None else (self.balance, self.schema),
        )

    def member_folder(self, member: int) -> str:
        return f"members/{member:03d}"

    def shard_file(self, member: int, shard: int) -> str:
        return f"shards/member={member:03d}/part-{shard:05d}.parquet"

    def actor_name(self, slot: int) -> str:
        return f"{self.run}-generator-{slot}"

    @property
    def board_name(self) -> str:
        return f"{self.run}-board"

    def shards(self, volume: int) -> int:
        """How many shards hold the first `volume` rows."""
        return -(-volume // self.shard_rows)

    def is_fitted(self, member: int) -> bool:
        # member.json is written last: it says that everything before it is whole.
        return self.folder.exists(f"{self.member_folder(member)}/member.json")

    def missing_shards(self, member: int, volume: int) -> list[int]:
        present = set(self.folder.list(f"shards/member={member:03d}"))
        return [j for j in range(self.shards(volume)) if self.shard_file(member, j).rpartition("/")[2] not in present]


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
        spec, folder = self.spec, self.spec.member_folder(member)
        if spec.is_fitted(member):
            return spec.folder.read_json(f"{folder}/member.json")
        if spec.model_of(member) != member:
            return self._share(member, spec.model_of(member))
        started, cpu = time.perf_counter(), time.process_time()
        seed = integer(spec.seed, Purpose.FIT, member=member)
        name, settings = spec.generator(member)
        generator = make_generator(name, **settings)
        private = spec.private_fit(member)
        one_thread()
        with spec.pretrained_generator(member) as source:
            generator.fit(
                train,
                spec.schema,
                seed=seed,
                device=self.device,
                warm_start=source,
                stopping=stopping,
                progress=partial(self._report_epoch, member),
                keeper=FolderKeeper(spec.folder, f"{folder}/fit.safetensors"),
                **({} if private is None else {"private": private}),
            )
        cost = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
        return self._save(member, generator, train.num_rows, cost)

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
            self._save(member, generator, train.num_rows, cost)

    def _share(self, member: int, source: int) -> dict[str, Any]:
        """Give a member another's model: the same weights, of which its own random streams draw other rows."""
        spec, theirs = self.spec, self.spec.member_folder(source)
        with spec.folder.downloaded(f"{theirs}/generator") as path:
            spec.folder.upload(path, f"{spec.member_folder(member)}/generator")
        record = spec.folder.read_json(f"{theirs}/member.json")
        record |= {"member": member, "shares": source, "seconds": 0.0, "cpu_seconds": 0.0, "loss": []}
        spec.folder.write_json(f"{spec.member_folder(member)}/member.json", record)
        return record

    def _save(self, member: int, generator: Generator, rows: int, cost: dict[str, Any]) -> dict[str, Any]:
        spec, folder = self.spec, self.spec.member_folder(member)
        with tempfile.TemporaryDirectory() as scratch:
            generator.save(Path(scratch))
            spec.folder.upload(Path(scratch), f"{folder}/generator")
        record = {
            "member": member,
            "generator": spec.generator(member)[0],
            "seed": integer(spec.seed, Purpose.FIT, member=member),
            "rows": rows,
            **({"canaries": spec.canaries} if spec.canaries else {}),
            "device": self.device,
            **cost,
            "loss": list(getattr(generator, "history", [])),
        }
        spec.folder.write_json(f"{folder}/member.json", record)
        # The generator in memory and the one read back sample alike (the conformance suite holds it), so keep this one.
        self._generators[member] = generator
        return record

    def _report_epoch(self, member: int, record: dict[str, Any]) -> None:
        self.board.epoch.remote(member, record)

    def _loaded(self, member: int) -> Generator:
        if member not in self._generators:
            self._generators[member] = self.spec.load_generator(member, self.device)
        return self._generators[member]

    def shard(self, member: int, index: int) -> pa.Table:
        """Shard `index`: read where it was written before, else drawn, written, and given back."""
        self._own([member])
        spec, name = self.spec, self.spec.shard_file(member, index)
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
        name = f"{self.spec.member_folder(member)}/sampling.json"
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
