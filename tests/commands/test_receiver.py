"""The receiver's two verbs on a bundle and nothing else: what they say, that no fit is done twice, and what evaluation
on a generator's own rows hides when that generator has collapsed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.bundles import members_of, write_frames

from dge_ray.commands.evaluate import evaluate
from dge_ray.commands.select import select

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("cluster")


def no_word(_: str) -> None:
    return None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("received") / "bundle", members_of(4, 120), "y", part_rows=50)


def test_a_bundle_alone_is_enough(run: Run, bundle: Path, tmp_path: Path) -> None:
    """The bundle is moved and everything beside it removed; both verbs answer, and say what they cannot certify."""
    home = tmp_path / "publisher"
    shutil.copytree(bundle, home / "bundle")
    members_of(1, 500, seed=9)[0].to_parquet(home / "real.parquet")
    moved = shutil.move(home / "bundle", tmp_path / "received")
    shutil.rmtree(home)
    assert [p.name for p in tmp_path.iterdir()] == ["received"]
    code, out, err = run("evaluate", str(moved), "target=y", "estimator=tree", "estimator.max_depth=3", "folds=2")
    assert code == 0, err
    assert "not certified against real rows" in out and "target y (binary)" in out
    assert re.search(r"^accuracy: DGE_4 0\.\d+ \(.*\); naive 0\.\d+ .*; naive - DGE [+-]", out, re.M)
    assert [line.split(":")[0] for line in out.splitlines() if "cross-validation" in line] == [
        f"cross-validation, {scheme}" for scheme in ("dge", "naive", "concatenated")
    ]
    code, out, err = run("select", str(moved), "target=y", "estimators=[tree,logistic,knn]", "metric=auc", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["certified"] is False and found["certification"].startswith("not certified against real rows")
    assert found["real_rows"] is None and found["rankings"]["auc"]["regret_judged_by"] == "dge"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evaluations", "received"]
    code, out, err = run("select", str(moved), "estimators=[tree,logistic,knn]", "metric=auc")
    assert code == 0 and "not certified" in out and "12 fits were done before" in err
    assert "fits: 0 done now, 12 read" in out


def test_selection_beside_real_rows(bundle: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.parquet"
    members_of(1, 400, seed=9)[0].to_parquet(real, index=False)
    options = {"estimators": "tree,logistic", "test": str(real), "out": str(tmp_path / "out"), "metric": "brier"}
    found = select(str(bundle), options, no_word)
    assert found["certified"] is True and found["real_rows"] == 400
    for metric in ("brier", "auc", "accuracy", "log_loss", "macro_f1"):
        for scores in found["scores"][metric].values():
            gap = scores["dge"]["value"] - scores["real"]["value"]
            assert scores["dge_minus_real"]["value"] == pytest.approx(gap)
            assert scores["dge_minus_real"]["absolute"] == pytest.approx(abs(gap))
            low, high = scores["naive_minus_real"]["interval"]
            assert low <= scores["naive"]["value"] - scores["real"]["value"] <= high
        ranking = found["rankings"][metric]
        assert set(ranking["ranks"]) == {"dge", "naive", "real"} and ranking["regret_judged_by"] == "real"
        assert set(ranking["agreement"]) == {"dge_naive", "dge_real", "naive_real"}
        better = min if metric in ("brier", "log_loss") else max
        best = better(found["scores"][metric], key=lambda name: found["scores"][metric][name]["real"]["value"])
        assert ranking["top"]["real"] == [best] and ranking["ranks"]["real"][best] == 1
    assert found["stability"]["splits"] == 3 and 0 <= found["stability"]["top_agrees"] <= 1
    assert sum(found["stability"]["top_shares"].values()) == pytest.approx(1)
    assert len(found["pairs"]) == 1


def test_no_fit_is_done_twice(bundle: Path, tmp_path: Path) -> None:
    """Cut off after the first fits, a selection goes on; evaluation finds its fits done, of a moved bundle too."""
    out, said = tmp_path / "out", []

    def cut_off(line: str) -> None:
        said.append(line)
        raise KeyboardInterrupt

    options = {"estimators": ["tree", "logistic", "knn"], "out": str(out)}
    with pytest.raises(KeyboardInterrupt):
        select(str(bundle), options, cut_off)
    finished = {p: p.stat().st_mtime_ns for p in out.rglob("*.json")}
    assert 1 <= len(finished) < 12
    found = select(str(bundle), options, no_word)
    assert found["fits"] == {"done": 12 - len(finished), "read": len(finished)}
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in finished.items())
    assert len(list(out.rglob("*.json"))) == 12 and all(p.stat().st_size < 6000 for p in out.rglob("*.json"))
    moved = shutil.copytree(bundle, tmp_path / "elsewhere")
    again = evaluate(str(moved), {"estimator": "tree", "out": str(out)}, no_word)
    assert again["fits"] == {"done": 0, "read": 4}
    assert again["scores"]["auc"]["dge"] == found["scores"]["auc"]["tree"]["dge"]
    anew = select(str(bundle), {**options, "out": str(tmp_path / "other")}, no_word)
    assert anew["fits"] == {"done": 12, "read": 0}
    same = ("scores", "rankings", "stability", "pairs")
    assert {part: anew[part] for part in same} == {part: found[part] for part in same}
    listed = select(str(bundle), {**options, "estimators": ["knn", "tree", "logistic"]}, no_word)
    assert listed["fits"]["done"] == 0 and listed["rankings"] == found["rankings"]
    assert listed["scores"] == found["scores"] and listed["stability"] == found["stability"]


@pytest.mark.parametrize(("count", "words"), [(2, {}), (4, {"K": 2}), (4, {"K": 2, "others": "first"})])
def test_what_so_few_judges_cannot_say_is_null(count: int, words: dict, tmp_path: Path) -> None:
    place = write_frames(tmp_path / "bundle", members_of(count, 60, task="regression"), "y")
    found = select(str(place), {"estimators": "ridge,tree", "out": str(tmp_path / "out"), **words}, no_word)
    json.dumps(found, allow_nan=False)
    assert found["task"] == "regression" and found["metric"] == "rmse"
    known = count > 2 and "others" not in words  # one judge for all but one: leaving it out leaves nothing
    for scores in found["scores"]["rmse"].values():
        assert (scores["dge"]["interval"] is not None) == known
        assert (scores["naive"]["interval"] is not None) == (count > 2)
    assert [pair["separable"] is not None for pair in found["pairs"]] == [known]
    assert ("no intervals" in " ".join(found["notes"])) == (count == 2)


def memorised(members: int, rows: int, kept: int) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Members of a collapsed generator, and real test rows.

    The law: two noisy rings, a fifth of the labels flipped. The generator stands for one that is over-deep and trained
    for too long: it keeps `kept` of the 400 real training rows, other ones in every member, and writes them out over
    and over with a jitter of .01. Nothing is done to its labels: that they are noise, memorised, is all that misleads.
    """
    rng = np.random.default_rng(0)

    def real(n: int) -> pd.DataFrame:
        inner, angle = rng.random(n) < 0.5, rng.uniform(0, 2 * np.pi, n)
        radius = np.where(inner, 0.5, 1.0) + rng.normal(0, 0.15, n)
        label = inner ^ (rng.random(n) < 0.2)
        place = {"x1": radius * np.cos(angle), "x2": radius * np.sin(angle)}
        return pd.DataFrame({**place, "y": np.where(label, "inner", "outer")})

    train = real(400)
    made = []
    for _ in range(members):
        frame = train.iloc[rng.choice(rng.choice(400, kept, replace=False), rows)].reset_index(drop=True)
        made.append(frame.assign(**{name: frame[name] + rng.normal(0, 0.01, rows) for name in ("x1", "x2")}))
    return made, real(4000)


@pytest.mark.parametrize("estimator", ["forest", "knn"])
def test_a_collapsed_generator_fools_naive_evaluation_alone(estimator: str, tmp_path: Path) -> None:
    """Figure 2: naive accuracy is above the truth by a tenth or more, and DGE errs by at most half as much."""
    frames, real = memorised(6, 500, 60)
    place = write_frames(tmp_path / "bundle", frames, "y")
    real.to_parquet(tmp_path / "real.parquet", index=False)
    options = {"estimator": estimator, "test": str(tmp_path / "real.parquet"), "out": str(tmp_path / "out")}
    found = evaluate(str(place), options, no_word)["scores"]["accuracy"]
    assert found["naive_minus_real"]["value"] >= 0.1 and found["naive_minus_real"]["interval"][0] > 0.1
    assert found["dge_minus_real"]["absolute"] <= found["naive_minus_real"]["absolute"] / 2
    assert found["naive_minus_dge"]["interval"][0] > 0
