"""What a study writes down for tracking: parameters, metric points, no secrets. No tracking library here.

A point is (volume, key, value, step): volume names the child run, None the parent run; the step is the member count K.
"""

import getpass
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from dge_ray.masking import MASK, is_secret_setting, mask
from dge_ray.phrases import finite
from dge_ray.stats.comparison.baselines import METHODS

LONGEST_VALUE = 500  # what the oldest servers still take


class Point(NamedTuple):
    """One metric value. `latest`: a changed value at the same step is written again; otherwise the first one stays."""

    volume: int | None
    key: str
    value: float
    step: int
    latest: bool = False


def legal(key: str) -> str:
    """A key that the tracking server takes: letters, digits and `_-. /` only, no relative path."""
    return re.sub(r"[^\w\-. /]", "_", key, flags=re.ASCII).strip("/. ")[:250] or "_"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested configuration as dotted keys and short, masked text; values beyond 500 characters are cut."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
            continue
        plain = value if isinstance(value, str) else json.dumps(value, default=str)
        flat[legal(name)] = cut(MASK if is_secret_setting(str(key)) and value else mask(plain))
    return flat


def cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def surface_points(surface: pa.Table, learner: str | None = None) -> Iterator[Point]:
    """The cells of surface.parquet as `split/metric` over K; `learner` picks one where there are several."""
    for row in surface.select(["learner", "members", "volume", "split", "metric", "value"]).to_pylist():
        if finite(row["value"]) and learner in (None, row["learner"]):
            key = legal(f"{row['split']}/{row['metric']}")
            yield Point(row["volume"], key, float(row["value"]), row["members"], latest=True)


def fit_points(member: int, history: Iterable[Mapping[str, Any]]) -> Iterator[Point]:
    """A member's loss curves as `fit/MEMBER/train` and `fit/MEMBER/heldout` over its epochs."""
    for record in history:
        for curve in ("train", "heldout"):
            if finite(record.get(curve)):
                yield Point(None, f"fit/{member:03d}/{curve}", float(record[curve]), int(record["epoch"]))


def curve_points(surface: pa.Table, report: Mapping) -> Iterator[Point]:
    """The study's metric on test as two curves: `over_rows/METRIC` of all members with the rows of each as the step,
    `over_members/METRIC` of the recommended volume with the number of members as the step."""
    metric, answer = report.get("metric"), report.get("answer") or {}
    most, volume = report.get("members"), answer.get("volume")
    for row in surface.select(["learner", "members", "volume", "split", "metric", "value"]).to_pylist():
        told = row["learner"], row["split"], row["metric"]
        if told != (report.get("learner"), "test", metric) or not finite(row["value"]):
            continue
        if row["members"] == most:
            yield Point(None, legal(f"over_rows/{metric}"), float(row["value"]), row["volume"], latest=True)
        if row["volume"] == volume:
            yield Point(None, legal(f"over_members/{metric}"), float(row["value"]), row["members"], latest=True)


ANSWERED = ("answer/difference", "answer/difference_lo", "answer/difference_hi")
SUMMARY = 0  # the step of what a run is read by at a glance: the answer, which has no curve


def answer_points(report: Mapping) -> Iterator[Point]:
    """The answer, in a dozen numbers, at step 0."""
    answer = report.get("answer") or {}
    numbers = {f"answer/{name}": answer.get(name) for name in ("members", "volume", "price_cpu_s", "risk", "margin")}
    numbers |= dict(zip(ANSWERED, answer.get("difference") or (), strict=False))
    best, difference = answer.get("best") or {}, answer.get("difference") or (None,)
    numbers |= {f"answer/best_{name}": best.get(name) for name in ("members", "volume", "price_cpu_s")}
    if finite(answer.get("risk")) and finite(difference[0]):
        numbers["answer/real_rows_risk"] = answer["risk"] - difference[0]
    if answer:
        numbers["answer/known_to_be_enough"] = float(bool(answer.get("told")))
    for key, value in numbers.items():
        if finite(value):
            yield Point(None, key, float(value), SUMMARY, latest=True)


def report_points(report: Mapping) -> Iterator[Point]:
    """The parent run's numbers from report.json: answer, reflection, test, differences and cost."""
    yield from answer_points(report)
    point = report.get("reflection_point") or {}
    members = point.get("members", report.get("members"))
    step = int(members) if finite(members) else 0
    lo, hi = point.get("interval") or (None, None)
    risk_lo, risk_hi = point.get("risk_interval") or (None, None)
    numbers: dict[str, Any] = {
        **{f"reflection/{name}": point.get(name) for name in ("volume", "ratio", "risk", "smallest_within_one_se")},
        "reflection/lo": lo,
        "reflection/hi": hi,
        "reflection/risk_lo": risk_lo,
        "reflection/risk_hi": risk_hi,
        "reflection/members": members,
    }
    for method in METHODS:
        for metric, value in ((report.get("test") or {}).get(method) or {}).items():
            numbers[f"test/{method}/{metric}"] = value
        for metric, triple in ((report.get("test_differences") or {}).get(method) or {}).items():
            ends = triple or (None, None, None)
            numbers |= {
                f"difference/{method}/{metric}{end}": v for end, v in zip(("", "_lo", "_hi"), ends, strict=True)
            }
    for row in report.get("learners") or []:
        names = ("volume", "ratio", "validation", "risk")
        numbers |= {f"learner/{row['learner']}/{name}": row.get(name) for name in names}
    private = report.get("privacy") or {}
    numbers |= {f"privacy/{name}": private.get(name) for name in ("epsilon", "delta", "spent")}
    cost = report.get("cost") or {}
    numbers |= {f"cost/{name}": cost.get(name) for name in ("rows_generated", "downstream_fits", "wall_seconds")}
    numbers |= {f"cost/cpu_seconds/{name}": value for name, value in (cost.get("cpu_seconds") or {}).items()}
    for key, value in numbers.items():
        if finite(value):
            yield Point(None, legal(key), float(value), step, latest=True)


def asked_by() -> dict[str, str]:
    """The tags of MLflow's columns Source and User, as its own runs have them."""
    tags = {"mlflow.source.name": "dge-ray tune", "mlflow.source.type": "LOCAL"}
    try:
        return {**tags, "mlflow.user": getpass.getuser()}
    except (KeyError, OSError):  # a process of a number without a name, as in containers
        return tags


def versions() -> dict[str, str]:
    names = {"dge_ray": "dge-ray", "ray": "ray", "torch": "torch", "mlflow": "mlflow"}
    versions = {name: _version(distribution) for name, distribution in names.items()}
    return {"python": platform.python_version()} | {name: text for name, text in versions.items() if text}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> list[str]:
    """What scoring needs, pinned to what is installed here; MLflow would otherwise import the model to find out.

    This package itself is in no index that they could be installed from: a model brings its code.
    """
    names = ["mlflow", "numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy", "skops", "torch"]
    versions = {name: _version(name) for name in names}
    return [f"{name}=={version.split('+')[0]}" if version else name for name, version in versions.items()]


def folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
