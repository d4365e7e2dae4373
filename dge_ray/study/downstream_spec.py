"""What the downstream fits of a study are: of which learners, on which rows."""

from dataclasses import dataclass, field
from typing import Any

from dge_ray.study.members import MemberSpec


@dataclass(frozen=True)
class DownstreamSpec:
    """What a downstream worker needs to know. `augmented`: synthetic rows stand behind the raw ones in every fit;
    `weights`: what they count together per raw row, by label, where they do not all count as these do."""

    members: MemberSpec
    learners: dict[str, tuple[str, dict[str, Any]]]  # names and settings by label
    volume: int  # the largest: a member's shards are drawn up to it
    augmented: bool = False
    weights: dict[str, float] = field(default_factory=dict)
