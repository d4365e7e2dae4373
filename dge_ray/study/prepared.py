"""A study's input as every step of it takes it: checked tables, and what is to be done with them."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import ColumnWarning
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.stats.metrics.losses import higher_is_better
from dge_ray.study.arms import Arm
from dge_ray.study.config import StudyConfig
from dge_ray.study.lineage import Lineage
from dge_ray.study.records.jobs import OF_ANY_LEARNER
from dge_ray.study.records.predictions import Job, baseline_jobs
from dge_ray.table import Columns, TableCodec, TableSchema, target_vector

MADE = "tables"  # what stands for the path of such tables in a study's identity: their digests


@dataclass(frozen=True)
class Prepared:
    """A study's input, checked: the configuration with nothing left open, the schema, the real rows, and its arms."""

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

    @property
    def n(self) -> int:
        """Rows the generators are fitted on."""
        return self.parts["train"].num_rows

    @property
    def raw_part(self) -> str:
        """Where the raw rows are, which learners may see: a part that no generator saw, or else train."""
        return "raw" if "raw" in self.parts else "train"

    @property
    def base(self) -> int:
        """The raw rows, which ratios are multiples of."""
        return self.parts[self.raw_part].num_rows

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
        return {name: table.num_rows for name, table in self.parts.items()}

    def encoded(self) -> dict[str, Columns]:
        """The learners' rows: train (what the generators saw), stopping, validation, test, and raw."""
        codec = TableCodec(self.schema)
        encoded = {part: codec.encode(self.parts[part]) for part in ("train", "stopping", "validation", "test")}
        return encoded | {"raw": codec.encode(self.parts["raw"]) if "raw" in self.parts else encoded["train"]}

    def baselines(self, arm: Arm, members: int, volume: int) -> list[Job]:
        """The fits of an arm's baselines at a volume."""
        jobs = baseline_jobs(members, volume, self.config.groups, raw="raw" in self.parts)
        return [replace(job, learner=arm.label) for job in jobs]

    def first_baselines(self, arm: Arm, members: int, volume: int) -> list[Job]:
        """Those of `baselines` that are fitted before it is known which arm is chosen: of several learners the ones on
        real rows, of which the best is chosen too. The others are of the chosen arm alone, unless there are weights."""
        jobs = self.baselines(arm, members, volume)
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
