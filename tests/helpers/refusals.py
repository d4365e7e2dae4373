"""What the command line answers to bad input: one line on standard error, exit code 2, nothing on standard output."""

from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def check_refused(answer: tuple[int, str, str], *parts: str) -> None:
    """`answer` of the fixture `run`; `parts`: what the line holds."""
    code, out, err = answer
    lines = err.strip().splitlines()
    assert (code, out) == (2, ""), err
    assert len(lines) == 1, err
    assert "Traceback" not in err and lines[0].startswith("dge-ray: ")
    for part in parts:
        assert part in lines[0], lines[0]


def check_bad_word(run: Run, verb: str, study: str, storage: Path, word: str, parts: tuple[str, ...]) -> None:
    """A verb of a study refuses `word` in one line that holds all `parts`; a `storage=` of its own replaces ours."""
    words = [word] if word.startswith("storage") else [f"storage={storage}", word]
    check_refused(run(verb, study, *words), *parts)
