"""What `dge_ray.pool` gives: estimates with intervals, and on what they stand, to read or as a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dge_ray.stats.inference.pooled import RULES, Combined

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Published:
    """The publisher's own estimate of a parameter, from refits on resampled real rows: estimates.json of the bundle."""

    name: str
    estimate: float
    se: float
    lower: float
    upper: float


@dataclass(frozen=True, repr=False)
class PooledEstimate:
    """p parameters, estimated on each member of a bundle and combined.

    Attributes:
        names: of the parameters, (p,); the arrays below have their order.
        combined: estimate, variance, df, within and between variance, (p,) each (stats/pooled.py).
        rule: what they were combined by (stats.pooled.RULES says what each is); `why` it was taken.
        level: of the intervals.
        members: K.
        k, n: rows of a member; real rows that each generator was fitted on, None where the rule does without.
        notes: what must be known before the numbers are used, a line each.
        published: the publisher's own estimates of these parameters, where the bundle has them; where there is no valid
            rule, theirs are the standard errors to take.
    """

    names: tuple[str, ...]
    combined: Combined
    rule: str
    why: str
    level: float
    members: int
    k: int
    n: int | None
    notes: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    @property
    def estimate(self) -> np.ndarray:
        return self.combined.estimate

    @property
    def se(self) -> np.ndarray:
        """Standard errors (p,); NaN where T_f's variance is negative."""
        return self.combined.se

    @property
    def df(self) -> np.ndarray:
        return self.combined.df

    @property
    def within(self) -> np.ndarray:
        """The mean of the members' own variances."""
        return self.combined.within

    @property
    def between(self) -> np.ndarray:
        """The variance of the members' estimates; NaN with one member."""
        return self.combined.between

    @property
    def interval(self) -> np.ndarray:
        """Lower and upper ends, (p, 2)."""
        return np.stack(self.combined.interval(self.level), axis=-1)

    @property
    def negative(self) -> float:
        """The share of parameters whose variance is not positive; T_f's can be."""
        return float(np.mean(self.combined.variance <= 0))

    @property
    def table(self) -> "pd.DataFrame":
        """A row per parameter: estimate, se, lower, upper, df, within, between."""
        import pandas as pd

        lower, upper = self.interval.T
        columns = {"estimate": self.estimate, "se": self.se, "lower": lower, "upper": upper, "df": self.df}
        return pd.DataFrame(columns | {"within": self.within, "between": self.between}, index=pd.Index(self.names))

    def __repr__(self) -> str:
        real = "" if self.n is None else f", from n = {self.n:,} real rows each"
        lines = [
            f"{self.members} member{'' if self.members == 1 else 's'} of k = {self.k:,} rows{real}",
            f"{self.rule}: {RULES[self.rule].split(':')[0]} ({self.why})",
            "",
            *self._lines(),
            *(
                f"publisher's {one.name}: {one.estimate:.4g}, standard error {one.se:.4g} "
                f"({one.lower:.4g} to {one.upper:.4g})"
                for one in self.published
            ),
            *(["", *(f"note: {note}" for note in self.notes)] if self.notes else []),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from markupsafe import escape

        return f"<div>{self.table.to_html()}<pre>{escape(repr(self))}</pre></div>"

    def _lines(self) -> list[str]:
        """The table as text: names left, numbers right, degrees of freedom of the normal as 'normal'."""
        share = f"{100 * self.level:g} %"
        rows = [["", "estimate", "se", f"{share} from", "to", "df"]]
        ends = self.interval
        for j, name in enumerate(self.names):
            df = "normal" if np.isinf(self.df[j]) else f"{self.df[j]:,.1f}"
            numbers = (self.estimate[j], self.se[j], *ends[j])
            rows.append([name, *(f"{number:.4g}" for number in numbers), df])
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
