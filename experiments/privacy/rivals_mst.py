"""One fit of MST of `smartnoise-synth`, on a table of whole numbers; run by rivals.py.

usage: rivals_mst.py JOB.npz MADE.npz

It runs under an interpreter of its own, which has `smartnoise-synth` and nothing of this package. JOB.npz: `tokens`
(d, n), `sizes` (d,), and the scalars `rho` (the zCDP that it may spend), `rows` (to draw), `seed`. MADE.npz: `tokens`
(d, rows) and `cpu_s`, the CPU-seconds of the fit without imports. The Gaussian noise is OpenDP's, which takes no seed;
choices and draws come from numpy's generator.
"""

import sys
import time

import numpy as np
import snsynth.mst.mst as mst
from mbi import Dataset, Domain


def main(source: str, target: str) -> None:
    with np.load(source) as file:
        job = dict(file)
    np.random.seed(int(job["seed"]))
    names = [f"col{j}" for j in range(len(job["sizes"]))]
    data = Dataset(job["tokens"].T.astype(np.int64), Domain(names, [int(size) for size in job["sizes"]]))
    began = time.process_time()
    made = mst.MSTSynthesizer()
    mst.cdp_rho = lambda *_: float(job["rho"])  # the package works it out of an epsilon; here it is given
    made.MST(data, None, None)
    spent = time.process_time() - began
    found = made.undo_compress_fn(made.synthesizer.synthetic_data(rows=int(job["rows"]))).df[names].to_numpy().T
    np.savez(target, tokens=np.ascontiguousarray(found, dtype=np.int32), cpu_s=spent)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
