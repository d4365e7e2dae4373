"""The Slurm script, the container file and the README: what can be told without Slurm, Docker or a reader."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.cluster_commands import command_faults
from helpers.cluster_fields import CLUSTER, PINS, ROOT

SBATCH = {  # option: what it takes
    "job-name": r"[\w-]+",
    "nodes": r"\d+",
    "ntasks-per-node": r"1",  # one Ray a node
    "cpus-per-task": r"\d+",
    "time": r"(\d+-)?\d\d:\d\d:\d\d",
    "output": r"[\w%-]+\.out",
}
FLAGS = {"exclusive"}
LAUNCHED = (
    "srun --nodes=3 --ntasks-per-node=1 --cpus-per-task=16 ray symmetric-run --address 10.20.30.41:6379 --min-nodes 3 "
    "--num-cpus=16 -- env RAY_ADDRESS=10.20.30.41:6379 dge-ray tune breast_cancer 'constraints=[`worst area` >= 0]'"
)
INSTRUCTIONS = {"FROM", "RUN", "ARG", "WORKDIR", "COPY", "ENV", "USER"}
FAKES = {
    "scontrol": '[ "$*" = "show hostnames node[07-09]" ] || exit 1; printf "%s\\n" node07 node08 node09',
    "srun": """case "$*" in
  "--nodes=1 --ntasks=1 --nodelist=node07 hostname -I") echo "10.20.30.41 172.17.0.1 " ;;
  *) stat -c "%a %s" "$RAY_AUTH_TOKEN_PATH" > token; python3 "$FAKES/quoted.py" srun "$@" > launched ;;
esac""",
}


def dry_run(script: str, folder: Path) -> tuple[int, str, str]:
    """Run a Slurm script with a made-up `scontrol` and `srun`: exit code, the last `srun` line, mode and size of the
    token file while it lasts. Anything it leaves behind is in `folder`."""
    fakes = folder / "fakes"
    fakes.mkdir(parents=True)
    for name, body in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{body}\n")
        (fakes / name).chmod(0o755)
    (fakes / "quoted.py").write_text("import shlex, sys\nprint(shlex.join(sys.argv[1:]))\n")
    (folder / "study.sbatch").write_text(script)
    slurm = {"SUBMIT_DIR": str(folder), "JOB_ID": "123", "JOB_NODELIST": "node[07-09]", "JOB_NUM_NODES": "3"}
    env = {f"SLURM_{name}": value for name, value in slurm.items()} | {"SLURM_CPUS_PER_TASK": "16"}
    env |= {"PATH": f"{fakes}:{os.environ['PATH']}", "FAKES": str(fakes)}
    words = ["bash", "study.sbatch", "breast_cancer", "constraints=[`worst area` >= 0]"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    launched, token = folder / "launched", folder / "token"
    line = launched.read_text().strip() if launched.exists() else done.stderr
    return done.returncode, line, token.read_text().strip() if token.exists() else ""


def sbatch_faults(text: str) -> list[str]:
    """What is wrong with a Slurm script."""
    parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode:
        return [parsed.stderr.splitlines()[0]]
    found = []
    for line in re.findall(r"^#(?:\s*[A-Z]{4,7}|sbatch)\b.*", text, re.M):
        match = re.fullmatch(r"#SBATCH --([\w-]+)(?:=(\S+))?", line)
        good = match and (match[1] in FLAGS if match[2] is None else re.fullmatch(SBATCH.get(match[1], "$."), match[2]))
        found += [] if good else [line]
    with tempfile.TemporaryDirectory() as folder:
        code, line, _ = dry_run(text, Path(folder))
    if code or line != LAUNCHED:
        found.append(f"exit {code}: {line}")
    return found + shellcheck(text) + command_faults(text)


def shellcheck(text: str) -> list[str]:
    """Shellcheck's findings; none where it is not installed (test_slurm.py skips its own test there)."""
    tool = shellcheck_path()
    if tool is None:
        return []
    done = subprocess.run([tool, "--format=gcc", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def shellcheck_path() -> str | None:
    """Beside this Python, where the `dev` extra puts it, or on the path."""
    return shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def dockerfile_faults(text: str) -> list[str]:
    """What is wrong with the container file."""
    lines = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip() and not line.startswith("#")]
    steps = [line.split(maxsplit=1) for line in lines]
    found = [f"{step[0]}: unknown" for step in steps if step[0] not in INSTRUCTIONS or len(step) < 2]
    if found:
        return found
    first, last = steps[0], [words for name, words in steps if name == "USER"][-1:]
    if first[0] != "FROM" or not re.fullmatch(r"python:3\.1[1-4]\.\d+-slim-[a-z]+", first[1]):
        found.append(f"FROM: {first[1]}, not one exact Python")
    if last != ["1000"]:
        found.append("USER: the image runs as root, or as another user than the pods")
    for name, words in steps:
        if name == "COPY":
            found += [f"COPY {source}: not there" for source in words.split()[:-1] if not (ROOT / source).exists()]
        if name in ("ARG", "ENV") and not re.fullmatch(r"PIP_EXTRA_INDEX_URL|NVIDIA_DRIVER_CAPABILITIES=\S+", words):
            found.append(f"{name} {words}")
        if name == "WORKDIR" and not re.fullmatch(r"/opt/dge_ray|/home/ray", words):
            found.append(f"WORKDIR {words}")
    runs = [words for name, words in steps if name == "RUN"]
    installs = [words for words in runs if "pip" in words]
    if installs != ["pip install --no-cache-dir -c cluster/constraints.txt '.[cluster]'"]:
        found.append(f"RUN: {installs}, not the pinned set")
    if not any(words.startswith("useradd --create-home --uid 1000 ") for words in runs):
        found.append("RUN: no such user")
    if not any(
        re.fullmatch(r"apt-get update && apt-get install .*\bwget\b.* && rm -rf /var/lib/apt/lists/\*", w) for w in runs
    ):
        found.append("RUN: no wget for KubeRay's probes")
    if f":{PINS['ray']} ." not in text or f"torch=={PINS['torch']} " not in text:
        found.append("the header's versions are not the pinned ones")
    return found + command_faults(text)


def readme_faults(text: str) -> list[str]:
    """What is wrong with cluster/README.md: each file named, commands that parse, links that lead somewhere."""
    files = [path.relative_to(CLUSTER).as_posix() for path in CLUSTER.rglob("*") if path.is_file()]
    found = [f"{name}: not named" for name in files if name != "README.md" and name not in text]
    links = re.findall(r"\]\(([^)#]+)\)", text)
    found += [f"{link}: leads nowhere" for link in links if "://" not in link and not (CLUSTER / link).exists()]
    blocks = re.findall(r"```(?:bash|yaml)\n(.*?)```", text, re.S)
    return (
        found
        + [fault for block in blocks for fault in command_faults(block)]
        + command_faults("\n".join(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))))
    )
