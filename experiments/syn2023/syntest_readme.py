"""Write the tables of README.syntest.md from results/syntest_*.json.

python experiments/syn2023/syntest_readme.py
"""

import json
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent
ROWS = {  # a test's name in the results -> in the table
    "refit 1": "`method=refit`, ratio 1",
    "refit 4": "`method=refit`, ratio 4",
    "refit 10": "`method=refit`, ratio 10",
    "raw": "T of the 500 real rows alone, null tables",
    "t-test": "t-test of the 500 real rows",
    "paper 1": "`method=paper`, ratio 1",
    "paper 4": "`method=paper`, ratio 4",
    "paper 10": "`method=paper`, ratio 10",
    "paper, its own volume": "`method=paper`, at the volume that it chooses",
    "paper 1, matched": "`method=paper`, ratio 1, its true level set to .05",
    "paper 4, matched": "`method=paper`, ratio 4, its true level set to .05",
    "paper 10, matched": "`method=paper`, ratio 10, its true level set to .05",
    "refit 1, raw + pre-training": "`method=refit`, ratio 1, 500 + 2,000 rows",
    "raw + pre-training": "T of 500 + 2,000 real rows alone",
    "t-test, raw + pre-training": "t-test of 500 + 2,000 real rows",
}


def share(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['rate']:.3f} ({low:.3f} to {high:.3f})"


def closed(made: dict[str, Any]) -> list[str]:
    lines = ["| test | no effect | half of x7 | x7 |", "|---|---|---|---|"]
    for name, words in ROWS.items():
        lines.append(
            f"| {words} | " + " | ".join(share(made[e]["tests"][name]) for e in ("none", "half of x7", "x7")) + " |"
        )
    own = [made["none"]["paper's own estimates"][f"paper {r}"] for r in (1, 4, 10)]
    lines += [
        "",
        "The published procedure's own estimate of its type I error, mean over the tables without an effect, at",
    ]
    return [
        *lines,
        f"ratios 1, 4, 10: {', '.join(f'{value:.3f}' for value in own)}. {made['cpu_seconds']:.0f} CPU-seconds.",
    ]


def deep(made: dict[str, Any]) -> list[str]:
    tests = made["tests"]
    return [
        f"| test | {made['feature']}, {tests['refit']['tables']} tables |",
        "|---|---|",
        f"| `method=refit`, ratio {made['ratio']} | {share(tests['refit'])} |",
        f"| T of the real rows alone, null tables | {share(tests['raw'])} |",
    ]


def decisions(made: dict[str, Any]) -> list[str]:
    lines = ["| tested | method | m | T | p | decision | raw rows: T, p by N(0, 1) |", "|---|---|---|---|---|---|---|"]
    words = {True: "rejected", False: "not rejected", None: "none: no volume is controlled"}
    for name, found in made.items():
        if not isinstance(found, dict):
            continue
        statistic = found["statistic"] if isinstance(found["statistic"], list) else [found["statistic"]]
        t = ", ".join("–" if value is None else f"{value:.2f}" for value in statistic)
        p = "–" if found["p_value"] is None else f"{found['p_value']:.3f}"
        raw = f"{found['raw']['statistic']:.2f}, {found['raw']['p_normal']:.3g}"
        what = f"{name.rpartition(',')[0]}: {', '.join(found['features'])}"
        volume = "–" if found["volume"] is None else f"{found['volume']:,}"
        lines.append(f"| {what} | {found['method']} | {volume} | {t} | {p} | {words[found['rejected']]} | {raw} |")
    return lines


PARTS = {"closed": closed, "deep": deep, "deep_power": deep, "decisions": decisions}


def main() -> None:
    place = HOME / "README.syntest.md"
    text = place.read_text()
    for name, part in PARTS.items():
        results = HOME / "results" / f"syntest_{name}.json"
        if results.exists():
            head, _, rest = text.partition(f"<!-- {name} -->\n")
            tail = rest.partition(f"<!-- end {name} -->")[2]
            made = "\n".join(part(json.loads(results.read_text())))
            text = f"{head}<!-- {name} -->\n{made}\n<!-- end {name} -->{tail}"
    place.write_text(text)


if __name__ == "__main__":
    main()
