"""One member of a peer, for generators.py: runs in the interpreter that has it, and imports nothing from here.

usage: peer_member.py mostlyai-engine|ctgan|tvae FOLDER ROWS_TIMED ROWS_KEPT [EPOCHS]
Reads FOLDER/train.parquet, writes FOLDER/synthetic.parquet, prints one line of JSON.
"""

import json
import os
import resource
import sys
import time
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch


def cpu() -> float:
    """CPU-seconds of this process and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Mostly:
    package = "mostlyai-engine"

    def __init__(self, train, epochs):
        from mostlyai.engine import TabularARGN

        self.model = TabularARGN(device="cpu", random_state=0, verbose=0)

    def fit(self, train):
        self.model.fit(X=train)

    def sample(self, n):
        return self.model.sample(n_samples=n)


class Ctgan:
    """CTGAN or TVAE of the ctgan package: missing values as it demands, a category, or the mean of a number."""

    package = "ctgan"

    def __init__(self, kind, train, epochs):
        import ctgan

        torch.manual_seed(0)
        made = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}[kind]
        self.model = made(epochs=epochs, enable_gpu=False)

    def fit(self, train):
        self.coded = [c for c in train if not pd.api.types.is_numeric_dtype(train[c]) or train[c].nunique() <= 20]
        self.types = train.dtypes
        plain = train.copy()
        for c in train:
            plain[c] = plain[c].astype(str) if c in self.coded else plain[c].fillna(plain[c].mean())
        self.back = {c: {str(v): v for v in train[c].unique()} for c in self.coded}
        self.model.fit(plain, discrete_columns=self.coded)

    def sample(self, n):
        rows = self.model.sample(n)
        for c, values in self.back.items():
            rows[c] = rows[c].map(values)
        return rows.astype({c: t for c, t in self.types.items() if c not in self.coded and t.kind == "f"})


if __name__ == "__main__":
    kind, folder, timed, kept = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    epochs = int(sys.argv[5]) if len(sys.argv) > 5 else 40
    torch.set_num_threads(1)
    train = pd.read_parquet(f"{folder}/train.parquet")
    peer = Mostly(train, epochs) if kind == "mostlyai-engine" else Ctgan(kind, train, epochs)
    start, wall = cpu(), time.perf_counter()
    peer.fit(train)
    fitted = cpu()
    rows = peer.sample(timed)
    drawn = cpu()
    rows.head(kept)[list(train.columns)].to_parquet(f"{folder}/synthetic.parquet")
    record = {
        "version": version(peer.package),
        "torch": torch.__version__,
        "fit_cpu_s": fitted - start,
        "rows_per_cpu_s": timed / (drawn - fitted),
        "wall_s": time.perf_counter() - wall,
        "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(record))
