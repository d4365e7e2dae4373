"""Debiased rows and marks through `dge-ray publish`, on the shared study; a second generation made of its bundle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import dge_ray
from dge_ray.table.marks import read_mark

LEDGER = {
    "epsilon": 1.0,
    "delta": 1e-6,
    "spent": 0.9,
    "models": "each",
    "members": 3,
    "adjacency": "zero-out",
    "entries": [],
}
Run = Callable[..., tuple[int, str, str]]
MEAN = "mean('mean radius')"
PUBLISH = ["volume=300", "allow=[identifiers,copies]", f'debias=["{MEAN}"]', "--json"]


@pytest.fixture
def study(copula_study: Path, tmp_path: Path) -> Path:
    """A copy of the shared study, in the working folder."""
    shutil.copytree(copula_study / "studies", tmp_path / "studies")
    return tmp_path / "studies" / "breast_cancer"


def test_a_debiased_bundle(study: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("publish", "breast_cancer", "out=mended", *PUBLISH)
    assert code == 0, err
    assert json.loads(out)["debiased"] == [MEAN]
    assert f"{MEAN} shifted by" in err
    assert run("verify", "mended")[0] == 0
    code, _, err = run("publish", "breast_cancer", "out=plain", *PUBLISH[:2])
    assert code == 0, err
    mended, plain = (dge_ray.load_members(tmp_path / name) for name in ("mended", "plain"))
    for k in range(len(plain)):
        before, after = plain.frame(k), mended.frame(k)
        moved = after["mean radius"] - before["mean radius"]
        # Each row by the same shift, but for rounding to the column's decimals and for its bounds.
        assert np.abs(moved - moved.median()).max() <= 2 * 10.0 ** -(plain.schema["mean radius"].decimals or 9)
        assert 0 < abs(moved.median()) < 1
        assert before.drop(columns="mean radius").equals(after.drop(columns="mean radius"))
    assert MEAN in (tmp_path / "mended" / "DATA_CARD.md").read_text()
    assert read_mark(pq.read_schema(tmp_path / "mended/member=000/part-00000.parquet")) == {
        "bundle": json.loads(out)["bundle"],
        "member": 0,
        "generation": 1,
        "share": 0.0,
        "history": [{"generation": 1, "share": 0.0, "utility": None}],
    }
    assert "debiased the rows" in repr(dge_ray.pool(mended, MEAN))


def test_not_where_it_would_cost_privacy(study: Path, run: Run) -> None:
    (study / "privacy").mkdir()
    (study / "privacy" / "ledger.json").write_text(json.dumps(LEDGER))
    code, _, err = run("publish", "breast_cancer", "out=b", *PUBLISH)
    assert code == 2
    assert "no epsilon would cover it" in err


@pytest.mark.slow
def test_a_second_generation(study: Path, run: Run, tmp_path: Path) -> None:
    """Utility, a bundle that carries it, a study of real and synthetic rows together, and U over both generations."""
    code, _, err = run("utility", "breast_cancer", "estimators=[linear]", "volume=400")
    assert code == 0, err
    assert run("publish", "breast_cancer", "out=b", "volume=300", "allow=[identifiers,copies]")[0] == 0
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    shutil.copy(tmp_path / "b/member=000/part-00000.parquet", mixed / "synthetic.parquet")
    from dge_ray.table import load_table

    real = load_table("breast_cancer")
    schema = pq.read_schema(mixed / "synthetic.parquet").remove_metadata()
    pq.write_table(real.cast(schema), mixed / "real.parquet")
    words = ["target=target", "generator=copula", "members=2", "ratios=1", "tracking=false", "study=second"]
    code, _, err = run("tune", str(mixed), *words)
    assert code == 0, err
    assert "are synthetic" in err and "generation 2" in err
    found = json.loads((tmp_path / "studies/second/report.json").read_text())["synthetic_input"]
    assert found["generation"] == 2 and sum(found["synthetic"].values()) == 300
    assert found["history"][0]["utility"]["learner"] == "linear"
    code, out, err = run("utility", "second", "estimators=[linear]")
    assert code == 0, err
    assert "synthetic minus real by generation: 1: " in out
    told = json.loads((tmp_path / "studies/second/utility.json").read_text())["generations"]
    assert [one["generation"] for one in told["known"]] == [1, 2]
    assert told["trend"]["direction"] in ("rising", "falling", "undecided")
