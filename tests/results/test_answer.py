"""The answer of made-up predictions: a cell chosen on validation, set against the best real-rows model on test."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.small_study import small_prepared, small_table

from dge_ray.results.answer import _would_tell, answer
from dge_ray.results.assemble import choose
from dge_ray.results.baselines import Baselines, best_real
from dge_ray.results.outcomes import Outcome
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.stats.volume.recommendation import Recommendation
from dge_ray.storage import Folder

MEMBERS = 4
UNTOLD = Recommendation(2, 100, 1.0, False, (0.0, 0.1), 0.01, "log_loss", 0.3, 4, 200, 2.0, 50, 200, None, None)


def test_the_answer_is_chosen_on_validation_and_compared_on_test(tmp_path: Path) -> None:
    small_table(tmp_path)
    prepared = small_prepared(tmp_path, f"members={MEMBERS}")
    (arm,), generator = prepared.arms, np.random.default_rng(0)
    volumes, truth = list(prepared.volumes), {part: prepared.truth(part) for part in ("validation", "test")}

    def guess(y: np.ndarray, right: float, *shape: int) -> np.ndarray:
        own = np.clip(right + 0.05 * generator.normal(size=(*shape, len(y))), 0.01, 0.99)
        return np.where(np.arange(2) == y[:, None], own[..., None], 1 - own[..., None])

    predictions = {part: guess(y, 0.9, MEMBERS, len(volumes)) for part, y in truth.items()}
    one = Outcome(
        prepared, arm, volumes, predictions, choose(prepared, predictions["validation"], truth["validation"], volumes)
    )
    baselines = Baselines(*({"constant": guess(y, 0.5, 1), "simple": guess(y, 0.6, 1)} for y in truth.values()))
    folder, rival = Folder.open(str(tmp_path)), best_real(prepared, baselines, truth["validation"])
    found = answer(one, folder, baselines, rival, truth, margin=0.01)
    json.dumps(found, allow_nan=False)
    assert found["against"] == "simple" and found["verdict"] == "better"
    assert found["members"] <= MEMBERS and found["volume"] in volumes and found["price_cpu_s"] == 0.0
    worse = metric_value("log_loss", baselines.test["simple"][0], truth["test"])
    assert found["difference"][0] == pytest.approx(found["risk"] - worse)
    assert found["difference"][1] <= found["difference"][0] <= found["difference"][2] < 0
    level = Baselines(*({"simple": p[:1, 0]} for p in predictions.values()))
    again = answer(one, folder, level, {**rival, "method": "simple"}, truth, margin=1e-6)
    assert again["verdict"] in ("not told apart", "better", "worse")
    if again["verdict"] == "not told apart":
        assert again["what_would_tell"].endswith("test rows")


def test_folds_are_named_where_they_would_tell(tmp_path: Path) -> None:
    """Of 400 rows 80 are test: folds choose on the other 320, and report=crossfit reports on all."""
    small_table(tmp_path)
    split, folded, whole = (
        small_prepared(tmp_path, *words) for words in (["folds=1"], ["folds=5"], ["folds=5", "report=crossfit"])
    )
    wide = (0.0, -0.02, 0.02)  # within .01 at four times the rows, 320

    def tell(prepared: object, cell: Recommendation = UNTOLD, verdict: str = "not told apart") -> str | None:
        return _would_tell(cell, wide, verdict, 0.01, prepared)  # type: ignore[arg-type]

    choose, report = str(tell(split)).split("; ")
    assert choose == "folds=5 (a choice on all 320 rows that are not test) or about 200 validation rows"
    assert report == "folds=5 report=crossfit (a report on all 400 rows) or about 320 test rows"
    assert tell(split, replace(UNTOLD, rows_needed=321), "better") == "about 320 validation rows"
    assert tell(split, replace(UNTOLD, told=True), "better") is None
    assert (
        tell(folded) == "about 200 validation rows; report=crossfit (a report on all 400 rows) or about 320 test rows"
    )
    assert tell(whole) == "about 200 validation rows; about 1,600 test rows"
    ordered = split.config.model_copy(update={"time_column": "a"})
    assert "folds" not in str(tell(replace(split, config=ordered)))
