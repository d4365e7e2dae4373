"""The search that goes from coarse to fine: rounds of volumes, each searched as a grid of its own."""

from collections.abc import Callable, Sequence

import numpy as np

from dge_ray.stats.volume.refine import coarse_volumes, next_volumes
from dge_ray.study.prepared import Prepared


def refined_volumes(
    prepared: Prepared,
    truth: np.ndarray,
    *,
    search: Callable[[Sequence[int]], Sequence[int]],
    predictions: Callable[[Sequence[int]], np.ndarray],
    say: Callable[[str], None],
) -> list[int]:
    """Have the volumes fitted that are worth it; gives them, ascending.

    Every round is decided by the predictions of those before, which are files: a study that goes on takes the same
    rounds, and does nothing twice.

    Args:
        truth: (rows,) of validation.
        search: has these volumes fitted at all members.
        predictions: of these volumes on validation, (members, volumes, rows, classes).
    """
    done: list[int] = []
    batch = coarse_volumes(prepared.volumes)
    while batch:
        say("volumes " + ", ".join(f"{volume:,}" for volume in batch))
        done = sorted({*done, *search(batch)})
        batch = next_volumes(
            predictions(done),
            truth,
            task=prepared.task,
            volumes=done,
            grid=prepared.volumes,
            metric=prepared.metric,
            seed=prepared.config.seed,
        )
    say(f"looked at {len(done)} of the {len(prepared.volumes)} volumes")
    return done
