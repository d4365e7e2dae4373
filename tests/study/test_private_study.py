"""Differential privacy in a study: what is prepared tells nothing of train rows, and what is fitted was charged."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.accounting import renyi_alone

from dge_ray.commands.sample import sample
from dge_ray.commands.tune import Study
from dge_ray.errors import InputError, InputErrors
from dge_ray.privacy.key import FILE as KEY
from dge_ray.privacy.key import read_key
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.privacy.ledger import read_ledger
from dge_ray.privacy.plan import STREAMS, PrivacyPlan
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.findings import findings_rows
from dge_ray.report.words.privacy import plan_lines, privacy_line
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import check_folder, claim_folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.private import refuse_other_streams, refuse_overspending, study_plan, what_members_cost
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import PLAN, member_file
from dge_ray.study.records.predictions import Job
from dge_ray.study.terminal.progress import Progress
from dge_ray.table import infer_schema
from dge_ray.tracking.records import report_points

Run = Callable[..., tuple[int, str, str]]
WORDS = ["privacy.epsilon=2", "privacy.delta=1e-4", "members=2", "ratios=0.5,1", "target=y", "tracking=false"]
DECLARED = [
    "columns.y={categories: [a, b]}",
    "columns.c={categories: [p, q, r]}",
    "columns.x={kind: integer, minimum: 0, maximum: 50}",
    "columns.z=numeric",
]
SMALL = ["generator.hidden=4", "generator.embedding=2", "generator.epochs=1", "generator.batch_size=8"]


@pytest.fixture(autouse=True, scope="module")
def quick_accounting() -> Iterator[None]:
    with renyi_alone():
        yield


def table(seed: int = 0, n: int = 300) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {"x": rng.integers(0, 60, n), "c": rng.choice(["p", "q", "r", "s"], n)}
    return pa.table({**columns, "z": rng.normal(size=n), "y": rng.choice(["a", "b"], n)})


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(), "t.parquet")
    return tmp_path


def config(*more: str, source: str = "t.parquet") -> StudyConfig:
    return read_config(source, [*WORDS, *DECLARED, *SMALL, *more])


def replaced(rows: pa.Table, at: int) -> pa.Table:
    """The table with another row in one place: a value that no row had, a category that is not listed, a null."""
    columns = {name: rows[name].to_pylist() for name in rows.column_names}
    columns["x"][at], columns["c"][at], columns["z"][at] = 10_000, "new", None
    columns["y"][at] = "b" if columns["y"][at] == "a" else "a"
    return pa.table(columns)


def test_what_is_prepared_depends_on_no_train_row_but_through_that_row(where: Path) -> None:
    """Everything but the train rows themselves and the keyed digest is equal for neighbours: schema, split, volumes,
    shard size, warnings, configuration, plan; and of the train rows all but the one."""
    one = prepare(config("study=s"))
    row = int(np.flatnonzero([r == one.parts["train"].slice(0, 1).to_pylist()[0] for r in conformed(one)])[0])
    pq.write_table(replaced(table(), row), "u.parquet")
    other = prepare(config("study=s", source="u.parquet"))
    for field in ("schema", "metric", "volumes", "shard_rows", "warnings", "rows"):
        assert getattr(one, field) == getattr(other, field), field
    assert one.config.model_copy(update={"source": ""}) == other.config.model_copy(update={"source": ""})
    for part in ("stopping", "validation", "test"):
        assert one.parts[part].equals(other.parts[part])
    differ = [a != b for a, b in zip(one.parts["train"].to_pylist(), other.parts["train"].to_pylist(), strict=True)]
    assert sum(differ) == 1
    folder = Folder.open(where / "absent")
    assert study_plan(one.config, folder, 2, one.n) == study_plan(other.config, folder, 2, other.n)


def conformed(prepared: Prepared) -> list[dict[str, Any]]:
    from dge_ray.table.public import conform

    return conform(table(), prepared.schema).to_pylist()


def test_the_split_depends_on_no_value(where: Path) -> None:
    pq.write_table(table().append_column("at", pa.array(np.arange(300))), "t.parquet")
    with_places = prepare(config("study=s", "columns.at={kind: integer, minimum: 0, maximum: 299}"))
    one_class = table().set_column(3, "y", pa.array(["a"] * 299 + ["b"])).append_column("at", pa.array(np.arange(300)))
    pq.write_table(one_class, "t.parquet")
    rare = prepare(config("study=s", "columns.at={kind: integer, minimum: 0, maximum: 299}"))
    assert rare.rows == {"train": 204, "stopping": 0, "validation": 36, "test": 60}
    for part in ("train", "validation", "test"):
        assert with_places.parts[part]["at"].equals(rare.parts[part]["at"])


def test_digests_are_keyed_and_keys_differ(where: Path) -> None:
    one, other = prepare(config("study=s")), prepare(config("study=s"))
    assert one.key != other.key and one.digest != other.digest
    folder = check_folder(one)
    claim_folder(one, folder)
    again = prepare(config("study=s"))
    assert again.key == one.key == read_key(folder)
    check_folder(again)
    kept = "".join(path.read_text() for path in (where / "studies/s").glob("*.*"))
    assert (where / "studies/s" / KEY).read_text() not in kept
    assert str(one.key) not in kept + repr(one)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["generator=copula"], "generator: got 'copula' with privacy.epsilon"),
        (["generator.dropout=0.1"], "generator.dropout: got 0.1; takes no such setting with privacy.epsilon"),
        (["drop_missing_target=true"], "drop_missing_target: got True with privacy.epsilon"),
        (["pretrained=a"], "pretrained:"),
        (["split_column=c"], "split_column: got c with privacy.epsilon; takes nothing"),
        (["synthetic_column=c"], "synthetic_column: got c with privacy.epsilon; takes nothing"),
        (["privacy.delta=0.5"], "privacy.delta"),
        (["privacy.models=two"], "privacy.models: got 'two'; takes each"),
        (["privacy.shema=f"], "privacy.shema: got an unknown key"),
        (["privacy.schema=absent.json"], "columns: got columns beside privacy.schema"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(where: Path, words: list[str], fault: str) -> None:
    small = [] if "generator=copula" in words else SMALL
    with pytest.raises((InputError, InputErrors)) as refusal:
        prepared = prepare(read_config("t.parquet", [*WORDS, *DECLARED, *small, "study=s", *words]))
        study_plan(prepared.config, Folder.open(where / "absent"), 2, prepared.n)
    assert fault in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_schema_from_a_file(where: Path) -> None:
    (where / "public.json").write_text(infer_schema(table(seed=5)).to_json())
    words = [*WORDS, *SMALL, "study=s", "privacy.schema=public.json"]
    prepared = prepare(read_config("t.parquet", words))
    assert prepared.schema.target == "y" and prepared.schema["x"].maximum == 59
    again = StudyConfig.model_validate(prepared.config.model_dump(mode="json"))  # as config.yaml has it
    assert again.privacy.schema_file == "public.json"


class Asked:
    """An engine that only looks at the ledger when it is asked for members."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.seen = folder, list[list[str]]()

    def want(self, jobs: list[Job], *, members: int) -> list[Job]:
        charged = [e["what"] for e in read_ledger(self.folder)["entries"] if e["status"] == "charged"]
        self.seen.append(charged)
        raise KeyboardInterrupt  # the driver dies here

    def wait(self, jobs: list[Job]) -> None: ...


def begun(*words: str) -> tuple[Study, Folder]:
    prepared = prepare(config("study=s", *words))
    folder = check_folder(prepared)
    claim_folder(prepared, folder)
    return Study(prepared, folder, Progress(), None), folder


def test_members_are_charged_before_they_are_asked_for_and_once(where: Path) -> None:
    for _ in range(2):  # killed, and run again
        study, folder = begun("members=auto", "max_members=4")
        engine = Asked(folder)
        with pytest.raises(KeyboardInterrupt):
            study.grow(engine)  # type: ignore[arg-type]
        assert engine.seen == [["histograms of all columns", *(f"fit of member {k}" for k in range(4))]]
    kept = read_ledger(folder)
    assert kept["spent"] <= 2.0 < kept["spent"] * 1.01
    assert [e["status"] for e in kept["entries"]].count("charged") == 5
    with pytest.raises(InputError, match="planned for 4 members"):
        refuse_overspending(config("study=s", "members=5"), folder)
    refuse_overspending(config("study=s", "members=3"), folder)


def test_members_of_chosen_marginals_are_charged_as_one_gaussian_on_all_rows_each(where: Path) -> None:
    prepared = prepare(read_config("t.parquet", [*WORDS, *DECLARED, "study=s", "generator=marginals"]))
    folder = check_folder(prepared)
    claim_folder(prepared, folder)
    Study(prepared, folder, Progress(), None)._charge(2)
    kept = read_ledger(folder)
    fits = [e for e in kept["entries"] if e["what"].startswith("fit of member")]
    assert [(e["sample_rate"], e["steps"]) for e in fits] == [(1.0, 1), (1.0, 1)]
    assert all("exponential mechanism" in e["mechanism"] and "DP-SGD" not in e["mechanism"] for e in fits)
    assert kept["spent"] <= 2.0 < kept["spent"] * 1.01


def test_one_model_is_charged_once_whatever_k(where: Path) -> None:
    study, folder = begun("privacy.models=one", "members=2")
    study._charge(2)
    study._charge(8)
    charged = [e["what"] for e in read_ledger(folder)["entries"] if e["status"] == "charged"]
    assert charged == ["histograms of all columns", "fit of the one model"]
    refuse_overspending(config("study=s", "privacy.models=one", "members=64"), folder)


def test_the_plan_stays_the_one_that_the_study_was_begun_with(where: Path) -> None:
    first = begun("members=2")[0].downstream.members.private
    assert first is not None and first.members == 2
    assert begun("members=1")[0].downstream.members.private == first


def test_an_earlier_versions_noise_is_not_gone_on_with(where: Path) -> None:
    """Members that are fitted stay as they are; one more would be noised in another way."""
    study, folder = begun("members=2")
    assert study.ledger is not None and study.ledger.plan.streams == STREAMS
    kept = folder.read_json(PLAN)
    folder.write_json(PLAN, {key: value for key, value in kept.items() if key != "streams"})
    fault = r"^members: got 2 in a private study whose noise is of an earlier version; takes another study"
    with pytest.raises(InputError, match=fault):
        refuse_overspending(config("study=s"), folder)
    folder.write_json(member_file(0), {})
    refuse_overspending(config("study=s", "members=1"), folder)
    with pytest.raises(InputError, match="takes at most 1, which are fitted, or another study"):
        begun("members=auto")[0]._charge(2)
    folder.write_json(member_file(1), {})
    begun("members=auto")[0]._charge(2)
    one = PrivacyPlan.from_json({**kept, "streams": 1, "models": "one"})
    refuse_other_streams(folder, one, 64)  # they draw from the model that is there
    with pytest.raises(InputError, match="takes another study"):
        refuse_other_streams(Folder.open(where / "new"), one, 64)


def test_members_get_their_own_streams_of_one_key(where: Path) -> None:
    study, folder = begun("members=2")
    spec: MemberSpec = study.downstream.members
    fits = [spec.private_fit(k) for k in (0, 1)]
    assert [fit.member for fit in fits if fit] == [0, 1]
    assert {fit.key for fit in fits if fit} == {read_key(folder)}
    assert str(read_key(folder)) not in repr(spec)
    assert spec.model_of(1) == 1 and not spec.fits_together(0)
    assert spec.private is not None
    assert replace(spec, private=replace(spec.private, models="one")).model_of(1) == 0
    (where / "studies/s" / KEY).unlink()
    with pytest.raises(InputError, match="the key that this study was begun with"):
        spec.private_fit(0)


REPORT = {
    "privacy": {
        "epsilon": 3.0,
        "delta": 1e-6,
        "spent": 2.99,
        "models": "each",
        "planned_members": 4,
        "noise_multiplier": 2.3,
        "marginals_multiplier": 13.0,
        "mechanisms": 5,
        "uncovered": ["results on test rows: not covered"],
    }
}


def test_people_are_told() -> None:
    assert (
        dict(findings_rows(REPORT)["Privacy"])["promise"] == "(3, 1e-06)-differential privacy of train rows, zero-out"
    )
    assert "epsilon 2.99 of 3 spent" in privacy_line(REPORT)
    assert any(line.startswith("privacy: ") for line in summary_lines(REPORT))
    assert "Privacy" not in findings_rows({}) and privacy_line({}) == "" and plan_lines({}) == []
    assert {p.key: p.value for p in report_points(REPORT)}["privacy/spent"] == 2.99


def test_what_k_costs_rises_with_k_and_one_costs_as_one(where: Path) -> None:
    costs = what_members_cost(prepare(config("study=s")).config, 204, (1, 2))
    assert costs[0]["noise_multiplier"] < costs[1]["noise_multiplier"]
    assert costs[2] == {"models": "one", "members": None, "noise_multiplier": costs[0]["noise_multiplier"]}


@pytest.mark.slow
@pytest.mark.parametrize("models", ["each", "one"])
def test_a_study_from_end_to_end(run: Run, models: str) -> None:
    pq.write_table(table(), "t.parquet")
    words = ["t.parquet", *WORDS, *DECLARED, *SMALL, "study=s", f"privacy.models={models}", "seed=3"]
    words.append("learner=boosting")
    code, out, err = run("tune", *words, "--json")
    assert code == 0, err
    report, folder = json.loads(out), Folder.open("studies/s")
    ledger = read_ledger(folder)
    assert report["privacy"]["spent"] == ledger["spent"] <= 2.0
    rows = [folder.read_table(f"shards/member=00{k}/part-00000.parquet") for k in (0, 1)]
    assert not rows[0].equals(rows[1])
    weights = [folder.read_bytes(f"members/00{k}/generator/weights.safetensors") for k in (0, 1)]
    assert (weights[0] == weights[1]) == (models == "one")
    record = folder.read_json("members/001/member.json")
    assert all(r["train"] is None and r["heldout"] is None for r in record["loss"])
    key = folder.read_bytes(KEY)
    for path in Path("studies/s").rglob("*"):
        assert path.name == "key" or path.is_dir() or key not in path.read_bytes()
    before = folder.read_bytes(LEDGER)
    assert run("tune", *words, "ratios=0.5,1,2")[0] == 0  # goes on
    assert folder.read_bytes(LEDGER) == before
    code, _, err = run("tune", *words, "members=4")
    assert (code, "planned for 2 members" in err) == ((2, True) if models == "each" else (0, False))
    made = sample("s", {"out": "bundle", "volume": 20}, lambda _: None)
    assert "differential privacy" in made["privacy"] and not list(Path("bundle").rglob("key"))
