"""Results that are written after every step, so that a run that was cut off goes on where it was."""

import json
import os
from pathlib import Path
from typing import Any


class Results:
    """Rows in a JSON file."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows: list[dict[str, Any]] = json.loads(file.read_text()) if file is not None and file.exists() else []

    def __contains__(self, wanted: dict[str, Any]) -> bool:
        """Whether a row has all of these values."""
        return any(all(row.get(key) == value for key, value in wanted.items()) for row in self.rows)

    def add(self, *rows: dict[str, Any]) -> None:
        """Append rows and write the file whole, by way of a second one."""
        self.rows += rows
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_suffix(".part")
        lines = ",\n".join(json.dumps(row) for row in self.rows)
        beside.write_text(f"[\n{lines}\n]\n")
        os.replace(beside, self.file)
