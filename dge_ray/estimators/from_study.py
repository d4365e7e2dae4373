"""What an estimator takes from what a study found."""

from typing import Any

from dge_ray.downstream.catalogue import estimator_by_name
from dge_ray.errors import InputError
from dge_ray.study.opened import OpenStudy


def parameters_of(study: OpenStudy, *, regression: bool) -> dict[str, Any]:
    """An ensemble's parameters: the study's generator, learner and seed, the recommended members and volume.

    Raises:
        InputError: the study is of the other task, has no report, several generators, or models that learn from real
            rows too.
    """
    report, config = study.report, study.config
    task = str(study.schema.task)
    if (task == "regression") is not regression:
        raise InputError("study", f"one of {task}", "one of " + ("regression" if regression else "classification"))
    if not report:
        raise InputError("study", f"{study.folder}, without a report", "a finished study")
    if len(config.generators) > 1 or report.get("rows") == "augmented":
        takes = "one of a single generator, whose models learn from its rows alone"
        raise InputError("study", f"{study.folder}, which is of more", takes)
    generator, settings = next(iter(config.generators))
    alike = [one for one in config.learners if str(report["learner"]).startswith(one.name)]
    learner = max(alike or config.learners[:1], key=lambda one: len(one.name))
    return {
        "generator": generator,
        "generator_settings": dict(settings),
        "estimator": estimator_by_name(learner.name, learner.settings, task),
        "n_members": int(study.recommended["members"]),
        "n_synthetic": int(study.recommended["volume"]),
        "random_state": config.seed,
    }
