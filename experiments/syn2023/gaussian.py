"""A closed-form Syn-Test: maximum-likelihood Gaussian generators and least squares, vectorised over replicates.

The same two procedures as `dge-ray test` (`method=refit` and `method=paper`), with every fit in closed form, so that
thousands of tables can be tested. Columns: x1, x2, the tested x3, y.
"""

import numpy as np

from dge_ray.stats.inference.syntest import Twins, twins

TESTED, Y = 2, 3
REST = [0, 1]
CORRELATION = 0.5  # of the tested feature with each of the others


def real_rows(n: int, effect: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 4) rows: y = x1 + x2 + effect x3 + N(0, 1)."""
    law = np.eye(3)
    law[TESTED, REST] = law[REST, TESTED] = CORRELATION
    x = rng.standard_normal((n, 3)) @ np.linalg.cholesky(law).T
    return np.column_stack([x, x[:, 0] + x[:, 1] + effect * x[:, TESTED] + rng.standard_normal(n)])


def fitted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood mean (..., 4) and covariance (..., 4, 4)."""
    mean = rows.mean(axis=-2)
    centred = rows - mean[..., None, :]
    return mean, np.swapaxes(centred, -1, -2) @ centred / rows.shape[-2]


def nulled(covariance: np.ndarray) -> np.ndarray:
    """The covariance once x3 is drawn from its law given x1 and x2: that with y goes through them alone."""
    rest = covariance[np.ix_(REST, REST)]
    slope = np.linalg.solve(rest, covariance[REST, TESTED])
    made = covariance.copy()
    made[TESTED, Y] = made[Y, TESTED] = slope @ covariance[REST, Y]
    return made


def draws(mean: np.ndarray, covariance: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(..., n, 4) rows of normal laws, in float32."""
    factor = np.linalg.cholesky(covariance).astype(np.float32)
    made = rng.standard_normal((*mean.shape[:-1], n, 4), dtype=np.float32) @ np.swapaxes(factor, -1, -2)
    return made + mean[..., None, :].astype(np.float32)


def refitted(mean: np.ndarray, covariance: np.ndarray, n: int, count: int, rng: np.random.Generator) -> tuple:
    """Maximum-likelihood fits of `count` tables of n rows each of a normal law."""
    return fitted(draws(np.broadcast_to(mean, (count, 4)), np.broadcast_to(covariance, (count, 4, 4)), n, rng))


def coefficients(rows: np.ndarray) -> np.ndarray:
    """(..., 5, 2): what a row with a leading 1 is multiplied by to give the residuals without x3 and with it."""
    mean, covariance = fitted(rows)
    made = np.zeros((*mean.shape[:-1], 5, 2), np.float32)
    for column, features in enumerate((REST, [*REST, TESTED])):
        gram = covariance[..., features, :][..., features]
        slope = np.linalg.solve(gram, covariance[..., features, Y][..., None])[..., 0]
        made[..., 1 + Y, column] = 1
        made[..., [1 + j for j in features], column] = -slope
        made[..., 0, column] = (slope * mean[..., features]).sum(axis=-1) - mean[..., Y]
    return made


def statistic(residuals: np.ndarray) -> np.ndarray:
    """T of residuals (..., m, 2) with squared loss: `dge_ray.stats.inference.syntest.relevance` over leading axes."""
    d = (residuals[..., 0] - residuals[..., 1]) * (residuals[..., 0] + residuals[..., 1])
    return np.sqrt(d.shape[-1]) * d.mean(axis=-1) / d.std(axis=-1)


def residuals(rows: np.ndarray, made: np.ndarray) -> np.ndarray:
    return rows @ made[..., 1:, :] + made[..., None, 0, :]


def crossfitted(rows: np.ndarray) -> np.ndarray:
    """T of rows (..., m, 4): each half judged by models of the other half."""
    half = rows.shape[-2] // 2
    first, second = rows[..., :half, :], rows[..., half:, :]
    found = residuals(first, coefficients(second)), residuals(second, coefficients(first))
    return statistic(np.concatenate(found, axis=-2))


def pipeline(law: tuple, m: int, rng: np.random.Generator) -> np.ndarray:
    """T of m rows of fitted laws."""
    return crossfitted(draws(*law, m, rng))


def refit_rejects(rows: np.ndarray, m: int, rng: np.random.Generator, *, replicates: int, alpha: float) -> bool:
    """Whether the pipeline-refit null rejects. The replicates end once their count makes rejection impossible, which
    changes no decision."""
    law = fitted(rows)
    observed = pipeline(law, m, rng)
    return _rejects(
        observed,
        lambda count: pipeline(refitted(law[0], nulled(law[1]), len(rows), count, rng), m, rng),
        replicates,
        alpha,
    )


def raw_rejects(rows: np.ndarray, rng: np.random.Generator, *, replicates: int, alpha: float) -> bool:
    """Whether T of the real rows themselves is large among T of null tables, x3 redrawn as above."""
    law = fitted(rows)
    null = np.broadcast_to(law[0], (1, 4)), np.broadcast_to(nulled(law[1]), (1, 4, 4))

    def more(count: int) -> np.ndarray:
        spread = tuple(np.broadcast_to(part, (count, *part.shape[1:])) for part in null)
        return crossfitted(draws(spread[0], spread[1], len(rows), rng))

    return _rejects(crossfitted(rows.astype(np.float32)), more, replicates, alpha)


def _rejects(observed: np.ndarray, more, replicates: int, alpha: float) -> bool:
    most = int(np.floor(alpha * (1 + replicates) + 1e-9)) - 1  # replicates that may reach it
    reached = done = 0
    while done < replicates and reached <= most:
        count = min(10, replicates - done)
        reached += int((more(count) >= observed).sum())
        done += count
    return reached <= most


def published(
    rows: np.ndarray, volumes: list[int], rng: np.random.Generator, *, draws_each: int, alpha: float
) -> tuple[Twins, np.ndarray, np.ndarray]:
    """The published procedure, and its statistics: two generators, one a half; models of all real rows, fitted once."""
    half = len(rows) // 2
    models = coefficients(rows)
    null, drawn = np.empty((2, len(volumes), draws_each)), np.empty((2, len(volumes), 1))
    for k, part in enumerate((rows[:half], rows[half:])):
        mean, covariance = fitted(part)
        for where, law in ((null, nulled(covariance)), (drawn, covariance)):
            # Residuals are linear in the rows: their joint normal law is all that is needed.
            centre = (models[1:].T @ mean + models[0]).astype(np.float32)
            factor = np.linalg.cholesky(models[1:].T.astype(float) @ law @ models[1:] + 1e-12 * np.eye(2))
            made = rng.standard_normal((where.shape[-1], volumes[-1], 2), dtype=np.float32)
            made = made @ factor.T.astype(np.float32) + centre
            for v, m in enumerate(volumes):
                where[k, v] = statistic(made[:, :m])
    return twins(null, drawn, volumes, alpha), null, drawn
