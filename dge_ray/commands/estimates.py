"""`dge-ray estimates`: standard errors and intervals for declared estimands, from refits on resampled real rows.

The publisher's side: whoever has only the members cannot see how much they would change with other real rows. What
comes of it, estimates.json, goes into the bundle. Its figures are read off the real rows.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dge_ray.commands.gates import ending
from dge_ray.commands.verbs import EstimatesKeys
from dge_ray.distributed.refits import run_refits
from dge_ray.distributed.session.ray_session import ray_session
from dge_ray.errors import InputError
from dge_ray.generators.checks import refuse_made_elsewhere
from dge_ray.inference.estimands import FORM, Estimands, Estimates, read_estimands
from dge_ray.inference.replicates import Recipe, Saved
from dge_ray.inference.resampling import DRAWS, FITS, Resampled, plain
from dge_ray.options import Say, to_stderr
from dge_ray.phrases import interval_text, number
from dge_ray.publishing.request import FEWEST
from dge_ray.spelling import plain_yaml
from dge_ray.stats.inference.pipeline_bootstrap import LEAST, pipeline_bootstrap
from dge_ray.stats.inference.pooled import combine
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import ESTIMATES, replicates_folder

ENOUGH = 50  # replicates: a standard error from them is known to about a tenth
LEVEL = 0.95
METHOD = (
    "pipeline bootstrap: real rows resampled (those to stop on apart), generators fitted anew, rows drawn anew. "
    "`estimate` is the mean over the members, `se` its standard error over new real rows, members and draws, and "
    "`interval` a t interval by them; `bias` is the replicates' mean less `estimate`: a hint that the generator "
    "is biased, no measure of how much, and nothing is corrected by it"
)


@dataclass(frozen=True)
class MemberEstimates:
    """A member's estimates on its first `volume` rows; what is lacking of them is drawn."""

    members: MemberSpec
    volume: int
    estimands: Estimands

    def __call__(self, member: int) -> dict[str, Any]:
        estimates = self.estimands(self.members.rows(member, self.volume))
        return {
            "value": plain(estimates.value),
            "variance": plain(estimates.variance),
            "reasons": list(estimates.reasons),
        }


@dataclass(frozen=True)
class EstimatesRequest:
    """A checked request about a study."""

    study: OpenStudy
    spec: MemberSpec
    estimands: Estimands
    members: int
    volume: int
    replicates: int

    @property
    def recipe(self) -> Recipe:
        """How a replicate's generators are fitted: as the members were."""
        (name, settings), start = self.spec.generators[0], self.study.config.pretrained
        return Recipe(name, settings, _files(start[0]) if start else None)

    @property
    def kept(self) -> Folder:
        """Where finished replicates lie: what they are a function of, and no more, is in the name."""
        what = {
            "estimands": self.estimands.names,
            "volume": self.volume,
            "nested": [FITS, DRAWS],
            "packages": {name: version(name) for name in ("dge-ray", "torch")},
        }
        return self.study.folder / replicates_folder(hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16])


def estimates(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Bootstrap the study's pipeline for the declared estimands; writes estimates.json, and gives its content.

    Replicates are Ray tasks, each done once: more of them, or more members, add to what is there. Other estimands or
    another volume begin anew.

    Raises:
        InputError: an unknown key or value, no such study, one with a privacy ledger or with several generators, or a
            table that is not the study's any more.
        StudyError: another driver works on the study, or a fit of a released member's rows failed.
    """
    request = read_request(study, options, say)
    opened, kept = request.study, request.kept
    train, stopping = (opened.prepared.parts[part] for part in ("train", "stopping"))
    work = Resampled(
        train=train,
        stopping=stopping,
        generator=request.recipe,
        estimands=request.estimands,
        volume=request.volume,
        seed=opened.config.seed,
        constraints=opened.config.constraints,
    )
    with opened.locked(say), ray_session():
        each = MemberEstimates(request.spec, request.volume, request.estimands)
        released, _ = run_refits({}, lambda _: each, request.members, folder=kept / "members", say=lambda _: None)
        replicates, cost = run_refits({}, lambda _: work, request.replicates, folder=kept, say=say)
        report = assemble(request, released, request.estimands(train), replicates)
        opened.keep(ESTIMATES, report)
    return {**report, "refits": cost, "file": str(opened.folder / ESTIMATES)}


def read_request(study: str, options: Mapping[str, Any] | None, say: Say) -> EstimatesRequest:
    """The checked request.

    Raises:
        InputError: as `estimates`.
    """
    keys = EstimatesKeys.read(options)
    opened = OpenStudy.find(study, keys.storage, say, writes=True)
    opened.check_not_private("study", "one without: refits on resampled real rows are not charged to it")
    prepared, config = opened.prepared, opened.config
    if len(config.generators) > 1 or len(config.pretrained) > 1:
        raise InputError("study", "members of several generators", "a study whose members are of one generator")
    for name, _ in config.generators:
        refuse_made_elsewhere(name, "anew to resampled rows")
    fitted = opened.members(keys.members, least=2, why="members vary")
    members = fitted if keys.members is not None else opened.recommended_members(FEWEST)  # as publish takes
    keys.check_range("replicates", LEAST, 1_000_000)
    return EstimatesRequest(
        study=opened,
        spec=opened.spec(),
        estimands=read_estimands(_declared(keys.estimands), prepared.schema),
        members=members,
        volume=opened.volume(keys.volume),
        replicates=keys.replicates,
    )


def _declared(given: Any) -> Any:
    """Estimands as given, or as listed in a YAML file."""
    if isinstance(given, str) and given.endswith((".yaml", ".yml")):
        try:
            given = plain_yaml(Path(given).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            raise InputError("estimands", repr(given), "a YAML file with a list of them") from None
        given = given.get("estimands") if isinstance(given, dict) else given
    if not isinstance(given, str | list):
        raise InputError("estimands", "nothing" if given is None else repr(given), f"one or more of {FORM}")
    return given


def _files(place: str) -> Saved:
    with Folder.open(place, "pretrained").downloaded() as folder:
        return {file: (folder / file).read_bytes() for file in ("generator.json", "weights.safetensors")}


def assemble(
    request: EstimatesRequest, released: list[dict[str, Any]], real: Estimates, replicates: list[dict[str, Any]]
) -> dict[str, Any]:
    """estimates.json's content."""
    q, u = (np.array([one[key] for one in released], dtype=np.float64) for key in ("value", "variance"))
    synthetic, resampled = (np.array([one[key] for one in replicates], np.float64) for key in ("synthetic", "real"))
    boot = pipeline_bootstrap(q, synthetic, real.value, resampled)
    pooled = combine(q, u, "T_p", k=request.volume, n=request.study.prepared.n)
    low, high = boot.interval("normal", LEVEL)
    failures: dict[str, int] = {}
    for one in replicates:
        for reason, count in one["failures"].items():
            failures[reason] = failures.get(reason, 0) + count
    rows = []
    for p, name in enumerate(request.estimands.names):
        reasons = {one["reasons"][p] for one in released} - {None}
        row: dict[str, Any] = {
            "name": name,
            "estimate": q[:, p].mean(),
            "se": boot.se[p],
            "interval": [low[p], high[p]],
            "se_naive": np.sqrt(u[:, p]).mean(),
            "se_pooled_rule": pooled.se[p],
            "inflation": boot.se[p] / pooled.se[p],
            "bias": boot.shift[p],
        }
        finite = {key: _finite(value) for key, value in row.items()}
        reason = "; ".join(sorted(reasons)) or (
            None if boot.kept[p] >= LEAST else "too few replicates have an estimate"
        )
        counted = {"replicates": int(boot.kept[p]), "failures": len(replicates) - int(boot.kept[p]), "reason": reason}
        rows.append({**finite, **counted})
    return {
        "study": request.study.name,
        "method": METHOD,
        "rule": "T_p",
        "level": LEVEL,
        "members": request.members,
        "volume": request.volume,
        "real_rows": request.study.prepared.n,
        "replicates": len(replicates),
        "fits": FITS,
        "draws": DRAWS,
        "failures": failures,
        "estimands": rows,
    }


def _finite(value: Any) -> Any:
    """None for what is no number, as JSON has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        ends = [_finite(end) for end in value]
        return None if None in ends else ends
    return float(value) if np.isfinite(value) else None


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report in plain lines."""
    lines = [
        f"study {report['study']}: {report['members']} members of {number(report['volume'])} rows, "
        f"{report['replicates']} replicates of {report['fits']} fits ({report['refits']['done']} done now, "
        f"{report['refits']['read']} read)"
    ]
    for one in report["estimands"]:
        if one["interval"] is None:
            lines.append(f"{one['name']}: no interval: {one['reason']}")
            continue
        lost = f", {one['failures']} replicates without an estimate" if one["failures"] else ""
        lines.append(
            f"{one['name']}: {number(one['estimate'])}, standard error {number(one['se'])} (as if real "
            f"{number(one['se_naive'])}, by combining {number(one['se_pooled_rule'])}, inflation "
            f"{number(one['inflation'])}); interval {interval_text(one['interval'])}{lost}"
        )
    if report["replicates"] < ENOUGH:
        rough = (2 * (max(report["replicates"], 2) - 1)) ** -0.5
        lines.append(f"so few replicates know a standard error to about {rough:.0%}: replicates={ENOUGH} or more go on")
    return [*lines, *ending(report)]
