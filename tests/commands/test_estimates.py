"""`dge-ray estimates` over Ray, on a finished study: the file, that nothing is done twice, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dge_ray.inference.estimands import read_estimands
from dge_ray.stats.inference.pooled import combine
from dge_ray.storage import Folder
from dge_ray.study.folder import read_schema

Run = Callable[..., tuple[int, str, str]]
ESTIMANDS = "[mean(\"mean radius\"), logistic(target = benign ~ 'mean texture')['mean texture']]"


@pytest.fixture
def study(copula_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(copula_study / "studies" / "breast_cancer", tmp_path / "studies" / "breast_cancer"))


@pytest.mark.usefixtures("cluster")
def test_the_verb(run: Run, study: Path) -> None:
    words = ["estimates", "breast_cancer", f"estimands={ESTIMANDS}", "volume=300"]
    code, out, err = run(*words, "replicates=12", "--json")
    assert code == 0, err
    found = json.loads(out)
    kept = json.loads((study / "estimates.json").read_text())
    assert kept == {name: value for name, value in found.items() if name not in ("refits", "file")}
    assert (found["members"], found["volume"], found["replicates"], found["refits"]["done"]) == (3, 300, 12, 12)

    folder = Folder.open(study)
    asked = read_estimands(ESTIMANDS, read_schema(folder))
    rows = [
        pa.concat_tables([pq.read_table(f) for f in sorted((study / f"shards/member={k:03d}").glob("*.parquet"))])
        for k in range(3)
    ]
    each = [asked(table.slice(0, 300)) for table in rows]
    q, u = np.array([one.value for one in each]), np.array([one.variance for one in each])
    rule = combine(q, u, "T_p", k=300, n=found["real_rows"])
    for p, one in enumerate(found["estimands"]):
        assert one["name"] == asked.names[p] and one["failures"] == 0 and one["replicates"] == 12
        assert one["estimate"] == pytest.approx(q[:, p].mean(), rel=1e-12)
        assert one["se_naive"] == pytest.approx(np.sqrt(u[:, p]).mean(), rel=1e-12)
        assert one["se_pooled_rule"] == pytest.approx(rule.se[p], rel=1e-12)
        assert one["inflation"] == pytest.approx(one["se"] / one["se_pooled_rule"], rel=1e-12)
        low, high = one["interval"]
        assert (low + high) / 2 == pytest.approx(one["estimate"], rel=1e-9) and high - low > 2 * 1.96 * one[
            "se"
        ]  # t, not normal
    files = {p: p.stat().st_mtime_ns for p in (study / "estimates").rglob("*.json")}
    assert len(files) == 12 + 3

    code, out, err = run(*words, "replicates=14", "members=2")
    assert code == 0 and "(2 done now, 12 read)" in out, err
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in files.items())
    assert json.loads((study / "estimates.json").read_text())["members"] == 2

    (study / "declared.yaml").write_text('estimands:\n  - "mean(\\"mean radius\\")"\n')
    code, out, err = run(
        "estimates", "breast_cancer", f"estimands={study / 'declared.yaml'}", "replicates=10", "--json"
    )
    assert code == 0, err
    assert [one["name"] for one in json.loads(out)["estimands"]] == ["mean('mean radius')"]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_results_of_the_study_itself(run: Run, study: Path) -> None:
    words = ["estimates", "breast_cancer", "results=[risk,utility,best_volume]", "members=2", "--json"]
    code, out, err = run(*words, "replicates=10")
    assert code == 0, err
    found, report = json.loads(out), json.loads((study / "report.json").read_text())
    kept = json.loads((study / "repeated.json").read_text())
    assert kept == {name: value for name, value in found.items() if name not in ("refits", "file")}
    assert not (study / "estimates.json").exists() and found["refits"]["done"] == 10
    of = {one["name"]: one for one in found["results"]}
    assert of["best_volume"]["estimate"] == report["reflection_point"]["volume"]
    assert of["best_volume"]["interval"][0] in report["volumes"]
    for name in ("risk", "utility"):
        low, high = of[name]["interval"]
        assert low <= of[name]["estimate"] <= high and of[name]["se"] > 0 and "new real tables" in of[name]["target"]
    code, out, err = run(*words[:-1], "replicates=10")
    assert code == 0 and "(0 done now, 10 read)" in out and "over new real tables of as many rows" in out, err


def test_what_is_refused(run: Run, study: Path) -> None:
    def line(*words: str) -> str:
        code, out, err = run("estimates", "breast_cancer", *words)
        lines = [one for one in err.splitlines() if not one.startswith("warning: ")]  # of orders between columns
        assert code == 2 and out == "" and len(lines) == 1
        return lines[0]

    asked = 'estimands=mean("mean radius")'
    assert "estimands: got nothing" in line()
    assert "no column 'radius'" in line("estimands=mean(radius)")
    assert "replicates: got 3; takes a whole number from 10" in line(asked, "replicates=3")
    assert "members: got 4; takes a whole number from 2 to 3" in line(asked, "members=4")
    assert "volume: got 1;" in line(asked, "volume=1")
    assert "warm: got an unknown key" in line(asked, "warm=true")
    assert "a YAML file with a list" in line("estimands=absent.yaml")
    assert "results: got 'risks'; takes one of risk, utility, best_volume" in line("results=[risks]")
    assert "volume: got 7; takes with results, one of the study's" in line("results=[risk]", "volume=7")
    (study / "privacy").mkdir()
    (study / "privacy" / "ledger.json").write_text("{}")
    assert "a study with a privacy ledger" in line(asked)
    code, _, err = run("estimates", "absent", asked)
    assert code == 2 and "study: got 'absent'" in err
