"""The simulated patients' stated truths against a large draw of them."""

import sys
from pathlib import Path

import numpy as np

from dge_ray.inference.estimands import read_estimands

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "inference"))


def test_truths_are_those_of_the_simulation() -> None:
    """Within 4 standard errors of 200,000 patients, each of ten."""
    import simulation

    asked = read_estimands(simulation.ESTIMANDS, simulation.SCHEMA)
    found = asked(simulation.draw(200_000, np.random.default_rng(0)))
    assert len(asked.names) == len(simulation.truths()) == 10
    assert np.abs((found.value - simulation.truths()) / np.sqrt(found.variance)).max() < 4
