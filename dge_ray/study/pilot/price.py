"""What a pilot and its study cost, as predicted from the table's size and the keys alone: CPU-seconds of one core.

They decide which generators a pilot tries, so they are no measurement: the same study has the same pilot on every
machine. The constants were read off fits of this package, and are meant to be right within a factor of two.
"""

from collections.abc import Sequence

from dge_ray.generators.fitting.schedule import batch_size_for, epochs_for
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.prepared import Prepared

RAY = 20.0  # what every study pays for Ray's processes, at least
BOOSTINGS = ("boosting", "boosting_early", "boosting_stopped", "boosting_tuned")  # others cost what a linear model does
SPLIT_ON = 64  # columns that a tree looks at, at most
LARGE_REGRESSION = 15_000  # rows, above which the autoregressor has twice the width and the passes


def member_price(prepared: Prepared, choice: GeneratorChoice) -> float:
    """Of the fit of a member's generator, at its default settings."""
    rows, columns = prepared.n, len(prepared.schema.modelled)
    if choice.name == "diffusion":
        return 2.0 + 0.5 * columns + 1e-3 * rows
    if choice.name == "autoregressive":
        batch = batch_size_for(rows)
        large = prepared.task == "regression" and rows > LARGE_REGRESSION
        passes, wider = epochs_for(rows, batch, least_epochs=24 if large else 12), 2.0 if large else 1.0
        steps = passes * max(1, rows // batch)
        early = 0.6 if rows < 2_000 else 1.0  # fits of few rows are stopped early
        return 0.5 + early * wider * (3e-5 * steps * columns**2 + 1.6e-6 * passes * rows * columns)
    fitted = 4e-4 * columns * min(columns, SPLIT_ON) + 4e-6 * rows * columns
    if choice.settings.get("target") == "boosted":
        fitted += _models(prepared) * (0.5 + 1.6e-5 * rows * columns)
    return fitted


def fit_price(prepared: Prepared, learner: str, volume: int) -> float:
    """Of a downstream fit on so many rows, and of the drawing of these."""
    columns, drawn = len(prepared.schema.modelled), 5e-6 * volume
    if learner not in BOOSTINGS:
        return drawn + 0.02 + 2e-7 * volume * columns
    return drawn + _models(prepared) * (0.15 + 1.2e-6 * volume * columns)


def study_price(prepared: Prepared, choices: Sequence[GeneratorChoice], members: int, volumes: int) -> float:
    """Of a study of so many members, which take the generators in turn, at so many of its volumes: without its
    baselines."""
    at = [volume for volume in prepared.volumes if volume]
    every = [fit_price(prepared, arm.learner.name, m) for arm in prepared.arms if arm.synthetic for m in at]
    fitted = [member_price(prepared, choice) for choice in choices]
    return RAY + sum(fitted[k % len(choices)] for k in range(members)) + members * sum(every) * volumes / len(at)


def _models(prepared: Prepared) -> int:
    """That a boosting has: one a class where there are more than two."""
    return prepared.width if prepared.task == "multiclass" else 1
