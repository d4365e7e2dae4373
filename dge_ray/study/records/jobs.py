"""A downstream fit's address. Alone in its file: the Board needs nothing else, and starts with few imports.

In a cross-fitted study a member is one generator a fold. Each has a number: the member's own in fold 0, and FOLD more
in each fold after it. Whatever fits, draws or seeds a generator goes by that number, so a fold is a part of every
address, and fold 0 is addressed as a study without folds is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

MEMBER_GROUPS = 4  # naive concatenated is fitted again without each of so many groups of members
OF_ANY_LEARNER = ("real", "real_all", "real_ensemble")  # on real rows, of the learner that does best there
ON_REAL_ROWS = ("real", "real_all", "real_ensemble", "simple", "raw")
FOLD = 100_000  # between the numbers of a member's generators; more than a study has members


def fold_of(number: int) -> int:
    return number // FOLD


def member_of(number: int) -> int:
    return number % FOLD


def called(number: int) -> str:
    """A generator in messages.

    >>> called(3), called(100_003)
    ('3', '3 of fold 1')
    """
    return str(member_of(number)) + (f" of fold {fold_of(number)}" if fold_of(number) else "")


def generator_numbers(members: Sequence[int] | range, folds: int) -> list[int]:
    """The numbers of some members' generators, a member's folds one after another.

    >>> generator_numbers(range(2), 2)
    [0, 100000, 1, 100001]
    """
    return [k + fold * FOLD for k in members for fold in range(folds)]


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
    label, where none is given beside the job. In a cross-fitted study each of them is fitted in every fold: real rows
    are then the fold's, and `member` counts from the fold's first number on (`in_fold`).
    """

    kind: Literal["member", "ensemble", "concatenated", "without", "real", "real_all", "real_ensemble", "simple", "raw"]
    member: int = 0
    volume: int = 0
    index: int = 0
    learner: str = ""

    @property
    def fold(self) -> int:
        return fold_of(self.member)

    def in_fold(self, fold: int) -> "Job":
        """The same fit in another fold."""
        return self if fold == self.fold else replace(self, member=member_of(self.member) + fold * FOLD)

    @property
    def address(self) -> str:
        return f"{self.kind}-{self.member:04d}-{self.volume:010d}-{self.index:04d}"

    @property
    def words(self) -> str:
        """Which fit it is, for messages."""
        if self.kind in ON_REAL_ROWS:
            of = {"real": "real rows", "raw": "raw rows"}.get(self.kind, f"real rows ({self.kind})")
            return of + (f", fold {self.fold}" if self.fold else "")
        first = member_of(self.member)
        of = f"members {first} to {first + self.index - 1}" if self.kind == "concatenated" else f"member {first}"
        if self.kind == "without":
            of = f"members {', '.join(str(member_of(k)) for k in self.members)}"
        of += f", fold {self.fold}" if self.fold else ""
        return f"{of}, volume {self.volume:,}" + (f", seed {self.index}" if self.kind == "ensemble" else "")

    @property
    def members(self) -> list[int]:
        """The members whose rows this fit reads, by their numbers in its fold."""
        if self.kind in ON_REAL_ROWS:
            return []
        if self.kind == "without":
            first, count = self.fold * FOLD, member_of(self.member)
            return [first + k for k in range(count) if k % MEMBER_GROUPS != self.index]
        return [self.member + i for i in range(self.index)] if self.kind == "concatenated" else [self.member]

    @property
    def rows(self) -> int:
        """Synthetic rows this fit is trained on."""
        return self.volume * len(self.members)
