"""Three small studies whose bytes are kept: digests of predictions, surface, weights and shards, with the machine's
facts.

`python tests/helpers/golden.py --renew` runs the three studies and writes `tests/commands/golden/*.json` anew. An issue
that changes a study's bytes on purpose does so, and says why in its note.

Left out of the digests by name, since they differ between two runs: costs/, status.json, report.json, report.html,
member.json and sampling.json (seconds in all of them), learner.json (versions), config.yaml (the storage's place),
figures/ (drawn from the rest). Of generator.json the seconds of each epoch are left out, of model.skops the zip's times
and the numbers that skops gives to objects.
"""

import csv
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file it sees its own folder alone
from helpers.copula import COPULA

KEPT = Path(__file__).parents[1] / "commands" / "golden"
STUDIES = {
    "breast_cancer": [*COPULA, "workers=2"],
    "autoregressive": ["sums.csv", "target=y", "members=2", "ratios=0.5,1,2", "generator=autoregressive",
        "generator.epochs=6", "learner=boosting", "workers=1"],
    "augmented": ["sums.csv", "target=y", "members=2", "ratios=1,2", "rows=augmented", "weights=0.3,1",
        "generator=copula", "learner=[boosting,linear]", "workers=1"],
}  # fmt: skip
PARTS = ("predictions", "baselines", "members", "shards", "models")
NEAR = {
    "rel": 0.05,
    "abs": 0.02,
}  # other kernels changed weights in their last bits, no row and no risk; one row may yet differ
NOT_KEPT = ("member.json", "sampling.json", "learner.json")
PACKAGES = ("torch", "numpy", "pyarrow", "scikit-learn", "scipy", "skops", "safetensors")


def write_table(folder: Path) -> None:
    """sums.csv: y is a sum of two measured columns and one of three colours, with noise. 320 rows."""
    random = np.random.RandomState(15)  # its numbers never change between versions of numpy
    x, colour = random.normal(size=(320, 2)), random.randint(3, size=320)
    y = 2 * x[:, 0] - x[:, 1] + np.array([-1, 0, 2])[colour] + 0.3 * random.normal(size=320)
    with (folder / "sums.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["a", "b", "colour", "y"])
        for (a, b), k, value in zip(x, colour, y, strict=True):
            writer.writerow([f"{a:.4f}", f"{b:.4f}", ("red", "green", "blue")[k], f"{value:.4f}"])


def words(name: str) -> list[str]:
    """What `dge-ray tune` is given for this study."""
    return [*STUDIES[name], f"study={name}"]


def digests(study: Path) -> dict[str, str]:
    """sha256 of the content of each kept file, by its path in the study."""
    files = [study / "surface.parquet", study / "identity.json", study / "schema.json"]
    files += [p for part in PARTS for p in study.glob(f"{part}/**/*") if p.is_file() and p.name not in NOT_KEPT]
    return {str(p.relative_to(study)): hashlib.sha256(_content(p)).hexdigest() for p in sorted(files)}


def _content(path: Path) -> bytes:
    if path.name == "generator.json":
        return re.sub(rb'"seconds": [-+.e0-9]+', b'"seconds": 0', path.read_bytes())
    if path.suffix != ".skops":
        return path.read_bytes()
    with zipfile.ZipFile(path) as file:
        files = {name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()}

        def plain(node: dict[str, Any]) -> dict[str, Any]:
            named = {"file": files[node["file"]]} if isinstance(node.get("file"), str) else {}
            return node | named | ({"__id__": 0} if "__id__" in node else {})

        return json.dumps(json.loads(file.read("schema.json"), object_hook=plain), indent=2).encode()


def risks(study: Path) -> list[list[Any]]:
    """The surface's cells, to be compared where the machine is another kind: learner, members, volume, split, metric,
    value."""
    table = pq.read_table(study / "surface.parquet")
    columns = ("learner", "members", "volume", "split", "metric", "value")
    return [[row[c] if c != "value" else float(f"{row[c]:.6g}") for c in columns] for row in table.to_pylist()]


def machine() -> dict[str, Any]:
    """What the bytes of a fit depend on besides the code: versions, the CPU, and the kernels chosen for it."""
    import scipy.linalg  # noqa: F401  (its OpenBLAS is looked at too)
    import torch
    from numpy._core._multiarray_umath import __cpu_features__
    from threadpoolctl import threadpool_info

    kernels = {
        f"{one['internal_api']} {one.get('architecture', '')} {one['version']}".strip()
        for one in _blas(threadpool_info())
    }
    return {
        **{name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "blas": sorted(kernels),
        "features": sorted(name for name, there in __cpu_features__.items() if there),
    }


def _blas(loaded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in loaded if one["user_api"] == "blas"]


def _cpu() -> str:
    """Vendor, family and model: libraries choose by them too."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    return " ".join(facts[key] for key in ("vendor_id", "cpu family", "model") if key in facts) or platform.processor()


def kept(name: str) -> dict[str, Any]:
    return json.loads((KEPT / f"{name}.json").read_text())


def record(name: str, study: Path) -> None:
    """Write what is kept of a study."""
    KEPT.mkdir(exist_ok=True)
    content = {"words": words(name), "machine": machine(), "digests": digests(study), "risks": risks(study)}
    (KEPT / f"{name}.json").write_text(json.dumps(content, indent=0) + "\n")


def renew() -> None:
    """Run the three studies and keep their digests."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    environment |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder))
        for name in STUDIES:
            command = [sys.executable, "-m", "dge_ray.cli", "tune", *words(name), "folds=1", "tracking=false"]
            subprocess.run(command, cwd=folder, env=environment, check=True)
            record(name, Path(folder) / "studies" / name)


if __name__ == "__main__":
    if sys.argv[1:] != ["--renew"]:
        sys.exit(f"usage: {sys.argv[0]} --renew")
    renew()
