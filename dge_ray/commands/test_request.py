"""What `dge-ray test` is to do: a table, the features to test, and how; everything that can be wrong is found here."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.verbs import SynTestKeys
from dge_ray.downstream.learners import check_estimator
from dge_ray.errors import InputError, nearest
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.generators.checks import check_text, refuse_made_elsewhere
from dge_ray.generators.registry import check_generator
from dge_ray.inference.replicates import Recipe, Saved
from dge_ray.masking import refuse_secrets
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.storage import Folder
from dge_ray.table import (
    Kind,
    TableSchema,
    check_source,
    data_digest,
    default_target,
    drop_columns,
    drop_missing_target,
    infer_schema,
    load_table,
)

LEAST_ROWS = 40  # two halves of 20
RATIO = 4.0
PAPER_RATIOS = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class SynTestRequest:
    """A checked request. `table`: the modelled columns alone, rows in a random order. `volumes`: one for `refit`."""

    source: str
    table: pa.Table
    schema: TableSchema
    features: tuple[str, ...]
    alpha: float
    epsilon: float | None
    method: str
    volumes: tuple[int, ...]
    replicates: int
    generator: Recipe
    learner: tuple[str, dict[str, Any]]
    seed: int
    out: Folder
    digest: str
    notes: tuple[str, ...]

    @property
    def fitted_rows(self) -> int:
        """n: the rows behind a generator."""
        return self.table.num_rows // 2 if self.method == "paper" else self.table.num_rows


def read_request(source: str, options: Mapping[str, Any] | None = None) -> SynTestRequest:
    """The checked request.

    Raises:
        InputError: an unknown key, a bad value, or a table in which the features cannot be tested.
        InputErrors: several of these.
    """
    keys = SynTestKeys.read(options)
    place = keys.spelled("storage")
    out = Folder.open(keys.storage, place)
    out.check_readable(place)
    out.check_writable(place)
    alpha, replicates, generator, learner = keys.alpha, keys.replicates, keys.generator, keys.learner
    if (least := math.ceil(1 / alpha - 1e-9) - 1) > replicates and keys.method != "gcm":
        raise InputError("replicates", f"{replicates} with alpha={alpha:g}", f"at least {least}: fewer never reject")
    if keys.epsilon is not None and keys.method != "refit":
        raise InputError("epsilon", f"{keys.epsilon:g} with method={keys.method}", "method=refit")
    check_generator(generator.name, generator.settings)
    refuse_made_elsewhere(generator.name, "to each half and null table")
    refuse_secrets("source", source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table, schema = _table(source, keys)
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, UserWarning))
    check_text(generator.name, schema)
    features = _features(keys.features, schema)
    check_estimator(learner.name, learner.settings, schema, keys.spelled("learner"))
    refuse_on_cluster([learner.name], keys.spelled("learner"))
    if table.num_rows < LEAST_ROWS:
        got = f"{table.num_rows} rows"
        raise InputError("table", got, f"at least {LEAST_ROWS}, so that each half has {LEAST_ROWS // 2}")
    ordered = _ordered(schema, features, keep=keys.given("pretrained"))
    start = _pretrained(keys.pretrained, generator.name, ordered)
    order = numpy_generator(keys.seed, Purpose.SPLIT).permutation(table.num_rows)
    fitted = table.num_rows // 2 if keys.method == "paper" else table.num_rows
    return SynTestRequest(
        source=source,
        table=table.select(ordered.names).take(pa.array(order)),
        schema=ordered,
        features=features,
        alpha=alpha,
        epsilon=keys.epsilon,
        method=keys.method,
        volumes=_volumes(keys, fitted),
        replicates=replicates,
        generator=Recipe(generator.name, generator.settings, start),
        learner=(learner.name, learner.settings),
        seed=keys.seed,
        out=out,
        digest=data_digest(table),
        notes=notes,
    )


def _table(source: str, keys: SynTestKeys) -> tuple[pa.Table, TableSchema]:
    table = load_table(source, keys.reading)
    if keys.drop:
        table = drop_columns(table, keys.drop)
    target = keys.target or default_target(source)
    if target is None:
        raise InputError("target", "nothing", "target=COLUMN with one of " + ", ".join(table.column_names[:30]))
    if keys.drop_missing_target:
        table = drop_missing_target(table, target)
    check_source(table)
    return table, infer_schema(table, target=target)


def _features(names: tuple[str, ...], schema: TableSchema) -> tuple[str, ...]:
    """The names, each that of a column that can be tested."""
    for name in names:
        others = [n for n in schema.names if n != schema.target]
        if name == schema.target:
            raise InputError("features", f"'{name}', the target", "other columns: " + nearest("", others))
        if name not in schema.names:
            raise InputError("features", f"'{name}', which is no column", nearest(name, others))
        if schema[name].kind is Kind.CONSTANT:
            raise InputError("features", f"'{name}', which is constant", "features that vary")
        if schema[name].kind is Kind.IDENTIFIER:
            raise InputError("features", f"'{name}', an identifier", "features that repeat or are measured")
    if len(set(names)) < len(names):
        raise InputError("features", ", ".join(names), "each column once")
    if len(names) == len(schema.features):
        raise InputError("features", "all columns but the target", "some of them: the others are what is compared with")
    return names


def _ordered(schema: TableSchema, features: tuple[str, ...], *, keep: bool) -> TableSchema:
    """The modelled columns; the tested features last but for the target, so that an autoregressor draws them given the
    others at once. A saved generator has its own order (`keep`)."""
    columns = schema.varying
    if not keep:
        columns = sorted(columns, key=lambda c: (c.name == schema.target, c.name in features))
    return replace(
        schema, columns=tuple(columns), identities=(), orders=()
    )  # what a column adds is asked of all of them


def _volumes(keys: SynTestKeys, n: int) -> tuple[int, ...]:
    """The volumes that were asked for, ascending."""
    if keys.volume is not None:
        if keys.ratio is not None:
            raise InputError("volume", f"{keys.volume} and a ratio", "one of the two")
        return (keys.volume,)
    ratios = keys.ratio or (PAPER_RATIOS if keys.method == "paper" else (RATIO,))
    if keys.method != "paper" and len(ratios) > 1:
        raise InputError("ratio", f"[{', '.join(f'{ratio:g}' for ratio in ratios)}]", "a number above 0")
    for ratio in ratios:
        if (volume := round(ratio * n)) < LEAST_ROWS:
            raise InputError("ratio", f"{ratio:g}, {volume} rows", f"one that makes at least {LEAST_ROWS}")
    return tuple(sorted({round(ratio * n) for ratio in ratios}))


def _pretrained(place: str | None, name: str, schema: TableSchema) -> Saved | None:
    """The files of the saved generator that every fit starts from."""
    if place is None:
        return None
    refuse_secrets("pretrained", place)
    saved = read_pretrained(place, schema)["generator"]
    if saved != name:
        raise InputError("pretrained", f"a {saved} generator in {place}", f"a saved {name} generator")
    with Folder.open(place, "pretrained").downloaded() as folder:
        names = ("generator.json", "weights.safetensors")
        return {file: (folder / file).read_bytes() for file in names}
