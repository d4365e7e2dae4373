"""A study's input as every step of it takes it: checked tables, and what is to be done with them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import ColumnWarning, InputError
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.stats.metrics.losses import higher_is_better
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.config import StudyConfig
from dge_ray.study.folds import Folds, folds_identity
from dge_ray.study.lineage import Lineage
from dge_ray.study.records.jobs import OF_ANY_LEARNER, generator_numbers
from dge_ray.study.records.predictions import Job, baseline_jobs, in_folds, joined, read_predictions
from dge_ray.table import Columns, TableCodec, TableSchema, target_vector

MADE = "tables"  # what stands for the path of such tables in a study's identity: their digests


@dataclass(frozen=True)
class Prepared:
    """A study's input, checked: the configuration with nothing left open, the schema, the real rows, and its arms.

    Of a cross-fitted study `parts` and `clusters` are those of fold 0, which is a study without folds by itself; what
    its predictions are of, all folds', is `judged_truth`, `judged_clusters` and `rows`.
    """

    config: StudyConfig
    schema: TableSchema
    parts: dict[str, pa.Table]  # train (the n rows generators see), stopping, validation, test, perhaps raw
    digest: str  # of the table; of a private study a keyed one, which tells nobody else of the rows
    metric: str
    volumes: tuple[int, ...]
    arms: tuple[Arm, ...]
    shard_rows: int
    warnings: tuple[str, ...]
    column_notes: tuple[ColumnWarning, ...] = ()  # those of the warnings that are of one column
    lineage: Lineage | None = None  # None: no row is known to be synthetic
    key: int | None = field(default=None, repr=False)  # a private study's secret
    canaries: tuple[pa.Table, pa.Table] | None = None  # those planted, the last rows of train, and their twins
    clusters: dict[str, np.ndarray] = field(default_factory=dict)  # by part, codes of rows that belong together
    made: tuple[tuple[str, ...], ...] = ()  # by generator, digests of tables that were made elsewhere
    folds: Folds | None = None  # of a cross-fitted study

    @property
    def n(self) -> int:
        """Rows the generators are fitted on; with folds the mean over them."""
        return self.parts["train"].num_rows if self.folds is None else self.folds.n

    @property
    def raw_part(self) -> str:
        """Where the raw rows are, which learners may see: a part that no generator saw, or else train."""
        return "raw" if "raw" in self.parts else "train"

    @property
    def base(self) -> int:
        """The raw rows, which ratios are multiples of."""
        return self.parts["raw"].num_rows if "raw" in self.parts else self.n

    @property
    def augmented(self) -> bool:
        return self.config.rows == "augmented"

    @property
    def name(self) -> str:
        assert self.config.study is not None  # set by read_config
        return self.config.study

    @property
    def task(self) -> str:
        assert self.schema.task is not None
        return self.schema.task

    @property
    def width(self) -> int:
        """Classes of the prediction tensor; 1 in regression."""
        return len(self.schema.classes) or 1

    @property
    def lower_is_better(self) -> bool:
        return not higher_is_better(self.metric)

    @property
    def most_members(self) -> int:
        return self.config.max_members if self.config.members == "auto" else self.config.members

    @property
    def pilot_volume(self) -> int:
        """The volume at which the number of members is decided: the one nearest to the raw rows' number."""
        return min(filter(None, self.volumes), key=lambda m: (abs(np.log(m / self.base)), m))

    @property
    def rows(self) -> dict[str, int]:
        """Rows by part. With folds: train and stopping of one fold, validation all that are not test."""
        rows = {name: table.num_rows for name, table in self.parts.items()}
        return rows if self.folds is None else rows | {"train": self.n, "validation": self.folds.pool.num_rows}

    @property
    def fold_count(self) -> int:
        return 1 if self.folds is None else self.folds.count

    @property
    def held(self) -> tuple[np.ndarray, ...]:
        """Of each fold which of the validation rows are its own; empty without folds."""
        return () if self.folds is None else self.folds.held

    @property
    def is_nested(self) -> bool:
        """Whether there are no test rows, and results are read where others have chosen."""
        return self.folds is not None and self.folds.nested

    def generators(self, members: int) -> list[int]:
        """The numbers of the generators of so many members."""
        return generator_numbers(range(members), self.fold_count)

    def cell(self, arm: Arm, member: int, volume: int) -> list[Job]:
        """The fits of a member at a volume, one a fold."""
        return in_folds(Job("member", member, volume, learner=arm.label), self.held)

    def read_fit(self, folder: Folder, label: str, jobs: Sequence[Job]) -> dict[str, np.ndarray]:
        """What a fit predicts per split, put together of its `jobs`, one a fold. Shape: (rows, classes) each."""
        return self.put_together([read_predictions(folder, label, job, self.width) for job in jobs])

    def put_together(self, parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What the folds predict per split as one, rows as those of `judged_truth`. Shape: (rows, ...) each."""
        values = joined(parts, self.held)
        return values | {"test": values["validation"]} if self.is_nested else values

    @property
    def tables(self) -> tuple[dict[str, pa.Table], ...]:
        """The parts of each fold; of a study without folds its own."""
        return (self.parts,) if self.folds is None else self.folds.parts

    def check_test(self) -> None:
        """Raises InputError where no row is test."""
        if self.is_nested:
            raise InputError("study", f"{self.name!r}, which has no test rows", "a study of report=test")

    @property
    def once(self) -> int:
        """How many rows results are read on, each counted once: the first so many are one fold's reading of test."""
        return self.judged_table.num_rows

    @property
    def judged_table(self) -> pa.Table:
        """The rows that results are read on, each once: test, or all where there is no test."""
        return self.folds.pool if self.folds is not None and self.folds.nested else self.parts["test"]

    def judged_truth(self, split: str) -> np.ndarray:
        """The target of the rows that predictions are of. With folds validation is all that are not test, and test
        stands there once a fold; without test rows it is validation again."""
        if self.folds is None:
            return self.truth(split)
        if split == "validation" or self.folds.nested:
            return target_vector(TableCodec(self.schema).encode(self.folds.pool), self.schema)
        return np.tile(self.truth("test"), self.folds.count)

    def judged_clusters(self, split: str) -> np.ndarray | None:
        """Codes of the rows of `judged_truth` that belong together; None where each row is its own."""
        if self.folds is None:
            return self.clusters.get(split)
        if split == "validation" or self.folds.nested:
            return self.folds.clusters
        own = self.clusters.get("test")
        return np.tile(np.arange(self.parts["test"].num_rows) if own is None else own, self.folds.count)

    def encoded(self, fold: int = 0) -> dict[str, Columns]:
        """The learners' rows: train (what the generators saw), stopping, validation, test, and raw."""
        codec, parts = TableCodec(self.schema), self.tables[fold]
        encoded = {p: codec.encode(parts[p]) for p in ("train", "stopping", "validation", "test") if p in parts}
        return encoded | {"raw": codec.encode(parts["raw"]) if "raw" in parts else encoded["train"]}

    def baselines(self, arm: Arm, members: int, volumes: Sequence[int]) -> list[Job]:
        """The fits of an arm's baselines, in each fold at its volume."""
        return [
            replace(job.in_fold(fold), learner=arm.label)
            for fold, volume in enumerate(volumes)
            for job in baseline_jobs(members, volume, self.config.groups, raw="raw" in self.parts)
        ]

    def first_baselines(self, arm: Arm, members: int, volumes: Sequence[int]) -> list[Job]:
        """Those of `baselines` that are fitted before it is known which arm is chosen: of several learners the ones on
        real rows, of which the best is chosen too. The others are of the chosen arm alone, unless there are weights."""
        jobs = self.baselines(arm, members, volumes)
        if len(self.arms) == 1 or self.config.weights:
            return jobs
        return [job for job in jobs if job.kind in OF_ANY_LEARNER]

    def own_baselines(self, members: int, volume: int) -> list[Job]:
        """Those of the ensemble of all members, not of groups of them; without a learner's label."""
        return baseline_jobs(members, volume, raw="raw" in self.parts)

    def truth(self, part: str) -> np.ndarray:
        """The target of a part: int32 codes, or float64."""
        return target_vector(TableCodec(self.schema).encode(self.parts[part]), self.schema)

    def identity(self) -> dict[str, Any]:
        """What makes this study this study; members, ratios and learner may grow within it."""
        config = self.config
        schema = hashlib.sha256(self.schema.to_json().encode()).hexdigest()
        return {
            "data": self.digest,
            "target": self.schema.target,
            "schema": schema,
            "split": [
                config.split_column,
                config.test_fraction,
                config.validation_fraction,
                config.stopping_fraction,
                *self._units_identity(),
                *self._canaries_identity(),
                *folds_identity(self.fold_count, self.config.report),
            ],
            "seed": config.seed,
            "generator": self._generator_identity(),
            "shard_rows": self.shard_rows,
            "constraints": sorted(config.constraints),
            "privacy": self._privacy_identity(),
            "pretrained": [read_pretrained(place, self.schema)["weights_sha256"] for place in config.pretrained],
        }

    def _generator_identity(self) -> Any:
        """Names and settings; of tables that were made elsewhere what is in them, and not where they lie."""
        chosen = self.config.model_dump(mode="json")["generator"]
        if not self.made:
            return chosen
        each = chosen if isinstance(chosen, list) else [chosen]
        kept = [
            {**one, "settings": {MADE: list(own)}} if own else one for one, own in zip(each, self.made, strict=True)
        ]
        return kept if isinstance(chosen, list) else kept[0]

    def _privacy_identity(self) -> list[Any] | None:
        budget = self.config.privacy
        if not self.config.private:
            return None
        return [budget.epsilon, budget.delta, budget.models, *([] if budget.parent is None else [budget.parent])]

    def _units_identity(self) -> list[dict[str, Any]]:
        """What stays together in the split; nothing in a study of rows that go their own ways."""
        columns = {name: getattr(self.config, name) for name in ("group_column", "time_column")}
        given = {name: column for name, column in columns.items() if column is not None}
        return [given] if given else []

    def _canaries_identity(self) -> list[dict[str, Any]]:
        """How many there are; with privacy, of what too: once they came from train."""
        config = self.config
        if not config.canaries:
            return []
        return [{"canaries": config.canaries, **({"of": "schema"} if config.private else {})}]
