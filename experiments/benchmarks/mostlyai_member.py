"""One member of mostlyai-engine, for member.py: runs in the interpreter that has it, and imports nothing from here.

usage: mostlyai_member.py FOLDER ROWS_TIMED ROWS_KEPT
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
from mostlyai.engine import TabularARGN


def cpu() -> float:
    """CPU-seconds of this process and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


if __name__ == "__main__":
    folder, timed, kept = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    train = pd.read_parquet(f"{folder}/train.parquet")
    argn = TabularARGN(device="cpu", random_state=0, verbose=0)
    start, wall = cpu(), time.perf_counter()
    argn.fit(X=train)
    fitted = cpu()
    rows = argn.sample(n_samples=timed)
    drawn = cpu()
    rows.head(kept)[list(train.columns)].to_parquet(f"{folder}/synthetic.parquet")
    record = {
        "version": version("mostlyai-engine"),
        "torch": torch.__version__,
        "fit_cpu_s": fitted - start,
        "rows_per_cpu_s": timed / (drawn - fitted),
        "wall_s": time.perf_counter() - wall,
        "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(record))
