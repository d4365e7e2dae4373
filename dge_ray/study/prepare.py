"""From a configuration to checked tables: whatever can be wrong with the input is found here, before any work."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.downstream import check_learner
from dge_ray.errors import InputError
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.generators.checks import check_text
from dge_ray.generators.registry import check_generator
from dge_ray.generators.rows.constraints import read_constraints
from dge_ray.generators.rows.shards import default_shard_rows
from dge_ray.privacy.canaries import draw_canaries, plant
from dge_ray.privacy.key import keyed_digest, new_key, read_key
from dge_ray.stats.metrics.losses import check_metric, higher_is_better
from dge_ray.storage import Folder
from dge_ray.study.config import Search, StudyConfig
from dge_ray.study.lineage import Lineage, lineage_of, read_origin
from dge_ray.study.predictions import Job, baseline_jobs, learner_label
from dge_ray.study.private import private_config, public_schema, with_stopping
from dge_ray.table import (
    Columns,
    TableCodec,
    TableSchema,
    data_digest,
    default_target,
    drop_columns,
    drop_missing_target,
    infer_schema,
    load_table,
    split_table,
    take_split_column,
    target_vector,
)
from dge_ray.table.public import conform

FEWEST_ROWS = 2  # of a volume: a learner needs more than one row


@dataclass(frozen=True)
class Prepared:
    """A study's input, checked: the configuration with nothing left open, the schema, and the real rows."""

    config: StudyConfig
    schema: TableSchema
    parts: dict[str, pa.Table]  # train (the n rows generators see), stopping, validation, test, perhaps raw
    digest: str  # of the table; of a private study a keyed one, which tells nobody else of the rows
    metric: str
    volumes: tuple[int, ...]
    shard_rows: int
    warnings: tuple[str, ...]
    lineage: Lineage | None = None  # None: no row is known to be synthetic
    key: int | None = field(default=None, repr=False)  # a private study's secret
    canaries: tuple[pa.Table, pa.Table] | None = None  # those planted, the last rows of train, and their twins

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
    def learners(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Names and settings by label."""
        return {one.label: (one.config.learners[0].name, one.config.learners[0].settings) for one in self.apart()}

    @property
    def weights(self) -> dict[str, float]:
        """What synthetic rows count together per raw row, by label; empty where all rows count the same."""
        return {one.label: one.config.weights[0] for one in self.apart() if one.config.weights}

    @property
    def label(self) -> str:
        """The label of a study's one learner, at its one weight."""
        (one,), weights = self.config.learners, self.config.weights
        (weight,) = weights or (None,)
        return learner_label(one.name, one.settings, augmented=self.augmented, weight=weight)

    def apart(self) -> "tuple[Prepared, ...]":
        """The same for each of the learners alone, and of these for each weight; weight 0 has no synthetic rows."""
        found = []
        for one, weight in product(self.config.learners, self.config.weights or (None,)):
            changes: dict[str, Any] = {"learner": one, "weights": () if weight is None else (weight,)}
            if weight == 0:
                changes["search"] = Search()
            volumes = (0,) if weight == 0 else self.volumes
            found.append(replace(self, config=self.config.model_copy(update=changes), volumes=volumes))
        return tuple(found)

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
    def synthetic(self) -> bool:
        """Whether there is a volume of synthetic rows."""
        return self.volumes[-1] > 0

    @property
    def rows(self) -> dict[str, int]:
        return {name: table.num_rows for name, table in self.parts.items()}

    def encoded(self) -> dict[str, Columns]:
        """The learners' rows: train (what the generators saw), validation, test, and raw."""
        codec = TableCodec(self.schema)
        encoded = {part: codec.encode(self.parts[part]) for part in ("train", "validation", "test")}
        return encoded | {"raw": codec.encode(self.parts["raw"]) if "raw" in self.parts else encoded["train"]}

    def baselines(self, members: int, volume: int) -> list[Job]:
        """The baselines' fits at a volume."""
        jobs = baseline_jobs(members, volume, self.config.groups, raw="raw" in self.parts)
        return [replace(job, learner=self.label) for job in jobs]

    def truth(self, part: str) -> np.ndarray:
        """The target of a part: int32 codes, or float64."""
        return target_vector(TableCodec(self.schema).encode(self.parts[part]), self.schema)

    def identity(self) -> dict[str, Any]:
        """What makes this study this study; members, ratios and learner may grow within it."""
        config, budget = self.config, self.config.privacy
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
                *([{"canaries": config.canaries}] if config.canaries else []),
            ],
            "seed": config.seed,
            "generator": config.model_dump(mode="json")["generator"],
            "shard_rows": self.shard_rows,
            "constraints": sorted(config.constraints),
            "privacy": [budget.epsilon, budget.delta, budget.models] if config.private else None,
            "pretrained": [read_pretrained(place, self.schema)["weights_sha256"] for place in config.pretrained],
        }


def prepare(config: StudyConfig, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Load, check and split.

    Raises:
        InputError: whatever is wrong with the configuration or the table, in one line.
    """
    for name, settings in config.generators:
        check_generator(name, settings)
    if config.private:
        config = private_config(config)
    if config.search.drop_hopeless and config.search.name != "grid":
        raise InputError("search.drop_hopeless", f"true with search={config.search.name}", "true with search=grid")
    _check_groups(config)
    _check_ratios(config)
    _check_learners(config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        whole, target = read_real(config)
        table, origin = read_origin(config, whole, target)
        table, labels = take_split_column(table, config.split_column)
        if config.private:
            schema = public_schema(config, table.schema, target)
            table = conform(table, schema)
        else:
            schema = infer_schema(table, target=target, overrides=config.columns)
        assert schema.task is not None
        for name, _ in config.generators:
            check_text(name, schema)
        for learner in config.learners:
            weighted = bool(config.weights)
            check_learner(learner.name, learner.settings, schema.task, texts=schema.texts, weighted=weighted)
        split = split_table(
            table,
            schema,
            seed=config.seed,
            labels=labels,
            test_fraction=config.test_fraction,
            validation_fraction=config.validation_fraction,
            stopping_fraction=config.stopping_fraction,
            stratified=not config.private,
        )
    if config.private:
        split = with_stopping(split)
    notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)))
    parts = split.tables(table)
    if not config.private:  # a count of real rows
        notes += _broken_by_real_rows(config.constraints, schema, parts["train"])
    lineage = None if origin is None else lineage_of(origin, dict(split.parts()))
    notes += () if lineage is None else tuple(lineage.notes())
    canaries = draw_canaries(parts, schema, config.canaries, seed=config.seed) if config.canaries else None
    if canaries is not None:
        parts["train"] = plant(parts["train"], canaries[0])
        notes += (f"{config.canaries} canaries are planted in train: this study is for attacks, not for publishing",)
    for note in notes:
        say(f"warning: {note}")
    base = parts["raw" if "raw" in parts else "train"].num_rows
    volumes = tuple(sorted({max(FEWEST_ROWS, round(ratio * base)) if ratio else 0 for ratio in config.ratios}))
    key, digest = None, data_digest(whole)
    if config.private:
        key = read_key(Folder.open(config.storage) / str(config.study)) or new_key()
        digest = keyed_digest(key, digest)
    prepared = Prepared(
        config=config.model_copy(update={"target": target}),
        schema=schema,
        parts=parts,
        digest=digest,
        metric=check_metric(config.metric, schema.task),
        volumes=volumes,
        shard_rows=config.shard_rows or default_shard_rows(parts["train"].num_rows),
        warnings=notes,
        lineage=lineage,
        key=key,
        canaries=canaries,
    )
    _check_size(prepared)
    _check_pretrained(prepared)
    return prepared


def _broken_by_real_rows(texts: Sequence[str], schema: TableSchema, train: pa.Table) -> tuple[str, ...]:
    """A line for each constraint that real rows break: synthetic rows will follow another law than they."""
    shares = [(c.text, 1 - c.holds(train).mean()) for c in read_constraints(texts, schema)]
    return tuple(f"constraint '{text}': {share:.2%} of the real rows break it" for text, share in shares if share)


def read_real(config: StudyConfig) -> tuple[pa.Table, str]:
    """The real table as it is now, without dropped columns and rows, and its target."""
    table = load_table(config.source)
    if config.drop:
        table = drop_columns(table, config.drop)
    target = config.target or default_target(config.source)
    if target is None:
        raise InputError("target", "nothing", "target=COLUMN with one of " + ", ".join(table.column_names[:30]))
    if target == config.split_column:
        raise InputError("split_column", f"{target!r}, the target", "another column")
    if config.drop_missing_target:
        table = drop_missing_target(table, target)
    return table, target


def _check_groups(config: StudyConfig) -> None:
    if config.groups == 1:
        return
    if config.members == "auto":
        raise InputError("members", "auto with groups", f"a number of members in {config.groups} equal groups")
    size = config.members // config.groups
    if size < 2 or size * config.groups != config.members:
        got = f"{config.groups} with {config.members} members"
        raise InputError("groups", got, "a number that parts the members into equal groups of at least 2")


def _check_learners(config: StudyConfig) -> None:
    labels = [learner_label(one.name, one.settings) for one in config.learners]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError("learner", f"{label!r} twice", "each learner once, or with other settings")


def _check_ratios(config: StudyConfig) -> None:
    if 0 in config.ratios and (config.rows == "synthetic" or config.search.name != "grid"):
        raise InputError(
            "ratios", f"0 with rows={config.rows} search={config.search.name}", "0 with rows=augmented search=grid"
        )
    if config.weights and config.rows == "synthetic":
        raise InputError("weights", "weights with rows=synthetic", "weights with rows=augmented")
    if config.weights and 0 in config.ratios:
        raise InputError("ratios", "0 with weights", "ratios above 0: weight 0 is the raw rows alone")


def _check_pretrained(prepared: Prepared) -> None:
    config = prepared.config
    for k in range(max(len(config.pretrained), len(config.generators)) if config.pretrained else 0):
        place, (name, _) = config.pretrained[k % len(config.pretrained)], config.generators[k % len(config.generators)]
        found = read_pretrained(place, prepared.schema)["generator"]
        if found != name:
            raise InputError("pretrained", f"a {found} generator in {place}", f"a saved {name} generator")


def _check_size(prepared: Prepared) -> None:
    rows = prepared.most_members * prepared.volumes[-1]
    if rows > prepared.config.max_rows:
        raise InputError(
            "max_rows",
            f"a study of {rows:,} synthetic rows ({prepared.most_members} members of {prepared.volumes[-1]:,})",
            f"at most {prepared.config.max_rows:,}; raise it with max_rows={rows}, or take fewer members or ratios",
        )
