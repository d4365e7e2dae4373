"""Circles with the ensemble paper's GAN: how much single synthetic sets differ, and what an ensemble of them is worth.

    python experiments/dge/circles.py [members=20] [preset=dge2023] [epochs=none] [train=2000] [seed=0] [--json FILE]

10,000 rows of scikit-learn's make_circles (noise 0.3, factor 0.5, random_state 0), split at random by the label's
shares: 2,000 to fit on, 8,000 to test on. Each member is a GAN fitted to the same 2,000 rows from a seed of its own,
and draws as many rows; each trains an MLPClassifier at scikit-learn's defaults behind a StandardScaler. Printed a
member: its AUC on the real test rows; at the end their mean, standard deviation and range, and the AUC of the members'
mean probability (DGE). The authors' figures, 20 members: .789 +- .043 (.693 - .862), DGE_20 .869, real rows .870.
`epochs` shortens the fits (the preset has 2,000: minutes a member, README.md); `preset=none`: this package's own.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
from measure import environment, words
from sklearn.datasets import make_circles
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.table import infer_schema


def main(argv: list[str]) -> None:
    _, options, file = words(argv, members=20, preset="dge2023", epochs=None, train=2_000, seed=0)
    import torch

    torch.set_num_threads(1)
    x, y = make_circles(n_samples=10_000, noise=0.3, factor=0.5, random_state=0)
    x_train, x_test, y_train, y_test = train_test_split(x, y, train_size=options["train"], stratify=y, random_state=0)
    table = rows(x_train, y_train)
    schema = infer_schema(table, target="label")
    chosen = {key: options[key] for key in ("preset", "epochs") if options[key] not in (None, "none")}
    real = roc_auc_score(y_test, predict(x_train, y_train, x_test, seed=0))
    print(f"real rows: AUC {real:.4f}", flush=True)
    predictions, aucs, seconds = [], [], []
    for member in range(options["members"]):
        started = time.process_time()
        generator = make_generator("gan", **chosen)
        generator.fit(table, schema, seed=integer(options["seed"], Purpose.FIT, member=member))
        seconds.append(time.process_time() - started)
        drawn = generator.sample(table.num_rows, seed=integer(options["seed"], Purpose.SHARD, member=member))
        x_drawn = np.stack([drawn["x"].to_numpy(), drawn["y"].to_numpy()], 1)
        predictions.append(predict(x_drawn, drawn["label"].to_numpy().astype(int), x_test, seed=member))
        aucs.append(float(roc_auc_score(y_test, predictions[-1])))
        print(f"member {member}: AUC {aucs[-1]:.4f}, fitted in {seconds[-1]:.0f} CPU-s", flush=True)
        write(file, options, real, aucs, seconds, float(roc_auc_score(y_test, np.mean(predictions, axis=0))))


def rows(x: np.ndarray, y: np.ndarray) -> pa.Table:
    return pa.table({"x": x[:, 0], "y": x[:, 1], "label": pa.array(y.astype(bool))})


def predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, *, seed: int) -> np.ndarray:
    """Probabilities (n,) of the label on the test rows."""
    learner = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 rounds are what the authors had, converged or not
        return learner.fit(x, y).predict_proba(x_test)[:, 1]


def write(
    file: Path | None, options: dict[str, Any], real: float, aucs: list[float], seconds: list[float], ensemble: float
) -> None:
    """Print the figures of the members so far, and write them where asked: hours of fits are not lost to a stop."""
    record = {
        "experiment": "circles",
        **options,
        "members": len(aucs),
        "auc_real": real,
        "auc_members": aucs,
        "auc_mean": float(np.mean(aucs)),
        "auc_sd": float(np.std(aucs, ddof=1)) if len(aucs) > 1 else None,
        "auc_min": min(aucs),
        "auc_max": max(aucs),
        "auc_ensemble": ensemble,
        "fit_cpu_s": float(np.mean(seconds)),
        **environment(),
    }
    print(f"{len(aucs)} members: {record['auc_mean']:.4f} +- {record['auc_sd']}, DGE {ensemble:.4f}", flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
