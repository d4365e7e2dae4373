"""report.json's `stacking` and its table on the page, and when there is none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.pages import parse
from helpers.refusals import check_refused
from helpers.small_study import small_prepared, small_table

from dge_ray.report.study_page import render_html
from dge_ray.results.stacking import family_names, stacking
from dge_ray.stats.comparison.baselines import metrics_of
from dge_ray.stats.metrics.losses import metric_value

LIST = "generator=[copula, {name: copula, bins: 4}]"


def _outcome(place: Path, *words: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Four members, in turn of a kind that knows the truth and of one that guesses."""
    prepared = small_prepared(place, "members=4", *words)
    rng, truth, predictions = np.random.default_rng(0), {}, {}
    for part in ("validation", "test"):
        truth[part] = prepared.truth(part)
        share = np.stack([0.5 + 0.3 * (2 * truth[part] - 1) * (k % 2 == 0) for k in range(4)])
        share = np.clip(share + 0.05 * rng.normal(size=share.shape), 0.05, 0.95)
        predictions[part] = np.stack([1 - share, share], axis=-1)[:, None]
    choice = SimpleNamespace(index=0)
    at_choice = predictions["test"][:, 0]
    return SimpleNamespace(
        prepared=prepared, predictions=predictions, choice=choice, at_choice=at_choice, once=at_choice
    ), truth


def test_the_section_and_its_table(tmp_path: Path) -> None:
    small_table(tmp_path)
    outcome, truth = _outcome(tmp_path, LIST, "families=stacked")
    found = stacking(outcome, truth)["stacking"]
    good, bad = found["families"]
    assert (good["family"], bad["family"]) == ("copula by its defaults", "copula {'bins': 4}")
    assert good["members"] == 2 and good["equal"] == 0.5 and good["weight"] > 0.95 and bad["weight"] < 0.05
    for part in ("validation", "test"):
        low, high = found[part]["interval"]
        assert 0 < low < found[part]["gain"] < high and found[part]["over_members"]
    equal = metric_value("log_loss", outcome.at_choice.mean(axis=0), truth["test"])
    assert equal - found["metrics"]["log_loss"] == pytest.approx(found["test"]["gain"], abs=1e-9)
    assert found["difference"][0] == pytest.approx(-found["test"]["gain"], abs=1e-9)
    assert set(found["metrics"]) == set(metrics_of(outcome.at_choice[0], truth["test"], task="binary"))
    page = render_html({"stacking": found, "metric": "log_loss"}, {})
    parse(page)
    for words in ("Weights of the families", "by folds of the validation rows", "All else in this report is of equals"):
        assert words in page
    assert "Weights of the families" not in render_html({}, {})


def test_there_is_none_by_default_or_of_one_family(tmp_path: Path, run: Any) -> None:
    small_table(tmp_path)
    outcome, truth = _outcome(tmp_path, LIST)
    assert stacking(outcome, truth) == {}
    outcome, truth = _outcome(tmp_path, "families=stacked")
    assert stacking(outcome, truth) == {}
    assert family_names(outcome.prepared.config, 3) == ["copula"] * 3
    answer = run("check", "t.parquet", "target=y", "generator=trees", "families=stacked")
    check_refused(answer, "families: got stacked with one generator; takes equal, or a list of generators")
    assert run("check", "t.parquet", "target=y", "families=stacked", "members=4")[0] == 0  # a pilot may choose a list
