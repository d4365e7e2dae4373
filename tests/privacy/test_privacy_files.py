"""The ledger, the key, and what a budget refuses."""

import json
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.accounting import renyi_alone

from dge_ray.errors import InputError, StudyError
from dge_ray.privacy.key import FILE, keyed_digest, new_key, read_key, write_key
from dge_ray.privacy.ledger import (
    PrivacyLedger,
    fit_entry,
    marginals_entry,
    privacy_statement,
    replacing_one,
    spent_by,
    standing_entries,
)
from dge_ray.privacy.plan import PrivacyPlan, Steps, checked_delta, least_noise, plan_privacy
from dge_ray.storage import Folder


@pytest.fixture(autouse=True, scope="module")
def quick_accounting() -> Iterator[None]:
    with renyi_alone():
        yield


@pytest.fixture(scope="module")
def plan(quick_accounting: None) -> PrivacyPlan:
    return plan_privacy(2.0, 1e-6, 2, 10_000, [Steps(1.0, 0.05, 200)], models="each")


def entries(plan: PrivacyPlan, members: int) -> list:
    return [marginals_entry(plan), *(fit_entry(plan, k, "autoregressive") for k in range(members))]


def test_what_is_there_is_not_charged_again(tmp_path: Path, plan: PrivacyPlan) -> None:
    folder = Folder.open(tmp_path)
    PrivacyLedger.open(folder, plan).add(entries(plan, 1))
    once = PrivacyLedger.open(folder, plan)
    once.add(entries(plan, 1))  # a resumed run
    assert len(once.entries) == 2
    partly = once.spent
    once.add(entries(plan, 2))
    kept = json.loads((tmp_path / "privacy/ledger.json").read_text())
    assert partly < kept["spent"] == pytest.approx(plan.spent)
    assert kept["spent"] <= kept["epsilon"] == 2.0
    assert [entry["what"] for entry in kept["entries"]][1:] == ["fit of member 0", "fit of member 1"]


def test_over_the_budget_nothing_is_written(tmp_path: Path, plan: PrivacyPlan) -> None:
    folder = Folder.open(tmp_path)
    ledger = PrivacyLedger.open(folder, plan)
    ledger.add(entries(plan, 2))
    before = (tmp_path / "privacy/ledger.json").read_bytes()
    with pytest.raises(InputError, match=r"a spend of 2\.\d+ .* planned for 2 members"):
        ledger.add(entries(plan, 3))
    assert (tmp_path / "privacy/ledger.json").read_bytes() == before


def test_other_numbers_under_a_known_name_are_refused(tmp_path: Path, plan: PrivacyPlan) -> None:
    ledger = PrivacyLedger.open(Folder.open(tmp_path), plan)
    ledger.add(entries(plan, 1))
    other = replace(plan, noise_multiplier=2 * plan.noise_multiplier)
    with pytest.raises(StudyError, match="charged with other numbers"):
        ledger.add(entries(other, 1))


def test_standing_entries_cost_nothing() -> None:
    said = standing_entries(schema="by the user's word", constraints=True, chosen=["the volume"])
    assert spent_by(said, 1e-6) == 0.0
    assert {entry.status for entry in said} == {"public", "held apart", "uncovered"}


def test_what_is_not_covered_is_said() -> None:
    """Rounding and time, in every ledger."""
    said = standing_entries(schema="by the user's word", constraints=False, chosen=["the volume"])
    open_ones = {entry.what: entry.note for entry in said if entry.status == "uncovered"}
    assert "Mironov 2012" in open_ones["rounding of the fits' noise"] and "not hidden" in open_ones["time"]


def test_replacing_a_row_is_two_rows(tmp_path: Path, plan: PrivacyPlan) -> None:
    """One out, one in: P(S) <= e^eps (e^eps R(S) + delta) + delta."""
    ledger = PrivacyLedger.open(Folder.open(tmp_path), plan)
    ledger.add(entries(plan, 2))
    kept = json.loads((tmp_path / "privacy/ledger.json").read_text())
    double = kept["replacing_one_row"]
    assert double["epsilon"] == 2 * kept["spent"]
    assert double["delta"] == pytest.approx(1e-6 * (1 + math.exp(kept["spent"])))
    assert "replaced by another" in privacy_statement(Folder.open(tmp_path))
    assert replacing_one(1e4, 1e-6) == (2e4, 1.0)


def test_the_histograms_mechanism_is_named(plan: PrivacyPlan) -> None:
    assert str(marginals_entry(plan).mechanism).startswith("discrete Gaussian")
    assert marginals_entry(replace(plan, streams=1)).mechanism == "Gaussian"
    assert marginals_entry(plan).cost == marginals_entry(replace(plan, streams=1)).cost
    before = {key: value for key, value in plan.to_json().items() if key != "streams"}
    assert PrivacyPlan.from_json(before).streams == 1 and PrivacyPlan.from_json(plan.to_json()) == plan


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_the_key_is_its_owners_and_never_replaced(tmp_path: Path) -> None:
    folder, key = Folder.open(tmp_path), new_key()
    assert read_key(folder) is None
    write_key(folder, key)
    assert read_key(folder) == key
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_key(folder, new_key())
    assert read_key(folder) == key
    assert os.listdir(tmp_path / "privacy") == ["key"]


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write_bytes(FILE, b"00ff")
    with pytest.raises(InputError, match="damaged"):
        read_key(folder)


def test_keyed_digests_tell_nothing_without_the_key() -> None:
    assert keyed_digest(1, "a") != keyed_digest(2, "a")
    assert keyed_digest(1, "a") == keyed_digest(1, "a") != keyed_digest(1, "b")


@pytest.mark.parametrize("delta", [None, 1e-4, 0.5])
def test_a_delta_that_says_nothing_is_refused(delta: float | None) -> None:
    with pytest.raises(InputError, match=r"privacy\.delta.*below 1/n = 0\.0001 .* such as 1e-05"):
        checked_delta(3.0, delta, 10_000)


def test_a_budget_that_no_noise_meets_is_refused() -> None:
    with pytest.raises(InputError, match="no noise is enough"):
        least_noise(lambda noise, how: 1.0, 0.5)
