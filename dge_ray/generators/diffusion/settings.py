"""The diffusion's settings and abilities."""

from typing import ClassVar, Literal

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities, PrivateWay
from dge_ray.generators.settings import TrainedSettings

# Many draws and few steps: experiments/privacy/README.diffusion.md, where the private way was tried out.
PRIVATE = PrivateWay(
    settings={"bins": 64, "width": 128, "layers": 1, "batch_size": 2048, "lr": 0.01},
    clip=1.0,
    steps=150,
    unused=frozenset(
        {"formulation", "first", "last", "timesteps", "weight_decay", "ema", "patience", "budget_seconds"}
    ),
)


class DiffusionSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = Abilities(
        given="any", target_law=True, warm_starts=True, stopping=True, private=PRIVATE
    )

    formulation: Literal["edm", "tabddpm"] = Field(
        "edm", description="edm: made for short fits and fast sampling; tabddpm: as published"
    )
    bins: int = fields.bins("the most quantile bins of a measured column's normal scores")
    width: int | None = Field(None, ge=1, le=8192, description="of hidden layers; none: 256 (edm), 1024 (tabddpm)")
    layers: int | None = Field(None, ge=1, le=64, description="none: 3 residual blocks (edm), 6 layers (tabddpm)")
    first: int | None = Field(None, ge=1, le=8192, description="tabddpm: width of the first layer; none: `width`")
    last: int | None = Field(None, ge=1, le=8192, description="tabddpm: width of the last layer; none: `width`")
    timesteps: int = Field(100, ge=1, le=10_000, description="tabddpm: steps from rows to noise, and back in sampling")
    sampling_steps: int = Field(8, ge=2, le=1000, description="edm: predictions a sampled row costs")
    steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="of the fit; none: 250 passes, from 1500 to 8000 (edm), 30000 (tabddpm)",
    )
    batch_size: int | None = Field(None, ge=1, le=1_048_576, description="rows a step; none: 512 (edm), 4096 (tabddpm)")
    lr: float = fields.rate(2e-3, "the highest learning rate: one cycle (edm), linear (tabddpm)")
    draws: int = Field(
        8, ge=1, le=1024, description="private fits: draws of noise a row and step, whose gradients are cut as one"
    )
    weight_decay: float | None = Field(None, ge=0, le=10, description="AdamW's; none: 0.001 (edm), 0 (tabddpm)")
    ema: bool | None = Field(
        None, description="sample from the weights' moving average; none: true (edm), false (tabddpm)"
    )
    patience: int = Field(
        10, ge=1, le=1_000_000, description="fortieths of the steps without a better held-out loss before stopping"
    )
