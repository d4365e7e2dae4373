"""Draws the papers' figures from the results that are committed here: `python experiments/figures.py`.

Nothing is fitted. Each figure is an SVG in experiments/figures; experiments/README.md says which of the papers' it is
beside, and which command makes the results that it is drawn from. Authors' numbers are those of their repositories.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, PINK, INK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#222222", "#8a8a8a"
NAIVE = {"naive_single": ORANGE, "naive_ensemble": GREEN, "naive_concatenated": PINK, "real": INK}
SHIFTS = np.linspace(0, 1.9, 39)  # of the features' law: density 1 - s / 2 + s x on [0, 1]; the results have s = 1
GRID = (np.arange(4_000) + 0.5) / 4_000


def read(name: str) -> Any:
    return json.loads((HERE / name).read_text())


def panels(count: int, width: float = 3.0, height: float = 2.8) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width * count, height), layout="constrained")
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e6e6e6", lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8)
    return figure, axes


def reflection_curves() -> Figure:
    """Syn-Boost: the error of learners on raw and synthetic rows over the volume, on three of the benchmarks."""
    files = ("benchmarks_adult", "benchmarks_california", "benchmarks_small")
    runs = [one for file in files for one in read(f"syn2023/results/{file}.json")]
    shown = [one for one in runs if one["mode"] == "augmented" and one["metric"] != "log_loss"]
    figure, axes = panels(len(shown))
    for ax, one in zip(axes, shown, strict=True):
        at = np.arange(len(one["ratios"]))
        ax.plot(at, one["report"], "o-", color=BLUE, ms=4, label=f"{one['members']} generators")
        ax.plot(at, one["report_single"], "s--", color=ORANGE, ms=3, label="one generator")
        chosen = one["ratios"].index(one["ratio"])
        ax.plot(chosen, one["report"][chosen], "*", color=INK, ms=12, label="chosen elsewhere")
        ax.axhline(one["baselines"]["all_real"]["error"], color=GREY, ls=":", label="all real rows")
        ax.set_xticks(at, [f"{ratio:g}" for ratio in one["ratios"]])
        error = "error" if one["metric"] == "accuracy" else one["metric"].upper()
        ax.set_title(f"{one['table'].replace('_', ' ')}, {error}", fontsize=9)
        ax.set_xlabel("synthetic over generator's rows", fontsize=8)
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def simulated_regression() -> Figure:
    """Syn-Boost on the simulated regression: RMSE over the volume, four ways to make the generator."""
    one = read("syn2023/simulation.expected.json")[0]
    figure, (ax,) = panels(1, 5.2, 3.2)
    colours = {"5K fine-tuned": BLUE, "5K": ORANGE, "1K fine-tuned": GREEN, "1K": PINK}
    for name, colour in colours.items():
        cells = one[name]["rmse"]
        value, low, high = np.array(list(cells.values())).T
        at = np.arange(len(cells))
        ax.errorbar(at, value, [value - low, high - value], fmt="o-", ms=3, color=colour, capsize=2, label=name)
        ax.set_xticks(at, list(cells))
    for name, style in (("raw", "-"), ("pretraining", ":")):
        ax.axhline(one[name][0], color=INK, ls=style, lw=1, label=f"{name} rows")
    ax.axhspan(0.2094, 0.2115, color=GREY, alpha=0.3, label="authors, ratio 8 and more")
    ax.set_xlabel("synthetic over raw rows", fontsize=8)
    ax.set_ylabel("RMSE", fontsize=8)
    ax.legend(fontsize=7, frameon=False, ncols=2)
    return figure


def dge_against_naive() -> Figure:
    """Log loss of the ensemble less that of each naive use of the same generators, and of real rows, by table."""
    names = ("adult", "breast_cancer", "circles", "credit_default", "moons")
    figure, (ax,) = panels(1, 6.2, 3.4)
    for at, name in enumerate(names):
        differences = read(f"dge2023/{name}.expected.json")["test_differences"]
        for step, (method, colour) in enumerate(NAIVE.items()):
            if method in differences:
                value, low, high = differences[method]["log_loss"]
                x = at + 0.15 * (step - 1.5)
                label = method.replace("_", " ") if at == 0 else None
                ax.errorbar(x, value, [[value - low], [high - value]], fmt="o", ms=4, color=colour, label=label)
    ax.axhline(0, color=GREY, lw=1)
    ax.set_yscale("symlog", linthresh=0.01)
    ax.set_yticks([-0.1, -0.01, 0, 0.01, 0.1], ["-0.1", "-0.01", "0", "0.01", "0.1"])
    ax.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    ax.set_ylabel("log loss, DGE less the other", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    return figure


def evaluation() -> Figure:
    """Scores of models by the generator's own rows, by other generators' rows, and by real rows, as GANs grow."""
    runs = sorted(read("dge2023/results/evaluation.json"), key=lambda one: one["layers"])
    figure, axes = panels(2, 3.2)
    for ax, metric in zip(axes, ("accuracy", "auc"), strict=True):
        for step, (judge, colour) in enumerate((("naive", ORANGE), ("dge", BLUE), ("real", INK))):
            cells = [one["scores"][metric][judge] for one in runs]
            value, (low, high) = np.array([c["value"] for c in cells]), np.array([c["interval"] for c in cells]).T
            x = np.arange(len(runs)) + 0.1 * (step - 1)
            ax.errorbar(x, value, [value - low, high - value], fmt="o", ms=4, color=colour, capsize=2, label=judge)
        ax.set_xticks(range(len(runs)), [str(one["layers"]) for one in runs])
        ax.set_xlabel("layers of the GAN (circles)", fontsize=8)
        ax.set_title(metric.replace("auc", "AUC"), fontsize=9)
    axes[0].legend(fontsize=7, frameon=False, title="judged by", title_fontsize=7)
    return figure


def selection() -> Figure:
    """How alike the ranking of seven learners is to that of real rows, and how far off their scores are."""
    summaries = read("dge2023/results/choice.json")["summaries"]
    figure, axes = panels(2, 3.6)
    for ax, key, title in zip(
        axes, ("tau", "error"), ("Kendall's tau with real rows", "error of the AUC"), strict=True
    ):
        for step, (judge, colour) in enumerate((("naive", ORANGE), ("dge", BLUE))):
            value = [one["auc"][key][judge][0] for one in summaries.values()]
            ax.bar(np.arange(len(value)) + 0.4 * step - 0.2, value, 0.4, color=colour, label=judge)
        ax.set_xticks(range(len(summaries)), [n.replace("_", "\n") for n in summaries], fontsize=7, rotation=30)
        ax.set_title(title, fontsize=9)
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def syntest_level() -> Figure:
    """Syn-Test: how often a true null hypothesis is rejected at .05, over the synthetic rows."""
    tests = read("syn2023/results/syntest_closed.json")["none"]["tests"]
    figure, (ax,) = panels(1, 4.4, 3.0)
    for way, colour, name in (("paper", ORANGE, "as published"), ("refit", BLUE, "method=refit")):
        cells = [tests[f"{way} {ratio}"] for ratio in (1, 4, 10)]
        value, (low, high) = np.array([c["rate"] for c in cells]), np.array([c["interval"] for c in cells]).T
        ax.errorbar(range(3), value, [value - low, high - value], fmt="o-", ms=4, color=colour, capsize=2, label=name)
    ax.axhline(0.05, color=GREY, ls=":", label="nominal")
    ax.set_xticks(range(3), ["1", "4", "10"])
    ax.set_xlabel("synthetic over real rows", fontsize=8)
    ax.set_ylabel("type I error", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    return figure


def transfer_distances() -> Figure:
    """Adult's women: distance to real rows of generators fitted on men, on both, and on men then women."""
    runs = [one for one in read("syn2023/results/transfer_adult.json") if one["generator"] == "autoregressive"]
    models = list(dict.fromkeys(one["model"] for one in runs))
    figure, (ax,) = panels(1, 5.2, 2.8)
    for at, model in enumerate(models):
        each = [one["distance"] for one in runs if one["model"] == model]
        ax.plot(each, [at] * len(each), "o", color=BLUE, ms=5, label="ours, by seed" if at == 0 else None)
    for at, value in enumerate((1.97, 1.29, 1.17)):
        ax.axvline(value, color=ORANGE, ls=":", label="authors: male > female > fine-tuned" if at == 0 else None)
    ax.set_yticks(range(len(models)), models, fontsize=8)
    ax.set_xlabel("distance to real female rows", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    return figure


def utility_limit(shift: float, responses: str, degree: int) -> tuple[float, float]:
    """(chi-square, U as n grows) of the closed-form problem with synthetic features of density 1 - s / 2 + s x.

    U is the risk, on real features, of the polynomial of least squares on synthetic rows, less that of the one on real
    rows. `responses`: oracle, E Y = x^2 as in the real rows, or biased, x^2 + 0.1 x. By integration on a grid.
    """
    density, design = 1 - shift / 2 + shift * GRID, np.vander(GRID, degree + 1)
    truth = GRID**2
    learnt = truth if responses == "oracle" else truth + 0.1 * GRID

    def risk(y: np.ndarray, weights: np.ndarray) -> float:
        root = np.sqrt(weights)
        fitted = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        return float(((design @ fitted - truth) ** 2).mean())

    return float((1 / density).mean() - 1), abs(risk(learnt, density) - risk(truth, np.ones_like(GRID)))


def utility_against_shift() -> Figure:
    """Utility theory: what training on synthetic rows costs against how far the features' laws are apart."""
    measured = {(one["responses"], one["class"]): one for one in read("utility2023/results/closed_form.json")["large"]}
    figure, (ax,) = panels(1, 5.0, 3.2)
    cases = (("oracle", "linear", 1, BLUE), ("oracle", "quadratic", 2, GREEN))
    for responses, name, degree, colour in (*cases, ("biased", "linear", 1, ORANGE), ("biased", "quadratic", 2, PINK)):
        chi, limit = np.array([utility_limit(shift, responses, degree) for shift in SHIFTS]).T
        specified = "well specified" if degree == 2 else "misspecified"
        ax.plot(chi, limit, color=colour, label=f"{responses} responses, {specified}")
        if (one := measured.get((responses, name))) is not None:
            ax.plot(utility_limit(1.0, responses, degree)[0], one["utility"], "o", color=colour)
    ax.set_xlabel("feature shift, chi-square (dots: measured at n = 1,000,000)", fontsize=8)
    ax.set_ylabel("U", fontsize=8)
    ax.set_ylim(top=0.0098)
    ax.legend(fontsize=7, frameon=False)
    return figure


def ranking_consistency() -> Figure:
    """Utility theory: how often both kinds of rows put two models in one order, over n; and whether the stated
    probability that the best one is the same is believed rightly."""
    orders, populations = (
        read("utility2023/results/closed_form.json")["orders"],
        read("utility2023/results/agreement.json"),
    )
    figure, (left, right) = panels(2, 3.8, 3.2)
    for (responses, pair), colour in zip(
        dict.fromkeys((one["responses"], one["pair"]) for one in orders),
        [BLUE, ORANGE, GREEN, PINK, INK, GREY],
        strict=False,
    ):
        cells = [one for one in orders if (one["responses"], one["pair"]) == (responses, pair)]
        points = [one["n"] for one in cells], [one["agreement"] for one in cells]
        left.plot(*points, "o-", ms=3, color=colour, label=f"{responses}: {pair}")
    left.set_xscale("log")
    left.set_xlabel("rows", fontsize=8)
    left.set_ylabel("same order", fontsize=8)
    left.legend(fontsize=6, frameon=False)
    for one, colour in zip(populations["populations"], [BLUE, ORANGE, GREEN, PINK, INK, GREY, "#56b4e9"], strict=True):
        bins = [cell for cell in one["truly"]["bins"] if cell["count"]]
        points = [cell["stated"] for cell in bins], [cell["happened"] for cell in bins]
        right.plot(*points, "o-", ms=3, color=colour, label=one["name"])
    right.plot([0, 1], [0, 1], color=GREY, ls=":")
    right.set_xlabel("stated probability of the same best", fontsize=8)
    right.set_ylabel("happened", fontsize=8)
    right.legend(fontsize=6, frameon=False)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    draw.__name__: draw
    for draw in (
        dge_against_naive,
        evaluation,
        selection,
        reflection_curves,
        simulated_regression,
        syntest_level,
        transfer_distances,
        utility_against_shift,
        ranking_consistency,
    )
}


def write(folder: Path) -> list[Path]:
    """Draw all of them; the same results give the same files."""
    folder.mkdir(exist_ok=True)
    files = []
    for name, draw in FIGURES.items():
        files.append(folder / f"{name}.svg")
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dge_ray"}):
            figure = draw()
            FigureCanvasSVG(figure)
            figure.savefig(files[-1], format="svg", metadata={"Date": None, "Creator": None})
    return files


if __name__ == "__main__":
    for file in write(HERE / "figures"):
        print(file.relative_to(HERE.parent))
