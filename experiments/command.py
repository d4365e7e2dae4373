"""What the experiments' command lines share: `key=value` words and `--json FILE`."""

import json
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any


def read_words(words: list[str]) -> tuple[dict[str, str], Path | None]:
    """The options, and the file that results go to, if any."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    return options, Path(words[words.index("--json") + 1]) if "--json" in words else None


def write(file: Path | None, results: Any) -> None:
    """Results as indented JSON, where there is a file."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1, default=float) + "\n")


def run_rows(words: list[str], run: Callable[..., list[dict]]) -> None:
    """Call `run` with whole-number options, write its rows with the CPU-seconds that they took, and print them."""
    started = process_time()
    options, file = read_words(words)
    rows = run(**{key: int(value) for key, value in options.items()})
    rows = [*rows, {"what": "cost", "cpu_seconds": process_time() - started}]
    write(file, rows)
    for row in rows:
        print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()))
