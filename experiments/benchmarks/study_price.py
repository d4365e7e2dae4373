"""What a whole study costs, by phase and by kind of process, beside one fit of a peer.

usage: study_price.py [SOURCE] [target=COLUMN] [split_column=COLUMN] [generators=autoregressive] [members=8]
                      [ratios=0.5,1,2,4,8] [keys="KEY=VALUE ..."] [first=true] [against=FOLDER] [peer=PYTHON]
                      [--json FILE]

Each study is run as a user runs it, `dge-ray tune` in a fresh process, so imports and Ray's start are in its price.
CPU-seconds: of its whole process tree, looked at four times a second; `generators`, `sampling` and `downstream` are the
study's own records of its fits, `beside` is all the rest, and `processes` has it by what each process was. `keys`: more
of the study's keys. `first=true`: the README's first study too.

`against`: a folder with another version of this repository, which runs the same study at the same time: on a busy
machine only two figures of the same minutes can be compared. Its predictions should be the same, and the row says so.
`peer`: an interpreter that has mostlyai-engine, of which one fit on the same rows is timed. Without it the row of
generators.json is quoted, which names the run that it is of.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from generators import default_source, real_rows
from measure import finish, words

REPOSITORY = Path(__file__).parents[2]
PEER = Path(__file__).parent / "results" / "generators.json"
LOOK_SECONDS = 0.25
KINDS = ("ray::RayTrainWorker", "ray::ImplicitFunc", "ray::SynchronizationActor")  # which Ray cuts short at times


def main(argv: list[str]) -> None:
    defaults: dict[str, Any] = dict(target=None, split_column=None, generators="autoregressive", members=8)
    defaults |= dict(ratios="0.5,1,2,4,8", keys="", first=False, seed=0, against=None, peer=None)
    positional, options, file = words(argv, **defaults)
    source, options = default_source(positional, options)
    rows = []
    if options["first"]:
        rows += studies("first", ["breast_cancer"], options["against"])
    for generator in filter(None, str(options["generators"]).split(",")):
        ratios = options["ratios"]
        asked = [source, f"target={options['target']}", f"generator={generator}", f"members={options['members']}"]
        asked += [f"ratios={ratios if isinstance(ratios, str) else ','.join(map(str, ratios))}", "tracking=false"]
        asked += [f"split_column={options['split_column']}"] if options["split_column"] else []
        asked += str(options["keys"] or "").split()
        rows += studies("study", asked, options["against"])
    rows.append({"benchmark": "study_price.peer", **(measured(source, options) if options["peer"] else quoted())})
    show(rows[-1])
    finish(rows, file)


def show(row: dict[str, Any]) -> None:
    print(json.dumps(row), file=sys.stderr, flush=True)


def studies(part: str, asked: list[str], against: str | None) -> list[dict[str, Any]]:
    """A row of a study; with another version of the repository one of it too, both run at once."""
    codes = [REPOSITORY, *([Path(against)] if against else [])]
    with ThreadPoolExecutor(len(codes)) as pool:
        rows = list(pool.map(lambda code: study(asked, code), codes))
    versions = ["this", Path(str(against)).name]
    same = {row["predictions_sha256"] for row in rows}
    for row, name in zip(rows, versions, strict=False):
        row |= {"benchmark": f"study_price.{part}"}
        row |= {"version_of": name, "same_predictions": len(same) == 1} if against else {}
        show(row)
    return rows


def study(asked: list[str], code: Path) -> dict[str, Any]:
    """One study in a fresh folder, by the package that lies in `code`, and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dge_ray.cli", "tune", *asked, "--json"]
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(code)}
        started = time.perf_counter()
        with (Path(folder) / "report.json").open("w") as out:
            driver = subprocess.Popen(command, cwd=folder, stdout=out, env=environment)
            kinds = watched(driver)
        if driver.returncode:
            sys.exit(f"the study failed: {' '.join(command)}")
        wall = time.perf_counter() - started
        report = json.loads((Path(folder) / "report.json").read_text())
        digest = predictions_digest(next(Path(folder).glob("studies/*/predictions")).parent)
    total, own = sum(kinds.values()), report["cost"]["cpu_seconds"]
    point = report["reflection_point"]
    return {
        "source": Path(asked[0]).stem,
        "generator": report["generator"],
        "rows": report["data"]["rows"]["train"],
        "members": report["members"],
        "volumes": report["volumes"],
        "cpu_s": round(total, 1),
        **{f"{name}_cpu_s": round(seconds, 1) for name, seconds in own.items()},
        "beside_cpu_s": round(total - sum(own.values()), 1),
        "wall_s": round(wall, 1),
        "processes": {kind: round(seconds, 1) for kind, seconds in sorted(kinds.items(), key=lambda kind: -kind[1])},
        "fits": report["cost"]["downstream_fits"],
        "test": {name: round(value, 4) for name, value in report["test"]["dge"].items()},
        "volume": point["volume"],
        "predictions_sha256": digest,
    }


def watched(driver: "subprocess.Popen[Any]") -> dict[str, float]:
    """CPU-seconds by kind of process, until the driver's end. A process is what it was called last while it worked."""
    seconds: dict[tuple[int, float], float] = {}
    kinds: dict[tuple[int, float], str] = {}
    top = psutil.Process(driver.pid)
    while driver.poll() is None:
        try:
            processes = [top, *top.children(recursive=True)]
        except psutil.Error:
            break
        for process in processes:
            try:
                times, key = process.cpu_times(), (process.pid, process.create_time())
                seconds[key] = times.user + times.system
                name = "driver" if process == top else kind_of(process)
                if name != "ray::IDLE" or key not in kinds:
                    kinds[key] = name
            except psutil.Error:
                continue
        time.sleep(LOOK_SECONDS)
    driver.wait()
    many = Counter(kinds.values())
    total: dict[str, float] = defaultdict(float)
    for key, used in seconds.items():
        name = kinds[key]
        total[name if many[name] == 1 else f"{name} ({many[name]})"] += used
    return dict(total)


def kind_of(process: psutil.Process) -> str:
    """What a process of Ray's calls itself, without the method that it is in; else its program's name."""
    line = process.cmdline()
    if line and line[0].startswith("ray::"):
        name = "ray::" + (re.match(r"\w*", line[0].removeprefix("ray::")) or [""])[0]
        return next((kind for kind in KINDS if kind.startswith(name) and len(name) > 8), name)
    scripts = [Path(word).stem for word in line[1:4] if word.endswith(".py")]
    return scripts[0] if scripts else process.name()


def predictions_digest(folder: Path) -> str:
    """Of every fit's predictions, the baselines' too."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("predictions/*.parquet"), *folder.glob("baselines/*.parquet")]):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def measured(source: str, options: dict[str, Any]) -> dict[str, Any]:
    """One fit of the peer on all rows but the test rows, in its own interpreter."""
    _, train, _ = real_rows(source, options)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(train, f"{folder}/train.parquet")
        script = str(Path(__file__).with_name("peer_member.py"))
        command = [str(options["peer"]), script, "mostlyai-engine", folder, "1000", "1000"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed: {done.stderr.strip()[-500:]}")
    record = json.loads(done.stdout.strip().splitlines()[-1])
    return {"peer": "mostlyai-engine", "rows": train.num_rows, **record, "measured": "here"}


def quoted() -> dict[str, Any]:
    """The peer's committed row."""
    row = next(row for row in json.loads(PEER.read_text()) if row["generator"] == "mostlyai-engine")
    kept = {key: row[key] for key in ("version", "fit_cpu_s", "source")}
    return {"peer": "mostlyai-engine", **kept, "measured": "quoted from results/generators.json"}


if __name__ == "__main__":
    main(sys.argv[1:])
