"""The settings and abilities of the sequential trees."""

from typing import ClassVar, Literal

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import Settings


class TreesSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities(given="any", log_prob=True)

    trees: int = Field(4, ge=1, le=256, description="trees a column; a row follows one of them, drawn at random")
    leaf: int = Field(
        20,
        ge=1,
        le=1_000_000,
        description="the fewest rows of a leaf, and how near to train rows the drawn ones may come: fewer, nearer",
    )
    bins: int = fields.bins()
    target: Literal["tree", "boosted"] = Field(
        "tree", description="what the target is drawn from given the other columns: trees, or early-stopped boosting"
    )
