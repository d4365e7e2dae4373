"""The arms of a study: each learner, at each weight of the synthetic rows, has its own volumes searched."""

from dataclasses import dataclass
from itertools import product

from dge_ray.study.config import LearnerChoice, StudyConfig
from dge_ray.study.records.predictions import learner_label


@dataclass(frozen=True)
class Arm:
    """One learner at one weight. `label` names its fits: the `learner` column's value and the stem of its files."""

    label: str
    learner: LearnerChoice
    weight: float | None  # what all synthetic rows count together per raw row; None: every row counts the same
    volumes: tuple[int, ...]  # ascending; of weight 0 only 0

    @property
    def synthetic(self) -> bool:
        """Whether there is a volume of synthetic rows, and so something to search."""
        return self.volumes[-1] > 0


def study_arms(config: StudyConfig, volumes: tuple[int, ...]) -> tuple[Arm, ...]:
    """The learners in the order given, each at its weights, ascending; weight 0 has no synthetic rows."""
    arms = []
    for learner, weight in product(config.learners, config.weights or (None,)):
        label = learner_label(learner.name, learner.settings, augmented=config.rows == "augmented", weight=weight)
        arms.append(Arm(label, learner, weight, (0,) if weight == 0 else volumes))
    return tuple(arms)
