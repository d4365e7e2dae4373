"""What weights of the families of a mixed list would gain over an ensemble of equals, for report.json."""

from typing import Any

import numpy as np

from dge_ray.results.outcomes import Outcome
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.comparison.baselines import metrics_of, paired_difference
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.ensemble.stacking import (
    Gain,
    combined,
    crossfit_gain,
    family_means,
    gain_elsewhere,
    stacked_weights,
)
from dge_ray.study.config import StudyConfig


def stacking(outcome: Outcome, truth: dict[str, np.ndarray]) -> dict[str, Any]:
    """report.json's `stacking`, of a study with families=stacked: weights by validation loss at the chosen volume, the
    gain of the weighted ensemble by folds of validation and on test, and its metrics there. Nothing where the members
    are of one family."""
    config, task = outcome.prepared.config, outcome.prepared.task
    names = family_names(config, len(outcome.at_choice))
    if config.families == "equal" or len(set(names)) < 2:
        return {}
    fitted_on, judged = outcome.predictions["validation"][:, outcome.choice.index], outcome.once
    kinds, means, shares = family_means(fitted_on, names)
    weights = stacked_weights(means, truth["validation"], shares, task=task)
    order = numpy_generator(config.seed, Purpose.WEIGHT, index=1).permutation(len(truth["validation"]))
    ensemble = combined(family_means(judged, names)[1], weights)
    y = truth["test"][: outcome.prepared.once]
    difference = paired_difference(ensemble, ensemble_mean(judged), y, outcome.prepared.metric, task=task)
    truths = truth["validation"], y
    return {
        "stacking": {
            "loss": "squared_error" if task == "regression" else "log_loss",
            "families": [
                {"family": kind, "members": names.count(kind), "equal": float(share), "weight": float(weight)}
                for kind, share, weight in zip(kinds, shares, weights, strict=True)
            ],
            "validation": _told(crossfit_gain(fitted_on, names, truths[0], task=task, order=order)),
            "test": _told(gain_elsewhere(fitted_on, judged, names, truths, task=task)),
            "metrics": metrics_of(ensemble, y, task=task),
            "difference": list(difference),
        }
    }


def family_names(config: StudyConfig, members: int) -> list[str]:
    """The family of each member: its generator's name, with its settings where two of the list share one."""
    bare = [name for name, _ in config.generators]
    told = [
        name if bare.count(name) == 1 else f"{name} {settings or 'by its defaults'}"
        for name, settings in config.generators
    ]
    return [told[k % len(told)] for k in range(members)]


def _told(gain: Gain) -> dict[str, Any]:
    return {
        "gain": gain.value,
        "se": gain.se,
        "interval": [gain.lower, gain.upper],
        "over_members": gain.over_members,
    }
