"""Random faults: each kind in turn, at moments drawn from a seed; what became of each study goes to a JSON file.

    python experiments/faults/run.py --faults 30 --json experiments/faults/results.json

Goes on where an earlier run of the same seed stopped. Disks are filled only as root, who may mount one.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from helpers.fault_injector import FAULTS, FaultInjector
from helpers.fault_study import rows, undisturbed

WORDS = ["generator.epochs=8", "members=3", "ratios=0.5,1,2", "workers=1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    kinds = list(FAULTS)
    record = json.loads(options.json.read_text()) if options.json.exists() else {"seed": options.seed, "faults": []}
    assert record["seed"] == options.seed, "another seed's results"
    with tempfile.TemporaryDirectory(prefix="flt") as scratch:
        whole = undisturbed(Path(scratch), [*WORDS, "tracking=false"])
        record |= {"study": ["breast_cancer", *WORDS], "machine": f"{os.cpu_count()} cores, {platform.machine()}"}
        record |= {"rows_undisturbed": rows(whole)}
        for index in range(len(record["faults"]), options.faults):
            folder = Path(scratch) / f"fault-{index}"
            folder.mkdir()
            kind = kinds[index % len(kinds)]
            outcome = FaultInjector(kind, seed=options.seed, index=index).run(folder, WORDS, whole)
            told = {"kind": kind, "struck": False} if outcome is None else outcome.as_dict() | {"struck": True}
            record["faults"].append(told)
            options.json.write_text(json.dumps(record, indent=1) + "\n")
            print(index, json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
