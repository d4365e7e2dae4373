"""Keys of a study that do not go together, and what does not fit its table: its size, saved generators."""

import numpy as np

from dge_ray.errors import InputError
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.phrases import advice, number
from dge_ray.study.config import StudyConfig
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import learner_label

ROLES = {  # keys that name a column, and what it holds
    "split_column": "train, test, validation or raw of each row",
    "group_column": "whose row it is",
    "time_column": "when it was",
    "synthetic_column": "whether it is synthetic",
}
ROUGH = 0.01  # of the standard deviation: its rounding then adds less than a hundred-thousandth to the squared error


def check_keys(config: StudyConfig) -> None:
    """Whether the keys go together; the table is not needed for it.

    Raises:
        InputError: two of them do not.
    """
    if config.search.drop_hopeless and config.search.name != "grid":
        raise InputError("search.drop_hopeless", f"true with search={config.search.name}", "true with search=grid")
    _check_columns(config)
    _check_groups(config)
    _check_ratios(config)
    _check_learners(config)


def check_families(config: StudyConfig) -> None:
    """Raises InputError where there is one generator to be weighed; one that a pilot chooses may be a list."""
    if config.families == "stacked" and len(config.generators) == 1 and not config.undecided:
        raise InputError("families", "stacked with one generator", "equal, or a list of generators")


def check_target(config: StudyConfig, target: str) -> None:
    """Raises InputError where another key means the target too."""
    for key, what in ROLES.items():
        if getattr(config, key) == target:
            raise InputError(key, f"{target!r}, the target", f"another column ({what})")


def _check_columns(config: StudyConfig) -> None:
    """A column has one role, and is there."""
    roles: dict[str, str] = {}
    for key, what in ROLES.items():
        name = getattr(config, key)
        if name is None:
            continue
        if name in roles:
            raise InputError(key, f"{name!r}, the {roles[name].replace('_', ' ')}", f"another column ({what})")
        if name in config.unwanted:
            raise InputError(key, f"{name!r}, which drop leaves out", "a column that is there: it is no feature anyway")
        roles[name] = key
    if config.keep_group_column and config.group_column is None:
        raise InputError("keep_group_column", "true without group_column", "a group column to keep")


def _check_groups(config: StudyConfig) -> None:
    if config.groups == 1:
        return
    if config.members == "auto":
        raise InputError("members", "auto with groups", f"a number of members in {config.groups} equal groups")
    size = config.members // config.groups
    if size < 2 or size * config.groups != config.members:
        got = f"{config.groups} with {config.members} members"
        raise InputError("groups", got, "a number that parts the members into equal groups of at least 2")


def _check_ratios(config: StudyConfig) -> None:
    if 0 in config.ratios and (config.rows == "synthetic" or config.search.name != "grid"):
        raise InputError(
            "ratios", f"0 with rows={config.rows} search={config.search.name}", "0 with rows=augmented search=grid"
        )
    if config.weights and config.rows == "synthetic":
        raise InputError("weights", "weights with rows=synthetic", "weights with rows=augmented")
    if config.weights and 0 in config.ratios:
        raise InputError("ratios", "0 with weights", "ratios above 0: weight 0 is the raw rows alone")


def _check_learners(config: StudyConfig) -> None:
    labels = [learner_label(learner.name, learner.settings) for learner in config.learners]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError("learner", f"{label!r} twice", "each learner once, or with other settings")


def precision_note(target: str, values: np.ndarray) -> tuple[str, ...]:
    """A line where a regression target varies too little, next to its size, for predictions in single precision."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ()
    step, spread = float(np.spacing(np.float32(np.abs(finite).max()))), float(finite.std())
    if not spread or step <= ROUGH * spread:
        return ()
    return (
        f"target '{target}': predictions are kept in single precision, which steps by {step:g} at values like "
        f"{number(float(finite.mean()))}, beside a standard deviation of {number(spread)}: risks and the members' "
        "variance are rounded with them; take a constant off the target",
    )


def check_prepared(prepared: Prepared) -> None:
    """Whether the study is within `max_rows`, and its saved generators fit its table.

    Raises:
        InputError: it is not, or they do not.
    """
    _check_size(prepared)
    _check_pretrained(prepared)


def _check_size(prepared: Prepared) -> None:
    rows = prepared.fold_count * prepared.most_members * prepared.volumes[-1]
    if rows > prepared.config.max_rows:
        each = f" in {prepared.fold_count} folds" if prepared.folds is not None else ""
        got = f"a study of {rows:,} synthetic rows ({prepared.most_members} members of {prepared.volumes[-1]:,}{each})"
        more = f"raise it with {advice('max_rows', str(rows))}, or take fewer members or ratios"
        raise InputError("max_rows", got, f"at most {prepared.config.max_rows:,}; {more}")


def _check_pretrained(prepared: Prepared) -> None:
    config = prepared.config
    for k in range(max(len(config.pretrained), len(config.generators)) if config.pretrained else 0):
        place, (name, _) = config.pretrained[k % len(config.pretrained)], config.generators[k % len(config.generators)]
        saved = read_pretrained(place, prepared.schema)["generator"]
        if saved != name:
            raise InputError("pretrained", f"a {saved} generator in {place}", f"a saved {name} generator")
