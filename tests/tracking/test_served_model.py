"""The logged model as people serve it, against the ensemble's own predictions: MLflow's parsers, its command line, a
scoring server, and a process that has no `dge_ray`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.ensemble import make_ensemble

import dge_ray
from dge_ray.downstream import load_learner
from dge_ray.errors import InputError
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.tracking import server as tracking_server
from dge_ray.tracking.model import ModelFacts, _save
from dge_ray.tracking.scoring import FittedEnsemble
from dge_ray.tracking.tracker import Tracker

PACKAGE = Path(dge_ray.__file__).parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def database(folder: Path, empty_database: bytes) -> str:
    (folder / "mlflow.db").write_bytes(empty_database)
    return f"sqlite:///{folder}/mlflow.db"


Saved = tuple[Path, TableSchema, pd.DataFrame]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The model's folder, its schema, and the rows of its features as the table holds them."""
    place = tmp_path_factory.mktemp("model")
    schema, table = make_ensemble(place / "ensemble", "binary")
    with tracking_server.quiet():
        _save(place, place / "ensemble", "model", "0" * 32, "m-0")
    return place / "model", schema, table.drop_columns(["answer"]).to_pandas()


def odd_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Five rows as others write them: nothing but gaps or whole numbers in one column, dates as text."""
    rows = frame.head().copy()
    rows["size"] = [1, 2, 3, 4, 5]  # whole numbers where the table has fractions
    rows["count"] = [2.0, None, 4.0, 5.0, 6.0]  # floats and a gap where it has whole numbers
    rows["born"] = ["1970-01-31", "1980-01-31T00:00:00", "1990-01-31 00:00:00", "1970-01-31", "1970-01-31"]
    rows["colour"] = ["red", None, "green", "blue", "red"]
    return rows


def expected(saved: Saved, rows: pd.DataFrame) -> pd.DataFrame:
    """What the ensemble says of the same rows in the table's own types."""
    born = pd.to_datetime(rows["born"], format="ISO8601").dt.date
    typed = rows.assign(born=born, size=rows["size"].astype(float))
    return FittedEnsemble(saved[0] / "artifacts" / "ensemble").predict(typed)


def scored(answer: str) -> pd.DataFrame:
    return pd.DataFrame(json.loads(answer)["predictions"])


def as_json(rows: pd.DataFrame, form: str) -> str:
    plain = json.loads(rows.to_json(orient="split" if form == "dataframe_split" else "records"))
    if form == "inputs":
        plain = {name: [row[name] for row in plain] for name in rows}
    return json.dumps({form: plain})


@pytest.mark.parametrize("form", ["csv", "dataframe_split", "dataframe_records", "inputs"])
@pytest.mark.parametrize("server", [False, True])
def test_gaps_whole_numbers_and_dates_as_text_by_every_door(
    form: str, server: bool, saved: Saved, folder: Path
) -> None:
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import _predict, invocations

    rows = odd_rows(saved[2])
    sent = rows.to_csv(index=False) if form == "csv" else as_json(rows, form)
    if server:
        model = load_model(str(saved[0]))
        kind = "text/csv" if form == "csv" else "application/json"
        answer = invocations(sent, kind, model, model.metadata.get_input_schema())
        assert answer.status == 200, answer.response
        found = scored(answer.response)
    else:
        (folder / "rows").write_text(sent, encoding="utf-8")
        _predict(str(saved[0]), str(folder / "rows"), str(folder / "out"), "csv" if form == "csv" else "json")
        found = scored((folder / "out").read_text(encoding="utf-8"))
    wanted = expected(saved, rows)
    assert wanted["proba_yes"].nunique() > 2, "or equal predictions would prove nothing"
    pd.testing.assert_frame_equal(found[list(wanted)], wanted, check_dtype=False, rtol=1e-12)


def test_one_row_of_gaps_and_one_without_the_columns_that_may_be_missing(saved: Saved) -> None:
    from mlflow.pyfunc import load_model

    model, row = load_model(str(saved[0])), saved[2].head(1)
    gaps = model.predict(row.assign(size=None, count=None))
    own = FittedEnsemble(saved[0] / "artifacts" / "ensemble").predict(row.assign(size=np.nan, count=np.nan))
    pd.testing.assert_frame_equal(gaps, own)
    pd.testing.assert_frame_equal(model.predict(row.drop(columns=["size", "count"])), gaps)
    record = {**row.iloc[0].to_dict(), "size": None, "count": None}
    pd.testing.assert_frame_equal(model.predict(record), gaps, check_index_type=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"born": "31/01/1970"}, "column 'born': got '31/01/1970'; takes ISO dates"),
        ({"born": 12}, "column 'born': got 12; takes ISO dates"),
        ({"size": "tall"}, "column 'size': got 'tall'; takes numbers"),
        ({"flag": ...}, "column 'flag': got no such column"),
    ],
)
def test_what_cannot_be_read_is_named(change: dict, says: str, saved: Saved) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model

    (name, value), *_ = change.items()
    rows = saved[2].head()
    rows = rows.drop(columns=name) if value is ... else rows.assign(**{name: value})
    with pytest.raises(MlflowException) as told:
        load_model(str(saved[0])).predict(rows)
    assert told.value.message.startswith(says) and "\n" not in told.value.message
    with pytest.raises(InputError):
        FittedEnsemble(saved[0] / "artifacts" / "ensemble").predict(rows)


def test_what_the_model_says_of_itself_comes_of_the_schema(saved: Saved) -> None:
    from mlflow.models import Model

    model = Model.load(str(saved[0]))
    assert model.signature is not None
    assert [(c.name, c.type.name) for c in model.signature.outputs] == [
        ("proba_no", "double"),
        ("proba_yes", "double"),
        ("prediction", "string"),
    ]
    columns = {c["name"]: (c["type"], c["required"]) for c in model.metadata["columns"]}
    assert columns == {
        "size": ("double", False),
        "colour": ("string", True),
        "flag": ("boolean", True),
        "count": ("double", False),
        "born": ("date, or ISO text", True),
        "code": ("string", True),
    }


def test_its_requirements_can_be_installed_and_its_code_is_in_it(saved: Saved) -> None:
    lines = (saved[0] / "requirements.txt").read_text(encoding="utf-8").split()
    assert not [line for line in lines if "dge" in line]
    assert {line.partition("==")[0] for line in lines} >= {"mlflow", "scikit-learn", "skops", "pyarrow"}
    assert all("==" in line and "+" not in line for line in lines)
    copied = {path.relative_to(saved[0] / "code") for path in (saved[0] / "code").rglob("*.py")}
    assert copied == {path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")}
    assert not [path for path in saved[0].rglob("*") if path.suffix in (".pkl", ".pickle", ".parquet")]


ELSEWHERE = """
import importlib.util, sys
from pathlib import Path
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path = [place for place in sys.path if not (Path(place) / "dge_ray").exists()]
assert importlib.util.find_spec("dge_ray") is None
import pandas as pd
from mlflow.pyfunc import load_model
model, rows, out = sys.argv[1:]
load_model(model).predict(pd.read_csv(rows)).to_json(out, orient="records")
import dge_ray
assert Path(dge_ray.__file__).is_relative_to(Path(model) / "code"), dge_ray.__file__
"""


def test_a_process_without_this_package_loads_it(saved: Saved, folder: Path) -> None:
    rows = odd_rows(saved[2])
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "score.py").write_text(ELSEWHERE, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "score.py", str(saved[0]), "rows.csv", "out.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    wanted = expected(saved, rows)
    found = pd.read_json(folder / "out.json", orient="records")
    pd.testing.assert_frame_equal(found[list(wanted)], wanted, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_ensemble_as_a_pyfunc_model(task: str, database: str, folder: Path):
    """Against the mean of the members' own predictions, float64 of float32 values: equal but for the last bits."""
    from mlflow import MlflowClient
    from mlflow.pyfunc import load_model

    schema, table = make_ensemble(folder / "ensemble", task)
    frame = table.drop_columns(["answer"]).to_pandas()
    columns = TableCodec(schema).encode(table)
    members = [load_learner(folder / "ensemble" / f"member=00{k}", schema).predict(columns) for k in range(2)]
    mean = np.stack(members).astype(np.float64).mean(axis=0)
    assert np.abs(members[0] - members[1]).max() > 1e-3, "members that agree would prove nothing"
    for _ in range(2):
        tracker = Tracker.open("adult", "abc")
        tracker.log_dataset("adult.parquet", "ab" * 32, 1000, 3)
        tracker.log_model(folder / "ensemble", about=ModelFacts({"members": "2"}, {"model/log_loss": 0.4}))
        assert tracker.close() == 0
    assert tracker.model_uri == f"runs:/{tracker.run_id}/model"
    reader = MlflowClient(database, registry_uri=database)
    [logged] = reader.search_logged_models([tracker.experiment_id])
    [metric] = reader.get_logged_model(logged.model_id).metrics  # which tells of the real table, and the table of it
    assert (metric.key, metric.value, metric.run_id) == ("model/log_loss", 0.4, tracker.run_id)
    assert (metric.dataset_name, metric.dataset_digest) == ("adult.parquet", "ab" * 18)
    [found] = reader.search_logged_models([tracker.experiment_id], datasets=[{"dataset_name": "adult.parquet"}])
    assert found.model_id == logged.model_id and logged.params == {"members": "2"}
    assert logged.source_run_id == tracker.run_id and str(logged.status) == "READY"
    model = load_model(f"runs:/{tracker.run_id}/model")
    scored = model.predict(frame)
    if task == "binary":
        np.testing.assert_allclose(scored[["proba_no", "proba_yes"]].to_numpy(), mean, rtol=1e-12)
        assert scored["prediction"].tolist() == [("no", "yes")[code] for code in mean.argmax(axis=1)]
    else:
        np.testing.assert_allclose(scored["prediction"].to_numpy(), mean[:, 0], rtol=1e-12)
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "pyfunc.py" in files and not [name for name in files if name.endswith((".pkl", ".pickle"))]


def test_a_model_logged_before_the_rooms_still_loads(folder: Path):
    """Its own code, a copy in the model, says `from dge_ray.scoring import FittedEnsemble`."""
    from mlflow.pyfunc import load_model, save_model

    _, table = make_ensemble(folder / "ensemble", "binary")
    frame = table.drop_columns(["answer"]).to_pandas()
    code = (PACKAGE / "tracking" / "pyfunc.py").read_text().replace("dge_ray.tracking.scoring", "dge_ray.scoring")
    assert "from dge_ray.scoring import FittedEnsemble" in code
    (folder / "_pyfunc.py").write_text(code)
    with tracking_server.quiet():
        save_model(
            folder / "model",
            python_model=folder / "_pyfunc.py",
            artifacts={"ensemble": str(folder / "ensemble")},
            pip_requirements=["dge-ray"],
        )
        scored = load_model(str(folder / "model")).predict(frame)
    pd.testing.assert_frame_equal(scored, FittedEnsemble(folder / "ensemble").predict(frame))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "json"])
def test_mlflow_models_predict_scores_the_model(form: str, saved: Saved, folder: Path) -> None:
    """The command itself, with the local environment."""
    rows = odd_rows(saved[2])
    (folder / "rows").write_text(
        rows.to_csv(index=False) if form == "csv" else as_json(rows, "dataframe_split"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(saved[0]), "-i", "rows", "-t", form]
    command += ["-o", "scored.json", "--env-manager", "local"]
    done = subprocess.run(command, cwd=folder, env=_plain(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    wanted = expected(saved, rows)
    found = scored((folder / "scored.json").read_text(encoding="utf-8"))
    pd.testing.assert_frame_equal(found[list(wanted)], wanted, check_dtype=False, rtol=1e-12)


@pytest.mark.slow
def test_a_scoring_server_scores_the_model(saved: Saved, folder: Path) -> None:
    rows = odd_rows(saved[2])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(saved[0]), "-h", "127.0.0.1"]
    command += ["-p", str(port), "--env-manager", "local", "-w", "1"]
    with (folder / "log").open("w") as log:
        served = subprocess.Popen(command, cwd=folder, env=_plain(), stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
                break
            except OSError:
                assert served.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.5)
        for kind, sent in {
            "text/csv": rows.to_csv(index=False),
            "application/json": as_json(rows, "dataframe_split"),
        }.items():
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", sent.encode(), {"Content-Type": kind}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                found = scored(answer.read().decode())
            wanted = expected(saved, rows)
            pd.testing.assert_frame_equal(found[list(wanted)], wanted, check_dtype=False, rtol=1e-12)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(served.pid, signal.SIGTERM)
        served.wait(30)


def _plain() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where MLflow looks for uvicorn
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
