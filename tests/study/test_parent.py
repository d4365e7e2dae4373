"""Several private studies of one table: a chain counts what all of it planned, and nobody can be left out of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.accounting import renyi_alone

from dge_ray.commands.tune import Study
from dge_ray.errors import InputError, StudyError
from dge_ray.phrases import EPSILONS_ADD_UP
from dge_ray.privacy.accounting import Mechanism, epsilon, renyi_epsilon
from dge_ray.privacy.ledger import privacy_statement, read_ledger
from dge_ray.privacy.plan import PrivacyPlan, Steps, plan_privacy
from dge_ray.report.words.privacy import plan_lines, privacy_line, privacy_rows
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import check_folder, claim_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.private import privacy_section, refuse_overspending
from dge_ray.study.read_config import read_config
from dge_ray.study.records import lock
from dge_ray.study.records.files import CHILD, PLAN
from dge_ray.study.terminal.progress import Progress

WORDS = [
    *("privacy.delta=1e-4", "members=2", "ratios=1", "target=y", "tracking=false", "columns.y={categories: [a, b]}"),
    *("columns.x={kind: integer, minimum: 0, maximum: 50}", "columns.z={kind: numeric, minimum: -9, maximum: 9}"),
    *("generator.hidden=4", "generator.embedding=2", "generator.epochs=1", "generator.batch_size=8"),
]
DELTA = 1e-4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.01)
    write_table("t")
    with renyi_alone():
        yield


def write_table(name: str, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    rows = {"x": rng.integers(0, 50, 200), "z": rng.normal(size=200), "y": rng.choice(["a", "b"], 200)}
    pq.write_table(pa.table(rows), f"{name}.parquet")


def config(study: str, total: float, *words: str, parent: str | None = None, source: str = "t") -> StudyConfig:
    chain = [] if parent is None else [f"privacy.parent={parent}"]
    given = [*WORDS, f"study={study}", f"privacy.epsilon={total}", *chain, *words]
    return read_config(f"{source}.parquet", given)


def begun(*given: Any, **more: Any) -> Study:
    """A study with its ledger opened and its members charged."""
    prepared = prepare(config(*given, **more))
    folder = check_folder(prepared)
    claim_folder(prepared, folder)
    study = Study(prepared, folder, Progress(), None)
    study._charge(prepared.most_members)
    return study


def plan_of(study: str) -> PrivacyPlan:
    return PrivacyPlan.from_json(Folder.open(f"studies/{study}").read_json(PLAN))


def mechanisms(study: str) -> list[Mechanism]:
    """Of a study's own fits and histogram, as they are noised."""
    plan = plan_of(study)
    fits = [Mechanism(plan.noise_multiplier, s.sample_rate, s.steps) for s in map(plan.steps_of, range(plan.members))]
    return [Mechanism(plan.marginals_multiplier), *fits[: None if plan.models == "each" else 1]]


def refused(*given: Any, **more: Any) -> str:
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError) as refusal:
        prepare(config(*given, **more))
    assert sorted(Path().rglob("*")) == before and "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_chain_spends_at_most_the_last_ones_epsilon() -> None:
    """Three studies: by a composition of all their mechanisms that looks at no ledger."""
    begun("a", 1.0)
    begun("b", 2.0, parent="a")
    last = begun("c", 2.5, "privacy.models=one", parent="b")
    alone = plan_privacy(2.5, DELTA, 2, last.prepared.n, plan_of("c").steps, models="one")
    assert plan_of("c").noise_multiplier > alone.noise_multiplier  # less is left
    for names, total in (("a", 1.0), ("ab", 2.0), ("abc", 2.5)):
        together = renyi_epsilon([m for name in names for m in mechanisms(name)], DELTA)
        assert total * 0.99 < together <= total
        ledger = read_ledger(Folder.open(f"studies/{names[-1]}"))
        assert ledger["spent"] == pytest.approx(together) and ledger["ancestors"] == list(names[:-1])
    before = [e for e in ledger["entries"] if e["what"].startswith("before, by the study")]
    assert {e["status"] for e in before} == {"charged"} and {e["what"].split("'")[1] for e in before} == {"a", "b"}
    assert begun("c", 2.5, "privacy.models=one", parent="b").ledger.entries == last.ledger.entries  # type: ignore[union-attr]


def test_what_is_planned_counts_and_not_what_is_done() -> None:
    """A parent that has fitted nothing yet may do so later."""
    prepared = prepare(config("a", 1.0))
    claim_folder(prepared, check_folder(prepared))
    Study(prepared, Folder.open("studies/a"), Progress(), None)
    assert read_ledger(Folder.open("studies/a"))["spent"] == 0.0
    begun("b", 2.0, parent="a")
    together = renyi_epsilon([*mechanisms("a"), *mechanisms("b")], DELTA)
    assert 1.98 < together <= 2.0


@pytest.mark.parametrize("total", [0.5, 1.0])
def test_nothing_left_is_refused(total: float) -> None:
    begun("a", 1.0)
    text = refused("b", total, parent="a")
    assert text.startswith(f"privacy.epsilon: got {total:g}, of which nothing is left: 'a' planned ")


def test_what_cannot_be_a_parent_is_refused() -> None:
    begun("a", 1.0)
    assert "'a', the study itself" in refused("a2", 3.0, parent="a2").replace("a2", "a")
    assert "privacy.parent: got 'nobody'; takes a private study of this table" in refused("b", 3.0, parent="nobody")
    plain = prepare(read_config("t.parquet", ["target=y", "study=plain", "members=2", "ratios=1", "generator=copula"]))
    claim_folder(plain, check_folder(plain))
    assert "'plain', which is not private" in refused("b", 3.0, parent="plain")
    write_table("other", seed=1)
    assert "a study of another table" in refused("b", 3.0, parent="a", source="other")
    with pytest.raises(Exception, match=r"privacy\.parent: got '\.\./a'"):
        config("b", 3.0, parent="../a")


def test_a_parent_has_one_child() -> None:
    """Whether or not the first one is still there, and whatever later took its name."""
    begun("a", 1.0)
    begun("b", 2.0, parent="a")
    assert "'a', which has a child already, 'b'; takes 'b'" in refused("c", 2.0, parent="a")
    begun("c", 3.0, parent="b")
    shutil.rmtree("studies/b")
    assert "'a', which has a child already, 'b', that was another one of this name" in refused("b", 2.0, parent="a")
    shutil.rmtree("studies/a")
    begun("c", 3.0, parent="b")  # what was counted stands in its own plan


def test_two_that_begin_at_once_are_not_both_children() -> None:
    """Both looked before either was noted: under the parent's lock the second one is refused before it is charged."""
    begun("a", 1.0)
    both = [prepare(config(name, 2.0, parent="a")) for name in ("b", "c")]
    for prepared in both:
        claim_folder(prepared, check_folder(prepared))
    Study(both[0], Folder.open("studies/b"), Progress(), None)
    with pytest.raises(InputError, match="'a', which has a child already, 'b'"):
        Study(both[1], Folder.open("studies/c"), Progress(), None)
    assert not Path("studies/c/privacy/ledger.json").exists()


def test_the_parents_lock_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    begun("a", 1.0)
    prepared = prepare(config("b", 2.0, parent="a"))
    claim_folder(prepared, check_folder(prepared))
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    parent = Folder.open("studies/a")
    with lock.study_lock(parent, print), pytest.raises(StudyError, match="works on this study"):
        Study(prepared, Folder.open("studies/b"), Progress(), None)
    assert not parent.exists(CHILD)
    Study(prepared, Folder.open("studies/b"), Progress(), None)
    assert parent.read_json(CHILD)["study"] == "b"


def test_a_parent_does_not_outgrow_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    begun("a", 1.0)
    begun("b", 2.0, parent="a")
    refuse_overspending(config("a", 1.0), Folder.open("studies/a"))
    with pytest.raises(InputError, match=r"members: got 3 in a study that is the parent of 'b'; takes at most 2"):
        refuse_overspending(config("a", 1.0, "members=3"), Folder.open("studies/a"))


def test_it_is_part_of_the_identity() -> None:
    begun("a", 1.0)
    begun("b", 2.0, parent="a")
    with pytest.raises(InputError, match="exists with another privacy"):
        check_folder(prepare(config("b", 2.0)))
    assert prepare(config("a", 1.0)).identity()["privacy"] == [1.0, DELTA, "each"]


def test_that_epsilons_add_up_is_said_everywhere() -> None:
    begun("a", 1.0)
    study = begun("b", 2.0, parent="a")
    assert study.ledger is not None
    section = {"privacy": privacy_section(study.ledger)}
    assert EPSILONS_ADD_UP in privacy_line(section)
    assert dict(privacy_rows(section))["counted with this one"] == "a"
    for name, counted in (("a", False), ("b", True)):
        said = privacy_statement(Folder.open(f"studies/{name}"))
        assert EPSILONS_ADD_UP in said and ("what 'a' planned before is counted here" in said) == counted
    with pytest.raises(InputError, match="begin another study: the epsilons of several studies of one table add up"):
        study._charge(9)
    costs = [{"models": "one", "noise_multiplier": 1.0}]
    shown = plan_lines({"plan": plan_of("b").to_json(), "costs": costs})
    assert any("what was planned by a (privacy.parent)" in line for line in shown)
    assert any(EPSILONS_ADD_UP in line for line in plan_lines({"plan": plan_of("a").to_json(), "costs": costs}))


def test_a_plan_from_before_has_no_ancestors() -> None:
    begun("a", 1.0)
    raw = json.loads(Path("studies/a", PLAN).read_text())
    assert raw.pop("before") == [] and PrivacyPlan.from_json(raw) == plan_of("a")


@pytest.mark.slow
def test_the_tight_accounting_plans_a_chain_too() -> None:
    """Where the loose bound of what is spent before is over the whole budget, and the tight one is not."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("plan", "ledger"):
            patch.setattr(f"dge_ray.privacy.{module}.epsilon", epsilon)
        steps = [Steps(1.0, 0.05, 100)]
        first = plan_privacy(2.0, DELTA, 1, 5_000, steps, models="each")
        before = first.planned("a")
        assert renyi_epsilon([one.cost for one in before], DELTA) > 2.05
        second = plan_privacy(2.05, DELTA, 1, 5_000, steps, models="each", before=before)
        mine = [one.cost for one in second.planned("b")]
        assert 2.0 < epsilon(mine, DELTA) <= 2.05
