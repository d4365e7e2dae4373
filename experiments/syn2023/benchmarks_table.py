"""README's tables of benchmarks.py and female.py, and benchmarks.expected.json, from the runs' own files.

usage: benchmarks_table.py results/benchmarks_*.json results/female.json [--json benchmarks.expected.json]
"""

import json
import sys
from pathlib import Path
from typing import Any

LEFT_OUT = ("versions", "cores")


def main(argv: list[str]) -> None:
    at = argv.index("--json") if "--json" in argv else len(argv)
    rows = [row for file in argv[:at] for row in json.loads(Path(file).read_text())]
    for row in rows:
        print(curve(row))
    print()
    for row in rows:
        print(claims(row))
    if at < len(argv):
        kept = [{key: value for key, value in row.items() if key not in LEFT_OUT} for row in rows]
        Path(argv[at + 1]).write_text(json.dumps(kept, indent=1) + "\n")


def curve(row: dict[str, Any]) -> str:
    """The ensemble's error on the reported rows by ratio, and of the members one at a time."""
    cells = [f"{e:.4g} ({s:.4g})" for e, s in zip(row["report"], row["report_single"], strict=True)]
    return f"| {title(row)} | {' | '.join(cells)} |"


def claims(row: dict[str, Any]) -> str:
    """The ratio chosen, its gain on ratio 0 in per cent, the call, and the baselines."""
    base = row["report"][0]
    gain = words([100 * -value / base for value in row["from_0"]])
    own = row["baselines"]["generator_rows"]
    at = row["ratios"].index(row["ratio"])
    lead = words([100 * value / own["error"] for value in own["ratio_minus_it"]])
    rise = words([100 * value / row["report"][at] for value in row["chosen_to_largest"]])
    both = row["baselines"]["all_real"]["error"]
    return (
        f"| {title(row)} | {row['ratio']} | {gain} | {rise}: {row['call']} | {own['error']:.4g} | {lead} | {both:.4g} |"
    )


def title(row: dict[str, Any]) -> str:
    metric = "error" if row["metric"] == "accuracy" else row["metric"]
    return f"{row['table']}, {metric}, {row['mode']}, K = {row['members']}, seed {row['seed']}"


def words(value: list[float]) -> str:
    low, high = sorted(value[1:])
    return f"{value[0]:+.1f} % ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
