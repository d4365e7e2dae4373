"""Standard errors and intervals of what K synthetic tables say, from refits of the whole pipeline on resampled rows.

The released estimate q is the mean over K members of an estimator of m rows. Over new real tables R it varies by

    V = V_real + (V_fit + V_draw) / K

V_real: of the mean over endless members, as R changes; V_fit: of a generator's seed, V_draw: of its m rows, given R. A
naive standard error has only a model's idea of V_draw, a combining rule takes V_real for (m/n) times that. Here B
resampled tables are each fitted J times, and each fit gives D sets of m rows: a nested design. Its mean squares (of
replicates' means, of fits' means within a replicate, of draws within a fit) have the expectations

    between = V_real + V_fit / J + V_draw / (J D)       fits = V_fit + V_draw / D       draws = V_draw

so that  V = between + fits (1/K - 1/J) + draws (1 - 1/D) / K  is unbiased for the K members' variance whatever J and D
are: replicates need not have K members each. J = 2 is the least that tells V_fit from V_real; fits are dear and draws
are not, so D = 4. V is held at its members' part where V_real comes out below 0. Its degrees of freedom are
Satterthwaite's.

Bias. Resampled tables hold fewer distinct rows, and a generator that shrinks what few rows tell shrinks it more in
them: `shift`, the mean of the replicates less q, is then no measure of q's own bias, and taking it off q (`shifted`) or
mirroring at q (`basic`) does harm. `normal` intervals leave it alone. `wide` ones stay about q and count the shift as
error: their variance is V + max(0, shift^2 - its own sampling variance), that is (V_fit + V_draw) / K + between / B.
`debiased` measures the bias against the estimator t on the real rows, mean of the replicates - t, and takes that off;
its variance is that of t over the resampled tables + (V_fit + V_draw) / K + between / B. It is right where resampled
tables are as biased as the real one, and takes off too much where they are more so. How each covers:
experiments/inference/README.bootstrap.md.
"""

from dataclasses import dataclass

import numpy as np

from dge_ray.stats.inference.pooled import quantile

KINDS = ("normal", "wide", "percentile", "basic", "shifted", "debiased")
LEAST = 10  # replicates that an interval needs


@dataclass(frozen=True)
class Bootstrapped:
    """All of shape (p,), over parameters; NaN where fewer than LEAST replicates, or not all members, have an estimate.

    Attributes:
        estimate: q.
        se, df: the root of V and its degrees of freedom.
        shift: the mean of the replicates less q.
        wide_se: the root of V and of what of the shift's square is more than its sampling variance.
        bias: the mean of the replicates less the estimate on the real rows.
        debiased, debiased_se, debiased_df: q - bias.
        real, fit, draw: V's three parts for one member.
        kept: replicates with an estimate in all of their tables.
        means: (B, p), the replicates' means with their spread brought to `se`.
    """

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    shift: np.ndarray
    wide_se: np.ndarray
    bias: np.ndarray
    debiased: np.ndarray
    debiased_se: np.ndarray
    debiased_df: np.ndarray
    real: np.ndarray
    fit: np.ndarray
    draw: np.ndarray
    kept: np.ndarray
    means: np.ndarray

    def interval(self, kind: str = "normal", level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, (p,) each.

        normal: q -+ t se. wide: q -+ t wide_se. percentile: quantiles of the replicates. basic: those mirrored at q.
        shifted: normal around q - shift. debiased: around q - bias, with that estimate's own standard error.

        Raises:
            ValueError: an unknown kind.
        """
        upper = (1 + level) / 2
        if kind in ("percentile", "basic"):
            low, high = _quantiles(self.means, [1 - upper, upper])
            return (low, high) if kind == "percentile" else (2 * self.estimate - high, 2 * self.estimate - low)
        if kind == "debiased":
            half, centre = quantile(self.debiased_df, upper) * self.debiased_se, self.debiased
        elif kind in ("normal", "shifted"):
            half, centre = quantile(self.df, upper) * self.se, self.estimate - (kind == "shifted") * self.shift
        elif kind == "wide":
            half, centre = quantile(self.df, upper) * self.wide_se, self.estimate
        else:
            raise ValueError(f"kind {kind!r}: one of {', '.join(KINDS)}")
        return centre - half, centre + half


def pipeline_bootstrap(
    released: np.ndarray, replicates: np.ndarray, real: np.ndarray, resampled: np.ndarray
) -> Bootstrapped:
    """From the released members' estimates (K, p), the replicates' (B, J, D, p), and those of the real rows (p,) and of
    the resampled ones (B, p).

    A replicate with a NaN in any of its tables does not count for that parameter.

    Raises:
        ValueError: shapes that do not go together, or fewer than two fits or draws.
    """
    b, j, d, p = replicates.shape
    k = len(released)
    if released.shape != (k, p) or real.shape != (p,) or resampled.shape != (b, p) or min(j, d) < 2:
        got = f"{released.shape}, {replicates.shape}, {real.shape}, {resampled.shape}"
        raise ValueError(f"shapes {got}: take (K, p), (B, J, D, p) with J and D >= 2, (p,), (B, p)")
    finite = np.isfinite(replicates).all(axis=(1, 2)) & np.isfinite(resampled)
    kept = finite.sum(axis=0)
    fits = np.where(finite[:, None, None], replicates, np.nan).mean(axis=2)  # (B, J, p): fits' means
    means = fits.mean(axis=1)
    truths = np.where(finite, resampled, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        square_draws = _mean(((replicates - fits[:, :, None]) ** 2).sum(axis=(1, 2)), kept) / (j * (d - 1))
        square_fits = _mean(((fits - means[:, None]) ** 2).sum(axis=1), kept) / (j - 1)
        centre, truth = _mean(means, kept), _mean(truths, kept)
        between = np.nansum((means - centre) ** 2, axis=0) / (kept - 1)
        of_real = np.nansum((truths - truth) ** 2, axis=0) / (kept - 1)
        of_members = square_fits / k + square_draws * (1 - 1 / d) / k
        v = between - square_fits / j + of_members
        held = np.maximum(v, of_members)
        degrees = kept - 1, kept * (j - 1), kept * j * (d - 1)
        parts = between, square_fits * (1 / k - 1 / j), square_draws * (1 - 1 / d) / k
        df = held**2 / sum(part**2 / f for part, f in zip(parts, degrees, strict=True))
        noise = square_fits / k, square_draws * (1 - 1 / d) / k
        v_debiased = of_real + of_members + between / kept
        parts = of_real, *noise, between / kept
        degrees = (*degrees, kept - 1)
        df_debiased = v_debiased**2 / sum(part**2 / f for part, f in zip(parts, degrees, strict=True))
        q = np.where(np.isfinite(released).all(axis=0) & (kept >= LEAST), released.mean(axis=0), np.nan)
        bias = centre - real
        scaled = centre + (means - centre) * np.sqrt(held / between)
    hidden = np.isnan(q)
    estimates = {
        "estimate": q,
        "se": np.sqrt(held),
        "df": df,
        "shift": centre - q,
        "wide_se": np.sqrt(held + np.maximum((centre - q) ** 2 - of_members - between / kept, 0)),
        "bias": bias,
        "debiased": q - bias,
        "debiased_se": np.sqrt(v_debiased),
        "debiased_df": df_debiased,
        "real": held - of_members,
        "fit": np.maximum(square_fits - square_draws / d, 0),
        "draw": square_draws,
    }
    estimates = {name: np.where(hidden, np.nan, values) for name, values in estimates.items()}
    return Bootstrapped(**estimates, kept=kept, means=np.where(hidden, np.nan, scaled))


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The mean over replicates, those that are NaN left out."""
    return np.nansum(values, axis=0) / kept


def _quantiles(means: np.ndarray, at: list[float]) -> np.ndarray:
    """(2, p): of the replicates that count; NaN where none does."""
    columns = [column[np.isfinite(column)] for column in means.T]
    return np.array([np.quantile(c, at) if len(c) else np.full(len(at), np.nan) for c in columns]).T
