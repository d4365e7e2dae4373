"""A downstream fit's address. Alone in its file: the Board needs nothing else, and starts with few imports."""

from dataclasses import dataclass
from typing import Literal

MEMBER_GROUPS = 4  # naive concatenated is fitted again without each of so many groups of members
OF_ANY_LEARNER = ("real", "real_all", "real_ensemble")  # on real rows, of the learner that does best there
ON_REAL_ROWS = ("real", "real_all", "real_ensemble", "simple", "raw")


@dataclass(frozen=True, order=True)
class Job:
    """One downstream fit.

    `member`: fit on the first `volume` rows of member `member`, learner seed 0. `ensemble`: the same rows, learner seed
    `index` (naive ensemble). `concatenated`: the first `volume` rows of each of `index` members from `member` on, one
    after the other (naive concatenated). `without`: of the first `member` members, as `concatenated`, those that are
    not in group `index` of MEMBER_GROUPS. `real`: the real rows that the generators saw, learner seed `index`.
    `real_all`: these and those that stopped the generators and chose the volume. `real_ensemble`: as many rows as the
    first, drawn from them with replacement. `simple`: the first ones, a linear learner. `raw`: the raw rows, where they
    are others than those. In a study of augmented rows all but ON_REAL_ROWS learn from the raw rows too. `learner`: its
    label, where none is given beside the job.
    """

    kind: Literal["member", "ensemble", "concatenated", "without", "real", "real_all", "real_ensemble", "simple", "raw"]
    member: int = 0
    volume: int = 0
    index: int = 0
    learner: str = ""

    @property
    def address(self) -> str:
        return f"{self.kind}-{self.member:04d}-{self.volume:010d}-{self.index:04d}"

    @property
    def words(self) -> str:
        """Which fit it is, for messages."""
        if self.kind in ON_REAL_ROWS:
            return {"real": "real rows", "raw": "raw rows"}.get(self.kind, f"real rows ({self.kind})")
        several = self.kind == "concatenated"
        of = f"members {self.member} to {self.member + self.index - 1}" if several else f"member {self.member}"
        if self.kind == "without":
            of = f"members {', '.join(str(k) for k in self.members)}"
        return f"{of}, volume {self.volume:,}" + (f", seed {self.index}" if self.kind == "ensemble" else "")

    @property
    def members(self) -> list[int]:
        """The members whose rows this fit reads."""
        if self.kind in ON_REAL_ROWS:
            return []
        if self.kind == "without":
            return [k for k in range(self.member) if k % MEMBER_GROUPS != self.index]
        return [self.member + i for i in range(self.index)] if self.kind == "concatenated" else [self.member]

    @property
    def rows(self) -> int:
        """Synthetic rows this fit is trained on."""
        return self.volume * len(self.members)
