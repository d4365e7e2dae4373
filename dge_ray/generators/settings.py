"""Every generator's settings: what they mean, their ranges and defaults. Read without loading torch."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Self, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError
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
    if get_origin(field.annotation) is UnionType:
        kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    kind = kinds[0]
    if get_origin(kind) is Literal:
        text = "one of " + ", ".join(str(value) for value in get_args(kind))
    elif kind is bool:
        text = "true or false"
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
    freeze: Literal["nothing", "body"] = Field(
        "nothing", description="body: fine-tuning (warm_start) leaves embeddings and hidden layers as they are"
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
        description="of the fit; none: 250 passes, from 1500 to 15000 (edm), 30000 (tabddpm)",
    )
    batch_size: int | None = Field(None, ge=1, le=1_048_576, description="rows a step; none: 512 (edm), 4096 (tabddpm)")
    lr: float = Field(2e-3, ge=1e-8, le=1, description="the highest learning rate: one cycle (edm), linear (tabddpm)")
    weight_decay: float | None = Field(None, ge=0, le=10, description="AdamW's; none: 0.001 (edm), 0 (tabddpm)")
    ema: bool | None = Field(
        None, description="sample from the weights' moving average; none: true (edm), false (tabddpm)"
    )
    patience: int = Field(
        10, ge=1, le=1_000_000, description="fortieths of the steps without a better held-out loss before stopping"
    )
