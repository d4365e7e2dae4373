"""The copula's settings and abilities."""

from typing import ClassVar

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import Settings


class CopulaSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities(given="any")

    bins: int = fields.bins("the most tokens a measured column gets, beside its atoms")
    resample: bool = fields.resample()
