"""What `dge-ray test` was asked: a table, the features to test, and how; everything that can be wrong is found here."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.evaluation.judging import check_estimator, whole
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.generators.checks import check_text
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

KEYS = [
    *("features", "alpha", "method", "target", "drop", "drop_missing_target", "ratio", "volume", "replicates"),
    *("generator", "pretrained", "learner", "seed", "out"),
]
METHODS = ("refit", "paper")
OUT = "./syntests"
LEAST_ROWS = 40  # two halves of 20
REPLICATES = 200
RATIO = 4.0
PAPER_RATIOS = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class Asked:
    """A checked request. `table`: the modelled columns alone, rows in a random order. `volumes`: one for `refit`."""

    source: str
    table: pa.Table
    schema: TableSchema
    features: tuple[str, ...]
    alpha: float
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
        return self.table.num_rows if self.method == "refit" else self.table.num_rows // 2


def read_asked(source: str, options: Mapping[str, Any]) -> Asked:
    """The checked request.

    Raises:
        InputError: an unknown key, a bad value, or a table in which the features cannot be tested.
    """
    for key in options:
        if key not in KEYS:
            raise InputError(key, "an unknown key", nearest(key, KEYS))
    method = options.get("method", "refit")
    if method not in METHODS:
        raise InputError("method", repr(method), nearest(str(method), list(METHODS)))
    seed = whole(options, "seed", 0, 0, 2**63 - 1)
    alpha = _alpha(options.get("alpha", 0.05))
    replicates = whole(options, "replicates", REPLICATES, 1, 1_000_000)
    if (least := math.ceil(1 / alpha - 1e-9) - 1) > replicates:
        raise InputError("replicates", f"{replicates} with alpha={alpha:g}", f"at least {least}: fewer never reject")
    name, settings = _part(options, "generator", "autoregressive")
    check_generator(name, settings)
    refuse_secrets("source", source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table, schema = _table(source, options)
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, UserWarning))
    check_text(name, schema)
    features = _features(options, schema)
    learner, learner_settings = _part(options, "learner", "boosting")
    check_estimator(learner, learner_settings, schema, "learner")
    if table.num_rows < LEAST_ROWS:
        got = f"{table.num_rows} rows"
        raise InputError("table", got, f"at least {LEAST_ROWS}, so that each half has {LEAST_ROWS // 2}")
    ordered = _ordered(schema, features, keep="pretrained" in options)
    start = _pretrained(options.get("pretrained"), name, ordered)
    order = numpy_generator(seed, Purpose.SPLIT).permutation(table.num_rows)
    out = Folder.open(str(options.get("out", OUT)), "out")
    out.check_readable("out")
    out.check_writable("out")
    fitted = table.num_rows if method == "refit" else table.num_rows // 2
    return Asked(
        source=source,
        table=table.select(ordered.names).take(pa.array(order)),
        schema=ordered,
        features=features,
        alpha=alpha,
        method=method,
        volumes=_volumes(options, method, fitted),
        replicates=replicates,
        generator=Recipe(name, settings, start),
        learner=(learner, learner_settings),
        seed=seed,
        out=out,
        digest=data_digest(table),
        notes=notes,
    )


def _table(source: str, options: Mapping[str, Any]) -> tuple[pa.Table, TableSchema]:
    table = load_table(source)
    if options.get("drop"):
        table = drop_columns(table, _names(options["drop"], "drop"))
    target = options.get("target") or default_target(source)
    if target is None:
        raise InputError("target", "nothing", "target=COLUMN with one of " + ", ".join(table.column_names[:30]))
    if (dropped := options.get("drop_missing_target", False)) not in (True, False):
        raise InputError("drop_missing_target", repr(dropped), "true or false")
    if dropped:
        table = drop_missing_target(table, str(target))
    check_source(table)
    return table, infer_schema(table, target=str(target))


def _features(options: Mapping[str, Any], schema: TableSchema) -> tuple[str, ...]:
    names = _names(options.get("features"), "features")
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


def _names(value: Any, field: str) -> tuple[str, ...]:
    """`[a,b]` or `a,b` as names; one that YAML took for a number is text again."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, Sequence) or not value:
        raise InputError(field, "nothing" if value is None else repr(value), "names of columns, as [a,b]")
    return tuple(str(name) for name in value)


def _ordered(schema: TableSchema, features: tuple[str, ...], *, keep: bool) -> TableSchema:
    """The modelled columns; the tested features last but for the target, so that an autoregressor draws them given the
    others at once. A saved generator has its own order (`keep`)."""
    columns = schema.modelled
    if not keep:
        columns = sorted(columns, key=lambda c: (c.name == schema.target, c.name in features))
    return replace(schema, columns=tuple(columns))


def _part(options: Mapping[str, Any], field: str, default: str) -> tuple[str, dict[str, Any]]:
    """`generator=NAME` and `generator.SETTING=VALUE`."""
    given = options.get(field, default)
    given = given if isinstance(given, Mapping) else {"name": given}
    name = given.get("name", default)
    if not isinstance(name, str):
        raise InputError(field, repr(name), "a name")
    return name, {key: value for key, value in given.items() if key != "name"}


def _alpha(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError("alpha", repr(value), "a number above 0 and below 1")
    return float(value)


def _volumes(options: Mapping[str, Any], method: str, n: int) -> tuple[int, ...]:
    """The volumes that were asked for, ascending."""
    if "volume" in options:
        if "ratio" in options:
            raise InputError("volume", f"{options['volume']!r} and a ratio", "one of the two")
        return (whole(options, "volume", None, LEAST_ROWS, 100_000_000),)
    default = RATIO if method == "refit" else list(PAPER_RATIOS)
    given = options.get("ratio", default)
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    takes = "a number above 0" + ("" if method == "refit" else ", or several as [1,2,4]")
    if not several or (method == "refit" and len(several) > 1):
        raise InputError("ratio", repr(given), takes)
    volumes = set()
    for ratio in several:
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 1e6:
            raise InputError("ratio", repr(ratio), takes)
        if (volume := round(ratio * n)) < LEAST_ROWS:
            raise InputError("ratio", f"{ratio:g}, {volume} rows", f"one that makes at least {LEAST_ROWS}")
        volumes.add(volume)
    return tuple(sorted(volumes))


def _pretrained(place: Any, name: str, schema: TableSchema) -> Saved | None:
    """The files of the saved generator that every fit starts from."""
    if place is None:
        return None
    refuse_secrets("pretrained", str(place))
    found = read_pretrained(str(place), schema)["generator"]
    if found != name:
        raise InputError("pretrained", f"a {found} generator in {place}", f"a saved {name} generator")
    with Folder.open(str(place), "pretrained").downloaded() as folder:
        names = ("generator.json", "weights.safetensors")
        return {file: (folder / file).read_bytes() for file in names}
