"""The keys of a study and their defaults.

Each field's `description` is what it takes, and is the text of its error message.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from dge_ray.options import listed, part, yaml_list
from dge_ray.spelling import dumped, plain_yaml
from dge_ray.study.keys.choices import (
    AUTO,
    Frozen,
    GeneratorChoice,
    LearnerChoice,
    Privacy,
    Search,
    not_truth,
    portfolio,
    study_name,
)
from dge_ray.study.keys.table_keys import (
    CsvKeys,
    GroupColumn,
    Identities,
    Infinite,
    KeepGroupColumn,
    Query,
    RareClasses,
    Sheet,
    TableName,
    TimeColumn,
    name_text,
    reading_of,
)

if TYPE_CHECKING:
    from dge_ray.table.reading.options import Reading

DEFAULT_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


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
    """A list in brackets, as YAML; any other text is one constraint as it stands."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return plain_yaml(value)
        except yaml.YAMLError:
            return [value]
    return [value] if isinstance(value, str) else value


def _texts(value: Any) -> Any:
    return [name_text(item) for item in listed(value)]


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
    study: Annotated[str, BeforeValidator(name_text), AfterValidator(study_name)] | None = Field(
        None, description="a name of letters, digits, '.', '_' and '-'"
    )
    storage: str = Field("./studies", min_length=1, description="a folder or a pyarrow filesystem URI")
    seed: Annotated[int, BeforeValidator(not_truth)] = Field(0, ge=0, lt=2**63, description="a whole number from 0")
    members: Literal["auto"] | Annotated[int, BeforeValidator(not_truth), Field(ge=1, le=10_000)] = Field(
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
        default_factory=lambda: GeneratorChoice(name=AUTO),
        description="auto (what a pilot chooses), or a generator's name, or name and settings; several, as [a,b], are "
        "taken in turn",
    )
    families: Literal["equal", "stacked"] = Field(
        "equal",
        description="equal or stacked (what weights by validation loss of the generators of a list would gain is "
        "reported; the ensemble itself stays one of equals)",
    )
    pretrained: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field(
        (), description="folders of saved generators, as a,b: the members start from them in turn"
    )
    constraints: Annotated[tuple[str, ...], BeforeValidator(_constraints)] = Field(
        (), description="a list such as [age >= 18, low <= high]: every synthetic row meets them"
    )
    identities: Identities = "find"
    learner: Annotated[LearnerChoice | tuple[LearnerChoice, ...], BeforeValidator(_parts)] = Field(
        default_factory=portfolio,
        description="a learner's name, or name and settings; several, as [a,b], each have their volumes searched",
    )
    refit: Literal["none", "all"] = Field(
        "none",
        description="none or all (the chosen members are fitted again on all real rows for what is published, sampled "
        "and logged; the report stays that of the members that were tested)",
    )
    search: Annotated[Search, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)] = Field(
        default_factory=lambda: Search(), description="grid, refine or optuna, or name, trials and drop_hopeless"
    )
    target: Annotated[str, BeforeValidator(name_text)] | None = Field(None, description="a column's name")
    split_column: Annotated[str, BeforeValidator(name_text)] | None = Field(
        None, description="the name of a column that holds train, test and, if you like, validation and raw"
    )
    group_column: GroupColumn = None
    keep_group_column: KeepGroupColumn = False
    time_column: TimeColumn = None
    synthetic_column: Annotated[str, BeforeValidator(name_text)] | None = Field(
        None, description="the name of a column that is true where a row is synthetic; it is no feature"
    )
    columns: dict[str, str | dict[str, Any]] = Field(
        {},
        description="column: kind, or drop, or {kind: KIND, minimum: a, maximum: b, decimals: n, null_values: [-999]}, "
        "of which each may be left out",
    )
    drop: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field((), description="names of columns, as a,b")
    drop_missing_target: bool = Field(False, description="true or false")
    infinite: Infinite = None
    rare_classes: RareClasses = None
    test_fraction: float = Field(0.2, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    validation_fraction: float = Field(0.15, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    stopping_fraction: float = Field(0.1, gt=0, lt=0.9, description="a share above 0 and below 0.9")
    folds: Literal["auto"] | Annotated[int, BeforeValidator(not_truth), Field(ge=1, le=20)] = Field(
        "auto",
        description="auto, or a whole number from 1 to 20 (a member is a generator a fold, each row is predicted by "
        "one that has not seen it; auto: 5 where validation would have fewer than 1,000 rows, otherwise 1, no folds)",
    )
    report: Literal["test", "crossfit"] = Field(
        "test",
        description="test or crossfit (with folds: no row is test, each fold is read at the volume that does best on "
        "the others)",
    )
    canaries: Annotated[int, BeforeValidator(not_truth)] = Field(
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
    def undecided(self) -> bool:
        """Whether there is no generator yet, but auto."""
        return self.generators == ((AUTO, {}),)

    def with_generators(self, generators: tuple[GeneratorChoice, ...]) -> "StudyConfig":
        """The configuration with these in place of its own."""
        return self.model_copy(update={"generator": generators[0] if len(generators) == 1 else generators})

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
    return dumped(config.model_dump(mode="json"))
