"""What every generator's settings share: reading, ranges in words, fields of the same meaning. Loads no torch.

A generator's own settings, and what it can do, stand in `settings.py` of its folder.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from dge_ray.errors import InputError, nearest
from dge_ray.generators.abilities import Abilities


class Settings(BaseModel):
    """One generator's settings, and what it is without them."""

    abilities: ClassVar[Abilities] = Abilities()
    package: ClassVar[tuple[str, str] | None] = None
    """Where it stands on another package: the module to look for, and the extra of this package that brings it."""

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


class TrainedSettings(Settings):
    """What the generators with weights share."""

    budget_seconds: float | None = Field(
        None, gt=0, description="the fit is planned to end within this wall time, as the first rounds' speed foretells"
    )
