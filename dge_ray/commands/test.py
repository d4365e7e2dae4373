"""`dge-ray test`: do some features tell of the target what the others do not? Tested on synthetic rows, at a level.

`method=refit` (the default) calibrates the whole pipeline, `method=paper` is the published procedure; see
`stats/inference/syntest.py` for what sets them apart. `method=gcm` needs no synthetic row: `stats/inference/gcm.py`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from dge_ray.commands.gates import ending
from dge_ray.commands.test_request import SynTestRequest, read_request
from dge_ray.downstream import load_learner
from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities
from dge_ray.inference.null_law import Look
from dge_ray.inference.relevance import FULL, WITHOUT, Relevance, without
from dge_ray.inference.replicates import (
    REDRAWER,
    Null,
    Pipeline,
    Recipe,
    RefitNull,
    Saved,
    Statistic,
    Stream,
    TwinDraws,
    opened,
    saved,
    stream,
)
from dge_ray.inference.residuals import gcm_test
from dge_ray.options import Say, to_stderr
from dge_ray.report.words.syntest import syntest_lines
from dge_ray.stats.inference.guarded import guarded_rejection
from dge_ray.stats.inference.syntest import monte_carlo_p, rate, twins
from dge_ray.storage import Folder
from dge_ray.table import TableCodec, TableSchema

NOT_CALIBRATED = "not calibrated unless m is far below the rows behind the generator"
BY_CONSTRUCTION = (
    "by construction: the share of equally likely ranks that reject. It holds as far as the nulled generator's law is "
    "the real rows' law under the null; figures in experiments/syn2023"
)
BY_REGRESSIONS = (
    "holds where the others predict the target and the tested features well: the product of both errors is what is left"
)
LAW_LEVEL = 0.05  # at which the null law is taken to be wrong
WITHHELD = (
    "withheld: the generator does not draw the tested features, or the target, as the real rows have them given the "
    "others (p = {:.2g}), so that its null tables are none; another generator may, and method=gcm needs none"
)
UNLIKE = (
    "given the other features, the generator's rows are told from the real ones (p = {:.2g}), though not where this "
    "test's learner errs: the level is as good as these null tables are"
)
GUARDED = (
    "guarded: the type I error is at most {:.3g} whatever the generator, as far as gcm holds: rejected if gcm rejects "
    "at {:.3g}, or at {:.3g} more and the test on synthetic rows too"
)
ITS_OWN = "the procedure's own estimate, between its two generators: what both copied from chance is not in it"


def lines(answer: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return [*syntest_lines(answer), *ending(answer)]


def test(
    source: str,
    options: Mapping[str, Any] | None = None,
    say: Say = to_stderr,
    *,
    statistic: Statistic | None = None,
    label: str = "relevance",
) -> dict[str, Any]:
    """Test whether the target depends on the features `options["features"]` beyond what the other features tell.

    `refit`: a generator is fitted on the n real rows; null tables of n rows are drawn from it with the tested features
    drawn again given the others; each of them, and the real table, goes through the same pipeline (fit a generator,
    draw `volume` rows, compute T). p = (1 + null T's at or above the real one) / (1 + replicates).
    Before that the null tables' law is held against the real rows (`inference/null_law.py`); where it fails, nothing is
    tested: `rejected` is None, and `withheld` says why.
    `paper`: one generator a half of the rows; T of rows with the null enforced, judged both ways.
    `epsilon`: the decision is held between those of gcm at `alpha` and at `alpha` + `epsilon`
    (`stats/inference/guarded.py`); where the test is withheld, it is gcm's at `alpha`.
    `gcm`: residuals of the features and of the target given the other features; real rows alone, no generator, no Ray.
    `pretrained`: every fit starts from that saved generator. Null tables' fits do so too: what it knows of the tested
    features is no evidence, and only the real rows of `source` are tested.

    Args:
        statistic: another number that large values of speak against the null hypothesis: `statistic(rows, seed)`.
        label: what such a statistic's finished replicates are kept under: another one for another statistic.

    Raises:
        InputError: a bad key or value, or a table in which the features cannot be tested.
        StudyError: a generator or learner fails on some rows.
    """
    request = read_request(source, options)
    if (statistic is None) != (label == "relevance"):
        raise ValueError("a statistic of one's own needs a label of its own, and no other has one")
    if request.method == "gcm" and statistic is not None:
        raise InputError("method", "'gcm' with a statistic of one's own", "'refit' or 'paper': gcm has its own")
    judge = Relevance(request.schema, request.features, *request.learner) if statistic is None else statistic
    answer = {
        "source": source,
        "target": request.schema.target,
        "task": request.schema.task,
        "features": list(request.features),
        "rows": request.table.num_rows,
        "generator": None if request.method == "gcm" else request.generator.name,
        "learner": request.learner[0] if statistic is None else None,
        "statistic_name": label,
        "method": request.method,
        "alpha": request.alpha,
        "epsilon": request.epsilon,
        "seed": request.seed,
        "replicates": request.replicates,
    }
    written = {}
    if request.method == "gcm":
        result = _gcm(request)
    else:
        folder = _folder(request, label)
        result = (_refit if request.method == "refit" else _paper)(request, judge, folder, say)
        written = {"file": str(folder)} if folder.exists() else {}
    p = result["p_value"]
    ratio = None if result["volume"] is None else result["volume"] / request.fitted_rows
    notes = [*request.notes, *result.pop("notes")]
    rejected = None if p is None else p <= request.alpha
    if request.epsilon is not None:
        real, synthetic = result["gcm"]["p_value"], 1.0 if p is None else p
        rejected = bool(guarded_rejection(real, synthetic, request.alpha, request.epsilon))
        notes.append(GUARDED.format(request.alpha + request.epsilon, request.alpha, request.epsilon))
    return {**answer, "ratio": ratio, "rejected": rejected, **result, "notes": notes, **written}


def _folder(request: SynTestRequest, label: str) -> Folder:
    """Where this test's finished replicates lie: what they are a function of, and no more, is in the name."""
    start = {name: hashlib.sha256(data).hexdigest() for name, data in (request.generator.start or {}).items()}
    what = {
        "data": request.digest,
        "schema": request.schema.to_json(),
        "features": request.features,
        "method": request.method,
        "volumes": request.volumes,
        "generator": [request.generator.name, dict(request.generator.settings), start],
        "statistic": request.learner if label == "relevance" else label,
        "seed": request.seed,
        "packages": {name: version(name) for name in ("dge-ray", "scikit-learn", "torch")},
    }
    name = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]
    # Earlier versions fitted another generator beside some that can redraw features: results of another null law.
    other_law = abilities(request.generator.name).completes and (request.out / name).list("redraws-0")
    return request.out / (f"{name}-own" if other_law else name)


def _nothing(volume: int | None) -> dict[str, Any]:
    """An answer's fields without a test on synthetic rows."""
    return {
        "volume": volume,
        "p_value": None,
        "p_interval": None,
        "statistic": None,
        "type_one_error": None,
        "type_one_interval": None,
        "type_one_basis": None,
        "raw": None,
        "notes": [],
    }


def _gcm(request: SynTestRequest) -> dict[str, Any]:
    found = gcm_test(request.table, request.schema, request.features, seed=request.seed)
    return {
        **_nothing(None),
        "p_value": found.p_value,
        "statistic": found.statistic,
        "statistic_name": "largest covariance of residuals, in standard errors",
        "type_one_error": request.alpha,
        "type_one_basis": BY_REGRESSIONS,
        "refits": None,
    }


def _refit(request: SynTestRequest, judge: Statistic, folder: Folder, say: Say) -> dict[str, Any]:
    from dge_ray.distributed.refits import run_refits
    from dge_ray.distributed.session.ray_session import ray_session

    (volume,) = request.volumes
    pipeline = Pipeline(request.schema, request.generator, volume, judge, request.seed)

    def work(files: Mapping[str, Saved]) -> RefitNull:
        return RefitNull(request.table, _null(request, files, 0), pipeline)

    fits = _law_fits(request, request.table, 0)
    known = request.learner if isinstance(judge, Relevance) else None
    with ExitStack() as session:
        if len(folder.list("replicates")) <= request.replicates:
            session.enter_context(ray_session())  # one for both
        (looked,), cost = run_refits(
            fits,
            lambda files: Look(_null(request, files, 0), request.table, known, request.seed),
            1,
            folder=folder,
            say=say,
            place="law-check",
        )
        if looked["null_law"]["p_value"] <= LAW_LEVEL:
            why = WITHHELD.format(looked["null_law"]["p_value"])
            return {**_nothing(request.volumes[0]), "withheld": why, **looked, "refits": cost}
        results, cost = run_refits(fits, work, 1 + request.replicates, folder=folder, say=say)
    t, raw = (np.array([result[name] for result in results]) for name in ("statistic", "raw"))
    size = np.floor(request.alpha * len(t) + 1e-9) / len(t)
    reached = rate(int((t[1:] >= t[0]).sum()), request.replicates)
    return {
        "volume": volume,
        "p_value": float(monte_carlo_p(t[1:], t[:1])[0]),
        "p_interval": [reached.low, reached.high],
        "statistic": float(t[0]),
        "null": {"mean": float(t[1:].mean()), "sd": float(t[1:].std()), "critical": _critical(t[1:], request.alpha)},
        "type_one_error": float(size),
        "type_one_interval": None,
        "type_one_basis": BY_CONSTRUCTION,
        "raw": {**_raw(raw[0], request, judge), "p_null_tables": float(monte_carlo_p(raw[1:], raw[:1])[0])},
        **looked,
        "refits": cost,
        "notes": [UNLIKE.format(looked["whole_law"]["p_value"])] if looked["whole_law"]["p_value"] <= LAW_LEVEL else [],
    }


def _critical(null: np.ndarray, alpha: float) -> float:
    """The null value that the observed one must exceed to be rejected."""
    most = int(np.floor(alpha * (1 + len(null)) + 1e-9)) - 1
    return float(np.sort(null)[::-1][most])


def _paper(request: SynTestRequest, judge: Statistic, folder: Folder, say: Say) -> dict[str, Any]:
    from dge_ray.distributed.refits import run_refits

    half = request.table.num_rows // 2
    halves = [request.table.slice(0, half), request.table.slice(half, half)]
    fits = {**_law_fits(request, halves[0], 0), **_law_fits(request, halves[1], 1)}
    if isinstance(judge, Relevance):
        for which in (WITHOUT, FULL):
            fits[f"learner-{which}"] = partial(_fit_learner, judge, request.table, which, request.seed)

    def work(files: Mapping[str, Saved]) -> TwinDraws:
        pair = _null(request, files, 0), _null(request, files, 1)
        learners = _load_learners(judge, files) if isinstance(judge, Relevance) else None
        return TwinDraws(request.table, pair, request.volumes, judge, learners, request.seed)

    results, cost = run_refits(fits, work, request.replicates, folder=folder, say=say)
    null, drawn = (np.array([r[name] for r in results]).transpose(1, 2, 0) for name in ("null", "drawn"))
    outcome = twins(null, drawn, request.volumes, request.alpha)
    at = None if outcome.volume is None else request.volumes.index(outcome.volume)
    notes = [] if at is not None else ["no volume at which its own estimate of the type I error is controlled"]
    return {
        "volume": outcome.volume,
        "p_value": None if at is None else outcome.p[at],
        "p_interval": None,
        "statistic": None if at is None else drawn[:, at, 0].tolist(),
        "type_one_error": None if at is None else outcome.errors[at].value,
        "type_one_interval": None if at is None else [outcome.errors[at].low, outcome.errors[at].high],
        "type_one_basis": ITS_OWN,
        "curve": [
            {
                "volume": volume,
                "p_value": p,
                "type_one_error": error.value,
                "type_one_interval": [error.low, error.high],
                "power": power.value,
                "power_interval": [power.low, power.high],
            }
            for volume, p, error, power in zip(request.volumes, outcome.p, outcome.errors, outcome.power, strict=True)
        ],
        "raw": _raw(results[0]["raw"], request, judge),
        "refits": cost,
        "notes": [NOT_CALIBRATED, *notes],
    }


def _raw(statistic: float, request: SynTestRequest, judge: Statistic) -> dict[str, Any]:
    """The test without synthetic rows: the same statistic of the real rows, held against N(0, 1)."""
    normal = float(norm.sf(statistic)) if isinstance(judge, Relevance) else None
    return {"rows": request.table.num_rows, "statistic": float(statistic), "p_normal": normal}


def _law_fits(request: SynTestRequest, rows: pa.Table, k: int) -> dict[str, Callable[[], Saved]]:
    """What is fitted on some real rows: a generator, and where it cannot redraw features, one that can."""
    made = {f"law-{k}": partial(_fit, request.generator, rows, request.schema, stream(request.seed, 2 * k, Stream.LAW))}
    if not abilities(request.generator.name).completes:
        schema, seed = _features_only(request.schema), stream(request.seed, 2 * k + 1, Stream.LAW)
        made[f"redraws-{k}"] = partial(_fit, Recipe(REDRAWER, {}), rows.select(schema.names), schema, seed)
    return made


def _features_only(schema: TableSchema) -> TableSchema:
    return replace(without(schema, (str(schema.target),)), target=None, task=None)


def _null(request: SynTestRequest, files: Mapping[str, Saved], k: int) -> Null:
    redraws = files.get(f"redraws-{k}")
    pair = None if redraws is None else (Recipe(REDRAWER, {}), redraws)
    return Null(request.schema, request.features, request.generator, files[f"law-{k}"], pair)


def _fit(kind: Recipe, rows: pa.Table, schema: TableSchema, seed: int) -> Saved:
    return saved(kind.fit(rows, schema, seed=seed).save)


def _fit_learner(judge: Relevance, rows: pa.Table, which: int, seed: int) -> Saved:
    return saved(judge.fit(TableCodec(judge.schema).encode(rows), stream(seed, 4, Stream.LAW))[which].save)


def _load_learners(judge: Relevance, files: Mapping[str, Saved]) -> tuple[Any, Any]:
    made = []
    for which, schema in ((WITHOUT, without(judge.schema, judge.features)), (FULL, judge.schema)):
        with opened(files[f"learner-{which}"]) as folder:
            made.append(load_learner(folder, schema))
    return made[WITHOUT], made[FULL]
