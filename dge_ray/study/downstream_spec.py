"""What the downstream fits of a study are: of which learners, on which rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dge_ray.privacy.plan import PrivacyPlan
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.table import TableSchema

if TYPE_CHECKING:  # what reads and checks a configuration; workers need none of it
    from dge_ray.study.arms import Arm
    from dge_ray.study.prepared import Prepared


@dataclass(frozen=True)
class DownstreamSpec:
    """What a downstream worker needs to know. `augmented`: synthetic rows stand behind the raw ones in every fit;
    `weights`: what they count together per raw row, by label, where they do not all count as these do."""

    members: MemberSpec
    learners: dict[str, tuple[str, dict[str, Any]]]  # names and settings by label
    volume: int  # the largest: a member's shards are drawn up to it
    augmented: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    held: tuple[np.ndarray, ...] = ()  # of a cross-fitted study, which validation rows are each fold's own


def simple_learner(schema: TableSchema) -> str:
    """The learner of the baseline `simple`."""
    return "tfidf_linear" if schema.texts else "linear"


def downstream_of(
    prepared: "Prepared", folder: Folder, arms: Sequence["Arm"], volume: int, *, private: PrivacyPlan | None = None
) -> DownstreamSpec:
    """Some arms of a study whose members lie in a folder, up to a volume."""
    config = prepared.config
    members = MemberSpec(
        folder=folder,
        schema=prepared.schema,
        generators=config.generators,
        seed=config.seed,
        shard_rows=prepared.shard_rows,
        constraints=config.constraints,
        pretrained=config.pretrained,
        private=private,
        canaries=config.canaries,
    )
    return DownstreamSpec(
        members=members,
        learners={arm.label: (arm.learner.name, arm.learner.settings) for arm in arms},
        volume=volume,
        augmented=prepared.augmented,
        weights={arm.label: arm.weight for arm in arms if arm.weight is not None},
        held=prepared.held,
    )
