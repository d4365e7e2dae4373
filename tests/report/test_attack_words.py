"""Verdicts on attacks: what was found is called a leak with its bound, what was not is said with what is missed."""

from html import unescape
from typing import Any

import pytest
from helpers import fake_study
from helpers.pages import parse

from dge_ray.report.study_page import render_html
from dge_ray.report.words.attack import (
    attack_verdict,
    attribute_verdict,
    canary_verdict,
    nearest_verdict,
    overall_verdict,
    verdicts,
)
from dge_ray.results.assemble import write_page
from dge_ray.storage import Folder
from dge_ray.study.records.files import ATTACKS


def judged(name: str, auc: float, low: float, high: float, epsilon: float = 0.0) -> dict[str, Any]:
    return {"name": name, "auc": auc, "auc_interval": [low, high], "epsilon_at_least": epsilon, "tpr_at_fpr": {}}


DENSITY = judged("density", 0.583, 0.56, 0.61, 0.316)
NOTHING = judged("distance", 0.505, 0.48, 0.53)
TOLD = "rows that the generators saw can be told from others (AUC 0.5830, 0.5600 to 0.6100)"


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (DENSITY, f"leak found: {TOLD}; no epsilon below 0.3160 is compatible with this"),
        (judged("likelihood", 0.52, 0.505, 0.54), "leak found: "),
        (judged("classifier", 0.5, 0.48, 0.52, 0.1), "leak found: "),  # few rows, but those for certain
        (NOTHING, "no leak found; a leak up to AUC 0.5300 would not have been seen"),
        (judged("nearest", 0.45, 0.42, 0.48), "no leak found: rows of train score lower than those of test"),
        (judged("blind", 0.6, 0.57, 0.63, 0.2), "train and test differ: "),
        (judged("blind", 0.5, 0.47, 0.53), "train and test look alike; a difference up to AUC 0.5300 would"),
        ({"name": "density"}, ""),
    ],
)
def test_an_attack(one: dict[str, Any], says: str) -> None:
    assert attack_verdict(one).startswith(says) and bool(says) == bool(attack_verdict(one))


def test_canaries_columns_and_nearest_rows() -> None:
    assert canary_verdict(judged("density", 0.9, 0.8, 0.95, 1.2)).startswith("leak found: planted rows can be told")
    assert "up to AUC 0.6000" in canary_verdict(judged("density", 0.5, 0.4, 0.6))
    column = {"column": "c", "measure": "accuracy", "leak": [0.1, 0.02, 0.18]}
    assert attribute_verdict(column).startswith("leak found: guessed better for rows that the generators saw (+0.1000")
    assert "a gain up to 0.0300" in attribute_verdict({**column, "leak": [0.0, -0.03, 0.03]})
    assert nearest_verdict({"closer": 0.6, "interval": [0.55, 0.65]}).startswith("leak found: released rows are nearer")
    assert "a share up to 55.0%" in nearest_verdict({"closer": 0.5, "interval": [0.45, 0.55]})


def found(*attacks: dict[str, Any], **more: Any) -> dict[str, Any]:
    against = {"members": 4, "volume": 900, "generator": "copula"}
    return {"attacks": list(attacks), "against": against, "rows": {"seen": 9, "unseen": 9, "auxiliary": 9}, **more}


def test_all_of_them_in_a_sentence() -> None:
    text = overall_verdict(found(NOTHING, DENSITY))
    assert text == f"Leak found by density: {TOLD[:-1]} by density); no epsilon below 0.3160 is compatible with this."
    assert overall_verdict(found(NOTHING)).startswith(
        "No leak found; a leak up to AUC 0.5300 would not have been seen."
    )
    assert overall_verdict(found()).startswith("No leak found. ")
    blind = judged("blind", 0.6, 0.57, 0.63, 0.2)
    assert "(blind)" in overall_verdict(found(blind, DENSITY)) and overall_verdict(found(blind)).startswith("No leak")
    # The column alone; an epsilon that the ledger does not allow.
    column = {"column": "c", "measure": "accuracy", "leak": [0.1, 0.02, 0.18]}
    assert overall_verdict(found(NOTHING, attributes=[column])) == "Leak found by c guessed."
    assert "it does not hold" in overall_verdict(found(DENSITY, privacy={"epsilon": 0.3, "delta": 1e-6}))
    assert "it does not hold" not in overall_verdict(found(DENSITY, privacy={"epsilon": 1.0, "delta": 1e-6}))


def test_the_studys_own_page_says_it_where_there_are_attacks(tmp_path: Any) -> None:
    attacks = found(NOTHING, DENSITY, nearest={"closer": 0.5, "interval": [0.45, 0.55]})
    folder = Folder.open(tmp_path)
    write_page(folder, {"study": "bare"}, fake_study.surface().slice(0, 0))
    assert b"Attacks" not in folder.read_bytes("report.html")
    folder.write_json(ATTACKS, attacks)
    write_page(folder, {"study": "bare"}, fake_study.surface().slice(0, 0))
    text = unescape(" ".join(parse(folder.read_bytes("report.html").decode()).text))
    assert overall_verdict(attacks) in text and "4 members of 900 rows (copula)" in text
    assert all(f"{name}: {said}" in text for name, said in verdicts(attacks))
    assert "Attacks" not in render_html({"study": "s"}, {})
