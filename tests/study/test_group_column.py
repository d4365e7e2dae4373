"""Studies of rows that come in groups: what the keys take, what is told, and the patients' example against its truth.

The example: each patient has a measure x (all but the same in each of its rows), noise w, and an outcome that is a coin
per patient. Nothing tells of a new patient's outcome: the AUC on new patients is .5 whatever is fitted. Rows parted at
random promise nearly 1.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from dge_ray.downstream import make_learner
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec


def patients(count: int, seed: int) -> pa.Table:
    rng, who = np.random.default_rng(seed), np.repeat(np.arange(count), 8)
    x = rng.normal(size=count)[who] + 0.01 * rng.normal(size=len(who))
    y = np.array(["s", "t"])[rng.permutation(count) % 2][who]
    when = pa.array(rng.integers(0, 900, len(who))).cast(pa.int32()).cast(pa.date32())
    return pa.table({"patient": who, "x": x, "w": rng.normal(size=len(who)), "when": when, "y": y})


def prepared(folder: Path, *words: str, table: pa.Table | None = None) -> tuple[Prepared, list[str]]:
    file, said = folder / "t.parquet", []
    pq.write_table(patients(60, 0) if table is None else table, file)
    return prepare(read_config(str(file), ["target=y", f"storage={folder}", *words]), said.append), said


def whole(study: Prepared, names: np.ndarray) -> bool:
    parts = [set(names[np.isin(names, part["patient"].to_numpy())]) for part in study.parts.values()]
    return sum(map(len, parts)) == len(set(names))


def test_groups_stay_together_and_their_column_goes(tmp_path: Path) -> None:
    study, said = prepared(tmp_path, "group_column=patient")
    assert study.schema.names == ["x", "w", "when", "y"]
    [line] = said
    assert line == (
        "warning: groups of 'patient' stay in one part: train 37, stopping 4, validation 7, test 12 groups; it is no "
        "feature, and synthetic rows have none"
    )
    kept, said = prepared(tmp_path, "group_column=patient", "keep_group_column=true")
    assert "patient" in kept.schema.names and whole(kept, np.arange(60)) and "stays a feature" in said[-1]
    timed, said = prepared(tmp_path, "time_column=when", "drop=patient")
    assert timed.parts["train"]["when"].to_numpy().max() < timed.parts["test"]["when"].to_numpy().min()
    assert said[-1] == "warning: parts are in the order of 'when': the latest rows are test"
    assert study.identity()["split"] == [None, 0.2, 0.15, 0.1, {"group_column": "patient"}]
    assert timed.identity()["split"][4:] == [{"time_column": "when"}]


def test_a_study_of_before_is_what_it_was(tmp_path: Path) -> None:
    study, said = prepared(tmp_path, "drop=patient,x")
    assert study.identity()["split"] == [None, 0.2, 0.15, 0.1] and said == []


def test_random_rows_are_warned_about(tmp_path: Path) -> None:
    _, said = prepared(tmp_path)
    assert [line for line in said if "group_column=patient keeps a group's rows together" in line]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["group_column=y"], "group_column: got 'y', the target; takes another column"),
        (["time_column=y"], "time_column: got 'y', the target; takes another column"),
        (
            ["group_column=patient", "time_column=patient"],
            "time_column: got 'patient', the group column; takes another",
        ),
        (["group_column=patient", "drop=patient"], "group_column: got 'patient', which drop leaves out; takes"),
        (["keep_group_column=true"], "keep_group_column: got true without group_column"),
        (["group_column=patent"], "group_column: got 'patent', which is no column; takes one of patient"),
        (
            ["group_column=patient", "privacy.epsilon=1"],
            "group_column: got patient with privacy.epsilon; takes nothing",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, words: list[str], line: str) -> None:
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, *words)
    assert str(caught.value).startswith(line)


def risk(study: Prepared, rows: pa.Table, seed: int) -> tuple[TableCodec, np.ndarray, np.ndarray]:
    """A learner on synthetic rows of one generator: its scores of the test rows, and of other rows."""
    generator = make_generator("autoregressive")
    generator.fit(study.parts["train"], study.schema, seed=seed, device="cpu")
    codec = TableCodec(study.schema)
    learner = make_learner("boosting", {}, study.schema, seed=seed)
    learner.fit(codec.encode(generator.sample(1200, seed=seed)))
    return codec, *(learner.predict(codec.encode(table))[:, 1] for table in (study.parts["test"], rows))


@pytest.mark.slow
def test_the_patients_example_is_no_longer_optimistic(tmp_path: Path) -> None:
    """TSTR AUC, with the .95 interval of a bootstrap over test patients, against the AUC on 300 new patients."""
    new = patients(300, 99)
    held, optimistic = 0, []
    for seed in range(4):
        words = [f"seed={seed}", "drop=when"]
        table = patients(60, seed)
        study, _ = prepared(tmp_path, "group_column=patient", *words, table=table)
        codec, scores, news = risk(study, new, seed)
        of_x = dict(zip(table["x"].to_pylist(), table["patient"].to_pylist(), strict=True))
        who = np.array([of_x[x] for x in study.parts["test"]["x"].to_pylist()])
        y = codec.encode(study.parts["test"])["y"]
        rng, aucs = np.random.default_rng(seed), []
        for _ in range(400):
            rows = np.concatenate([np.flatnonzero(who == k) for k in rng.choice(np.unique(who), len(np.unique(who)))])
            aucs += [roc_auc_score(y[rows], scores[rows])] if len(set(y[rows])) == 2 else []
        low, high = np.quantile(aucs, [0.025, 0.975])
        held += low <= roc_auc_score(codec.encode(new)["y"], news) <= high
        flat, _ = prepared(tmp_path, *words, table=table)
        codec, scores, _ = risk(flat, new, seed)
        optimistic.append(roc_auc_score(codec.encode(flat.parts["test"])["y"], scores))
    assert held >= 3, held
    assert min(optimistic) > 0.9, optimistic
