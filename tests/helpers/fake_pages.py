"""Every kind of page, made from made-up or committed reports: what a browser is shown in tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dge_ray.publishing.card import About
from dge_ray.publishing.card_page import page as bundle_page
from dge_ray.publishing.member_figures import members_by_column
from dge_ray.report.attacks_page import attack_figure
from dge_ray.report.attacks_page import render_page as attack_page
from dge_ray.report.figures.axes import svg_text
from dge_ray.report.figures.catalogue import drawings, drawn
from dge_ray.report.foreign_page import render_page as foreign_page
from dge_ray.report.study_page import render_html
from dge_ray.report.utility_page import render_page as utility_page
from dge_ray.report.utility_page import utility_figure
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

from . import fake_study

UTILITY = Path(__file__).parents[2] / "experiments" / "utility2023" / "abalone.expected.json"
LONG = "number_of_times_that_the_customer_has_been_called_since_the_last_campaign"
METHODS = ("naive_single", "naive_ensemble", "real")


def study_report(task: str = "binary", *, told: bool = True) -> dict[str, Any]:
    """A whole report with its answer's curves; `told`: whether anything can be told."""
    report = fake_study.report(task)
    volumes, metric = report["volumes"], report["metric"]
    size = report["test"]["real"][metric]
    curve = [[size * (0.03 - 0.004 * at), size * (0.01 - 0.004 * at), size * (0.05 - 0.004 * at)] for at in range(6)]
    one = [[2 * value for value in cell] for cell in curve]
    curves = [{"members": 4, "differences": curve}, {"members": 1, "differences": one}]
    report["answer"]["curves"] = {"volumes": volumes, "of": curves}
    report["margins"] = {metric: 0.02 * size}
    report["data"]["base"] = {"mean": 9.9, "sd": 3.2} if task == "regression" else {"no": 0.76, "yes": 0.24}
    report["data"]["target"] = LONG
    report["klaw"] |= {"within": 0.01, "members_within": 5, "members_within_upper": 9, "cpu_seconds_a_member": 12.0}
    report["learning_curve"] = {"status": "not_identified", "metric": metric}
    report["fidelity"] = fidelity()
    report["subgroups"] = [
        {
            "group": f"{LONG} = {value}",
            "rows": 800 + at,
            "share": 0.1,
            "risk": [0.3, 0.28, 0.32],
            "differences": {
                name: [0.01 * at, 0.01 * at - 0.02, 0.01 * at + 0.02]
                for name in ("naive_single", "naive_ensemble", "real")
            },
        }
        for at, value in enumerate(("yes", "no", "2021-03-04 to 2021-09-30"))
    ]
    if not told:
        report["answer"] |= {
            "told": False,
            "verdict": "not told apart",
            "difference": [1.2e-9, -0.02, 0.03],
            "what_would_tell": "about 12,000 validation rows or 30 members; about 80,000 test rows",
        }
        report["reflection_point"]["status"] = "undecided"
        report["warnings"] += [f"column '{LONG}' has one value only", "the learner is no better than the constant"]
    return report


def fidelity() -> dict[str, Any]:
    """report.json's fidelity: seven columns, measured and coded, with long names."""
    both = {"synthetic": 0.031, "held": 0.012}
    shares = {"train": [0.1, 0.3, 0.4, 0.2], "synthetic": [0.15, 0.3, 0.35, 0.2], "held": [0.1, 0.3, 0.4, 0.2]}
    categories = ["Some-college", "Married-civ-spouse", "no", "missing"]
    kinds = [{"labels": categories}, {"ends": ["1,230,000", "9,870,000"]}, {"ends": ["2019-03-04", "2021-11-30"]}]
    columns = [{"name": name, **kinds[at % 3], **shares, "error": both} for at, name in enumerate([LONG, *"abcdef"])]
    pair = {"columns": [LONG, "a"], **both}
    areas = {"synthetic": [0.612, 0.594, 0.63], "held": [0.503, 0.485, 0.521]}
    found = {"rows": 2000, "members": 8, "held": "test", "columns": columns, "measured": 9, "worst_pairs": [pair]}
    return found | {"column_error": both, "pair_error": both, "two_sample_auc": areas, "cpu_seconds": 2.0}


def attack_report() -> dict[str, Any]:
    """attacks.json with every part."""

    def one(name: str, auc: float) -> dict[str, Any]:
        tpr = {"0.01": [0.03, 0.02, 0.045], "0.001": [0.004, 0.0, 0.01]}
        roc = {"fpr": [0.0, 0.001, 0.01, 0.1, 1.0], "tpr": [0.0, 0.004, 0.03, 0.2, 1.0]}
        interval = [auc - 0.03, auc + 0.03]
        return {"name": name, "auc": auc, "auc_interval": interval, "epsilon_at_least": 0.0} | {
            "tpr_at_fpr": tpr,
            "roc": roc,
        }

    names = {"blind": 0.503, "density": 0.561, "nearest": 0.521, "distance": 0.534, "classifier": 0.511}
    near = {"closer": 0.52, "interval": [0.49, 0.55]} | {
        part: {"fifth": 0.0123, "median": 0.31, "copies": 0.0012} for part in ("train", "holdout")
    }
    ranked = {"name": "density", "mean": 1.4, "interval": [1.1, 1.7], "most": 6.3, "unplanted": 1.44, "auc": 0.5}
    ranked |= {"above_all": 0.02, "auc_interval": [0.45, 0.55], "p_value": 1.13e-08, "epsilon_at_least": 0.0}
    private = {"epsilon": 2.0, "delta": 1e-5, "auc_at_most": 0.88, "tpr_at_most": {"0.01": 0.074, "0.001": 0.0075}}
    leak = {"column": LONG, "measure": "mean absolute error, in standard deviations"}
    return {
        "study": "adult",
        "against": {"generator": "autoregressive", "members": 8, "volume": 104192},
        "rows": {"seen": 1000, "unseen": 1000, "auxiliary": 2000},
        "attacks": [one(name, auc) for name, auc in names.items()],
        "left_out": [{"name": "likelihood", "why": "gan has no density"}],
        "attributes": [leak | {"seen": 0.71, "unseen": 0.7, "leak": [0.01, -0.01, 0.03]}],
        "nearest": near | {"by_member": [near, near]},
        "canaries": {"planted": 20, "ranked": [ranked]},
        "privacy": private,
        "limits": ["evidence, not a guarantee: better attacks may find more"],
    }


def foreign_answer() -> dict[str, Any]:
    """What `evaluate real= synthetic=` found of two tables of some tool."""
    area = {"two_sample_auc": 0.62, "interval": [0.59, 0.65], "shape_error": 0.05, "trend_error": 0.07}
    real = {"two_sample_auc": 0.501, "interval": [0.47, 0.53], "shape_error": 0.02, "trend_error": 0.03}
    columns = [{"column": name, "error": 0.05, "real": 0.02} for name in (LONG, "income", "age")]
    pairs = [{"pair": [LONG, "income"], "error": 0.07, "real": 0.03}]
    told = {"difference": [0.02, 0.01, 0.03], "verdict": "worse", "about": "new rows, given these tables"}
    sides = ("together", "one", "real", "constant")
    score = {side: {"value": 0.41, "interval": [0.39, 0.43]} for side in sides}
    copied = {"copies": 0.0, "closer": 0.51}
    tables = [{"table": f"{LONG}.parquet", "rows": 500, **area, **copied, "strange": {"age": 2}}] * 2
    near = {**copied, "leak": False, "copies_by_chance": 0.0, "interval": [0.48, 0.54]}
    useful = {"metric": "log_loss", "margin": 0.01, "together": told, "one": told}
    return {
        **{"real": "real.csv", "test": "test.csv", "synthetic": "made/", "target": "income", "learner": "logistic"},
        **{"task": "binary", "held_out": True, "notes": ["income: 3 rows without a target are left out"]},
        "rows": {"real": 2000, "test": 800},
        "fidelity": {**area, "rows": 800, "real": real, "columns": columns, "pairs": pairs},
        "usefulness": {**useful, "scores": {"log_loss": score, "auc": score}},
        "nearest": near,
        "tables": tables,
    }


def about() -> About:
    """A bundle that discloses its study's figures."""
    columns = (
        Column(LONG, Kind.NUMERIC, "double"),
        Column("income", Kind.CATEGORICAL, "string", categories=("no", "yes")),
    )
    facts = {"study": "adult", "bundle": "b", "members": 8, "rows_per_member": 104192, "real_rows": 26048}
    facts |= {"version": "0.1.0", "generator": "autoregressive", "privacy": "no guarantee", "licence": "CC0-1.0"}
    return About(
        facts=facts | {"debiased": []},
        schema=TableSchema(columns, "income", "binary"),
        settings=[("autoregressive", {"epochs": 8, "hidden": 64})],
        description="Synthetic rows of people and their income.",
        date="2026-01-01",
        disclosed=True,
        copies="None.",
        report=study_report(),
        utility=json.loads(UTILITY.read_text()),
        attacks=attack_report(),
    )


def study(task: str = "binary", *, told: bool = True) -> str:
    report = study_report(task, told=told)
    return render_html(report, drawings(drawn(report, fake_study.surface(task))))


def utility() -> str:
    report = json.loads(UTILITY.read_text())
    return utility_page(report, svg_text(utility_figure(report)))


def attack() -> str:
    report = attack_report()
    return attack_page(report, svg_text(attack_figure(report)))


def bundle() -> str:
    import numpy as np
    import pyarrow as pa

    rows = np.arange(200)
    table = pa.table({LONG: rows / 7, "income": np.where(rows % 4, "no", "yes")})
    figure = members_by_column([table, table.slice(20)], about().schema)
    return bundle_page(about(), {} if figure is None else {"members_by_column": figure})


PAGES: dict[str, Callable[[], str]] = {
    "classification": study,
    "regression": lambda: study("regression"),
    "untold": lambda: study(told=False),
    "utility": utility,
    "attack": attack,
    "bundle": bundle,
    "foreign": lambda: foreign_page(foreign_answer()),
}
