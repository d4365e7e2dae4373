"""The settings and abilities of the generator of chosen marginals."""

from typing import ClassVar

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities, PrivateWay
from dge_ray.generators.settings import Settings

PRIVATE = PrivateWay(
    settings={},
    clip=1.0,  # a row adds 1 to one cell of a marginal
    steps=1,
    unused=frozenset({"resample"}),
    mechanism="exponential mechanism (in floating point) for the choice of marginals, discrete Gaussian on their "
    "counts; together at the cost of one Gaussian",
    whole=True,
)


class MarginalsSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities(log_prob=True, private=PRIVATE)

    bins: int = Field(32, ge=2, le=4096, description="the most tokens a measured column gets, beside its atoms")
    degree: int | None = Field(
        None, ge=1, le=4, description="columns of a marginal at most; none: 3 of up to 10 columns, 2 of more"
    )
    cells: int = Field(2**18, ge=2, le=2**26, description="the most cells of all tables of the model")
    resample: bool = fields.resample()
