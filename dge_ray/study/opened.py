"""A study that is there, opened by the verbs that work on it: found, read, and compared with its real table."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from dge_ray.errors import InputError
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import find_study, read_schema, read_study_config
from dge_ray.study.folds import as_begun, begun_folds
from dge_ray.study.members import MemberSpec, fitted_members
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import IDENTITY, REPORT, SURFACE, figure_file
from dge_ray.study.records.identity import first_difference
from dge_ray.study.records.lock import study_lock
from dge_ray.study.refit import leaving_members
from dge_ray.table.schema.table_schema import TableSchema

Say = Callable[[str], None]


class ChangedStudyError(InputError):
    """The table or the settings are not those that the study was made of."""


def _silent(_: str) -> None:
    return None


class OpenStudy:
    """A study's folder with what is read of it, each thing once and when it is first asked for.

    `say` hears the warnings of the real table. Who writes to the folder, or draws rows, does it within `locked`.
    """

    def __init__(self, folder: Folder, say: Say = _silent) -> None:
        self.folder, self._say = folder, say
        self.config: StudyConfig = read_study_config(folder)

    @classmethod
    def find(cls, study: str, storage: str = "./studies", say: Say = _silent, *, writes: bool = False) -> Self:
        """A study by its folder, or by its name under the storage. `writes`: its folder is to be written to.

        Raises:
            InputError: there is none, it is a bundle, its configuration is damaged, or the storage cannot be read, or
                not be written to.
        """
        folder = find_study(study, storage)
        if writes:
            folder.check_writable("study")
        return cls(folder, say)

    @contextmanager
    def locked(self, say: Say) -> Iterator[Self]:
        """Hold the study's lock, one thread a process: sums keep their order whatever the machine.

        Raises:
            StudyError: another driver works on the study.
        """
        with study_lock(self.folder, say), threadpool_limits(limits=1):
            yield self

    @property
    def name(self) -> str:
        assert self.config.study is not None  # resolved
        return self.config.study

    @cached_property
    def identity(self) -> dict[str, Any]:
        """As it was written when the study began."""
        return self.folder.read_json(IDENTITY)

    @cached_property
    def schema(self) -> TableSchema:
        return read_schema(self.folder)

    @cached_property
    def report(self) -> dict[str, Any]:
        """report.json's content; empty where there is none yet."""
        return self.folder.read_json(REPORT) if self.folder.exists(REPORT) else {}

    @cached_property
    def surface(self) -> pa.Table:
        """surface.parquet.

        Raises:
            InputError: the study is not finished.
        """
        if not self.folder.exists(SURFACE):
            raise InputError("study", f"{self.folder} without a report", "a finished study")
        return self.folder.read_table(SURFACE)

    @cached_property
    def prepared(self) -> Prepared:
        """The study's input, read and checked anew.

        Raises:
            ChangedStudyError: the table or the settings are others than the study was made of.
            InputError: the table cannot be read, or is at fault.
        """
        prepared = prepare(as_begun(self.config, self.folder), self._say, begun=self.schema)
        if first_difference(self.identity, prepared.identity()) is not None:
            got = f"{self.folder}, whose table or settings have changed"
            raise ChangedStudyError("study", got, "the table that it was made from")
        return prepared

    @cached_property
    def held(self) -> tuple[np.ndarray, ...]:
        """Of a cross-fitted study which validation rows are each fold's own, by its real table; else nothing.

        Raises:
            ChangedStudyError, InputError: as `prepared`.
        """
        return self.prepared.held if begun_folds(self.folder)["folds"] > 1 else ()

    @cached_property
    def fitted(self) -> int:
        """Members that are fitted, from the first one without a gap."""
        fitted = set(fitted_members(self.folder))
        return next(k for k in range(len(fitted) + 1) if k not in fitted)

    def check_fitted(self, least: int = 1, why: str = "") -> int:
        """The number of fitted members.

        Raises:
            InputError: they are fewer than `least`; `why` so many are needed.
        """
        if self.fitted >= least:
            return self.fitted
        if least == 1:
            takes = "a study that `dge-ray tune` has fitted"
            raise InputError("study", f"{self.folder} without a fitted member", takes)
        raise InputError("study", f"{self.folder} with {self.fitted} fitted members", f"at least {least}: {why}")

    def members(self, wanted: int | None, *, least: int = 1, why: str = "", key: str = "members") -> int:
        """How many members a verb works on: as wanted, or all that are fitted.

        Raises:
            InputError: too few are fitted, or the number is out of bounds; `key` is what the user calls it.
        """
        fitted = self.check_fitted(least, why)
        if wanted is not None and not least <= wanted <= fitted:
            raise InputError(key, repr(wanted), f"a whole number from {least} to {fitted}, the members that are fitted")
        return fitted if wanted is None else wanted

    @property
    def rows_seen(self) -> int:
        """Real rows that the members that leave were fitted on, as noted by the first: the table is not read for it."""
        return self.leaving(1).record(0)["rows"]

    @property
    def recommended(self) -> dict[str, Any]:
        """The report's answer: `members` and `volume`; of reports without one the reflection point. Empty where there
        is no report."""
        return self.report.get("answer") or self.report.get("reflection_point") or {}

    def recommended_members(self, least: int = 1) -> int:
        """As many members as recommended, or `least`, or all that are fitted where those are fewer or none is, or where
        the study has a privacy ledger, which the recommendation is outside of."""
        fitted = self.check_fitted()
        if self.folder.exists(LEDGER):
            return fitted
        return min(max(int(self.recommended.get("members") or fitted), least), fitted)

    def volume(self, wanted: int | None) -> int:
        """Rows a member: as wanted; else as recommended; else as many as the generators were fitted on."""
        volume = wanted or int(self.recommended.get("volume") or self.prepared.n)
        self.spec().check_volume(range(self.fitted), volume)
        return volume

    def check_not_private(self, field: str, takes: str) -> None:
        """Raises InputError where the study has a privacy ledger."""
        if self.folder.exists(LEDGER):
            raise InputError(field, "a study with a privacy ledger", takes)

    def spec(self, *, balance: str | None = None) -> MemberSpec:
        """The members, whose rows are read, or drawn where the study lacks them. `balance`: a column whose categories
        get equal shares."""
        assert self.config.shard_rows is not None  # resolved before the first member was fitted
        return MemberSpec(
            folder=self.folder,
            schema=self.schema,
            generators=self.config.generators,
            seed=self.config.seed,
            shard_rows=self.config.shard_rows,
            constraints=self.config.constraints,
            balance=balance,
        )

    def leaving(self, members: int, *, balance: str | None = None) -> MemberSpec:
        """The first members as they leave: fitted again on all rows, where the study has refit=all.

        Raises:
            InputError: one of them is not fitted again.
        """
        return leaving_members(self.spec(balance=balance), self.config, range(members))

    def keep(
        self, file: str, content: Mapping[str, Any], *, page: tuple[str, str] | None = None, **figures: bytes
    ) -> None:
        """Write what a verb found: its JSON, its page (name and HTML) and its figures (PNG by name)."""
        self.folder.write_json(file, dict(content))
        for name, png in figures.items():
            self.folder.write_bytes(figure_file(name), png)
        if page is not None:
            self.folder.write_bytes(page[0], page[1].encode())
