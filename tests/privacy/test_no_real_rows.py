"""No real row in anything that a private study leaves behind, and a search that finds rows where some are.

The search is of every file: exact and within 1e-6, in tables, models, databases, pages and texts.
"""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.accounting import renyi_alone
from helpers.learner_cases import QUICK
from helpers.real_rows import RealRows, pieces
from safetensors.numpy import save

from dge_ray.commands.publish import publish
from dge_ray.commands.tune import Study
from dge_ray.downstream import make_learner
from dge_ray.downstream.catalogue import LEARNERS
from dge_ray.errors import InputError, InputErrors
from dge_ray.study.arms import study_arms
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import check_folder, claim_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.private import charge_members, privacy_section
from dge_ray.study.read_config import read_config
from dge_ray.study.terminal.progress import Progress
from dge_ray.table import TableCodec, infer_schema
from dge_ray.tracking.study import not_logged

Run = Callable[..., tuple[int, str, str]]
NUMBERS = ["u", "v", "w"]
NAMED = "Nobody-Else-{}"


def table(n: int = 300) -> pa.Table:
    """Numbers that chance does not bring up again, a class that they say little of, and names."""
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {name: rng.uniform(0, 1000, n) for name in NUMBERS}
    y = np.where(columns["u"] + 300 * rng.normal(size=n) > 500, "yes", "no")
    return pa.table({**columns, "c": rng.choice(list("pqr"), n), "id": [NAMED.format(i) for i in range(n)], "y": y})


SCHEMA = infer_schema(table().drop_columns("id"), target="y")
ROWS = RealRows(table(), SCHEMA, NUMBERS, texts=[NAMED.format(11)])


def planted(kind: str, place: Path) -> None:
    matrix = ROWS.measured[np.random.default_rng(0).permutation(300)]
    if kind == "parquet":
        pq.write_table(pa.table({name: matrix[:, i].astype(np.float32) for i, name in enumerate("abc")}), place / "f")
    elif kind == "json":
        (place / "f.json").write_text(json.dumps({"deep": [{"rows": matrix.tolist()}]}))
    elif kind == "page":
        cells = "".join(f"<tr><td>{u:.9f}</td><td>{v!s}</td><td>{w:.8e}</td></tr>" for u, v, w in matrix.tolist())
        (place / "f.html").write_text(f"<img src='data:image/png;base64,AAAA1234'><table>{cells}</table>")
    elif kind == "array":
        np.save(place / "f.npy", matrix.T.astype(np.float32))
    elif kind == "weights":
        (place / "f.safetensors").write_bytes(save({"w": np.ascontiguousarray(matrix.astype(np.float32))}))
    elif kind == "database":
        with sqlite3.connect(place / "f.db") as database:
            database.execute("create table t (x text, y blob)")
            database.execute("insert into t values (?, ?)", ("nothing", gzip.compress(repr(matrix.tolist()).encode())))
        database.close()
    elif kind == "bytes":
        (place / "f").write_bytes(b"\x80\x04\xff" + matrix.astype(np.float64).tobytes())
    else:
        learner = make_learner("knn", {"algorithm": "brute"}, SCHEMA, seed=0).fit(TableCodec(SCHEMA).encode(table()))
        learner.save(place / "member=000")


KINDS = ["knn", "parquet", "json", "page", "array", "weights", "database", "bytes"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_finds_rows_that_are_there(tmp_path: Path, kind: str) -> None:
    planted(kind, tmp_path)
    (count,) = ROWS.found([tmp_path]).values()
    assert count == 300


def test_the_search_finds_a_name_and_nothing_where_nothing_is(tmp_path: Path) -> None:
    near = ROWS.measured * (1 + 4e-6)
    (tmp_path / "near.json").write_text(json.dumps(near.tolist()))
    two_of_three = ROWS.measured[:, :2]
    (tmp_path / "columns.json").write_text(json.dumps(two_of_three.tolist()))
    assert not ROWS.found([tmp_path])
    pq.write_table(table().select(["id"]), tmp_path / "names.parquet")
    assert list(ROWS.found([tmp_path]).values()) == [1]


NAMES = [name for name, entry in LEARNERS.items() if entry.text != "only" and entry.classifier]


@pytest.mark.parametrize("name", NAMES)
def test_learners_keep_of_their_rows_what_the_catalogue_says(tmp_path: Path, name: str) -> None:
    quick = {**QUICK, "boosting_tuned": {"candidates": 1, "folds": 2}, "knn": {"algorithm": "brute"}}.get(name, {})
    learner = make_learner(name, quick, SCHEMA, seed=0).fit(TableCodec(SCHEMA).encode(table()))
    learner.save(tmp_path)
    share = sum(ROWS.found([tmp_path]).values()) / 300
    low, high = {"all": (1, 1), "some": (0.1, 1), "values": (0.1, 1), "none": (0, 0)}[LEARNERS[name].keeps_rows]
    assert low <= share <= high


def test_a_learner_of_texts_keeps_words(tmp_path: Path) -> None:
    """A text of two words is there whole."""
    texts = [f"nobody{i} else" for i in range(60)]
    schema = infer_schema(pa.table({"t": texts, "y": ["a", "b"] * 30}), target="y", overrides={"t": "text"})
    for name, entry in LEARNERS.items():
        if entry.text == "only":
            columns = {"t": np.array(texts, object), "y": np.tile([0, 1], 30).astype(np.int32)}
            quick = {"text_lstm": {"min_steps": 5, "units": 4, "width": 4, "words": 100, "tokens": 4}}.get(name, {})
            make_learner(name, quick, schema, seed=0).fit(columns).save(tmp_path / name)
            held = [piece for file in (tmp_path / name).iterdir() for piece in pieces(file.read_bytes())]
            kept = any("nobody7" in piece for piece in held if isinstance(piece, str))
            assert (entry.keeps_rows == "words") == kept


WORDS = [
    *("target=y", "study=s", "members=2", "ratios=0.5,1", "drop=[id]", "seed=3", "learner=[logistic,tree]"),
    *("generator.hidden=4", "generator.embedding=2", "generator.epochs=1", "generator.batch_size=8"),
]
PRIVATE = [
    *("privacy.epsilon=2", "privacy.delta=1e-4", "columns.y={categories: ['no', 'yes']}"),
    "columns.c={categories: [p, q, r]}",
    *(f"columns.{name}={{kind: numeric, minimum: 0, maximum: 1000}}" for name in NUMBERS),
]


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(), tmp_path / "t.parquet")
    with renyi_alone():
        yield tmp_path


def config(*words: str) -> StudyConfig:
    return read_config("t.parquet", [*WORDS, *words])


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["rows=augmented"], "rows: got augmented with privacy.epsilon; takes synthetic"),
        (["rows=augmented", "weights=0.3,1"], "rows: got augmented with privacy.epsilon"),
        (["rows=augmented", "ratios=0,1", "learner=knn"], "rows: got augmented with privacy.epsilon"),
        (["weights=1"], "weights: got (0.0, 1.0) with privacy.epsilon; takes nothing"),
    ],
)
def test_learners_see_no_real_row_with_privacy(where: Path, words: list[str], fault: str) -> None:
    with pytest.raises((InputError, InputErrors)) as refusal:
        prepare(config(*PRIVATE, *words))
    assert str(refusal.value).startswith(fault) and "\n" not in str(refusal.value)
    if words[0] == "rows=augmented":
        prepare(config(*words))


@pytest.mark.parametrize(
    ("words", "rows", "why"),
    [
        ([], "synthetic", None),
        (["log_model=true"], "synthetic", None),
        (["log_model=false"], "synthetic", "log_model=false"),
        (
            ["learner=knn"],
            "augmented",
            "real rows (rows=augmented), and a fitted knn holds all of them; log_model=true",
        ),
        (["learner=svm"], "augmented", "a fitted svm holds some of them"),
        (["learner=sklearn.naive_bayes.GaussianNB"], "augmented", "is not known"),
        (["learner=knn", "learner.n_neighbors=3", "weights=1"], "augmented", "a fitted knn holds all of them"),
        (["learner=knn", "log_model=true"], "augmented", None),
        (["learner=knn", "log_model=false"], "augmented", "log_model=false"),
        ([*PRIVATE, "log_model=true"], "augmented", "privacy.epsilon does not cover"),
    ],
)
def test_an_ensemble_that_saw_real_rows_is_logged_on_request_alone(
    where: Path, words: list[str], rows: str, why: str | None
) -> None:
    read = config(f"rows={rows}", *words)
    label = study_arms(read, (1,))[-1].label
    said = not_logged(read, {"rows": rows, "learner": label})
    assert said is None if why is None else why in str(said)
    assert "\n" not in str(said)


def test_what_a_private_study_writes_before_its_fits_holds_no_real_row(where: Path) -> None:
    """Keys, configuration, schema, plan and ledger, its facts for the report; and the refusals' lines."""
    prepared = prepare(config(*PRIVATE))
    folder = check_folder(prepared)
    claim_folder(prepared, folder)
    study = Study(prepared, folder, Progress(), None)
    assert study.ledger is not None
    charge_members(study.ledger, prepared.config, 2)
    folder.write_json("said.json", [privacy_section(study.ledger), prepared.warnings, repr(study.downstream)])
    assert len(list((where / "studies").rglob("*.*"))) >= 6
    assert not ROWS.found([where / "studies"])


@pytest.mark.ray
@pytest.mark.slow
def test_nothing_that_a_finished_private_study_leaves_holds_a_real_row(run: Run, tmp_path: Path) -> None:
    """Its folder, MLflow's database and artifacts, the output, and the bundles; and a knn of real rows beside them is
    found. `uncovered=true` tells counts, and no row."""
    pq.write_table(table(), "t.parquet")
    code, out, err = run("tune", "t.parquet", *WORDS, *PRIVATE, "learner=[knn,logistic]")
    assert code == 0, err
    (tmp_path / "said").write_text(out + err)
    code, out, err = run("attack", "s", "rows=60", "attributes=[c]")
    assert code == 0, err
    (tmp_path / "said.attack").write_text(out + err)
    publish("s", {"out": "closed", "volume": 100}, lambda _: None)
    publish("s", {"out": "open", "volume": 100, "uncovered": True}, lambda _: None)
    (tmp_path / "t.parquet").unlink()
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert {".parquet", ".safetensors", ".json", ".html", ".db", ".yaml", ".md", ".skops"} <= kinds
    assert not ROWS.found([tmp_path])
    planted("knn", tmp_path / "studies")
    assert list(ROWS.found([tmp_path]).values()) == [300]
