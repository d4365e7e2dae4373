"""Settings and abilities of generators from other packages."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from dge_ray.errors import InputError
from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import Settings


class CtganSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities()
    package: ClassVar[tuple[str, str] | None] = ("ctgan", "ctgan")

    epochs: int = Field(300, ge=1, le=fields.MOST_PASSES, description="passes over the rows")
    batch_size: int = Field(500, ge=2, le=65_536, description="rows a step: even, and a multiple of `pac`")
    latent: int = Field(128, ge=1, le=4096, description="the package's embedding_dim")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    lr: float = fields.rate(2e-4, "the learning rate of both networks' Adam")
    critic_steps: int = Field(1, ge=1, le=100, description="steps of the critic a step of the maker")
    pac: int = Field(10, ge=1, le=100, description="rows that the critic sees at once")
    frequencies: Literal["log", "real"] = Field("log", description="how often a category is asked for")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        settings = super().read(given)
        if settings.batch_size % 2 or settings.batch_size % settings.pac:
            takes = f"an even multiple of generator.pac = {settings.pac}"
            raise InputError("generator.batch_size", str(settings.batch_size), takes)
        return settings


class MostlyaiSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities(given="any", stopping=True)
    package: ClassVar[tuple[str, str] | None] = ("mostlyai.engine", "mostly")

    model: Literal["small", "medium", "large"] = Field("medium", description="the package's model of that size")
    epochs: int = Field(
        100, ge=1, le=fields.MOST_PASSES, description="the most passes over the rows; it stops early by itself"
    )
    batch_size: int | None = fields.batch_size("rows a step; none: rows / 64, between 8 and 512, as a power of two")
