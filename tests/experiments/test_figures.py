"""The papers' figures: each is drawn from committed results, is committed itself, and is told of; and what is computed
for one of them is what the closed form says."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiment_{Path(path).stem}", EXPERIMENTS / path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


FIGURES = module("figures.py")


def test_each_is_committed_and_told_of() -> None:
    page = (EXPERIMENTS / "README.md").read_text()
    files = {path.stem: path for path in (EXPERIMENTS / "figures").iterdir()}
    assert set(files) == set(FIGURES.FIGURES)
    for name, path in files.items():
        assert f"(figures/{name}.svg)" in page and path.stat().st_size < 100_000


@pytest.mark.parametrize("name", FIGURES.FIGURES)
def test_it_is_drawn_of_what_is_committed(name: str) -> None:
    figure = FIGURES.FIGURES[name]()
    assert figure.axes and all(ax.lines or ax.patches or ax.containers for ax in figure.axes)


def test_the_limit_of_utility_is_the_closed_form() -> None:
    """At s = 1, the problem that the results have: chi-square ln 3 - 1, and the limits found by exact integration."""
    limits = module("utility2023/problem.py").LIMITS
    for responses in ("oracle", "biased"):
        for name, degree in (("linear", 1), ("quadratic", 2)):
            chi, value = FIGURES.utility_limit(1.0, responses, degree)
            assert chi == pytest.approx(np.log(3) - 1, abs=1e-6)
            assert value == pytest.approx(limits[responses, name], abs=1e-7)
    assert FIGURES.utility_limit(0.0, "oracle", 1) == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.mark.slow
def test_the_committed_ones_are_these(tmp_path: Path) -> None:
    """Their texts: lines of a figure differ by Matplotlib's version."""

    def said(path: Path) -> list[str]:
        return [part.split("<")[0] for part in path.read_text().split(">") if part.split("<")[0].strip()]

    for path in FIGURES.write(tmp_path):
        assert said(path) == said(EXPERIMENTS / "figures" / path.name)
