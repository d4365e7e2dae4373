"""The autoregressor's settings and abilities."""

from typing import ClassVar, Literal

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities, PrivateWay
from dge_ray.generators.settings import TrainedSettings

# The private way was tried out on bank_marketing and credit_default at epsilon 3, not on Adult
# (experiments/privacy/README.dp.md).
PRIVATE = PrivateWay(
    settings={"hidden": 32, "embedding": 8, "lr": 0.01, "bins": 64},
    clip=1.0,
    steps=600,
    unused=frozenset({"dropout", "weight_decay", "patience", "stop_on", "freeze", "budget_seconds"}),
)


class AutoregressiveSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = Abilities(
        given="any", target_law=True, log_prob=True, warm_starts=True, stopping=True, together=True, private=PRIVATE
    )

    bins: int = fields.bins("the most tokens a measured column gets, beside its atoms")
    target: Literal["last", "in_place"] = Field(
        "last", description="where the target stands in the order of the fit: last, or where the table has it"
    )
    hidden: int | None = Field(
        None, ge=1, le=4096, description="width of a column's hidden layers; none: 64, or 128 (see epochs)"
    )
    embedding: int = Field(16, ge=1, le=1024, description="width of a column's embedding")
    epochs: int | None = fields.passes(
        "the most passes over the rows; none: 12, or as many as make 900 steps; in regressions on more than 15,000 "
        "rows 24, and hidden 128"
    )
    batch_size: int | None = fields.batch_size()
    lr: float = fields.rate(4e-3)
    dropout: float = Field(0.2, ge=0, le=0.95, description="share of hidden units dropped while fitting")
    weight_decay: float = fields.weight_decay(1e-3)
    patience: int | None = fields.patience("likelihood")
    stop_on: Literal["rows", "target"] = Field(
        "rows", description="what the held-out likelihood is of: whole rows, or the target given the columns before it"
    )
    freeze: Literal["nothing", "body"] = Field(
        "nothing", description="body: fine-tuning (warm_start) leaves embeddings and hidden layers as they are"
    )
