"""The committed figures of experiments/inference against what they must show: no cell in which the tuned weight is
known to be worse than real rows alone, some in which it is better, some in which synthetic rows as real ones are worse;
and intervals that cover."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "experiments" / "inference" / "results"


def test_a_tuned_weight_is_never_known_to_be_worse_than_real_rows_alone() -> None:
    cells = json.loads((RESULTS / "augmentation.json").read_text())["cells"]
    own = [cell for cell in cells if cell["source"] == "own"]
    assert len({(cell["table"], cell["rows"]) for cell in own}) == 15 and all(cell["seeds"] >= 10 for cell in cells)
    assert [cell for cell in cells if cell["tuned"]["alone"] == "worse"] == []
    assert any(cell["tuned"]["together"] == "better" for cell in own)
    assert sum(cell["tuned"]["together"] == "better" for cell in cells if cell["source"] == "outside") >= 10
    assert sum(cell["naive"]["together"] == "worse" for cell in cells) >= 5


def test_predictions_on_unlabelled_rows_keep_coverage_and_never_cost() -> None:
    rows = json.loads((RESULTS / "prediction_powered.json").read_text())["rows"]
    for row in rows:
        # four binomial errors of 300
        assert row["coverage"] >= 0.95 - 4 * (0.95 * 0.05 / row["replicates"]) ** 0.5
        assert row["squared_error_ratio"][1] <= 1.0
        if row["setting"] == "wrong":
            assert row["weight"] < 0.01
    assert min(row["squared_error_ratio"][2] for row in rows) < 0.5
