"""`dge-ray test` over Ray: the answer, that no replicate is done twice, and that a cut-off run gives the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import norm

from dge_ray.commands import test as verb
from dge_ray.distributed.refits import run_refits
from dge_ray.errors import InputError
from dge_ray.storage import Folder

Run = Callable[..., tuple[int, str, str]]
SMALL = ["target=y", "learner=ridge", "generator.epochs=2", "generator.hidden=8", "generator.bins=8", "ratio=1"]


def no_word(_: str) -> None:
    return None


def table(path: Path, n: int = 80, effect: float = 1.0) -> Path:
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((2, n))
    frame = pd.DataFrame({"x": x, "z": z, "y": x + effect * z + rng.standard_normal(n)})
    frame.to_parquet(path, index=False)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.usefixtures("cluster")
def test_replicates_of_anything_are_done_once(tmp_path: Path) -> None:
    """The seam: no test, no generator. Cut off after the first result, it goes on; more replicates are added."""
    folder, fits = Folder.open(tmp_path), {"base": lambda: {"a/b": b"7"}}

    def work(files):
        return lambda replicate: {"value": int(files["base"]["a/b"]) * replicate}

    def cut_off(line: str) -> None:
        if "of 5 replicates" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_refits(fits, work, 5, folder=folder, say=cut_off)
    before = contents(tmp_path)
    kept = {name: (tmp_path / name).stat().st_mtime_ns for name in before}
    done = sum(name.startswith("replicates/") for name in before)
    assert 1 <= done < 5 and "base/files.json" in before
    results, cost = run_refits(fits, work, 5, folder=folder, say=no_word)
    assert results == [{"value": 7 * r} for r in range(5)]
    assert (cost["done"], cost["read"]) == (5 - done, done)
    assert all((tmp_path / name).stat().st_mtime_ns == stamp for name, stamp in kept.items())
    results, cost = run_refits(fits, work, 7, folder=folder, say=no_word)
    assert len(results) == 7 and (cost["done"], cost["read"]) == (2, 5)


@pytest.mark.usefixtures("cluster")
def test_the_verb(run: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.parquet")
    words = ["test", "t.parquet", "features=[z]", *SMALL, "replicates=19"]
    code, out, err = run(*words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert {"p_value", "statistic", "volume", "replicates", "type_one_error", "method"} <= set(found)
    assert (found["method"], found["volume"], found["replicates"], found["ratio"]) == ("refit", 80, 19, 1.0)
    assert found["p_value"] in [k / 20 for k in range(1, 21)] and found["type_one_error"] == pytest.approx(0.05)
    assert found["rejected"] == (found["p_value"] <= 0.05) == (found["statistic"] > found["null"]["critical"])
    assert found["raw"]["p_normal"] == pytest.approx(norm.sf(found["raw"]["statistic"]))
    assert found["raw"]["p_null_tables"] == 0.05 and found["raw"]["rows"] == 80  # a strong effect in the rows
    assert found["refits"]["done"] == 20 and "20 of 20 replicates" in err
    (kept,) = (tmp_path / "syntests").iterdir()
    files = sorted((kept / "replicates").iterdir())
    values = [json.loads(file.read_text())["statistic"] for file in files]
    assert len(files) == 20 and len(set(values)) == 20 and values[0] == found["statistic"]
    assert found["p_value"] == (1 + sum(v >= values[0] for v in values[1:])) / 20
    code, out, _ = run(*words)
    assert code == 0 and "0 done now, 20 read" in out
    low, high = found["p_interval"]
    left_open = f"({low:.4f} to {high:.4f} by its number of replicates)"
    assert (
        f"p = {found['p_value']:.4f} {left_open} at level 0.05" in out
        and "method: refit, 19 replicates, volume 80 (1x)" in out
    )


@pytest.mark.usefixtures("cluster")
def test_a_test_whose_null_law_is_wrong_is_withheld(run: Run, tmp_path: Path) -> None:
    """The copula sees no square: x = z^2 + noise would be rejected for y = z^2 + noise. No replicate is made."""
    rng = np.random.default_rng(0)
    z, e, u = rng.standard_normal((3, 300))
    pd.DataFrame({"z": z, "x": z**2 + u / 2, "y": z**2 + e}).to_parquet(tmp_path / "t.parquet")
    words = ["test", "t.parquet", "target=y", "features=[x]", "generator=copula", "learner=ridge", "replicates=19"]
    code, out, err = run(*words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["rejected"] is None and found["p_value"] is None and found["null_law"]["p_value"] <= 0.05
    (kept,) = (tmp_path / "syntests").iterdir()
    assert not (kept / "replicates").exists()
    code, out, _ = run(*words)
    assert code == 0 and "\nwithheld: the generator does not draw" in out and "by residuals (gcm): p =" in out
    code, out, _ = run(*words, "epsilon=0.05", "--json")  # guarded, it is the real rows' own decision
    assert json.loads(out)["rejected"] == (found["gcm"]["p_value"] <= 0.05)
    code, out, err = run(*words, "epsilon=0.05", "method=paper")
    assert code == 2 and err.splitlines()[-1] == "dge-ray: epsilon: got 0.05 with method=paper; takes method=refit"


def test_residuals_need_no_generator(run: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.parquet", 200)
    words = ["test", "t.parquet", "target=y", "features=[z]", "method=gcm"]
    code, out, err = run(*words, "--json")
    found = json.loads(out)
    assert code == 0 and found["rejected"] and found["generator"] is None, err
    assert not (tmp_path / "syntests").exists()
    code, out, _ = run(*words)
    assert code == 0 and out.splitlines()[1] == "method: gcm, residuals of real rows; no synthetic row"
    with pytest.raises(InputError, match=r"^method: got 'gcm' with a statistic of one's own"):
        options = {"features": "z", "target": "y", "method": "gcm"}
        verb.test(str(tmp_path / "t.parquet"), options, no_word, statistic=lambda rows, seed: 0.0, label="none")


@pytest.mark.usefixtures("cluster")
def test_the_published_procedure(run: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.parquet", 100)
    words = [*SMALL[:-1], "ratio=[1,2]", "method=paper", "replicates=20"]
    code, out, err = run("test", "t.parquet", "features=[z]", *words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["notes"][0] == "not calibrated unless m is far below the rows behind the generator"
    assert [cell["volume"] for cell in found["curve"]] == [50, 100]
    for cell in found["curve"]:
        low, high = cell["type_one_interval"]
        assert low <= cell["type_one_error"] <= high
    volumes = [None, *(cell["volume"] for cell in found["curve"])]
    assert found["volume"] in volumes and (found["p_value"] is None) == (found["volume"] is None)
    code, out, _ = run("test", "t.parquet", "features=[z]", *words)
    assert code == 0 and "0 done now, 20 read" in out and "not calibrated unless" in out


@pytest.mark.usefixtures("cluster")
def test_a_statistic_of_ones_own(tmp_path: Path) -> None:
    def slope(rows: pa.Table, seed: int) -> float:
        x, z, y = (rows.column(name).to_numpy() for name in "xzy")
        return float(abs(np.linalg.lstsq(np.column_stack([np.ones(len(x)), x, z]), y, rcond=None)[0][2]))

    source = str(table(tmp_path / "t.parquet"))
    options = {"features": "z", "target": "y", "replicates": 19, "ratio": 1, "out": str(tmp_path / "out")}
    found = verb.test(source, {**options, "generator": "copula"}, no_word, statistic=slope, label="slope")
    assert found["statistic_name"] == "slope" and found["raw"]["p_normal"] is None and found["learner"] is None
    expected = slope(pa.Table.from_pandas(pd.read_parquet(source)), 0)
    assert found["raw"]["statistic"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="label"):
        verb.test(source, options, no_word, statistic=slope)


@pytest.mark.slow
def test_killed_and_resumed_the_same_bytes(tmp_path: Path) -> None:
    """A driver of its own, killed -9 in the middle; its files and answer come out as an undisturbed run's."""
    table(tmp_path / "t.parquet")
    words = ["test", "t.parquet", "features=[z]", *SMALL, "replicates=40", "--json"]
    command = [sys.executable, "-m", "dge_ray.cli", *words]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    places = {"cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    calm = subprocess.run([*command, "out=calm"], **places, timeout=300)
    assert calm.returncode == 0, calm.stderr
    killed = subprocess.Popen([*command, "out=killed"], **places)
    deadline = time.monotonic() + 200
    while len(list((tmp_path / "killed").rglob("0000*.json"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    finished = len(list((tmp_path / "killed").rglob("0000*.json")))
    assert 5 <= finished < 41
    resumed = subprocess.run([*command, "out=killed"], **places, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    first, second = json.loads(calm.stdout), json.loads(resumed.stdout)
    assert second["refits"]["read"] == finished and second["refits"]["done"] == 41 - finished
    assert {k: v for k, v in first.items() if k != "refits"} == {k: v for k, v in second.items() if k != "refits"}
    calm_files, files = contents(tmp_path / "calm"), contents(tmp_path / "killed")
    assert calm_files.keys() == files.keys()
    timed = "law-0/generator.json"  # its history says how long each epoch took
    assert [name for name in files if files[name] != calm_files[name] and not name.endswith(timed)] == []
