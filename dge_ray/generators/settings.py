"""Every generator's settings: what they mean, their ranges and defaults. Read without loading torch."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from dge_ray.errors import InputError, nearest


class Settings(BaseModel):
    """One generator's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Checked settings.

        Raises:
            InputError: the first that is unknown or out of its range.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            fault = error.errors()[0]
            name = str(fault["loc"][0])
            if name not in cls.model_fields:
                known = sorted(cls.model_fields)
                raise InputError(f"generator.{name}", "an unknown setting", nearest(name, known)) from None
            takes = _takes(cls.model_fields[name])
            raise InputError(f"generator.{name}", repr(fault["input"]), takes) from None


def _takes(field: FieldInfo) -> str:
    """A field's range in words."""
    kinds = [field.annotation]
    if get_origin(field.annotation) in (UnionType, Union):  # the latter: with a Literal
        kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    kind = kinds[0]
    if get_origin(kind) is Literal:
        text = "one of " + ", ".join(str(value) for value in get_args(kind))
    elif kind is bool:
        text = "true or false"
    elif kind is str:
        text = str(field.description)
    else:
        text = "a whole number" if kind is int else "a number"
        for bound in field.metadata:
            if isinstance(bound, annotated_types.Ge):
                text += f" from {bound.ge:g}"
            elif isinstance(bound, annotated_types.Gt):
                text += f" above {bound.gt:g}"
            elif isinstance(bound, annotated_types.Le):
                text += f" to {bound.le:g}"
            elif isinstance(bound, annotated_types.Lt):
                text += f" below {bound.lt:g}"
    return text + (", or none" if NoneType in get_args(field.annotation) else "")


class CopulaSettings(Settings):
    bins: int = Field(128, ge=2, le=4096, description="the most tokens a measured column gets, beside its atoms")
    resample: bool = Field(True, description="weight the rows at random; false: the plain fit, the same for every seed")


class TrainedSettings(Settings):
    """What the generators with weights share."""

    budget_seconds: float | None = Field(
        None, gt=0, description="the fit is planned to end within this wall time, as the first rounds' speed foretells"
    )


class AutoregressiveSettings(TrainedSettings):
    bins: int = Field(128, ge=2, le=4096, description="the most tokens a measured column gets, beside its atoms")
    hidden: int = Field(64, ge=1, le=4096, description="width of a column's hidden layers")
    embedding: int = Field(16, ge=1, le=1024, description="width of a column's embedding")
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="the most passes over the rows; none: 12, or as many as make 900 steps"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="rows a step; none: rows / 64, between 32 and 512"
    )
    lr: float = Field(4e-3, ge=1e-8, le=1, description="the highest learning rate of the one-cycle schedule")
    dropout: float = Field(0.2, ge=0, le=0.95, description="share of hidden units dropped while fitting")
    weight_decay: float = Field(1e-3, ge=0, le=10, description="AdamW's")
    patience: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="epochs without a better held-out likelihood before stopping; none: a quarter of the epochs",
    )
    stop_on: Literal["rows", "target"] = Field(
        "rows", description="what the held-out likelihood is of: whole rows, or the target given the columns before it"
    )
    freeze: Literal["nothing", "body"] = Field(
        "nothing", description="body: fine-tuning (warm_start) leaves embeddings and hidden layers as they are"
    )


class CtganSettings(Settings):
    epochs: int = Field(300, ge=1, le=1_000_000, description="passes over the rows")
    batch_size: int = Field(500, ge=2, le=65_536, description="rows a step: even, and a multiple of `pac`")
    latent: int = Field(128, ge=1, le=4096, description="the package's embedding_dim")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    lr: float = Field(2e-4, ge=1e-8, le=1, description="the learning rate of both networks' Adam")
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
    model: Literal["small", "medium", "large"] = Field("medium", description="the package's model of that size")
    epochs: int = Field(100, ge=1, le=1_000_000, description="the most passes over the rows; it stops early by itself")
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="rows a step; none: rows / 64, between 8 and 512, as a power of two"
    )


class DiffusionSettings(TrainedSettings):
    formulation: Literal["edm", "tabddpm"] = Field(
        "edm", description="edm: made for short fits and fast sampling; tabddpm: as published"
    )
    bins: int = Field(128, ge=2, le=4096, description="the most quantile bins of a measured column's normal scores")
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
    lr: float = Field(2e-3, ge=1e-8, le=1, description="the highest learning rate: one cycle (edm), linear (tabddpm)")
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
    preset: Literal["dge2023"] | None = Field(None, description="a publication's settings, for those not given here")
    encoding: Literal["ranks", "modes"] = Field(
        "ranks", description="measured columns as normal scores of their ranks, or as modes of a Gaussian mixture"
    )
    bins: int = Field(128, ge=2, le=4096, description="with ranks: the most quantile bins of a measured column")
    latent: int = Field(128, ge=1, le=4096, description="normal numbers that a row is made from")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    batch_norm: bool = Field(True, description="in the network that makes rows")
    made: Literal["one_hot", "relaxed"] = Field(
        "one_hot", description="how the critic sees made categories: one-hot, or only nearly so (Gumbel-softmax)"
    )
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="passes over the rows; none: as many as make 6,000 steps"
    )
    batch_size: int = Field(250, ge=2, le=65_536, description="rows a step")
    lr: float = Field(2e-3, ge=1e-8, le=1, description="the learning rate of both networks' Adam, at first")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="how the learning rate falls to 0, if at all")
    average: float = Field(
        0.02, ge=0, le=1, description="share of the steps that the weights' moving average spans; 0: the last weights"
    )
    calibrate: bool = Field(True, description="set each column's marginal right after the fit")
    weight_decay: float = Field(1e-6, ge=0, le=10, description="Adam's, a squared penalty")
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


class VaeSettings(TrainedSettings):
    bins: int = Field(128, ge=2, le=4096, description="the most quantile bins of a measured column")
    latent: int = Field(32, ge=1, le=4096, description="width of the latent normal")
    hidden: int = Field(256, ge=1, le=4096, description="width of both networks' hidden layers")
    layers: int = Field(2, ge=1, le=8, description="hidden layers of both networks")
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="the most passes over the rows; none: 30, or as many as make 3,000 steps"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="rows a step; none: rows / 64, between 32 and 512"
    )
    lr: float = Field(1e-3, ge=1e-8, le=1, description="the highest learning rate of the one-cycle schedule")
    calibrate: bool = Field(True, description="set each column's marginal right after the fit")
    kl_weight: float = Field(
        0.5, gt=0, le=100, description="weight of the divergence from the prior; 1: the evidence bound"
    )
    weight_decay: float = Field(1e-5, ge=0, le=10, description="AdamW's")
    patience: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="epochs without a better held-out bound before stopping; none: a quarter of the epochs",
    )


class LanguageSettings(TrainedSettings):
    tokens: int = Field(128, ge=1, le=4096, description="words and signs of a text that count; the rest is cut off")
    vocabulary: int = Field(16_000, ge=1, le=1_000_000, description="the most words that are kept, the commonest ones")
    rows_per_word: int = Field(
        3, ge=1, le=1_000, description="a word in fewer rows is not kept: it could tell whose row it was in"
    )
    hidden: int = Field(256, ge=1, le=8192, description="width of the recurrent layer")
    embedding: int = Field(128, ge=1, le=8192, description="width of a word's embedding")
    epochs: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="the most passes over the rows, for the other columns too; none: 4, or as many as make 600 steps, "
        "and for the other columns what the autoregressive generator takes",
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="rows a step")
    lr: float = Field(4e-3, ge=1e-8, le=1, description="the highest learning rate of the one-cycle schedule")
    dropout: float = Field(0.1, ge=0, le=0.95, description="share of embedding and hidden units dropped while fitting")
    weight_decay: float = Field(1e-4, ge=0, le=10, description="AdamW's")
    patience: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="epochs without a better held-out likelihood before stopping; none: a quarter of the epochs",
    )


class CausalLmSettings(TrainedSettings):
    model: str | None = Field(
        None,
        min_length=1,
        description="a folder or a hub's name of weights to start from; none: a small GPT-2, untrained",
    )
    tokens: int = Field(128, ge=1, le=4096, description="parts of words of a text that count; the rest is cut off")
    vocabulary: int = Field(8_000, ge=300, le=1_000_000, description="without a model: the tokeniser's parts of words")
    rows_per_word: int = Field(3, ge=1, le=1_000, description="without a model: how often a part must occur to be one")
    width: int = Field(128, ge=4, le=8192, multiple_of=4, description="without a model: width of its layers")
    layers: int = Field(2, ge=1, le=64, description="without a model: its layers")
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="the most passes over the rows; none: 3, or as many as make 600 steps"
    )
    batch_size: int = Field(16, ge=1, le=65_536, description="rows a step")
    lr: float = Field(1e-3, ge=1e-8, le=1, description="the highest learning rate; of loaded weights 5e-5 is usual")
    weight_decay: float = Field(1e-2, ge=0, le=10, description="AdamW's")
    patience: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="epochs without a better held-out likelihood before stopping; none: a quarter of the epochs",
    )
