"""What `evaluate` and `select` both say of their answers."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import interval_text, number


def head_lines(answer: Mapping[str, Any]) -> list[str]:
    """What it is about."""
    return [
        f"bundle: {answer['members']} members of {number(answer['rows_per_member'])} rows ({answer['generator']}); "
        f"target {answer['target']} ({answer['task']})"
    ]


def tail_lines(answer: Mapping[str, Any]) -> list[str]:
    """What it cost, and what it does not say."""
    count = answer["fits"]
    cost = f"fits: {count['done']} done now, {count['read']} read; {answer['cpu_seconds']:.1f} CPU-seconds in all"
    return [cost, *answer["notes"], str(answer["certification"])]


def score_text(scores: Mapping[str, Any]) -> str:
    """`0.8123 (0.80 to 0.82; sd 0.01)`."""
    return f"{number(scores['value'])} ({interval_text(scores['interval'])}; sd {number(scores['sd'])})"
