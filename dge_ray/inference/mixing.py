"""`dge_ray.mix`: one posterior from a bundle's K synthetic tables, where the analysis gives posterior draws.

Each member is analysed alone, as if its rows were real, and the K posteriors are mixed in equal parts (Räisä et al.,
JMLR 2025). The mixture comes close to the real rows' posterior where the members are draws of a posterior predictive
law (each generator's parameters drawn anew, which the copula's random weights stand for), and where each has many more
rows than the real table: a member's own posterior is then narrow, and the spread between members is the real rows' own.
With k rows a member it is too wide, by n / k of the variance. A deep generator's bias stays in it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dge_ray.bundle.received import Members, load_members
from dge_ray.errors import InputError
from dge_ray.inference.pooling import PARAMETRIC, NoValidRule

if TYPE_CHECKING:
    import pandas as pd

FEWEST_MEMBERS = 20  # the interval is made of their spread: of so many normals the .025 quantile is known to .3 sd
LARGE = 10  # times the real rows: the mixture is then too wide by a tenth of the variance

TAKES = "a frame or an array (draws, parameters) of finite numbers, with as many draws from every member"


@dataclass(frozen=True, repr=False)
class MixedPosterior:
    """p parameters' posterior: `draws` (K x D, p) of the mixture, `names` (p,), `members` K, what must be known."""

    names: tuple[str, ...]
    draws: np.ndarray
    level: float
    members: int
    notes: tuple[str, ...] = ()

    @property
    def estimate(self) -> np.ndarray:
        """The mixture's mean, (p,)."""
        return self.draws.mean(axis=0)

    @property
    def interval(self) -> np.ndarray:
        """Its central interval, (p, 2)."""
        tail = (1 - self.level) / 2
        return np.quantile(self.draws, [tail, 1 - tail], axis=0).T

    @property
    def table(self) -> "pd.DataFrame":
        """A row per parameter: estimate, sd, lower, upper."""
        import pandas as pd

        lower, upper = self.interval.T
        columns = {"estimate": self.estimate, "sd": self.draws.std(axis=0, ddof=1), "lower": lower, "upper": upper}
        return pd.DataFrame(columns, index=pd.Index(self.names))

    def __repr__(self) -> str:
        text = self.table.to_string(float_format=lambda value: f"{value:.4g}")
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return f"mixture of {self.members} posteriors, {len(self.draws):,} draws\n\n{text}\n{notes}".rstrip()


def mix(
    bundle: "str | Path | Members", fit: "Callable[[pd.DataFrame], Any]", *, n: int | None = None, level: float = 0.95
) -> MixedPosterior:
    """Analyse each member of a bundle by posterior draws, and mix them.

    Args:
        bundle: a folder, a URI, or what `load_members` gave. Twenty members or more, each of ten times the real rows or
            more, make a good mixture; what is less is said in the notes.
        fit: takes a member's frame and gives posterior draws, a frame or an array (D, p); every member as many.
        n: real rows that each generator was fitted on, where bundle.json does not tell.
        level: of the intervals.

    Raises:
        InputError: draws of another form, or of other parameters for some member.

    Warns:
        NoValidRule: a generator whose parameters are not drawn, so that its members are no posterior predictive draws.
    """
    members = bundle if isinstance(bundle, Members) else load_members(bundle)
    if not 0 < level < 1:
        raise InputError("level", repr(level), "a number between 0 and 1")
    parts = []
    names: tuple[str, ...] = ()
    for k in range(len(members)):
        drawn = fit(members.frame(k))
        own = tuple(str(name) for name in getattr(drawn, "columns", ()))
        values = _numbers(drawn, k)
        own = own or tuple(f"x{j}" for j in range(values.shape[1]))
        if parts and (own != names or values.shape != parts[0].shape):
            got = f"{len(values):,} draws of {', '.join(own)}"
            raise InputError(f"member {k}", got, f"{len(parts[0]):,} draws of {', '.join(names)}, as member 0")
        names = own
        parts.append(values)
    real = n or members.facts.get("real_rows")
    notes = _notes(members, real)
    if members.facts["generator"] not in PARAMETRIC:
        warnings.warn(notes[0], NoValidRule, stacklevel=2)
    return MixedPosterior(names, np.concatenate(parts), level, len(members), tuple(notes))


def _numbers(drawn: Any, k: int) -> np.ndarray:
    try:
        values = np.asarray(drawn, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"member {k}", f"a {type(drawn).__name__}", TAKES) from None
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(f"member {k}", f"numbers of shape {values.shape}, or some that are not finite", TAKES)
    return values


def _notes(members: Members, real: Any) -> list[str]:
    notes = []
    if members.facts["generator"] not in PARAMETRIC:
        notes.append(
            f"members of {members.facts['generator']} generators are no draws of a posterior predictive law: what the "
            "generators add, and their bias, is not what this posterior's spread stands for"
        )
    if len(members) < FEWEST_MEMBERS:
        notes.append(
            f"{len(members)} members: the interval is made of their spread, which takes {FEWEST_MEMBERS} or more"
        )
    if not isinstance(real, int) or real < 1:
        notes.append(
            "bundle.json does not tell the real rows: with fewer than ten times as many a member it is too wide"
        )
    elif members.volume < LARGE * real:
        wide = real / members.volume
        notes.append(
            f"{members.volume:,} rows a member, {real:,} real ones: too wide, by about {wide:.0%} of the variance"
        )
    return notes
