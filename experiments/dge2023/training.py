"""DGE against the baselines on five tables, from finished studies: README.md's rows and NAME.expected.json.

usage: dge-ray tune experiments/dge2023/NAME.yaml for each, then training.py [STORAGE]

A paired difference has a 95 % interval over new test rows, given the fitted models (`stats/compare.py`); in the groups'
table over new groups of generators, given these real rows (`stats/groups.py`).
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("moons", "circles", "breast_cancer", "adult", "credit_default")
METRICS = ("log_loss", "brier", "auc")
AGAINST = ("naive_ensemble", "naive_concatenated", "real")
KEPT = ("metric", "members", "volumes", "test", "test_differences", "groups", "cost", "versions", "seed")


def main(storage: str) -> None:
    tables = {"training": [], "groups": []}
    for name in NAMES:
        report = _read(storage, name)
        tables["training"] += _lines(name, report) if report else []
    report = _read(storage, "circles-groups")
    if report:
        head = ["", "| approach | log loss | Brier | AUC | dge_20 minus it, AUC |", "|---|---|---|---|---|"]
        tables["groups"] = [*head, *(_group(method, report) for method in report["groups"]["methods"]), ""]
    readme = FOLDER / "README.md"
    text = readme.read_text()
    for name, lines in tables.items():
        head, _, rest = text.partition(f"<!-- {name} -->")
        if lines:
            text = "\n".join([f"{head}<!-- {name} -->", *lines, f"<!-- end {name} -->"])
            text += rest.partition(f"<!-- end {name} -->")[2]
    readme.write_text(text)


def _read(storage: str, name: str) -> dict | None:
    file = Path(storage) / f"dge2023-{name}" / "report.json"
    if not file.exists():
        print(f"{file}: not there, its rows stay as they are", file=sys.stderr)
        return None
    report = json.loads(file.read_text())
    expected = {key: report[key] for key in KEPT if key in report} | {"rows": report["data"]["rows"]}
    target = FOLDER / f"{name.replace('-', '_')}.expected.json"
    target.write_text(json.dumps(expected, indent=1) + "\n")
    return report


def _lines(name: str, report: dict) -> list[str]:
    """DGE's own metrics and the mean of its members', then the difference to each baseline."""
    rows, test = report["data"]["rows"], report["test"]
    title = f"**{name}**, n = {rows['train']:,}, test {rows['test']:,}, K = {report['members']}"
    values = " | ".join(f"{test['dge'][m]:.4f} ({test['naive_single'][m]:.4f})" for m in METRICS)
    lines = [f"| {title} | {values} |"]
    for method in AGAINST:
        cells = []
        for metric in METRICS:
            difference, lo, hi = report["test_differences"][method][metric]
            better = (difference < 0) != (metric == "auc")
            word = "level" if lo <= 0 <= hi else "dge better" if better else "dge worse"
            cells.append(f"{difference:+.4f} ({lo:+.4f} to {hi:+.4f}): {word}")
        lines.append(f"| {name}: dge minus {method} | {' | '.join(cells)} |")
    return lines


def _group(method: str, report: dict) -> str:
    found, differences = report["groups"]["methods"][method], report["groups"]["differences"].get(method)
    cells = []
    for metric in METRICS:
        spread = found[metric]["sd"]
        cells.append(f"{found[metric]['mean']:.4f}" + ("" if spread is None else f" ± {spread:.4f}"))
    apart = "" if differences is None else "{:+.4f} ({:+.4f} to {:+.4f})".format(*differences["auc"])
    return f"| {method} | {' | '.join(cells)} | {apart} |"


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["studies"]))
