"""The keys of a study and their defaults.

Each field's `description` is what it takes, and is the text of its error message.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dge_ray.options import listed, part, yaml_list
from dge_ray.study.table_keys import CsvKeys, Infinite, Query, RareClasses, Sheet, TableName, reading_of

if TYPE_CHECKING:
    from dge_ray.table.reading.options import Reading

DEFAULT_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _parts(value: Any) -> Any:
    """One generator or learner, or a list of them; a list of one is one."""
    if isinstance(value, str) and "," in value:
        value = listed(value)
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("an empty list")
        return part(value[0]) if len(value) == 1 else tuple(part(item) for item in value)
    return part(value)


def _constraints(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> Any:
    """A name that YAML took for a number."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _texts(value: Any) -> Any:
    return [_text(item) for item in yaml_list(value)]


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value")
    return value


def _positive(ratios: tuple[float, ...]) -> tuple[float, ...]:
    if not any(ratios) or not all(0 <= ratio < float("inf") for ratio in ratios):
        raise ValueError("not positive")
    return tuple(sorted(set(ratios)))


def _weights(weights: tuple[float, ...]) -> tuple[float, ...]:
    if weights and (not any(weights) or not all(0 <= weight < float("inf") for weight in weights)):
        raise ValueError("negative, or nothing but 0")
    return tuple(sorted({0.0, *weights})) if weights else ()


def _kind_of(given: str | dict[str, Any]) -> Any:
    return given.get("kind") if isinstance(given, dict) else given


def _study_name(value: str) -> str:
    if not STUDY_NAME.fullmatch(value):
        raise ValueError("not a name")
    return value


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GeneratorChoice(Frozen):
    """Which generator, and its settings (checked by the generator itself)."""

    name: str = Field(default="autoregressive", description="a generator's name (`dge-ray ls` lists them)")
    settings: dict[str, Any] = Field(default={}, description="settings as key: value")


class LearnerChoice(Frozen):
    """Which downstream model, and its settings (checked by the learner itself)."""

    name: str = Field(
        default="boosting", description="a learner's name (`dge-ray ls` lists them) or an estimator's dotted path"
    )
    settings: dict[str, Any] = Field(default={}, description="settings as key: value")


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

    epsilon: Annotated[float, BeforeValidator(_number)] | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="a number above 0, such as 3 (all members together), or none",
    )
    delta: Annotated[float, BeforeValidator(_number)] | None = Field(
        default=None, gt=0, lt=1, description="a number above 0 and below one over the train rows, such as 1e-6"
    )
    models: Literal["each", "one"] = Field(
        default="each",
        description="each (a model a member, which share the budget) or one (all members draw from one model)",
    )
    parent: Annotated[str, BeforeValidator(_text), AfterValidator(_study_name)] | None = Field(
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


class StudyConfig(Frozen):
    """One study. `study` and `target` are resolved once the table is known."""

    source: str = Field(
        description="a study YAML, a path or URI of a CSV, Parquet or .xlsx file or of a folder, a database's URL, a "
        "built-in table's name, or openml:NAME"
    )
    csv: CsvKeys = Field(
        default_factory=lambda: CsvKeys(),
        description="how a CSV is written, as csv.delimiter=; (found from it if not given)",
    )
    query: Query = None
    table: TableName = None
    sheet: Sheet = None
    study: Annotated[str, BeforeValidator(_text), AfterValidator(_study_name)] | None = Field(
        None, description="a name of letters, digits, '.', '_' and '-'"
    )
    storage: str = Field("./studies", min_length=1, description="a folder or a pyarrow filesystem URI")
    seed: Annotated[int, BeforeValidator(_number)] = Field(0, ge=0, lt=2**63, description="a whole number from 0")
    members: Literal["auto"] | Annotated[int, BeforeValidator(_number), Field(ge=1, le=10_000)] = Field(
        "auto", description="auto or a whole number from 1"
    )
    privacy: Privacy = Field(
        default_factory=lambda: Privacy(),
        description="differential privacy of the generators: epsilon, delta, models=each|one, parent=STUDY, "
        "schema=FILE",
    )
    groups: int = Field(
        1, ge=1, le=1000, description="a whole number from 1 (disjoint groups of members, each with its baselines)"
    )
    max_members: int = Field(16, ge=4, le=10_000, description="a whole number from 4 (where members=auto stops)")
    ratios: Annotated[tuple[float, ...], BeforeValidator(yaml_list), AfterValidator(_positive)] = Field(
        DEFAULT_RATIOS, description="numbers above 0, as 0.5,1,2 (synthetic rows a member over real rows)"
    )
    rows: Literal["synthetic", "augmented"] = Field(
        "synthetic",
        description="synthetic or augmented (learners see the raw rows too; a ratio of 0 is them alone)",
    )
    weights: Annotated[tuple[float, ...], BeforeValidator(yaml_list), AfterValidator(_weights)] = Field(
        (),
        description="numbers from 0, not 0 alone, as 0.1,0.3,1, with rows=augmented (what all synthetic rows count "
        "together per raw row; 0, the raw rows alone, is always tried, and left only for what is known to be better)",
    )
    generator: Annotated[GeneratorChoice | tuple[GeneratorChoice, ...], BeforeValidator(_parts)] = Field(
        default_factory=GeneratorChoice,
        description="a generator's name, or name and settings; several, as [a,b], are taken by the members in turn",
    )
    pretrained: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field(
        (), description="folders of saved generators, as a,b: the members start from them in turn"
    )
    constraints: Annotated[tuple[str, ...], BeforeValidator(_constraints)] = Field(
        (), description="a list such as [age >= 18, low <= high]: every synthetic row meets them"
    )
    learner: Annotated[LearnerChoice | tuple[LearnerChoice, ...], BeforeValidator(_parts)] = Field(
        default_factory=LearnerChoice,
        description="a learner's name, or name and settings; several, as [a,b], each have their volumes searched",
    )
    search: Annotated[Search, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)] = Field(
        default_factory=lambda: Search(), description="grid, refine or optuna, or name, trials and drop_hopeless"
    )
    target: Annotated[str, BeforeValidator(_text)] | None = Field(None, description="a column's name")
    split_column: Annotated[str, BeforeValidator(_text)] | None = Field(
        None, description="the name of a column that holds train, test and, if you like, validation and raw"
    )
    synthetic_column: Annotated[str, BeforeValidator(_text)] | None = Field(
        None, description="the name of a column that is true where a row is synthetic; it is no feature"
    )
    columns: dict[str, str | dict[str, Any]] = Field({}, description="column: kind, or drop")
    drop: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field((), description="names of columns, as a,b")
    drop_missing_target: bool = Field(False, description="true or false")
    infinite: Infinite = None
    rare_classes: RareClasses = None
    test_fraction: float = Field(0.2, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    validation_fraction: float = Field(0.15, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    stopping_fraction: float = Field(0.1, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    canaries: Annotated[int, BeforeValidator(_number)] = Field(
        0,
        ge=0,
        le=10_000,
        description="a whole number from 0 (unlikely rows planted in train for `dge-ray attack`; such a study is not "
        "for publishing)",
    )
    metric: str | None = Field(None, description="the metric that chooses the volume")
    tolerance: float = Field(
        0.005, gt=0, lt=1, description="a share of the risk above 0 and below 1: smaller gains are not worth it"
    )
    max_rows: int = Field(20_000_000, ge=1, description="a whole number from 1 (synthetic rows of the whole study)")
    shard_rows: int | None = Field(None, ge=16, le=2**22, description="a whole number from 16")
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        "auto", description="auto or a whole number from 1 (downstream workers)"
    )
    gpus_per_member: Literal["auto"] | Annotated[float, Field(ge=0, le=64)] = Field(
        "auto", description="auto, 0 for none, or a share such as 0.5"
    )
    accelerator_type: str | None = Field(
        None, min_length=1, description="a kind of accelerator that members are put on, as Ray names it (A100, H100)"
    )
    resources_per_member: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="custom Ray resources that a member takes, as {name: amount}"
    )
    placement: Literal["spread", "pack"] = Field(
        "spread", description="spread (members over the nodes) or pack (a node filled before the next)"
    )
    members_per_actor: int = Field(
        1,
        ge=1,
        le=1024,
        description="a whole number from 1 (members that an actor fits as one program, on its GPU share)",
    )
    tracking: bool = Field(True, description="true or false (MLflow)")
    log_model: Literal["auto"] | bool = Field(
        "auto",
        description="auto, true or false (the fitted ensemble as an MLflow model; auto: where its learners saw "
        "synthetic rows alone)",
    )
    log: Literal["plain", "json"] = Field("plain", description="plain or json (progress, one object a line)")

    @property
    def reading(self) -> "Reading":
        """What is said of how the source is read."""
        return reading_of(self.csv, self.query, self.table, self.sheet)

    @property
    def unwanted(self) -> tuple[str, ...]:
        """The columns that are left out: those of `drop`, and those whose kind is `drop`."""
        kinds = (name for name, given in self.columns.items() if _kind_of(given) == "drop")
        return tuple(dict.fromkeys([*self.drop, *kinds]))

    @property
    def kinds(self) -> dict[str, str | dict[str, Any]]:
        """What is said of the columns that are not left out."""
        return {name: given for name, given in self.columns.items() if _kind_of(given) != "drop"}

    @property
    def generators(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Names and settings; members take them in turn."""
        choices = self.generator if isinstance(self.generator, tuple) else (self.generator,)
        return tuple((choice.name, choice.settings) for choice in choices)

    @property
    def private(self) -> bool:
        """Whether the generators are fitted with differential privacy."""
        return self.privacy.epsilon is not None

    @property
    def learners(self) -> tuple[LearnerChoice, ...]:
        """The learners, in the order given."""
        return self.learner if isinstance(self.learner, tuple) else (self.learner,)

    @property
    def generator_name(self) -> str:
        """The generator's name, or the different names joined by +."""
        return "+".join(dict.fromkeys(name for name, _ in self.generators))


def as_yaml(config: StudyConfig) -> str:
    """The resolved configuration as YAML, in field order."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
