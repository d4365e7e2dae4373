"""Mixed posteriors: the members' draws in equal parts; a law whose posterior is known; notes and refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.bundles import members_of, write_frames

import dge_ray
from dge_ray.errors import InputError
from dge_ray.inference.mixing import MixedPosterior
from dge_ray.inference.pooling import NoValidRule

FRAMES = members_of(3, 100)


def bundle(place: Path, generator: str = "copula", **facts: Any) -> Path:
    path = write_frames(place, FRAMES, "y")
    told = json.loads((path / "bundle.json").read_text()) | {"generator": generator} | facts
    (path / "bundle.json").write_text(json.dumps(told))
    return path


def posterior(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"mean": rng.normal(frame.x.mean(), frame.x.std() / np.sqrt(len(frame)), 400)})


def test_the_members_draws_in_equal_parts(tmp_path: Path) -> None:
    found = dge_ray.mix(bundle(tmp_path, real_rows=10), posterior)
    draws = np.concatenate([posterior(frame)["mean"] for frame in FRAMES])
    assert found.names == ("mean",) and found.draws.shape == (1200, 1) and found.estimate == pytest.approx(draws.mean())
    assert found.interval[0] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    assert "mixture of 3 posteriors, 1,200 draws" in repr(found) and found.table.loc["mean", "sd"] > 0
    assert found.notes == ("3 members: the interval is made of their spread, which takes 20 or more",)


def test_what_it_takes_is_said(tmp_path: Path) -> None:
    with pytest.warns(NoValidRule, match="no draws of a posterior predictive law"):
        found = dge_ray.mix(bundle(tmp_path, "trees", real_rows=50), posterior)
    assert "100 rows a member, 50 real ones: too wide, by about 50% of the variance" in found.notes


def test_the_posterior_of_a_normal_mean_is_recovered() -> None:
    """50 real rows of variance 1, a flat prior: posterior N(mean, 1/50). 40 members of 2,000 rows, each of a mean drawn
    from it: their mixture covers as often. 400 tables: .95 +- .011, and 40 members' spread takes some of it."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(400):
        real = rng.normal(0, 1 / np.sqrt(50))
        means = rng.normal(rng.normal(real, 1 / np.sqrt(50), 40), 1 / np.sqrt(2000))
        draws = rng.normal(means, 1 / np.sqrt(2000), (100, 40)).reshape(-1, 1)
        low, high = MixedPosterior(("mean",), draws, 0.95, 40).interval[0]
        held.append(low <= 0 <= high)
    assert 0.9 <= np.mean(held) <= 0.985


def test_other_forms_are_refused(tmp_path: Path) -> None:
    place = bundle(tmp_path)
    for fit, line in (
        (lambda frame: "draws", "member 0: got a str"),
        (lambda frame: np.array([[np.nan], [1.0]]), "member 0: got numbers of shape"),
        (lambda frame: np.zeros((2 + (frame.x.iloc[0] == FRAMES[1].x.iloc[0]), 1)), "member 1: got 3 draws of x0"),
    ):
        with pytest.raises(InputError, match=f"^{line}"):
            dge_ray.mix(place, fit)
    with pytest.raises(InputError, match=r"^level: got 1"):
        dge_ray.mix(place, posterior, level=1)
