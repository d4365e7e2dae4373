"""One replicate of a whole pipeline: a table -> a generator fitted on it -> rows drawn from that -> a number. No Ray.

This is the unit of the pipeline bootstrap: which table comes in (one under a null hypothesis, resampled rows) is the
caller's; what happens to it is the same each time. Replicate 0 is that of the real rows.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import pyarrow as pa

from dge_ray.generators.base import Generator
from dge_ray.generators.registry import abilities, generator_class, make_generator
from dge_ray.inference.relevance import FixedRelevance
from dge_ray.seeds import Purpose, integer
from dge_ray.table import TableSchema

Saved = Mapping[str, bytes]  # the files of something saved, by their names: what travels between nodes
Statistic = Callable[[pa.Table, int], float]
REDRAWER = "autoregressive"  # draws tested features again for a generator that cannot complete rows itself


class Stream(IntEnum):
    """Which of a replicate's random streams: indices at Purpose.REPLICATE, whose `member` is the replicate."""

    TABLE = 0  # the rows of its table
    REDRAW = 1  # the tested features of those rows
    FIT = 2  # its generator
    ROWS = 3  # the rows drawn from that
    STATISTIC = 4
    REAL = 5  # the statistic of its table itself
    LAW = 6  # what is fitted once, before the replicates: `member` says which
    CHECK = 7  # draws that the null law is looked at with: `member` says which


def stream(seed: int, replicate: int, which: Stream) -> int:
    """The integer seed at an address."""
    return integer(seed, Purpose.REPLICATE, member=replicate, index=which)


def saved(save: Callable[[Path], None]) -> Saved:
    """The files that `save` writes into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save(folder)
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextmanager
def opened(files: Saved) -> Iterator[Path]:
    """A folder with those files, for the length of the block."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in files.items():
            place = Path(scratch) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        yield Path(scratch)


@dataclass(frozen=True)
class Recipe:
    """A generator's name and settings, and the files of a fitted one that every fit starts from, if any."""

    name: str
    settings: Mapping[str, Any]
    start: Saved | None = None

    def fit(self, table: pa.Table, schema: TableSchema, *, seed: int, stopping: pa.Table | None = None) -> Generator:
        generator = make_generator(self.name, **self.settings)
        if self.start is None:
            return generator.fit(table, schema, seed=seed, stopping=stopping)
        with opened(self.start) as source:
            return generator.fit(table, schema, seed=seed, stopping=stopping, warm_start=source)

    def fit_each(
        self, table: pa.Table, schema: TableSchema, *, seeds: Sequence[int], stopping: pa.Table | None = None
    ) -> list[Generator]:
        """A fit for each seed: as one program where the generator can, which is less work for small tables."""
        together = abilities(self.name).together
        if not together or self.start is not None or self.settings.get("budget_seconds") is not None:
            return [self.fit(table, schema, seed=seed, stopping=stopping) for seed in seeds]
        kind: Any = generator_class(self.name)
        return kind.fit_together(seeds, table, schema, settings=self.settings, stopping=stopping)

    def load(self, files: Saved) -> Any:
        with opened(files) as folder:
            return generator_class(self.name).load(folder)


@dataclass(frozen=True)
class Pipeline:
    """Fit a generator on a table, draw `volume` rows, compute the statistic: the same for every table."""

    schema: TableSchema
    generator: Recipe
    volume: int
    statistic: Statistic
    seed: int

    def __call__(self, table: pa.Table, replicate: int) -> float:
        fitted = self.generator.fit(table, self.schema, seed=stream(self.seed, replicate, Stream.FIT))
        rows = fitted.sample(self.volume, seed=stream(self.seed, replicate, Stream.ROWS))
        return self.statistic(rows, stream(self.seed, replicate, Stream.STATISTIC))


@dataclass(frozen=True)
class Null:
    """Rows of a fitted generator in which the tested features depend on the target through the others alone.

    Rows are drawn, and their tested features drawn again given the other features, without the target. `redraws`: the
    fitted generator that does so, where `law` itself cannot.
    """

    schema: TableSchema
    features: tuple[str, ...]
    recipe: Recipe
    law: Saved
    redraws: tuple[Recipe, Saved] | None

    def load(self) -> tuple[Any, Any]:
        """The generator, and the one that redraws."""
        law = self.recipe.load(self.law)
        return law, law if self.redraws is None else self.redraws[0].load(self.redraws[1])

    def enforce(self, rows: pa.Table, redraws: Any, *, seed: int) -> pa.Table:
        """Rows with their tested features drawn again."""
        given = [c.name for c in self.schema.features if c.name not in self.features]
        made = redraws.sample(rows.num_rows, seed=seed, given=rows.select(given))
        for name in self.features:
            rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), made.column(name))
        return rows

    def table(self, n: int, *, seed: int, replicate: int) -> pa.Table:
        """A replicate's `n` rows."""
        law, redraws = self.load()
        rows = law.sample(n, seed=stream(seed, replicate, Stream.TABLE))
        return self.enforce(rows, redraws, seed=stream(seed, replicate, Stream.REDRAW))


@dataclass(frozen=True)
class RefitNull:
    """The pipeline-refit null. Replicate 0 is the real rows', the others are null tables of as many rows.

    `statistic`: of the pipeline; `raw`: of the table itself, without a generator.
    """

    real: pa.Table
    null: Null
    pipeline: Pipeline

    def __call__(self, replicate: int) -> dict[str, Any]:
        seed = self.pipeline.seed
        table = self.real if replicate == 0 else self.null.table(self.real.num_rows, seed=seed, replicate=replicate)
        raw = self.pipeline.statistic(table, stream(seed, replicate, Stream.REAL))
        return {"statistic": self.pipeline(table, replicate), "raw": raw}


@dataclass(frozen=True)
class TwinDraws:
    """The published procedure's draws: rows of two generators, fitted on a half each, as drawn and with the null
    enforced; the statistic of the first m of them for each volume m.

    `learners`: of all real rows, fixed, where the statistic is the features' relevance; None with another `statistic`.
    Replicate 0 also has `raw`, the statistic of the real rows.
    """

    real: pa.Table
    twins: tuple[Null, Null]
    volumes: tuple[int, ...]
    statistic: Statistic
    learners: tuple[Any, Any] | None
    seed: int

    def __call__(self, replicate: int) -> dict[str, Any]:
        schema = self.twins[0].schema
        judge = self.statistic if self.learners is None else FixedRelevance(self.learners, schema)
        statistics: dict[str, Any] = {"null": [], "drawn": []}
        for k, twin in enumerate(self.twins):
            law, redraws = twin.load()
            address = [stream(self.seed, 2 * replicate + k, which) for which in Stream]
            rows = law.sample(self.volumes[-1], seed=address[Stream.TABLE])
            under_null = twin.enforce(rows, redraws, seed=address[Stream.REDRAW])
            for name, made in (("null", under_null), ("drawn", rows)):
                statistics[name].append([judge(made.slice(0, m), address[Stream.STATISTIC]) for m in self.volumes])
        if replicate == 0:
            statistics["raw"] = self.statistic(self.real, stream(self.seed, 0, Stream.REAL))
        return statistics
