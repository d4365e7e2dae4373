"""From a configuration to checked tables: whatever can be wrong with the input is found here, before any work."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from dge_ray.downstream import check_learner
from dge_ray.errors import ColumnWarning, InputError
from dge_ray.generators.checks import check_text
from dge_ray.generators.registry import abilities, check_generator
from dge_ray.generators.rows.constraints import broken_by_real_rows, read_constraints
from dge_ray.generators.rows.shards import default_shard_rows
from dge_ray.privacy.canaries import draw_canaries, draw_public_canaries, plant
from dge_ray.privacy.key import keyed_digest, new_key, read_key
from dge_ray.stats.metrics.losses import check_metric
from dge_ray.storage import Folder
from dge_ray.study.arms import study_arms
from dge_ray.study.checks import check_keys, check_prepared, precision_note
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import read_schema
from dge_ray.study.folds import Folds, as_begun, check_folds, cut_folds, fold_count, folds_of
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.lineage import lineage_of, read_origin
from dge_ray.study.made_tables import check_made, holds_rows, settle_made
from dge_ray.study.parent import check_parent
from dge_ray.study.prepared import Prepared
from dge_ray.study.private import private_config, public_schema, with_stopping
from dge_ray.study.real_table import known_kinds, read_real
from dge_ray.study.records.files import IDENTITY, PLAN
from dge_ray.study.refit import check_refit
from dge_ray.table import (
    Split,
    TableCodec,
    TableSchema,
    data_digest,
    infer_schema,
    split_table,
    take_split_column,
    target_vector,
)
from dge_ray.table.kept import with_identities
from dge_ray.table.public import conform
from dge_ray.table.rare import settle_rare
from dge_ray.table.repeats import find_repeats, repeats_warning
from dge_ray.table.units import Units, read_units

FEWEST_ROWS = 2  # of a volume: a learner needs more than one row


def prepare(
    config: StudyConfig, say: Callable[[str], None] = lambda _: None, *, begun: TableSchema | None = None
) -> Prepared:
    """Load, check and split.

    Where the generator is left to a pilot, the configuration has a named one in its place: what is read here does not
    depend on it. A study's own is settled before (`pilot.record.settled`).

    `begun`: the schema that the study was begun with; None: that of its folder, if it is there. Identities between
    columns stay what they were then.

    Raises:
        InputError: whatever is wrong with the configuration or the table, in one line.
    """
    if config.undecided:
        config = config.with_generators((GeneratorChoice(),))
    for name, settings in config.generators:
        check_generator(name, settings)
    if config.private:
        config = private_config(config)
    config = as_begun(config)
    check_keys(config)
    check_refit(config)
    check_folds(config)
    check_made(config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        real, target = read_real(config)
        table, origin = read_origin(config, real, target)
        table, labels = take_split_column(table, config.split_column)
        units = read_units(table, config.group_column, config.time_column)
        if config.group_column is not None and not config.keep_group_column:
            table = table.drop_columns([config.group_column])
        if config.private:
            schema = public_schema(config, table.schema, target)
            table = conform(table, schema, config.reading)
        else:
            kinds = known_kinds(config, table)
            schema = infer_schema(table, target=target, overrides=kinds)
            if config.rare_classes is not None and schema.classes:
                table, kept = settle_rare(table, schema, labels, config.rare_classes)
                schema = infer_schema(table, target=target, overrides=kinds)
                if kept is not None:
                    units = None if units is None else units.take(kept)
                    labels = None if labels is None else labels[kept]
                    origin = None if origin is None else origin.take(kept)
        task = schema.task
        assert task is not None
        for name, _ in config.generators:
            check_text(name, schema)
        for learner in config.learners:
            weighted = bool(config.weights)
            check_learner(learner.name, learner.settings, task, texts=schema.texts, weighted=weighted)
        split = split_table(
            table,
            schema,
            seed=config.seed,
            labels=labels,
            test_fraction=config.test_fraction,
            validation_fraction=config.validation_fraction,
            stopping_fraction=config.stopping_fraction,
            stratified=not config.private,
            units=units,
        )
    if config.private:
        split = with_stopping(split)
    notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)))
    folds, splits = _folds(config, table, schema, split, labels, units)
    split = splits[0]
    parts = split.tables(table) if folds is None else dict(folds.parts[0])
    if units is not None:
        notes += (units_note(config, units, splits),)
    if not config.private:  # read off real rows
        seen = parts["train"] if folds is None else folds.pool  # each of them is learned from in some fold
        schema, told = _with_identities(config, schema, seen, begun or _begun(config))
        notes += told
        if units is None:
            notes += tuple(repeats_warning(find_repeats(seen, schema), target))
        if task == "regression":
            encoded = TableCodec(schema).encode(seen, [target])
            notes += precision_note(target, target_vector(encoded, schema))
        notes += broken_by_real_rows(read_constraints(config.constraints, schema), seen)
    lineage = None if origin is None else lineage_of(origin, dict(split.parts()))
    notes += () if lineage is None else tuple(lineage.notes())
    canaries = _canaries(config, schema, parts)
    if canaries is not None:
        parts["train"] = plant(parts["train"], canaries[0])
        notes += (f"{config.canaries} canaries are planted in train: this study is for attacks, not for publishing",)
    base = parts["raw" if "raw" in parts else "train"].num_rows if folds is None else folds.n
    made: tuple[tuple[str, ...], ...] = ()
    if holds_rows(config):
        config, made, more = settle_made(config, schema, base)
        notes += more
    for note in notes:
        say(f"warning: {note}")
    volumes = tuple(sorted({max(FEWEST_ROWS, round(ratio * base)) if ratio else 0 for ratio in config.ratios}))
    key, digest = None, data_digest(real)
    if config.private:
        folder = Folder.open(config.storage) / str(config.study)
        key = read_key(folder) or new_key()
        if config.privacy.parent is not None and not folder.exists(PLAN):  # later the plan has what it counted
            check_parent(config, digest, key, parts["train"].num_rows)
        digest = keyed_digest(key, digest)
    config = config.model_copy(update={"target": target, "folds": len(splits)})
    prepared = Prepared(
        config=config,
        schema=schema,
        parts=parts,
        digest=digest,
        metric=check_metric(config.metric, task),
        volumes=volumes,
        arms=study_arms(config, volumes),
        shard_rows=config.shard_rows or default_shard_rows(parts["train"].num_rows),
        warnings=notes,
        column_notes=tuple(w.message for w in caught if isinstance(w.message, ColumnWarning)),
        lineage=lineage,
        key=key,
        canaries=canaries,
        made=made,
        clusters=_clusters(config, units, split),
        folds=folds,
    )
    check_prepared(prepared)
    return prepared


def _with_identities(
    config: StudyConfig, schema: TableSchema, train: pa.Table, begun: TableSchema | None
) -> tuple[TableSchema, tuple[str, ...]]:
    """The schema with the identities of a study, and a line on each; of rows made elsewhere alone there are none."""
    if config.identities == "none" or all(abilities(name).holds_rows for name, _ in config.generators):
        return schema, ()
    return with_identities(schema, train, begun if begun is not None and begun.columns == schema.columns else None)


def _begun(config: StudyConfig) -> TableSchema | None:
    """The schema of the study's folder; None where there is none, or the folder is damaged, which is told later."""
    folder = Folder.open(config.storage) / str(config.study)
    folder.check_readable()
    try:
        return read_schema(folder) if folder.exists(IDENTITY) else None
    except InputError:
        return None


def _folds(
    config: StudyConfig,
    table: pa.Table,
    schema: TableSchema,
    split: Split,
    labels: np.ndarray | None,
    units: Units | None,
) -> tuple[Folds | None, list[Split]]:
    """The folds of a cross-fitted study, and each as a split; otherwise none, and the split as it is."""
    count = fold_count(config, split, labels, units)
    if count == 1:
        return None, [split]
    splits = cut_folds(table, schema, split, count, config, units)
    return folds_of(table, splits, nested=config.report == "crossfit", units=units), splits


def _clusters(config: StudyConfig, units: Units | None, split: Split) -> dict[str, np.ndarray]:
    """The groups of each part's rows, where whole groups are parted."""
    if config.group_column is None or units is None:
        return {}
    return {part: units.unit[rows] for part, rows in split.parts() if len(rows)}


def units_note(config: StudyConfig, units: Units, splits: Sequence[Split]) -> str:
    """How whole groups and times were parted, perhaps into folds."""
    split = splits[0]
    if config.group_column is None:
        return f"parts are in the order of '{config.time_column}': the latest rows are test"
    parts = ", ".join(f"{name} {len(np.unique(units.unit[rows])):,}" for name, rows in split.parts() if len(rows))
    order = "" if config.time_column is None else f", in the order of '{config.time_column}'"
    feature = "it stays a feature" if config.keep_group_column else "it is no feature, and synthetic rows have none"
    one = "part" if len(splits) == 1 else "fold"
    of = "" if len(splits) == 1 else f" in the first of {len(splits)} folds"
    return f"groups of '{config.group_column}' stay in one {one}{order}: {parts} groups{of}; {feature}"


def _canaries(config: StudyConfig, schema: TableSchema, parts: dict[str, pa.Table]) -> tuple[pa.Table, pa.Table] | None:
    if not config.canaries:
        return None
    if config.private:
        return draw_public_canaries(schema, config.canaries, seed=config.seed)
    return draw_canaries(parts, schema, config.canaries, seed=config.seed)
