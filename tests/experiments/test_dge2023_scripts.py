"""The evaluation experiments: their plain loop against the package's answers, and what a choice is worth by hand."""

import sys
from pathlib import Path

import pytest
from helpers.bundles import members_of, write_frames

from dge_ray.commands.judging_request import read_request
from dge_ray.commands.verbs import JudgingKeys
from dge_ray.evaluation.crossfit import run_fit
from dge_ray.evaluation.judging import estimates

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "dge2023"))
from choice import facts
from evaluation import by_fewer
from judged import judge


def test_fewer_judges_are_those_of_a_request_with_that_k(tmp_path: Path) -> None:
    """DGE_3 from the fits of DGE_5 is what `evaluate K=3` says, its interval too; accuracies are means, so exactly."""
    *frames, real = members_of(6, 60)
    place = write_frames(tmp_path / "bundle", frames, "y")
    real.to_parquet(place / "test.parquet", index=False)
    (results,) = judge(place, [("tree", {"max_depth": 3})])
    request = read_request(
        str(place), JudgingKeys.read({"K": 3, "test": str(place / "test.parquet"), "out": str(tmp_path)})
    )
    columns = {k: request.columns(k) for k in range(5)}
    fits = request.fits("tree", {"max_depth": 3})
    asked = [run_fit(fit, request.schema, columns, request.real, request.seed) for fit in fits]
    expected = estimates(asked, "accuracy")
    assert expected is not None
    found = by_fewer(results, 3)
    assert found.value == pytest.approx(expected["dge"].value, abs=1e-12)
    assert found.interval() == pytest.approx(expected["dge"].interval(), abs=1e-12)


def test_what_a_choice_is_worth() -> None:
    """Two estimators tied for naive's choice, one of them the truly best: half a chance of the same top."""
    scores = {
        "a": {"dge": 0.8, "naive": 0.9, "real": 0.8},
        "b": {"dge": 0.7, "naive": 0.9, "real": 0.6},
    }
    found = {
        "agreement": {"dge_real": {"kendall": 1.0, "spearman": 1.0}, "naive_real": {"kendall": None, "spearman": None}},
        "top": {"dge": ["a"], "naive": ["a", "b"], "real": ["a"]},
        "regret": {"dge": 0.0, "naive": 0.1},
    }
    worth = facts(found, scores)
    assert worth["dge"] == pytest.approx({"tau": 1.0, "rho": 1.0, "regret": 0.0, "top": 1.0, "error": 0.05})
    assert worth["naive"] == pytest.approx({"tau": 0.0, "rho": 0.0, "regret": 0.1, "top": 0.5, "error": 0.2})
