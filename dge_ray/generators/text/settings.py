"""Settings and abilities of the generators of text."""

from typing import ClassVar

from pydantic import Field

from dge_ray.generators import fields
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import TrainedSettings

OF_TEXT = Abilities(text=True, given="any", log_prob=True, warm_starts=True, stopping=True)


class LanguageSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = OF_TEXT

    tokens: int = Field(128, ge=1, le=4096, description="words and signs of a text that count; the rest is cut off")
    vocabulary: int = Field(16_000, ge=1, le=1_000_000, description="the most words that are kept, the commonest ones")
    rows_per_word: int = Field(
        3, ge=1, le=1_000, description="a word in fewer rows is not kept: it could tell whose row it was in"
    )
    hidden: int = Field(256, ge=1, le=8192, description="width of the recurrent layer")
    embedding: int = Field(128, ge=1, le=8192, description="width of a word's embedding")
    epochs: int | None = fields.passes(
        "the most passes over the rows, for the other columns too; none: 4, or as many as make 600 steps, "
        "and for the other columns what the autoregressive generator takes",
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="rows a step")
    lr: float = fields.rate(4e-3)
    dropout: float = Field(0.1, ge=0, le=0.95, description="share of embedding and hidden units dropped while fitting")
    weight_decay: float = fields.weight_decay(1e-4)
    patience: int | None = fields.patience("likelihood")


class CausalLmSettings(TrainedSettings):
    abilities: ClassVar[Abilities] = OF_TEXT
    package: ClassVar[tuple[str, str] | None] = ("transformers", "text")

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
    epochs: int | None = fields.passes("the most passes over the rows; none: 3, or as many as make 600 steps")
    batch_size: int = Field(16, ge=1, le=65_536, description="rows a step")
    lr: float = fields.rate(1e-3, "the highest learning rate; of loaded weights 5e-5 is usual")
    weight_decay: float = fields.weight_decay(1e-2)
    patience: int | None = fields.patience("likelihood")
