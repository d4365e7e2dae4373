"""A made-up, law-abiding study for tests of reports and tracking: report.json as a dict, surface.parquet as a table."""

from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.report.figures.axes import png_bytes
from dge_ray.report.figures.catalogue import drawn
from dge_ray.results.assemble import SURFACE_SCHEMA

METRICS = {
    "binary": ["log_loss", "auc", "brier", "accuracy", "macro_f1"],
    "multiclass": ["log_loss", "auc", "brier", "accuracy", "macro_f1"],
    "regression": ["rmse", "mse", "mae", "r2"],
}
LEVELS = {"log_loss": 0.29, "auc": 0.92, "brier": 0.09, "accuracy": 0.86, "macro_f1": 0.79}
LEVELS |= {"rmse": 0.52, "mse": 0.27, "mae": 0.36, "r2": 0.79}
HIGHER = {"auc", "accuracy", "macro_f1", "r2"}


def risk(metric: str, members: int, ratio: float) -> float:
    """A surface with a reflection point near 4x and a 1/K law."""
    curve = 0.02 * (np.log2(ratio) - 2) ** 2 / 4 + 0.04 * (1 + 1 / ratio) / members
    scale = LEVELS[metric]
    return scale * (1 - 0.4 * curve) if metric in HIGHER else scale * (1 + curve)


def surface(
    task: str = "binary",
    *,
    members: int = 8,
    ratios: tuple[float, ...] = (0.5, 1, 2, 4, 8, 16),
    n: int = 26048,
    dropped: tuple[int, ...] = (),
    learner: str = "HistGradientBoosting",
) -> pa.Table:
    """Cells for every K in 1..members and volume; `dropped` volumes stop at half the members and say so."""
    rows = []
    for ratio in ratios:
        volume = round(ratio * n)
        for split, offset in (("validation", 1.0), ("test", 1.012)):
            for metric in METRICS[task]:
                gone = volume in dropped
                for k in range(1, (members // 2 if gone else members) + 1):
                    se = 0.006 * LEVELS[metric] * (1 + 1 / k)
                    value = risk(metric, k, ratio) * offset
                    rows.append((learner, k, volume, split, metric, value, se, 0.8 * se, gone))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SURFACE_SCHEMA)


def report(
    task: str = "binary", *, members: int = 8, ratios: tuple[float, ...] = (0.5, 1, 2, 4, 8, 16), n: int = 26048
) -> dict[str, Any]:
    """report.json of that study, with every part there."""
    best = 4 if 4 in ratios else ratios[-1]
    metric, factors = METRICS[task][0], {"naive_single": 1.05, "naive_ensemble": 1.02, "naive_concatenated": 1.004}
    test: dict[str, dict] = {"dge": {m: risk(m, members, best) * 1.012 for m in METRICS[task]}}
    differences: dict[str, dict] = {}
    for method, factor in {**factors, "real": 0.975}.items():
        test[method] = {m: v * (2 - factor if m in HIGHER else factor) for m, v in test["dge"].items()}
        differences[method] = {}
        for m, v in test["dge"].items():
            gap = v - test[method][m]
            differences[method][m] = [gap, gap - 0.008 * v, gap + 0.008 * v]
    volume = round(best * n)
    return {
        "study": "adult",
        "seed": 0,
        "versions": {"dge_ray": "0.1.0", "ray": "2.60.0", "torch": "2.13.0", "mlflow": "3.17.2", "python": "3.11.2"},
        "data": {
            "rows": {"train": n, "stopping": 3256, "validation": 6512, "test": 16281},
            "target": "income",
            "task": task,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
        "schema": {"columns": 15, "categorical": 8, "integer": 6, "numeric": 1},
        "config": {"source": "adult.parquet", "members": members, "generator": {"name": "autoregressive", "epochs": 8}},
        "generator": "autoregressive",
        "learner": "HistGradientBoosting",
        "metric": metric,
        "members": members,
        "volumes": [round(ratio * n) for ratio in ratios],
        "reflection_point": {
            "volume": volume,
            "ratio": best,
            "interval": [volume // 2 if len(ratios) > 1 else volume, volume * 2 if len(ratios) > 1 else volume],
            "status": "interior" if len(ratios) > 1 else "undecided",
            "members": members,
            "risk": test["dge"][metric],
            "risk_interval": [test["dge"][metric] * 0.98, test["dge"][metric] * 1.02],
            "smallest_within_one_se": volume // 2,
            "advice": "the volume is settled; 8 more members would gain at most 0.0004",
        },
        "answer": {
            "members": max(members // 2, 1),
            "volume": volume,
            "price_cpu_s": 212.0,
            "against": "real",
            "difference": differences["real"][metric],
            "verdict": "worse",
            "what_would_tell": None,
            "sentence": f"Use {max(members // 2, 1)} generator with {volume:,} rows each",
            "risk": test["dge"][metric],
            "told": True,
            "margin": 0.02 * test["real"][metric],
            "excess": [0.001, 0.004],
            "best": {"members": members, "volume": volume, "price_cpu_s": 424.0},
        },
        "test": test,
        "test_differences": differences,
        "members_differ": {"disagreement": 0.0531, "interval": [0.0487, 0.0575]},
        "families": {"members": {"copula": 4, "gan": 4}, "between": 0.412, "interval": [0.305, 0.519]},
        "constraints": {"rules": ["age >= 18"], "met": 0.987},
        "klaw": {"metric": "brier", "s2": 0.0034, "limit": 0.0881},
        "cost": {
            "rows_generated": members * round(max(ratios) * n),
            "downstream_fits": members * len(ratios) + 2 * members + 2,
            "cpu_seconds": {"generators": 161.2, "sampling": 47.9, "downstream": 402.5},
            "wall_seconds": 388.4,
        },
        "warnings": ["column 'fnlwgt' looks like an identifier: it is kept as integer"],
    }


def draw(report: dict[str, Any], surface: pa.Table) -> dict[str, bytes]:
    """Every figure of a study as PNG bytes, by name."""
    return {name: png_bytes(figure) for name, figure in drawn(report, surface).items()}
