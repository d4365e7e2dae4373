"""Whatever frame a CSV or Parquet file holds: names, order, types, values, shares of missing values and the format of
codes come through the reading, the parts of a study, its synthetic rows and its bundle, or one line says why not."""

import datetime
import tempfile
import time
import warnings
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.frame_kinds import KINDS, READ
from helpers.frames import Frame, frames, odd_frames
from hypothesis import HealthCheck, event, given, seed, settings

from dge_ray.bundle.received import load_members
from dge_ray.commands import publish as publishing
from dge_ray.commands.check import check
from dge_ray.commands.publish import publish
from dge_ray.commands.sample import sample
from dge_ray.commands.verify import verify
from dge_ray.errors import InputError, InputErrors
from dge_ray.generators.registry import make_generator
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import generator_folder, member_file
from dge_ray.table import Kind, arrow_schema

ROWS = 512  # synthetic ones of a member
ERRORS = 5.5  # standard errors of a share: under 1e-7 of honest shares are farther off
HOUR = 3600
QUICK = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
QUICK_ODD = settings(QUICK, max_examples=100)
LONG = settings(QUICK, max_examples=100, derandomize=False, database=None)


@QUICK
@given(frames())
def test_a_frame_comes_through_a_study_and_its_bundle(frame: Frame) -> None:
    _comes_through(frame)


@QUICK_ODD
@given(odd_frames())
def test_an_odd_frame_is_read_or_refused_with_one_line(frame: Frame) -> None:
    _read_or_refused(frame)


@pytest.mark.slow
@pytest.mark.timeout(2 * HOUR)
def test_an_hour_of_frames() -> None:
    begun, number = time.monotonic(), 0
    while time.monotonic() < begun + HOUR:
        seed(number)(LONG(given(frames())(_comes_through)))()
        seed(number)(settings(LONG, max_examples=1000)(given(odd_frames())(_read_or_refused)))()
        number += 1
    assert number  # a round is 1,100 frames


def _comes_through(frame: Frame) -> None:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        source = frame.write(folder)
        prepared = _prepared(frame, source, folder)
        _holds_the_rows(frame, source, prepared)
        _is_shown(frame, source, folder, prepared)
        _is_bundled(frame, source, folder, prepared)


def _read_or_refused(frame: Frame) -> None:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = frame.write(Path(name))
        try:
            prepared = _prepared(frame, source, Path(name))
        except InputError as error:
            assert "\n" not in str(error) and "\r" not in str(error)
            event(f"refused: {error.field}"[:20])
            return
        except InputErrors as error:
            assert len(str(error).splitlines()) == len(error.errors)
            return
        event("read")
        read = prepared.schema.names
        assert read == [name for name in frame.names if name in read]
        assert sum(part.num_rows for part in prepared.parts.values()) <= len(frame.values[0])


def _prepared(frame: Frame, source: str, folder: Path) -> Prepared:
    words = [
        "generator=copula",
        "generator.resample=false",
        f"storage={folder / 'studies'}",
        "study=s",
        "learner=linear",
        "members=1",
    ]
    said = [f"csv.{key}={value}" for key, value in frame.keys.items()]
    return prepare(read_config(source, [*words, *said, f"target={frame.target}"]))


def _holds_the_rows(frame: Frame, source: str, prepared: Prepared) -> None:
    """The parts together are the rows that were written, in the types that they had."""
    known = [name for name, kind in zip(frame.names, frame.kinds, strict=True) if kind != "nothing"]
    assert prepared.schema.names == known
    table = pa.concat_tables(prepared.parts.values())
    assert table.schema.names == known
    assert table.schema == arrow_schema(prepared.schema)
    stored = None if frame.dialect is not None else pq.read_schema(source)
    for name in known:
        kind, values = frame.column(name)
        if stored is None:
            assert READ[KINDS[kind].read](table[name].type), (name, kind, table[name].type)
        else:
            assert table[name].type == stored.field(name).type, name
        column = prepared.schema[name]
        assert column.missing == (None in values)
        assert column.kind in _kinds(frame, name), (name, kind, column.kind)
        if column.kind is Kind.IDENTIFIER:
            assert any(note.column == name and "identifier" in str(note) for note in prepared.column_notes)
    meant = [values for name, values in zip(frame.names, frame.values, strict=True) if name in known]
    read = [_plain(table[name].to_pylist()) for name in known]
    assert Counter(zip(*read, strict=True)) == Counter(zip(*map(_plain, meant), strict=True))


def _kinds(frame: Frame, name: str) -> tuple[str, ...]:
    kind, values = frame.column(name)
    if len(set(values)) == 1:
        return ("constant",)
    if name == frame.target and len(set(values)) <= 10 and kind in ("integer", "cents", "float"):
        return ("categorical",)
    numbers = [value for value in values if value is not None]
    differ = kind in ("integer", "whole float") and len(set(numbers)) == len(numbers)  # of a key's name, as 'No'
    return (*KINDS[kind].modelled, *(["identifier"] if differ or kind == "word" else []))


def _plain(values: list[Any]) -> list[Any]:
    """Comparable values: decimals as the nearest float, and moments of a zone as those of UTC."""
    return [_comparable(value) for value in values]


def _comparable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value


def _is_shown(frame: Frame, source: str, folder: Path, prepared: Prepared) -> None:
    """`check`, whose keys come as a mapping here, tells of the same columns."""
    keys = {"target": frame.target, "generator": "copula", "storage": str(folder / "other"), "csv": frame.keys}
    checked = check(source, keys, lambda _: None)
    shown = {column["name"]: column for column in checked["columns"]}
    assert checked["target"] == frame.target and checked["warnings"] == list(prepared.warnings)
    assert list(shown)[: len(prepared.schema.names)] == prepared.schema.names
    assert set(shown) == set(frame.names)
    for name, column in shown.items():
        kind, values = frame.column(name)
        assert column["kind"] == ("left out" if kind == "nothing" else prepared.schema[name].kind)
        if kind != "nothing":
            assert (column["missing"], column["distinct"]) == (values.count(None), len(set(values) - {None}))


def _is_bundled(frame: Frame, source: str, folder: Path, prepared: Prepared) -> None:
    """A fitted copula's rows, what `sample` and `publish` make of them, and `verify` with and without the real rows."""
    study = _fitted(prepared)
    sampled, published = folder / "sampled", folder / "published"
    sample(str(study), {"out": str(sampled), "volume": ROWS}, lambda _: None)
    synthetic = load_members(sampled).table(0)
    _is_like(synthetic, prepared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "members_by_column", lambda *_: None)
        keys = {"out": str(published), "volume": ROWS, "allow": ["identifiers", "copies"]}
        publish(str(study), keys, lambda _: None)
    assert verify(str(published), None, lambda _: None)["faults"] == []
    looked = verify(str(published), {"real": source, "csv": frame.keys}, lambda _: None)
    assert [fault for fault in looked["faults"] if "exact copies of rare real rows" not in fault] == []
    left = load_members(published).table(0)
    assert left.schema.equals(synthetic.schema)
    for column in prepared.schema.columns:
        assert left[column.name].null_count == synthetic[column.name].null_count


def _fitted(prepared: Prepared) -> Folder:
    """The study with one member, whose rows are drawn, as `tune` leaves it."""
    study = study_folder(prepared.config.storage, prepared.name)
    claim_folder(prepared, study)
    copula = make_generator("copula", resample=False)
    copula.fit(prepared.parts["train"], prepared.schema, seed=1)
    saved = Path(study.path) / generator_folder(0)
    saved.mkdir(parents=True)
    copula.save(saved)
    study.write_json(member_file(0), {"device": "cpu", "rows": prepared.n, "generator": "copula", "loss": []})
    OpenStudy(study).spec().complete_rows(0, ROWS)
    return study


def _is_like(synthetic: pa.Table, prepared: Prepared) -> None:
    """Synthetic rows have the real ones' columns, types, categories, bounds and decimals, and as many missing values:
    their share is within 5.5 standard errors of that of the train rows."""
    train, real = prepared.parts["train"], pa.concat_tables(prepared.parts.values())
    assert synthetic.num_rows == ROWS and synthetic.schema.equals(real.schema)
    for column in prepared.schema.columns:
        name = column.name
        made = synthetic[name].drop_null().to_pylist()
        if column.kind is Kind.IDENTIFIER:
            assert synthetic[name].null_count == 0 and len(set(made)) == ROWS
            assert not any(isinstance(value, str) and not value.startswith("synthetic-") for value in made)
            continue
        share, expected = synthetic[name].null_count / ROWS, train[name].null_count / train.num_rows
        assert abs(share - expected) <= ERRORS * np.sqrt(expected * (1 - expected) / ROWS), (name, share, expected)
        there = real[name].drop_null().to_pylist()
        if column.categories:
            assert set(made) <= set(there), name
        else:
            assert not made or (min(there) <= min(made) and max(made) <= max(there)), name
        if column.decimals is not None and pa.types.is_float64(real[name].type):
            assert all(round(value, column.decimals) == value for value in made), name
