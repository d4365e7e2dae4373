"""The attack report for people: lines for the terminal, the curves on log axes, and attacks.html."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dge_ray.phrases import interval_text, number
from dge_ray.report.figures.axes import INK
from dge_ray.report.shell.page import Answers, Drawing, Heading, Items, Paragraph, Part, Table, render
from dge_ray.report.words.attack import (
    EACH_ALONE,
    attack_verdict,
    attacked,
    attribute_verdict,
    canary_verdict,
    nearest_verdict,
    overall_verdict,
    verdicts,
)
from dge_ray.stats.leakage.attacks import tpr_allowed

COLOURS = {
    "blind": "#8a8a8a",
    "nearest": "#56b4e9",
    "distance": "#0072b2",
    "density": "#009e73",
    "classifier": "#cc79a7",
    "likelihood": "#d55e00",
}
MEANING = {
    "blind": "looks at no released row: what it finds is a difference between train and test",
    "density": "density of the released rows over that of the auxiliary ones",
    "nearest": "nearness of the nearest released row",
    "distance": "the same, against the nearest auxiliary row",
    "classifier": "log-odds of released against auxiliary rows",
    "likelihood": "the generators' own densities over that of the auxiliary rows; needs their weights",
}

TERMS = {
    "AUC": "the chance that a row of train gets a higher score than one of test: .5 is by chance, 1 always",
    "found at 1 %": "the share of train's rows that are found where 1 % of test's are taken for train's",
    "epsilon": "of differential privacy: how much likelier one row may make any outcome; 0 is not at all",
    "canaries": "made-up rows, some planted among train's before the fit, some held back",
    "exposure": "how many bits above chance a planted row ranks among those held back",
}


def attack_lines(report: Mapping) -> list[str]:
    """The report in plain lines."""
    lines = [f"study {report['study']}: {attacked(report)}", overall_verdict(report)]
    for one in report["attacks"]:
        few = one["tpr_at_fpr"]["0.01"]
        lines.append(
            f"{one['name']}: AUC {number(one['auc'])} ({interval_text(one['auc_interval'])}), {few[0]:.2%} found at "
            f"1 % false ({few[1]:.2%} to {few[2]:.2%}); {attack_verdict(one)}"
        )
    lines += [f"{one['name']}: left out, {one['why']}" for one in report["left_out"]]
    for one in report["attributes"]:
        lines.append(
            f"{one['column']} guessed from all else ({one['measure']}): {number(one['seen'])} of train rows, "
            f"{number(one['unseen'])} of test rows; leak {_gap(one['leak'])}; "
            f"{attribute_verdict(one)}"
        )
    near = report["nearest"]
    lines.append(
        f"nearest real row: {near['closer']:.1%} of released rows are nearer to train than to test "
        f"({near['interval'][0]:.1%} to {near['interval'][1]:.1%}; 50 % without copying); at the 5th percentile "
        f"{number(near['train']['fifth'])} to train, {number(near['holdout']['fifth'])} to test; equal to a row: "
        f"{near['train']['copies']:.2%} of train, {near['holdout']['copies']:.2%} of test; {nearest_verdict(near)}"
    )
    lines += _canary_lines(report["canaries"])
    if report["privacy"]:
        private = report["privacy"]
        lines.append(
            f"epsilon {number(private['epsilon'])}, delta {number(private['delta'])} allows any attack at most an AUC "
            f"of {number(private['auc_at_most'])} and {private['tpr_at_most']['0.01']:.2%} found at 1 % false"
        )
    return [*lines, report["limits"][0]]


def _gap(leak: Sequence[float]) -> str:
    return f"{number(leak[0], signed=True)} ({interval_text(leak[1:], signed=True)})"


def _canary_lines(canaries: Mapping | None) -> list[str]:
    if canaries is None:
        return []
    return [
        f"canaries by {one['name']}: exposure {one['mean']:.2f} bits ({interval_text(one['interval'])}) of at most "
        f"{one['most']:.2f}, {one['unplanted']:.2f} without planting; {one['above_all']:.0%} above all "
        f"{canaries['planted']} held-back ones; p = {_p(one['p_value'])}; {canary_verdict(one)}"
        for one in canaries["ranked"]
    ]


def attack_figure(report: Mapping) -> Figure:
    """True against false positive rates on log axes, with what epsilon allows."""
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    ax = figure.subplots()
    least = 1 / report["rows"]["unseen"]
    at = np.geomspace(least, 1, 200)
    ax.plot(at, at, color=INK, lw=0.8, ls=":", label="guessing")
    for one in report["attacks"]:
        fpr, tpr = np.array(one["roc"]["fpr"]), np.array(one["roc"]["tpr"])
        shown = tpr > 0
        name = f"{one['name']} ({one['auc']:.3f})"
        ax.plot(fpr[shown], tpr[shown], color=COLOURS[one["name"]], lw=1.6, label=name)
    if report["privacy"]:
        private = report["privacy"]
        allowed = tpr_allowed(at, private["epsilon"], private["delta"])
        ax.plot(at, allowed, color=INK, ls="--", lw=1.2, label=f"allowed by epsilon {private['epsilon']:.3g}")
    ax.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
    for axis in (ax.xaxis, ax.yaxis):  # shares as people write them, not powers of ten
        axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("rows of test taken for train's (share)")
    ax.set_ylabel("rows of train found (share)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, title="attack (AUC)", title_fontsize=8)
    return figure


def answers(report: Mapping) -> list[tuple[str, str]]:
    """What to know if nothing else is read: question and answer."""
    missed = [text.partition("; ")[2] for _, text in verdicts(report) if text.startswith("no leak found; ")]
    private = report["privacy"]
    promise = "Nothing: it is not private by a proof. That no attack of these finds a leak is evidence alone."
    if private:
        promise = f"Epsilon {number(private['epsilon'])}, delta {number(private['delta'])}: no attack has an AUC above "
        promise += f"{number(private['auc_at_most'])}."
    return [
        ("Does it leak who was in the table?", overall_verdict(report)),
        ("What is promised?", promise),
        ("What was tried?", f"{attacked(report)}; {number(len(missed))} attacks without a find."),
    ]


def render_page(report: Mapping, svg: str) -> str:
    """attacks.html, in one file. `svg`: of `attack_figure`."""
    lines = attack_lines(report)
    parts: list[Part] = [
        Answers(answers(report)),
        Items([f"{name}: {text}" for name, text in verdicts(report)]),
        Paragraph(EACH_ALONE, soft=True),
        Drawing(svg, alt="True against false positive rate of each attack"),
        Heading("Is a row in train?"),
        Table(
            ["attack", "what it looks at", "AUC", "found at 1 %", "found at .1 %", "epsilon"], [*_attack_rows(report)]
        ),
        *(Paragraph(f"{one['name']}: left out, {one['why']}.", soft=True) for one in report["left_out"]),
        Heading("Is a value guessed better than a stranger's?"),
        Table(["column", "measure", "train", "test", "leak"], [*_attribute_rows(report)]),
        Heading("Nearest real rows"),
        Table(["rows of", "nearer to train", "5th percentile", "median", "equal"], [*_nearest_rows(report["nearest"])]),
    ]
    if report["canaries"]:
        header = ["attack", "exposure, bits", "without planting", "above all held back", "AUC", "p"]
        parts += [Heading("Canaries"), Table(header, [*_canary_rows(report["canaries"])])]
    if report["privacy"]:
        parts.append(Paragraph(f"{lines[-2]}."))
    parts += [Heading("Limits"), Items(report["limits"])]
    return render("dge_ray attack", f"Attacks on {report['study']}", "", parts, TERMS)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "below 0.0001"


def _share(triple: Sequence[float]) -> str:
    return f"{triple[0]:.2%} ({triple[1]:.2%} to {triple[2]:.2%})"


def _attack_rows(report: Mapping) -> Iterable[Sequence[str]]:
    for one in report["attacks"]:
        yield (
            one["name"],
            MEANING[one["name"]],
            f"{number(one['auc'])} ({interval_text(one['auc_interval'])})",
            _share(one["tpr_at_fpr"]["0.01"]),
            _share(one["tpr_at_fpr"]["0.001"]),
            f"at least {number(one['epsilon_at_least'])}",
        )


def _attribute_rows(report: Mapping) -> Iterable[Sequence[str]]:
    for one in report["attributes"]:
        yield one["column"], one["measure"], number(one["seen"]), number(one["unseen"]), _gap(one["leak"])


def _nearest_rows(near: Mapping) -> Iterable[Sequence[str]]:
    rows: list[tuple[str, Mapping[str, Any]]] = [("all members", near)]
    rows += [(f"member {k}", one) for k, one in enumerate(near["by_member"])]
    for name, one in rows:
        closer = f"{one['closer']:.1%} ({one['interval'][0]:.1%} to {one['interval'][1]:.1%})"
        pairs = [f"{number(one['train'][key])} (test {number(one['holdout'][key])})" for key in ("fifth", "median")]
        yield name, closer, *pairs, f"{one['train']['copies']:.2%} (test {one['holdout']['copies']:.2%})"


def _canary_rows(canaries: Mapping) -> Iterable[Sequence[str]]:
    for one in canaries["ranked"]:
        yield (
            one["name"],
            f"{one['mean']:.2f} ({interval_text(one['interval'])}) of {one['most']:.2f}",
            f"{one['unplanted']:.2f}",
            f"{one['above_all']:.0%}",
            f"{number(one['auc'])} ({interval_text(one['auc_interval'])})",
            _p(one["p_value"]),
        )
