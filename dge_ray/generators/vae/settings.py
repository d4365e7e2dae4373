"""The VAE's settings and abilities."""

from typing import ClassVar

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import TrainedSettings


class VaeSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = Abilities(warm_starts=True, stopping=True)

    bins: int = fields.bins()
    latent: int = Field(32, ge=1, le=4096, description="width of the latent normal")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    epochs: int | None = fields.passes("the most passes over the rows; none: 30, or as many as make 3,000 steps")
    batch_size: int | None = fields.batch_size()
    lr: float = fields.rate(1e-3)
    calibrate: bool = Field(True, description="set each column's marginal right after the fit")
    kl_weight: float = Field(
        0.5, gt=0, le=100, description="weight of the divergence from the prior; 1: the evidence bound"
    )
    weight_decay: float = fields.weight_decay(1e-5)
    patience: int | None = fields.patience("bound")
