"""`dge-ray evaluate real=... synthetic=...`: what is read to judge tables that some tool made, and what is written."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from dge_ray.commands.gates import gated, read_threshold
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.verbs import EvaluateKeys
from dge_ray.downstream.learners import check_estimator
from dge_ray.errors import InputError, InputErrors
from dge_ray.evaluation.foreign import ForeignTables, halves, judge_tables, known_target, rows_of
from dge_ray.generators.tables.reading import FIELD, TAKES, FoundTable, MadeTables
from dge_ray.options import Say
from dge_ray.report.foreign_page import render_page
from dge_ray.report.json_values import plain_json
from dge_ray.stats.metrics.losses import metric_names
from dge_ray.storage import Folder
from dge_ray.study.given import config_of
from dge_ray.study.real_table import known_kinds, read_real
from dge_ray.table import Columns, Kind, TableCodec, TableSchema, data_digest, infer_schema, load_table
from dge_ray.table.reading.python_objects import arrow_table

RESULT, PAGE = "evaluation.json", "evaluation.html"
LEAST_ROWS = 20  # of each part of the real rows, and of a table
ROLES = ("real", "test", "synthetic")  # keys that take a table of Python's too; of the last a list of them
OF_A_BUNDLE = ("members", "others", "volume", "folds")
FOUND = ("two_sample_auc", "shape_error", "trend_error", "closer", "copies")  # what a gate may be of, beside metrics
NOTED = 3  # columns whose strange values are named


@contextmanager
def places_of(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The keys with a place for each table of Python's, as long as the block lasts.

    Raises:
        InputError: something that is neither a place nor a table.
    """
    with tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch:
        folder, places = Folder.open(scratch), dict(given)
        for role in ROLES:
            value = given.get(role)
            if value is None or isinstance(value, str | os.PathLike):
                continue
            tables = list(value) if isinstance(value, list | tuple) else [value]
            if not tables or (role != "synthetic" and len(tables) > 1):
                raise InputError(role, f"{len(tables)} tables", TAKES if role == "synthetic" else "one table")
            for k, one in enumerate(tables):
                try:
                    folder.write_table(f"{role}/{k:03d}.parquet", arrow_table(one))
                except InputError as error:
                    raise InputError(role, error.got, error.takes) from None
            places[role] = str(folder / (role if role == "synthetic" else f"{role}/000.parquet"))
        yield places


def judge(keys: EvaluateKeys, named: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Read, judge, write `evaluation.json` and the page. `named`: the keys as their user gave them.

    Raises:
        InputError: a bad key or value, or a table that cannot be read or lacks a column.
        StudyError: the learner fails on some rows.
    """
    if odd := next((name for name in OF_A_BUNDLE if keys.given(name)), None):
        takes = "nothing beside real=: it is for a bundle judged without real rows"
        raise InputError(keys.spelled(odd), repr(getattr(keys, odd)), takes)
    place = keys.spelled("storage")
    out = Folder.open(keys.storage, place)
    out.check_readable(place)
    out.check_writable(place)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        schema, real, digest = _real(keys)
        test, test_digest = _test(keys, schema)
        names, found = _synthetic(keys, schema)
    name, settings = keys.learner.name, keys.learner.settings
    check_estimator(name, settings, schema, keys.spelled("learner"))
    refuse_on_cluster([name], keys.spelled("learner"))
    gate = read_threshold(keys.gate, (*metric_names(str(schema.task)), *FOUND))
    seen, unseen = halves(real, schema, keys.seed) if test is None else (real, test)
    tables = {"real": seen, "test" if test is not None else "real": unseen}
    tables |= {f"synthetic, '{one}'": two.columns for one, two in zip(names, found, strict=True)}
    for part, columns in tables.items():
        if (rows := rows_of(known_target(columns, schema))) < LEAST_ROWS:
            raise InputError(part, f"{rows} rows with a target that real rows have", f"at least {LEAST_ROWS}")
    columns = [table.columns for table in found]
    foreign = ForeignTables(schema, columns, seen, unseen, test is not None, name, settings, keys.seed)
    result = judge_tables(foreign, say)
    for own, one, table in zip(result["tables"], names, found, strict=True):
        own |= {"table": one, "strange": table.strange}
    answer = {
        **{role: _said(named.get(role)) for role in ROLES},
        "target": schema.target,
        "task": schema.task,
        "learner": name,
        "rows": {"real": rows_of(real), "test": None if test is None else rows_of(test)},
        "held_out": test is not None,
        **result,
        "notes": [*_notes(result["tables"]), *dict.fromkeys(str(one.message) for one in caught)],
    }
    answer = plain_json(answer)
    key = data_digest(pa.table({"of": [digest, str(test_digest), *names, str(named.get("synthetic"))]}))
    folder = out / key[:16]
    folder.write_json(RESULT, answer)
    folder.write_bytes(PAGE, render_page(answer).encode())
    scores = {**{metric: one["together"] for metric, one in answer["usefulness"]["scores"].items()}, **_found(answer)}
    met = gate is None or gate.met(scores[gate.name])
    return gated({**answer, "page": str(folder / PAGE), "file": str(folder / RESULT)}, keys.gate, met)


def _real(keys: EvaluateKeys) -> tuple[TableSchema, Columns, str]:
    """The real table's schema without free text, its encoded rows, and its digest."""
    reading = {name: getattr(keys, name) for name in ("query", "table", "sheet") if keys.given(name)}
    given = {"drop_missing_target": True, **reading, **({"target": keys.target} if keys.target is not None else {})}
    if keys.given("csv"):
        given["csv"] = keys.csv.model_dump(exclude_unset=True)
    try:
        with config_of(str(keys.real), given, keep=False) as config:
            table, target = read_real(config)
            schema = infer_schema(table, target=target, overrides=known_kinds(config, table))
    except InputErrors as errors:
        raise _renamed(errors.errors[0], "real") from None
    except InputError as error:
        raise _renamed(error, "real") from None
    schema = replace(schema, columns=tuple(c for c in schema.columns if c.kind is not Kind.TEXT))
    if not schema.features:
        raise InputError("real", f"no column beside '{target}' that varies", "at least one feature that is no text")
    return schema, TableCodec(schema).encode(table), data_digest(table)


def _test(keys: EvaluateKeys, schema: TableSchema) -> tuple[Columns | None, str | None]:
    if keys.test is None:
        return None, None
    try:
        table = load_table(keys.test, keys.reading, schema.dated)
        return TableCodec(schema).encode(table), data_digest(table)
    except InputError as error:
        raise _renamed(error, "test") from None


def _synthetic(keys: EvaluateKeys, schema: TableSchema) -> tuple[list[str], list[FoundTable]]:
    """The tables' names and their rows."""
    if keys.synthetic is None:
        raise InputError("synthetic", "nothing", TAKES)
    try:
        made = MadeTables(keys.synthetic)
        return made.names, [made.find(k, schema) for k in range(len(made.names))]
    except InputError as error:
        raise _renamed(error, "synthetic", (FIELD,)) from None


def _renamed(error: InputError, role: str, fields: tuple[str, ...] = ("source",)) -> InputError:
    """The error with the user's own key in place of a field of what reads it."""
    if error.field in fields:
        return InputError(role, error.got, error.takes)
    field = f"{role}, {error.field}" if error.field.startswith("column '") else error.field
    return InputError(field, error.got, error.takes)


def _said(value: Any) -> Any:
    """A place as it was given; of a table of Python's its type."""
    if value is None or isinstance(value, str | os.PathLike):
        return None if value is None else os.fspath(value)
    many = isinstance(value, list | tuple)
    return f"{len(value)} tables of Python's" if many and len(value) > 1 else "a table of Python's"


def _notes(tables: list[dict[str, Any]]) -> list[str]:
    """How many values no real row has, by table; as many columns of each as can be read at a glance."""
    notes = []
    for one in tables:
        worst = sorted(one["strange"].items(), key=lambda item: -item[1])[:NOTED]
        if worst:
            said = ", ".join(f"{count:,} in '{name}'" for name, count in worst)
            more = f" and {len(one['strange']) - NOTED} more columns" if len(one["strange"]) > NOTED else ""
            notes.append(f"'{one['table']}' has values that the real table has not: {said}{more}")
    return notes


def _found(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a gate may be of, beside metrics."""
    fidelity, near = answer["fidelity"], answer["nearest"]
    return {
        "two_sample_auc": {"value": fidelity["two_sample_auc"], "interval": fidelity["interval"]},
        "shape_error": {"value": fidelity["shape_error"]},
        "trend_error": {"value": fidelity["trend_error"]},
        "closer": None if near["closer"] is None else {"value": near["closer"], "interval": near["interval"]},
        "copies": {"value": near["copies"]},
    }
