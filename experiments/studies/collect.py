"""The results table of finished studies: README.md's rows, NAME.expected.json and adult.png, from their own files.

usage: collect.py STORAGE [STORAGE ...]
"""

import json
import shutil
import sys
from pathlib import Path

from dge_ray.report.words.study import comparison

FOLDER = Path(__file__).parent
NAMES = ("adult", "california_housing", "credit_default", "abalone", "heart_disease")
METHODS = (
    *("dge", "naive_single", "naive_ensemble", "naive_concatenated"),
    *("constant", "simple", "real", "real_all", "real_ensemble"),
)
WORDS = {"better": "dge better", "worse": "dge worse", "level": "level", "untold": "not told apart"}
OTHER = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}


def main(storages: list[str]) -> None:
    rows = []
    for name in NAMES:
        study = next(Path(s) / name for s in storages if (Path(s) / name / "report.json").exists())
        report = json.loads((study / "report.json").read_text())
        kept = (
            "metric",
            "members",
            "volumes",
            "reflection_point",
            "test",
            "test_differences",
            "difference_target",
            "best_real",
            "margins",
            "answer",
            "cost",
            "versions",
            "seed",
        )
        expected = {key: report[key] for key in kept} | {"rows": report["data"]["rows"]}
        (FOLDER / f"{name}.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        if name == "adult":
            shutil.copy(study / "figures" / "error_by_volume.png", FOLDER / "adult.png")
        rows += lines(name, report)
    readme = FOLDER / "README.md"
    head, _, rest = readme.read_text().partition("<!-- table -->")
    readme.write_text(
        head + "<!-- table -->\n" + "\n".join(rows) + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    )


def lines(name: str, report: dict) -> list[str]:
    """A study as lines of the table: its choice, then each method with its paired difference."""
    metric, other, point = report["metric"], OTHER[report["data"]["task"]], report["reflection_point"]
    n = report["data"]["rows"]["train"]
    interval = ", ".join(f"{volume / n:g}x" for volume in point["interval"])
    found = f"{point['ratio']:g}x [{interval}]"
    out = []
    for method in METHODS:
        values = report["test"][method]
        if method == "dge":
            lo, hi = point["risk_interval"]
            out.append(
                f"| **{name}**, n = {n:,}, {found}, {point['status']} | dge | "
                f"{values[metric]:.4f} ({lo:.4f} to {hi:.4f}) | {values[other]:.4f} | |"
            )
            continue
        compared = comparison(report, method, metric)
        assert compared is not None
        word, (difference, lo, hi) = compared
        out.append(
            f"| {name} | {method} | {values[metric]:.4f} | {values[other]:.4f} | "
            f"{difference:+.4f} ({lo:+.4f} to {hi:+.4f}): {WORDS[word]} |"
        )
    return out


if __name__ == "__main__":
    main(sys.argv[1:])
