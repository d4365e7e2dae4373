"""A study's members: their generators, their files, and their rows.

A member's rows are drawn in whole shards, each by its own random stream, so that a shard is the same whoever draws it
and whenever. Torch's number of threads is the caller's: the same bits come from one thread alone.

A `member` is here the number of a generator: of a cross-fitted study there are some a member (`records/jobs.py`), which
take turns, and start from saved ones, as members do.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import abilities, generator_class, member_settings
from dge_ray.generators.rows.constraints import read_constraints
from dge_ray.generators.rows.shards import draw_shard
from dge_ray.privacy.key import FILE as KEY
from dge_ray.privacy.key import read_key
from dge_ray.privacy.plan import PrivacyPlan
from dge_ray.storage import Folder
from dge_ray.study.records.files import (
    MEMBERS,
    generator_folder,
    member_file,
    number_in,
    shard_file,
    shard_folder,
)
from dge_ray.study.records.jobs import member_of
from dge_ray.table.schema.table_schema import TableSchema

if TYPE_CHECKING:  # it imports torch, and most processes of a study need none
    from dge_ray.generators.private.fit import PrivateFit

GeneratorChoice = tuple[str, dict[str, Any]]
"""A generator's name and its settings."""


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
        return member_settings(self.generators, member_of(member))

    def fits_together(self, member: int) -> bool:
        """Whether a member's generator can be fitted with others' of the same settings as one program."""
        name, settings = self.generator(member)
        able = abilities(name).together and not self.pretrained and self.private is None
        return able and settings.get("budget_seconds") is None

    def model_of(self, member: int) -> int:
        """The member whose model this one draws from: itself, or 0 where all draw from one private model."""
        return 0 if self.private is not None and self.private.models == "one" else member

    def private_fit(self, member: int) -> "PrivateFit | None":
        """How a member is fitted privately, its key read from the folder; None where privacy is off.

        Raises:
            InputError: there is no key.
        """
        if self.private is None:
            return None
        from dge_ray.generators.private.fit import PrivateFit

        key, steps = read_key(self.folder), self.private.steps_of(member)
        if key is None:
            raise InputError(str(self.folder / KEY), "no file", "the key that this study was begun with")
        noise, marginals = self.private.noise_multiplier, self.private.marginals_multiplier
        return PrivateFit(steps.clip, noise, steps.sample_rate, steps.steps, marginals, key, member)

    def load_generator(self, member: int, device: str) -> Generator:
        """A fitted member's generator."""
        with self.folder.downloaded(generator_folder(member)) as path:
            return generator_class(self.generator(member)[0]).load(path, device=device)

    @contextmanager
    def pretrained_generator(self, member: int) -> Iterator[Path | None]:
        """A local folder with the generator that a member starts from; None where there is none."""
        if not self.pretrained:
            yield None
            return
        with Folder.open(self.pretrained[member_of(member) % len(self.pretrained)], "pretrained").downloaded() as path:
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

    def actor_name(self, slot: int) -> str:
        return f"{self.run}-generator-{slot}"

    @property
    def board_name(self) -> str:
        return f"{self.run}-board"

    def shards(self, volume: int) -> int:
        """How many shards hold the first `volume` rows."""
        return -(-volume // self.shard_rows)

    def is_fitted(self, member: int) -> bool:
        # Its record is written last: it says that everything before it is whole.
        return self.folder.exists(member_file(member))

    def record(self, member: int) -> dict[str, Any]:
        """What was noted of a fitted member: its generator, seed, rows, device, costs and losses."""
        return self.folder.read_json(member_file(member))

    def device(self, member: int) -> str:
        """The kind of device that the member's rows are drawn on: the one that drew the study's own shards, since
        another kind gives other bits."""
        return self.record(member).get("device", "cpu")

    def missing_shards(self, member: int, volume: int) -> list[int]:
        present = set(self.folder.list(shard_folder(member)))
        return [j for j in range(self.shards(volume)) if shard_file(member, j).rpartition("/")[2] not in present]

    def check_volume(self, members: Iterable[int], volume: int) -> None:
        """Raises InputError where fitted members hold rows that were made elsewhere, and fewer than `volume`."""
        holding = [k for k in members if abilities(self.generator(k)[0]).holds_rows]
        rows = [self.folder.read_json(f"{generator_folder(k)}/generator.json")["extra"]["rows"] for k in holding]
        if rows and volume > min(rows):
            k = holding[rows.index(min(rows))]
            raise InputError(
                "volume", f"{volume:,} rows", f"at most {min(rows):,}: the table of member {k} has no more"
            )

    def complete_rows(self, member: int, volume: int) -> None:
        """Draw and keep the shards that the study lacks at this volume. Under its lock: nobody else writes them."""
        self.check_volume([member], volume)
        missing = self.missing_shards(member, volume)
        if not missing:
            return
        generator = self.load_generator(member, self.device(member))
        for shard in missing:
            self.folder.write_table(shard_file(member, shard), self.draw(generator, member, shard)[0])

    def first_rows(self, member: int, volume: int) -> pa.Table:
        """The member's first rows, whose shards are there."""
        tables = [self.folder.read_table(shard_file(member, j)) for j in range(self.shards(volume))]
        return pa.concat_tables(tables).slice(0, volume)

    def rows(self, member: int, volume: int) -> pa.Table:
        """The member's first `volume` rows; shards that the study lacks are drawn and kept. Under the study's lock."""
        self.complete_rows(member, volume)
        return self.first_rows(member, volume)


def fitted_members(folder: Folder) -> list[int]:
    """The members of a study that are fitted, by the numbers of their generators; while it runs there may be gaps."""
    return [number_in(name) for name in folder.list(MEMBERS) if folder.exists(member_file(number_in(name)))]


class MemberRows(Sequence[pa.Table]):
    """The first `volume` rows of the first `members` members, read (and drawn where needed) when asked for."""

    def __init__(self, spec: MemberSpec, members: int, volume: int) -> None:
        self.spec, self.members, self.volume = spec, members, volume

    def __len__(self) -> int:
        return self.members

    @overload
    def __getitem__(self, k: int) -> pa.Table: ...
    @overload
    def __getitem__(self, k: slice) -> Sequence[pa.Table]: ...
    def __getitem__(self, k: int | slice) -> pa.Table | Sequence[pa.Table]:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(self.members))]
        if not 0 <= k < self.members:
            raise IndexError(k)
        return self.spec.rows(k, self.volume)
