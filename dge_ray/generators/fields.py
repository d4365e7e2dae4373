"""Settings that mean the same in several generators: their ranges and words, said once."""

from typing import Any

from pydantic import Field

MOST_PASSES = 1_000_000


def bins(description: str = "the most quantile bins of a measured column") -> Any:
    """Into how many parts a measured column is cut."""
    return Field(128, ge=2, le=4096, description=description)


def passes(description: str) -> Any:
    """A number of epochs, or none."""
    return Field(None, ge=1, le=MOST_PASSES, description=description)


def patience(judged_by: str) -> Any:
    """When a fit stops early."""
    text = f"epochs without a better held-out {judged_by} before stopping; none: a quarter of the epochs"
    return passes(text)


def batch_size(description: str = "rows a step; none: rows / 64, between 32 and 512") -> Any:
    """Rows a step, or none: as many as suit the table."""
    return Field(None, ge=1, le=65_536, description=description)


def rate(default: float, description: str = "the highest learning rate of the one-cycle schedule") -> Any:
    """The learning rate."""
    return Field(default, ge=1e-8, le=1, description=description)


def weight_decay(default: float, description: str = "AdamW's") -> Any:
    """The weight decay."""
    return Field(default, ge=0, le=10, description=description)


def resample() -> Any:
    """Whether fits without a random start differ by their rows' weights."""
    return Field(True, description="weight the rows at random; false: the plain fit, the same for every seed")
