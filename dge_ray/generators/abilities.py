"""What a generator can do beside `fit` and `sample(n)`. It stands with its settings: reading it loads no model code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class PrivateWay:
    """A generator's private fit. settings: in place of its own defaults. unused: settings that then mean nothing.
    mechanism: what the ledger calls it. whole: each step reads all rows, not a sample of them.

    Its `batch_size` and `epochs`, where given, say how many rows a step has on average and how often it sees a row;
    `steps` how many there are.
    """

    settings: Mapping[str, Any]
    clip: float
    steps: int
    unused: frozenset[str] = field(default_factory=frozenset)
    mechanism: str = "Poisson-subsampled Gaussian on clipped gradients (DP-SGD)"
    whole: bool = False


@dataclass(frozen=True)
class Abilities:
    """What one generator can do; `registry.abilities` gives it for a name or a generator.

    Args:
        text: it models one text column, given the others; all other generators refuse text.
        given: what `sample(n, seed=, given=table)` completes rows from: nothing, one coded column, or any columns but
            text, of n rows, which come back as they are.
        target_law: `target_law(given, points=)` is there: the target's law given all other columns, without draws, as
            encoded values and probabilities, each (n or 1, s); or None where this fit has none.
        log_prob: `log_prob(table) -> (n,) float64` is there, in nats.
        warm_starts: `fit(..., warm_start=folder)` starts from a saved generator of the same kind.
        stopping: a fit stops early on held-out rows, which `fit(..., stopping=table)` gives.
        together: `fit_together(seeds, table, schema, settings=, ...)` fits several members as one program.
        holds_rows: its rows were made elsewhere and have an end: a fit learns nothing, `count` says how many there are,
            and `rows(start, n)` gives them in their order, in which members' shards are cut.
        private: how `fit(..., private=PrivateFit)` is done where nobody says otherwise; None: there is no private fit.
    """

    text: bool = False
    given: Literal["nothing", "one coded", "any"] = "nothing"
    target_law: bool = False
    log_prob: bool = False
    warm_starts: bool = False
    stopping: bool = False
    together: bool = False
    holds_rows: bool = False
    private: PrivateWay | None = None

    @property
    def completes(self) -> bool:
        """Whether rows without text are completed from any of their columns."""
        return self.given == "any" and not self.text
