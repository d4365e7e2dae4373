"""The utility report for people: lines for the terminal, one figure, and utility.html."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from dge_ray.phrases import NOTHING, beside, interval_text, number
from dge_ray.report.figures.axes import INK, named
from dge_ray.report.shell.page import Answers, Drawing, Glossary, Heading, Pairs, Paragraph, Part, Table, render
from dge_ray.stats.metrics.losses import LOSSES

COLOURS = {"PASS": "#009e73", "FAIL": "#d55e00", "UNDECIDED": "#8a8a8a"}
MEANING = {
    "PASS": "training on synthetic rows loses less than the margin",
    "FAIL": "training on synthetic rows loses more than the margin",
    "UNDECIDED": "the rows and members at hand cannot tell",
}
WORDS = {
    "synthetic - real": "the difference in risk, on the same real test rows, between the ensemble (a model on each "
    "member's synthetic rows, predictions averaged) and a model trained on the real rows; its interval is over new "
    "members, new real rows and new training seeds. U is its size, whichever is better",
    "one member": "the same of a single member's model, which is what somebody gets who receives one synthetic table",
    "verdict": "PASS: the upper one-sided 95 % bound of synthetic minus real is under the margin. FAIL: the lower one "
    "is above it. Better than real passes too",
    "attribution": "each model is trained on a member's rows as they are, with rows weighted to have real features, "
    "with labels redrawn from a model of the real rows, and with both. What a change saves is what it cost",
    "responses": "as is, less with redrawn labels: what badly learned responses cost",
    "features": "as is, less with weighted rows: what the features' law costs this model; near 0 for a model that can "
    "represent the truth, however far the features are off",
    "residue": "with both repaired, less real: what neither explains",
    "chi-square, ESS, W": "how far the features' laws are apart: 0, all rows and 1 if they are equal; W is the 99.5 % "
    "point of the density ratio on real rows, at which weights are clipped. Chi-square is an estimate, the mean "
    "density ratio less 1: below 0 it is noise about 0, laws that these rows cannot tell apart",
    "two-sample accuracy": "how well a classifier tells synthetic features from real ones on rows that it has not seen",
    "order of a pair": "tie: the real gap's interval holds 0. Separable: the real gap's lower bound is above the sum "
    "of both utilities' upper bounds, so the order holds with 95 % at least; rarely reached. Certain: neither gap's "
    "interval holds 0, and both are on one side. Kept or turned: so by the estimates, no more",
}


def verdicts(report: Mapping) -> dict[str, Mapping]:
    """Each pipeline's U in the loss that the report is about."""
    return {label: losses[report["loss"]] for label, losses in report["utility"].items()}


def utility_lines(report: Mapping) -> list[str]:
    """The report in plain lines."""
    loss = LOSSES[report["loss"]].label
    lines = [
        f"study {report['study']}: {report['members']} members of {number(report['volume'])} rows against "
        f"{number(report['rows']['train'])} real rows, on {number(report['rows']['test'])} test rows, in {loss}"
    ]
    for label, result in verdicts(report).items():
        lines.append(
            f"{label}: {result['verdict']}, synthetic minus real {number(result['difference'], signed=True)} "
            f"({interval_text(result['interval'], signed=True)}), one-sided 95 % bounds "
            f"{interval_text(result['bounds'], signed=True)}, margin {number(result['margin'])}" + _would_decide(result)
        )
        if one := one_member(report, label):
            lines.append(
                f"{label}, one member's model: {one['verdict']}, {_signed(one['difference'], one['interval'])}"
            )
    ranked = report["ranking"]
    if ranked:
        lines.append(
            f"ranking: best on real rows {ranked['top_real']}, on synthetic ones {ranked['top_synthetic']}; the truly "
            f"best is the same one with probability {ranked['top_agrees']:.2f}; regret {number(ranked['regret'])} "
            f"({interval_text(ranked['regret_interval'])}), tau {_tau(ranked)}"
        )
    mean, response = report["ingredients"]["overlap"]["mean"], report["ingredients"]["response_error"]
    lines.append(
        f"features: two-sample accuracy {number(mean.get('c2st'))}, chi-square {_chi_square(mean.get('chi2_real'))}, "
        f"effective share of rows {number(mean.get('ess_share'))}; responses: "
        + _signed(response["value"], response["interval"])
    )
    return [*lines, *_generation_lines(report.get("generations")), f"all of it {report['given']}"]


def one_member(report: Mapping, label: str) -> Mapping | None:
    """U of a single member's model in the loss that the report is about; older reports have no other."""
    return ((report.get("utility_of_one_member") or {}).get(label) or {}).get(report["loss"])


def _generation_lines(generations: Mapping | None) -> list[str]:
    """How U moves from generation to generation, for a table that holds synthetic rows of earlier ones."""
    if generations is None:
        return []
    known = ", ".join(f"{one['generation']}: {_signed(one['value'], one['interval'])}" for one in generations["known"])
    if generations["trend"] is None:
        return [f"generations with a known U in this loss: {known}; one has no trend"]
    trend = generations["trend"]
    moves = f"{trend['direction']}, {_signed(trend['slope'], trend['interval'])} a generation"
    return [f"synthetic minus real by generation: {known}; {moves}"]


def _would_decide(result: Mapping) -> str:
    if result["verdict"] != "UNDECIDED":
        return ""
    if result.get("withheld"):
        return f"; no verdict: {result['withheld']}"
    rows, members, both = result["rows_needed"], result["members_needed"], result["both_needed"]
    needs = [f"{number(rows)} test rows"] if rows else []
    needs += [f"{number(members)} members"] if members else []
    if not needs and both:
        needs = [f"{number(both[0])} test rows with {number(both[1])} members"]
    return f"; would decide: {' or '.join(needs)}" if needs else "; more rows and members would not decide"


def utility_figure(report: Mapping) -> Figure:
    """Synthetic minus real risk of each pipeline with its interval, and the margin."""
    results = verdicts(report)
    figure = Figure(figsize=(6.2, 1.3 + 0.5 * len(results)), layout="constrained")
    ax = figure.subplots()
    for at, one in enumerate(results.values()):
        lo, hi = one["interval"]
        ax.plot([lo, hi], [at, at], color=COLOURS[one["verdict"]], lw=2.4)
        ax.plot(one["difference"], at, "o", color=COLOURS[one["verdict"]])
        ax.plot([one["margin"]] * 2, [at - 0.35, at + 0.35], color=INK, ls="--", lw=1.3)
        ax.annotate(one["verdict"], (hi, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    ax.axvline(0, color=INK, lw=0.8)
    ax.margins(x=0.15)
    ax.set_yticks(range(len(results)), list(map(named, results)))
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(f"{LOSSES[report['loss']].label}, synthetic minus real (dashed: the margin)")
    return figure


def answers(report: Mapping) -> list[tuple[str, str]]:
    """What to know if nothing else is read: question and answer."""
    found = verdicts(report)
    said = [
        f"{word} for {', '.join(names)}: {MEANING[word]}"
        for word in MEANING
        if (names := [label for label, one in found.items() if one["verdict"] == word])
    ]
    ranked = report["ranking"]
    choice = "One pipeline: nothing to rank."
    if ranked:
        choice = (
            f"The best one on synthetic rows, {ranked['top_synthetic']}, loses {number(ranked['regret'])} "
            f"({interval_text(ranked['regret_interval'])}) against the best on real rows; with probability "
            f"{ranked['top_agrees']:.2f} the truly best is the same on both."
        )
    needs = [f"{label}: {would}" for label, one in found.items() if (would := _would_decide(one).removeprefix("; "))]
    told = "; ".join(needs) or "every verdict is decided"
    return [
        ("May I train on it?", f"{'; '.join(said)}."),
        ("May I choose a model on it?", choice),
        ("What would change that?", f"{told}."),
    ]


def render_page(report: Mapping, svg: str) -> str:
    """utility.html, self-contained. `svg`: of `utility_figure`."""
    generations = [Paragraph(f"{line}.") for line in _generation_lines(report.get("generations"))]
    about = f"{utility_lines(report)[0]}; {report['given']}."
    parts: list[Part] = [
        Paragraph(about, soft=True),
        Answers(answers(report)),
        Drawing(svg, alt="Synthetic minus real risk of each pipeline, with its interval and the margin"),
        Heading("Is it good enough?"),
        Table(
            ["pipeline", "loss", "synthetic - real", "one member", "margin", "verdict", "would decide"],
            [*_utility_rows(report)],
        ),
        *generations,
        Heading("May a model be chosen on it?"),
        *_ranking(report["ranking"]),
        Heading("Features or responses?"),
        Table(["pipeline", "features", "responses", "residue", "misspecification"], [*_attribution_rows(report)]),
        Heading("Features' laws, by member"),
        Table(
            ["rows of", "chi-square (real; synthetic)", "V", "ESS share", "W", "clipped", "two-sample"],
            [*_overlap_rows(report)],
        ),
        Heading("Words"),
        Glossary(WORDS),
    ]
    return render("dge_ray utility", f"{report['study']}: utility", "", parts, WORDS)


def _signed(value: float, interval: Sequence[float]) -> str:
    return f"{number(beside(value, interval), signed=True)} ({interval_text(interval, signed=True)})"


def _chi_square(value: float | None) -> str:
    return number(value) + (" (noise about 0)" if value is not None and value < 0 else "")


def _tau(ranked: Mapping) -> str:
    interval = interval_text(ranked["kendall_interval"])
    return number(ranked["kendall"]) + (f" ({interval})" if interval != NOTHING else "")


def _utility_rows(report: Mapping) -> Iterable[Sequence[str]]:
    for label, losses in report["utility"].items():
        for loss, one in losses.items():
            yield (
                label,
                LOSSES[loss].label + (" *" if loss == report["loss"] else ""),
                _signed(one["difference"], one["interval"]),
                _of_one(report, label, loss),
                number(one["margin"]),
                f"{one['verdict']}: {MEANING[one['verdict']]} (one-sided bounds "
                f"{interval_text(one['bounds'], signed=True)})",
                _would_decide(one).removeprefix("; ").removeprefix("would decide: ") or NOTHING,
            )


def _of_one(report: Mapping, label: str, loss: str) -> str:
    one = ((report.get("utility_of_one_member") or {}).get(label) or {}).get(loss)
    return NOTHING if one is None else f"{_signed(one['difference'], one['interval'])}: {one['verdict']}"


def _ranking(ranked: Mapping) -> list[Part]:
    if not ranked:
        return [Paragraph("One pipeline: nothing to rank.", soft=True)]
    tops = f"{ranked['top_real']} on real rows, {ranked['top_synthetic']} on synthetic ones"
    facts = [
        ("best", tops),
        ("probability that the truly best one is the same on both", f"{ranked['top_agrees']:.2f}"),
        ("regret", f"{number(ranked['regret'])} ({interval_text(ranked['regret_interval'])})"),
        ("Kendall's tau", _tau(ranked)),
        ("Spearman's rho", number(ranked["spearman"])),
        ("order kept, of pairs that are no ties", number(ranked["agreement"])),
        ("members that alone pick", ", ".join(f"{name} {share:.0%}" for name, share in ranked["picks"].items())),
    ]
    pairs = [
        (
            f"{pair['first']} before {pair['second']}",
            _signed(pair["real_gap"], pair["real_interval"]),
            _signed(pair["synthetic_gap"], pair["synthetic_interval"]),
            _order(pair),
        )
        for pair in ranked["pairs"]
    ]
    return [Pairs(facts), Table(["real order", "real gap", "synthetic gap", "order"], pairs)]


def _order(pair: Mapping) -> str:
    for word in ("tie", "separable", "certain"):
        if pair[word]:
            return word
    return "kept" if pair["consistent"] else "turned"


def _attribution_rows(report: Mapping) -> Iterable[Sequence[str]]:
    wrong = report["ingredients"]["misspecification"]
    for label, parts in report["attribution"].items():
        cells = [
            _signed(parts[name]["value"], parts[name]["interval"]) for name in ("features", "responses", "residue")
        ]
        one = wrong.get(label)
        verdict = (
            "the flexible learner itself"
            if one is None
            else (
                f"{number(one['value'], signed=True)} (above {number(one['lower'], signed=True)})"
                + (": well specified as far as can be seen" if one["well_specified"] else "")
            )
        )
        yield (label, *cells, verdict)


def _overlap_rows(report: Mapping) -> Iterable[Sequence[str]]:
    overlap = report["ingredients"]["overlap"]
    named = [("mean", overlap["mean"]), *((f"member {k}", one) for k, one in enumerate(overlap["members"]))]
    for name, one in named:
        yield (
            name,
            f"{_chi_square(one.get('chi2_real'))}; {_chi_square(one.get('chi2_synthetic'))}",
            "support failure" if one.get("support_failure") else number(one.get("domination")),
            *(number(one.get(key)) for key in ("ess_share", "largest_ratio", "clipped", "c2st")),
        )
