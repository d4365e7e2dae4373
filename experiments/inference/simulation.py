"""The simulated patients of Decruyenaere et al. 2023 (arXiv 2312.07837), and their true estimands.

age ~ N(50, 10^2); stage I to IV by proportional odds, logit P(stage <= j) = c_j - .05 age with c = (2, 3, 4); biomarker
~ Gamma of shape 25 and mean 1 / (4 - j) for stage j = 0 .. 3; therapy ~ Bernoulli(.5); logit P(death) = -3 + .05 age +
.5 j - .5 therapy. The logistic regression of death on age, stage and therapy is the true model, so that its
coefficients are known; the other truths are integrals over age.
"""

import numpy as np
import pyarrow as pa
from scipy.special import expit

from dge_ray.table import Column, Kind, TableSchema

STAGES = ("I", "II", "III", "IV")
CUTS = np.array([2.0, 3.0, 4.0])
MEANS = 1 / (4 - np.arange(4.0))  # of the biomarker, by stage
SHAPE = 25
SCHEMA = TableSchema(
    (
        Column("age", Kind.NUMERIC, "double"),
        Column("stage", Kind.CATEGORICAL, "string", categories=STAGES),
        Column("biomarker", Kind.NUMERIC, "double"),
        Column("therapy", Kind.CATEGORICAL, "string", categories=("no", "yes")),
        Column("death", Kind.CATEGORICAL, "string", categories=("no", "yes")),
    ),
    target="death",
    task="binary",
)
ESTIMANDS = (
    "mean(age)",
    "mean(biomarker)",
    "proportion(stage = IV)",
    "proportion(therapy = yes)",
    "proportion(death = yes)",
    "logistic(death = yes ~ age + stage + therapy)[age, stage, therapy]",
)


def death_logit(age: np.ndarray, stage: np.ndarray, therapy: np.ndarray) -> np.ndarray:
    return -3 + 0.05 * age + 0.5 * stage - 0.5 * therapy


def draw(n: int, rng: np.random.Generator) -> pa.Table:
    """`n` patients."""
    age = rng.normal(50, 10, n)
    stage = (rng.random((n, 1)) > expit(CUTS - 0.05 * age[:, None])).sum(axis=1)
    biomarker = rng.gamma(SHAPE, MEANS[stage] / SHAPE)
    therapy = rng.random(n) < 0.5
    death = rng.random(n) < expit(death_logit(age, stage, therapy))
    yes_no = np.array(["no", "yes"])
    columns = {"age": age, "stage": np.array(STAGES)[stage], "biomarker": biomarker}
    return pa.table({**columns, "therapy": yes_no[therapy.astype(int)], "death": yes_no[death.astype(int)]})


def truths() -> np.ndarray:
    """The true values of ESTIMANDS, coefficients one by one, (10,): integrals by 60-point Gauss-Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    age = 50 + 10 * points
    below = np.column_stack([np.zeros(60), expit(CUTS - 0.05 * age[:, None]), np.ones(60)])
    given = np.diff(below, axis=1)  # P(stage | age), (60, 4)
    stages = weights @ given
    grid = np.meshgrid(age, np.arange(4), [0, 1], indexing="ij")
    death = float(np.einsum("a,as,ast->", weights, given, expit(death_logit(*grid))) / 2)
    return np.array([50.0, float(stages @ MEANS), float(stages[3]), 0.5, death, 0.05, 0.5, 1.0, 1.5, -0.5])
