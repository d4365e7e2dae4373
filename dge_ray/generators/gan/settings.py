"""The GAN's settings and abilities."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import TrainedSettings

PRESETS: dict[str, dict[str, Any]] = {
    # The CTGAN of van Breugel et al. 2023, Synthetic data, real errors: 2,000 epochs of the library that they used, at
    # its defaults. Two things that its code does, by reading it, are not here: rows are shown with conditions that they
    # do not meet, and the loss of unmet conditions is divided by the batch's rows once more than the others.
    "dge2023": {
        "encoding": "modes",
        "epochs": 2000,
        "batch_size": 500,
        "hidden": 500,
        "layers": 2,
        "latent": 500,
        "batch_norm": False,
        "made": "relaxed",
        "lr": 1e-3,
        "schedule": "constant",
        "average": 0.0,
        "calibrate": False,
        "weight_decay": 1e-3,
        "dropout": 0.1,
        "penalty": 10.0,
        "clip": 1.0,
        "critic_steps": 1,
        "pac": 1,
        "frequencies": "log",
    }
}


class GanSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = Abilities(given="one coded", warm_starts=True)

    preset: Literal["dge2023"] | None = Field(None, description="a publication's settings, for those not given here")
    encoding: Literal["ranks", "modes"] = Field(
        "ranks", description="measured columns as normal scores of their ranks, or as modes of a Gaussian mixture"
    )
    bins: int = fields.bins("with ranks: the most quantile bins of a measured column")
    latent: int = Field(128, ge=1, le=4096, description="normal numbers that a row is made from")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    batch_norm: bool = Field(True, description="in the network that makes rows")
    made: Literal["one_hot", "relaxed"] = Field(
        "one_hot", description="how the critic sees made categories: one-hot, or only nearly so (Gumbel-softmax)"
    )
    epochs: int | None = fields.passes("passes over the rows; none: as many as make 6,000 steps")
    batch_size: int = Field(250, ge=2, le=65_536, description="rows a step")
    lr: float = fields.rate(2e-3, "the learning rate of both networks' Adam, at first")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="how the learning rate falls to 0, if at all")
    average: float = Field(
        0.02, ge=0, le=1, description="share of the steps that the weights' moving average spans; 0: the last weights"
    )
    calibrate: bool = Field(True, description="set each column's marginal right after the fit")
    weight_decay: float = fields.weight_decay(1e-6, "Adam's, a squared penalty")
    dropout: float = Field(0.0, ge=0, le=0.95, description="share of the critic's hidden units dropped while fitting")
    penalty: float = Field(10.0, ge=0, le=1000, description="weight of the gradient penalty")
    clip: float | None = Field(None, gt=0, description="the largest norm of a step's gradient; none: any")
    critic_steps: int = Field(1, ge=1, le=100, description="steps of the critic a step of the maker")
    pac: int = Field(1, ge=1, le=100, description="rows that the critic sees at once")
    frequencies: Literal["log", "real"] = Field("log", description="how often a category is asked for while fitting")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:
        preset = given.get("preset")
        return {**PRESETS[preset], **given} if isinstance(preset, str) and preset in PRESETS else given
