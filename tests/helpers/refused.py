"""What a verb answers to a bad word."""

from collections.abc import Callable
from pathlib import Path


def check_bad_word(
    run: Callable[..., tuple[int, str, str]], verb: str, study: str, storage: Path, word: str, parts: tuple[str, ...]
) -> None:
    """Exit code 2 and one line with all parts, nothing on standard output."""
    words = [word] if word.startswith("storage") else [f"storage={storage}", word]
    code, out, err = run(verb, study, *words)
    assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1, err
    assert all(part in err for part in parts), err
