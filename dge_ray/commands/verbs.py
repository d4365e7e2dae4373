"""What the command line has: each verb's keys and examples. `commands/VERB.py` holds the verb itself.

Nothing heavy is imported here, so that help comes at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from dge_ray.options import Also, Flag, Names, Number, Options, Place, Text, Whole, listed, part, yaml_list
from dge_ray.study.config import GeneratorChoice, LearnerChoice, StudyConfig
from dge_ray.study.keys.table_keys import CsvKeys, Query, Sheet, TableName, reading_of

if TYPE_CHECKING:
    from dge_ray.table.reading.options import Reading

GROUPS = {
    "study": ("tune", "check", "report", "test"),
    "publisher": ("utility", "attack", "estimates", "sample", "publish"),
    "receiver": ("verify", "evaluate", "select"),
    "cluster": ("status", "track", "ls"),
}
SUBJECTS = {
    "SOURCE": "a study YAML, a table's path or URI, a database, a built-in table",
    "TABLE": "a table's path or URI, a database, a built-in table or openml:NAME",
    "STUDY": "a study's folder, or its name under storage",
    "BUNDLE": "a bundle's folder or URI, as `dge-ray sample` or `publish` wrote it",
}
PLACE = "a folder or a pyarrow filesystem URI"
TEXT = "a text, as it is typed"
AS_RECOMMENDED = "as recommended if not given"


@dataclass(frozen=True)
class Verb:
    """A verb as help shows it. `more`: lines under `what`; `common`: keys of the first screen, where not all are.
    `needs_subject`: False for a verb that keys alone may do for."""

    subject: str
    what: str
    keys: type[BaseModel]
    examples: tuple[str, ...]
    more: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    needs_subject: bool = True


def _different(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
        raise ValueError("too few, or one of them twice")
    return names


Storage = Annotated[Place, Field(description=f"{PLACE} (where studies lie)")]
Kept = Annotated[Place, Also("out"), Field(description=f"{PLACE} (for finished work)")]
Out = Annotated[Place, Field(description=f"{PLACE} (the bundle's)")]
Seed = Annotated[Whole, Field(ge=0, lt=2**63, description="a whole number from 0")]
Members = Annotated[Whole | None, Field(ge=1, description="a whole number from 1 (all that are fitted if not given)")]
Published = Annotated[
    Whole | None, Field(ge=1, description="a whole number from 1 (as recommended, and at least 3, if not given)")
]
LearnerNames = Annotated[tuple[Annotated[str, Field(strict=True)], ...], BeforeValidator(listed)]
OneGenerator = Annotated[
    GeneratorChoice, BeforeValidator(part), Field(description="a generator's name; generator.SETTING=VALUE sets it")
]
OneLearner = Annotated[
    LearnerChoice,
    BeforeValidator(part),
    Also("estimator"),
    Field(description="a learner's name or an estimator's dotted path; learner.SETTING=VALUE sets it"),
]


class StudyKeys(Options):
    storage: Storage = "./studies"


class TableKeys(Options):
    """How a real table is read."""

    csv: CsvKeys = Field(CsvKeys(), description="how a CSV is written, as csv.delimiter=; (found from it if not given)")
    query: Query = None
    table: TableName = None
    sheet: Sheet = None

    @property
    def reading(self) -> "Reading":
        return reading_of(self.csv, self.query, self.table, self.sheet)


class SynTestKeys(TableKeys):
    features: Names = Field(min_length=1, description="names of columns, as [a,b] (those that are tested)")
    target: Text | None = Field(None, description="a column's name (a built-in table's own if not given)")
    method: Literal["refit", "paper", "gcm"] = Field(
        "refit", description="refit (holds its level), paper (as published) or gcm (residuals, without synthetic rows)"
    )
    alpha: Number = Field(0.05, gt=0, lt=1, description="a number above 0 and below 1 (the level)")
    epsilon: Number | None = Field(
        None, gt=0, lt=1, description="a number above 0 and below 1 (with refit: an error of at most alpha + epsilon)"
    )
    replicates: Whole = Field(200, ge=1, le=1_000_000, description="a whole number from 1 (null tables, or draws)")
    generator: OneGenerator = GeneratorChoice()
    learner: OneLearner = LearnerChoice()
    seed: Seed = 0
    storage: Kept = "./syntests"
    ratio: Annotated[tuple[Annotated[Number, Field(gt=0, le=1e6)], ...], BeforeValidator(yaml_list)] | None = Field(
        None,
        min_length=1,
        description="a number above 0 (synthetic rows over real ones; 4 if not given), or with method=paper several "
        "(1,2,4,8,16)",
    )
    volume: Whole | None = Field(
        None, ge=40, le=100_000_000, description="a whole number from 40 (synthetic rows, in place of ratio)"
    )
    pretrained: Place | None = Field(None, description="a saved generator's folder or URI (every fit starts from it)")
    drop: Names = Field((), description="names of columns, as [a,b]")
    drop_missing_target: Flag = Field(False, description="true or false (leave out rows without a target)")


class UtilityKeys(Options):
    learner: Annotated[LearnerNames | None, Also("estimators", "estimator")] = Field(
        None,
        min_length=1,
        description="names or scikit-learn paths, as [logistic,tree] (the study's and three more if not given)",
    )
    margin: Number | None = Field(
        None,
        gt=0,
        description="a number above 0, in the unit of the study's loss (0.01 in accuracy, 2 % of other losses, if not "
        "given)",
    )
    volume: Whole | None = Field(
        None, ge=2, description=f"a whole number from 2 (synthetic rows a member; {AS_RECOMMENDED})"
    )
    gate: Literal["pass", "not_fail"] | None = Field(
        None, description="pass or not_fail (exit code 3 unless that is the verdict on the study's own learner)"
    )
    storage: Storage = "./studies"


class AttackKeys(Options):
    rows: Whole = Field(10_000, ge=1, description="a whole number from 1 (rows of train, and of test, asked about)")
    volume: Whole | None = Field(
        None, ge=1, description=f"a whole number from 1 (released rows a member; {AS_RECOMMENDED})"
    )
    members: Members = None
    attributes: Names | None = Field(
        None,
        description="names of columns, as [a,b], that are guessed; [] for none (the target and columns of few "
        "categories if not given)",
    )
    storage: Storage = "./studies"


class EstimatesKeys(Options):
    estimands: str | list[Any] | None = Field(
        None,
        description="one or more of mean(COLUMN), proportion(COLUMN = VALUE), ols(COLUMN ~ TERM + ...), "
        "logistic(COLUMN = VALUE ~ TERM + ...)[TERM], as [a,b], or a YAML file with a list of them",
    )
    results: Names = Field((), description="of the study itself any of risk, utility and best_volume, as [a,b]")
    replicates: Whole = Field(100, description="a whole number from 10 (refits on resampled real rows)")
    members: Whole | None = Field(
        None, description="a whole number from 2 (as recommended, and at least 3, if not given)"
    )
    volume: Whole | None = Field(
        None, ge=2, le=100_000_000, description=f"a whole number from 2 (rows a member; {AS_RECOMMENDED})"
    )
    storage: Storage = "./studies"


class SampleKeys(Options):
    out: Out
    volume: Whole | None = Field(
        None, ge=1, description=f"a whole number from 1 (rows of each member; {AS_RECOMMENDED})"
    )
    members: Published = None
    balance: Text | None = Field(None, description="a column's name (as many rows of each of its categories)")
    storage: Storage = "./studies"


class PublishKeys(Options):
    out: Out
    volume: Whole | None = Field(
        None, ge=1, description=f"a whole number from 1 (rows of each member; {AS_RECOMMENDED})"
    )
    members: Published = None
    licence: Text | None = Field(None, description=TEXT)
    description: Text | None = Field(None, description=TEXT)
    allow: Annotated[tuple[Literal["identifiers", "copies"], ...], BeforeValidator(listed)] = Field(
        (), description="identifiers, copies or both, as [a,b] (published though refused)"
    )
    debias: str | list[Any] | None = Field(
        None, description="estimands, as [mean(age)] (the rows are debiased for them)"
    )
    uncovered: Flag = Field(
        False, description="true or false (tell what a privacy ledger does not cover, and look for copies)"
    )
    storage: Storage = "./studies"


class VerifyKeys(TableKeys):
    real: Place | None = Field(None, description="the real table, for its publisher (looks for copies of rare rows)")
    gate: Literal["clean", "no_copies"] | None = Field(
        None, description="clean, or no_copies, which needs real= (exit code 3 unless that is the verdict)"
    )


class JudgingKeys(TableKeys):  # of evaluate and select
    target: Text | None = Field(None, description="a column's name (the bundle's target if not given)")
    members: Annotated[Whole | None, Also("K")] = Field(
        None, description="a whole number from 2 (one trains, the others judge; all if not given)"
    )
    others: Literal["rotating", "first"] = Field(
        "rotating", description="rotating (the next members in turn judge) or first (the first)"
    )
    volume: Whole | None = Field(None, description="a whole number from 1 (rows a member; all if not given)")
    test: Place | None = Field(None, description="a table of real rows, which judge too")
    seed: Seed = 0
    storage: Kept = "./evaluations"


class EvaluateKeys(JudgingKeys):
    real: Place | None = Field(None, description="the real table that synthetic ones, of any tool, are judged against")
    synthetic: Place | None = Field(
        None, description="with real=: a table's file, or a folder with a table a file (the bundle if not given)"
    )
    learner: OneLearner = LearnerChoice()
    folds: Whole | None = Field(None, description="a whole number from 2 (folds of a cross-validation over generators)")
    gate: Text | None = Field(
        None,
        description="METRIC >= NUMBER or METRIC <= NUMBER (exit code 3 unless the whole interval is there); with real= "
        "also of two_sample_auc, shape_error, trend_error, closer and copies",
    )


class SelectKeys(JudgingKeys):
    learner: Annotated[LearnerNames | None, AfterValidator(_different), Also("estimators", "estimator")] = Field(
        None,
        description="a list of at least 2 different names or dotted paths, as [tree,forest] (seven if not given)",
    )
    metric: str | None = Field(None, description="a metric's name (the task's own if not given)")


OFTEN = ("study", "storage", "target", "members", "ratios", "generator", "learner", "metric", "seed")
JUDGED = ("target", "members", "others", "volume", "test", "seed", "storage")
VERBS: dict[str, Verb] = {
    "tune": Verb(
        "SOURCE",
        "Fit generators, map the error over K and m, report; resumes",
        StudyConfig,
        ("tune breast_cancer", "tune t.csv target=y members=8 generator.epochs=20"),
        common=OFTEN,
    ),
    "check": Verb(
        "SOURCE",
        "Check all, print the configuration and the bill",
        StudyConfig,
        ("check t.csv target=y", "check t.csv target=y > study.yaml"),
        ("Writes and trains nothing. What it prints is a YAML that `dge-ray tune` reads.",),
        OFTEN,
    ),
    "report": Verb(
        "STUDY",
        "Rebuild report.html and the figures of a study",
        StudyKeys,
        ("report breast_cancer", "report t storage=s3://bucket/studies"),
    ),
    "test": Verb(
        "TABLE",
        "Do features tell of the target what the others do not?",
        SynTestKeys,
        ("test diabetes features=[bmi] generator=copula", "test t.csv target=y features=[a,b] replicates=99"),
        ("A test on synthetic rows, at a level that holds.",),
        ("features", "target", "method", "alpha", "replicates", "generator", "learner", "seed", "storage"),
    ),
    "utility": Verb(
        "STUDY",
        "Is training on the synthetic rows good enough?",
        UtilityKeys,
        ("utility breast_cancer", "utility t learner=[logistic,tree] margin=0.01"),
        ("Needs the study and its table: a bundle has no real row to judge by.",),
    ),
    "attack": Verb(
        "STUDY",
        "What do the released rows give away of the real ones?",
        AttackKeys,
        ("attack breast_cancer", "attack t rows=2000 attributes=[income]"),
        ("Needs the study and its table. Evidence with limits, never a guarantee.",),
    ),
    "estimates": Verb(
        "STUDY",
        "Standard errors of estimands, by refits on resampled rows",
        EstimatesKeys,
        ("estimates t estimands='[mean(age)]'", "estimates t results=[risk,utility] replicates=50"),
        ("Writes estimates.json into the study; `dge-ray publish` takes it along.",),
    ),
    "sample": Verb(
        "STUDY",
        "Write a bundle of synthetic rows",
        SampleKeys,
        ("sample breast_cancer out=bundle volume=1000", "sample t out=bundle volume=1000 balance=y"),
    ),
    "publish": Verb(
        "STUDY",
        "Write a bundle to hand on: rows, data card, checksums",
        PublishKeys,
        ("publish breast_cancer out=bundle", "publish t out=bundle licence=CC-BY-4.0 volume=5000"),
    ),
    "verify": Verb(
        "BUNDLE",
        "Check all of a bundle",
        VerifyKeys,
        ("verify bundle", "verify bundle real=t.csv"),
        ("Exit code 0 if it is clean, 1 with a line a fault, 2 if it is no bundle.",),
        ("real",),
    ),
    "evaluate": Verb(
        "BUNDLE",
        "How good is a model, by a bundle? Or a table, by real rows?",
        EvaluateKeys,
        ("evaluate bundle learner=boosting folds=5", "evaluate real=t.csv synthetic=made/ target=y"),
        common=("real", "synthetic", "target", "test", "learner", "members", "storage"),
        needs_subject=False,
    ),
    "select": Verb(
        "BUNDLE",
        "Which learner is best, by synthetic tables alone?",
        SelectKeys,
        ("select bundle", "select bundle learner=[logistic,tree,forest] metric=auc"),
        common=(*JUDGED, "learner", "metric"),
    ),
    "status": Verb(
        "STUDY",
        "Where is a study: what is done, how long will it take?",
        StudyKeys,
        ("status breast_cancer", "status t storage=s3://bucket/studies"),
    ),
    "track": Verb(
        "STUDY",
        "Send MLflow what it lacks of a study",
        StudyKeys,
        ("track breast_cancer", "track t storage=s3://bucket/studies"),
        ("After a server's failure, or to another server. Nothing goes twice.",),
    ),
    "ls": Verb(
        "",
        "List studies, generators, learners and built-in tables",
        StudyKeys,
        ("ls", "ls storage=s3://bucket/studies"),
    ),
}
