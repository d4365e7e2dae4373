"""The names of a study's files, below its folder: they are spelled out here alone.

The files of a downstream fit are named by its address, in predictions.py, a private study's ledger and key in privacy/.
A `member` is here the number of a generator: of a cross-fitted study there are some a member (see jobs.py).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dge_ray.study.records.jobs import FOLD, fold_of, member_of

IDENTITY = "identity.json"  # whose folder it is
CONFIG = "config.yaml"  # the configuration, nothing left open
SCHEMA = "schema.json"
LOCK = "lock.json"
STATUS = "status.json"  # where the driver is
REPORT = "report.json"
REPORT_PAGE = "report.html"
SURFACE = "surface.parquet"  # every metric of every number of members at every volume
PLAN = "privacy/plan.json"  # the plan of a private study's noise
CHILD = "privacy/child.json"  # the one study that counts this one's plan with its own
TRACKED = "tracked.json"  # where the study is in MLflow, and its model
UNTRACKED = "untracked.json"  # points that a tracking server did not take: nothing else holds them
FIGURES = "figures"
PREDICTIONS = "predictions"  # of members' fits
BASELINES = "baselines"  # predictions of the other fits
MEMBERS = "members"
REFIT = "refit"  # of the members that are fitted again on all rows: files as in a study's own folder
PILOT = "pilot.json"  # what generator=auto chose, and among what
PILOTS = "pilot"  # while a pilot is under way: its fits, and two files
PILOT_IDENTITY = "pilot/identity.json"  # of what study the pilot is, but for its generator
PILOT_PLAN = "pilot/plan.json"  # what it fits

# What verbs add to a finished study.
UTILITY, UTILITY_PAGE = "utility.json", "utility.html"
ATTACKS, ATTACKS_PAGE = "attacks.json", "attacks.html"
ESTIMATES = "estimates.json"
REPEATED = "repeated.json"  # the study's own results, by `estimates results=...`
UTILITY_LOSSES = "utility/losses"
UTILITY_PREDICTIONS = "utility/predictions"


def pilot_folder(choice: str, member: int) -> str:
    """A pilot's fit of one member of one choice of generator: files as in a study's own folder."""
    return f"{PILOTS}/{choice}-{member}"


def numbered(member: int) -> str:
    """How a generator is called in names of files: by its member, and by its fold where that is not the first.

    >>> numbered(7), numbered(100_007)
    ('007', '007-1')
    """
    return f"{member_of(member):03d}" + (f"-{fold_of(member)}" if fold_of(member) else "")


def number_in(name: str) -> int:
    """The number that `numbered` made a name of."""
    member, _, fold = name.partition("-")
    return int(member) + int(fold or 0) * FOLD


def member_file(member: int) -> str:
    """What was noted of a fitted member; written last."""
    return f"{MEMBERS}/{numbered(member)}/member.json"


def generator_folder(member: int) -> str:
    """A member's saved generator."""
    return f"{MEMBERS}/{numbered(member)}/generator"


def fit_state_file(member: int) -> str:
    """Where a fit stands that is under way."""
    return f"{MEMBERS}/{numbered(member)}/fit.safetensors"


def sampling_file(member: int) -> str:
    """What drawing a member's shards cost, by shard."""
    return f"{MEMBERS}/{numbered(member)}/sampling.json"


def shard_folder(member: int) -> str:
    return f"shards/member={numbered(member)}"


def shard_file(member: int, shard: int) -> str:
    return f"{shard_folder(member)}/part-{shard:05d}.parquet"


def figure_file(name: str) -> str:
    return f"{FIGURES}/{name}.png"


def loss_file(label: str, kind: str, index: int, volume: int) -> str:
    """The loss of each test row, of one fit of a utility report."""
    return f"{UTILITY_LOSSES}/{label}-{kind}-{index:04d}-{volume:010d}.parquet"


def utility_predictions_file(label: str, member: int, volume: int) -> str:
    """What a utility report's fit on a member's rows predicts on test rows: a column a class, or the value."""
    return f"{UTILITY_PREDICTIONS}/{label}-{member:04d}-{volume:010d}.parquet"


def weights_file(member: int, volume: int) -> str:
    """Parquet of a member's rows, for a utility report: `weight` and `label`, the redrawn target."""
    return f"utility/weights/member={member:03d}-{volume:010d}.parquet"


def overlap_file(member: int, volume: int) -> str:
    """JSON of a member's overlap; written after its weights, so it says that they are whole."""
    return f"utility/weights/member={member:03d}-{volume:010d}.json"


def replicates_folder(what: Mapping[str, Any]) -> str:
    """Where the finished replicates of one bootstrap lie. `what` they are a function of, as JSON values."""
    return f"estimates/{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}"
