"""What keys of a study hold that have keys of their own: a generator, a learner, the search, the privacy budget."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dge_ray.study.keys.table_keys import name_text

AUTO = "auto"  # in place of a generator's name: what a pilot chooses (the package `pilot`)
NAMED = "autoregressive"  # the generator where settings stand without a name, and where no pilot may choose one
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def not_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value")
    return value


def study_name(value: str) -> str:
    if not STUDY_NAME.fullmatch(value):
        raise ValueError("not a name")
    return value


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GeneratorChoice(Frozen):
    """Which generator, and its settings (checked by the generator itself)."""

    name: str = Field(default=NAMED, description="a generator's name (`dge-ray ls` lists them)")
    settings: dict[str, Any] = Field(default={}, description="settings as key: value")


class LearnerChoice(Frozen):
    """Which downstream model, and its settings (checked by the learner itself)."""

    name: str = Field(
        default="boosting", description="a learner's name (`dge-ray ls` lists them) or an estimator's dotted path"
    )
    settings: dict[str, Any] = Field(default={}, description="settings as key: value")


def portfolio() -> tuple[LearnerChoice, ...]:
    """The learners of a study that names none: one that bends and one that is straight, of which validation rows
    choose, with the volume. The first judges the pilot's generators."""
    return LearnerChoice(name="boosting_early"), LearnerChoice(name="linear")


class Search(Frozen):
    """How volumes are searched."""

    name: Literal["grid", "refine", "optuna"] = Field(default="grid", description="grid, refine or optuna")
    trials: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="a whole number from 1 (optuna's trials, each one volume between the outer ratios)",
    )
    drop_hopeless: bool = Field(
        default=False, description="true or false (stop volumes that cannot become the best one any more)"
    )


class Privacy(Frozen):
    """The budget of differential privacy, off where there is no epsilon; what it buys: the package `privacy`."""

    epsilon: Annotated[float, BeforeValidator(not_truth)] | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="a number above 0, such as 3 (all members together), or none",
    )
    delta: Annotated[float, BeforeValidator(not_truth)] | None = Field(
        default=None, gt=0, lt=1, description="a number above 0 and below one over the train rows, such as 1e-6"
    )
    models: Literal["each", "one"] = Field(
        default="each",
        description="each (a model a member, which share the budget) or one (all members draw from one model)",
    )
    parent: Annotated[str, BeforeValidator(name_text), AfterValidator(study_name)] | None = Field(
        default=None,
        description="the name of a private study of this table in this storage, whose spending this epsilon covers too",
    )
    schema_file: str | None = Field(
        default=None,
        alias="schema",
        min_length=1,
        description="a file with the table's public schema, as a study's schema.json",
    )

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
