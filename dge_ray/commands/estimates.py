"""`dge-ray estimates`: standard errors and intervals for declared estimands, and for the study's own results
(`repeat.py`), from refits on resampled real rows.

The publisher's side: whoever has only the members cannot see how much they would change with other real rows. What
comes of it, estimates.json, goes into the bundle. Its figures are read off the real rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dge_ray.commands.gates import ending
from dge_ray.commands.repeat import Results, read_results
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
from dge_ray.study.records.files import ESTIMATES, REPEATED, replicates_folder

ENOUGH = 50  # replicates: a standard error from them is known to about a tenth
LEVEL = 0.95
METHOD = (
    "pipeline bootstrap: real rows resampled (those to stop on apart), generators fitted anew, rows drawn anew. "
    "`estimate` is the mean over the members, `se` its standard error over new real rows, members and draws, and "
    "`interval` a t interval by them; `bias` is the replicates' mean less `estimate`: a hint that the generator "
    "is biased, no measure of how much, and nothing is corrected by it"
)
RESULTS_METHOD = (
    "the study done again on real rows resampled within each part, or fold: its own value, and a t interval by the "
    "replicates' standard deviation; of best_volume the central range of the replicates' own"
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
    estimands: Estimands | None
    results: Results | None
    recipe: Recipe  # how a replicate's generators are fitted: as the members were
    members: int
    volume: int
    replicates: int

    @property
    def kept(self) -> Folder:
        """Where finished replicates lie: what they are a function of, and no more, is in the name."""
        assert self.estimands is not None
        what = {
            "estimands": self.estimands.names,
            "volume": self.volume,
            "nested": [FITS, DRAWS],
            "packages": {name: version(name) for name in ("dge-ray", "torch")},
        }
        return self.study.folder / replicates_folder(what)


def estimates(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Bootstrap the study's pipeline for declared estimands and for its own results; writes estimates.json and
    repeated.json, and gives their content.

    Replicates are Ray tasks, each done once: more of them, or more members, add to what is there. Other estimands or
    another volume begin anew.

    Raises:
        InputError: an unknown key or value, no such study, one with a privacy ledger or with several generators, or a
            table that is not the study's any more.
        StudyError: another driver works on the study, or a fit of a released member's rows failed.
    """
    request = read_request(study, options, say)
    opened = request.study
    report, costs = _facts(request), list[dict[str, Any]]()
    with opened.locked(say), ray_session():
        if request.estimands is not None:
            found, cost = _declared_ones(request, request.estimands, say)
            opened.keep(ESTIMATES, report := report | found)
            costs.append(cost)
        if request.results is not None:
            rows, failures, cost = request.results.bootstrapped(opened, request.replicates, level=LEVEL, say=say)
            again = {"results": rows, "results_method": RESULTS_METHOD, "results_failures": failures}
            opened.keep(REPEATED, _facts(request) | again)
            report |= again
            costs.append(cost)
    refits = {key: sum(cost[key] for cost in costs) for key in ("done", "read", "cpu_seconds")}
    file = ESTIMATES if request.estimands is not None else REPEATED
    return {**report, "refits": refits, "file": str(opened.folder / file)}


def _declared_ones(request: EstimatesRequest, asked: Estimands, say: Say) -> tuple[dict[str, Any], dict[str, Any]]:
    """What estimates.json says of declared estimands, and what the refits took."""
    opened, kept = request.study, request.kept
    train, stopping = (opened.prepared.parts[part] for part in ("train", "stopping"))
    work = Resampled(
        train=train,
        stopping=stopping,
        generator=request.recipe,
        estimands=asked,
        volume=request.volume,
        seed=opened.config.seed,
        constraints=opened.config.constraints,
    )
    each = MemberEstimates(request.spec, request.volume, asked)
    released, _ = run_refits({}, lambda _: each, request.members, folder=kept / "members", say=lambda _: None)
    replicates, cost = run_refits({}, lambda _: work, request.replicates, folder=kept, say=say)
    return assemble(request, asked, released, asked(train), replicates), cost


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
    declared = keys.estimands is not None or not keys.results
    asked = read_estimands(_declared(keys.estimands), prepared.schema) if declared else None
    spec, volume = opened.spec(), opened.volume(keys.volume)
    name, settings = spec.generators[0]
    recipe = Recipe(name, settings, _files(*config.pretrained) if config.pretrained else None)
    return EstimatesRequest(
        study=opened,
        spec=spec,
        estimands=asked,
        results=read_results(opened, keys.results, recipe, members, volume) if keys.results else None,
        recipe=recipe,
        members=members,
        volume=volume,
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


def _facts(request: EstimatesRequest) -> dict[str, Any]:
    """What both files begin with."""
    return {
        "study": request.study.name,
        "level": LEVEL,
        "members": request.members,
        "volume": request.volume,
        "real_rows": request.study.prepared.n,
        "replicates": request.replicates,
    }


def assemble(
    request: EstimatesRequest,
    asked: Estimands,
    released: list[dict[str, Any]],
    real: Estimates,
    replicates: list[dict[str, Any]],
) -> dict[str, Any]:
    """What estimates.json says of declared estimands."""
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
    for p, name in enumerate(asked.names):
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
    of = {"method": METHOD, "rule": "T_p", "fits": FITS, "draws": DRAWS}
    return {**of, "failures": failures, "estimands": rows}


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
        f"{report['replicates']} replicates ({report['refits']['done']} done now, "
        f"{report['refits']['read']} read)"
    ]
    for one in report.get("estimands", ()):
        if one["interval"] is None:
            lines.append(f"{one['name']}: no interval: {one['reason']}")
            continue
        lost = f", {one['failures']} replicates without an estimate" if one["failures"] else ""
        lines.append(
            f"{one['name']}: {number(one['estimate'])}, standard error {number(one['se'])} (as if real "
            f"{number(one['se_naive'])}, by combining {number(one['se_pooled_rule'])}, inflation "
            f"{number(one['inflation'])}); interval {interval_text(one['interval'])}{lost}"
        )
    for one in report.get("results", ()):
        told = one.get("reason") or f"interval {interval_text(one['interval'])}"
        lines.append(f"{one['name']} {one['target']}: {number(one['estimate'])}; {told}")
    if report["replicates"] < ENOUGH:
        rough = (2 * (max(report["replicates"], 2) - 1)) ** -0.5
        lines.append(f"so few replicates know a standard error to about {rough:.0%}: replicates={ENOUGH} or more go on")
    return [*lines, *ending(report)]
