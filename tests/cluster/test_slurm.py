"""The Slurm script without Slurm: made-up `scontrol` and `srun` on the path, and what it would have launched."""

from pathlib import Path

import pytest
from helpers.cluster_fields import CLUSTER
from helpers.cluster_scripts import LAUNCHED, dry_run, shellcheck, shellcheck_path

SCRIPT = (CLUSTER / "slurm" / "study.sbatch").read_text()


def test_the_dry_run_gives_the_expected_line(tmp_path: Path) -> None:
    code, line, token = dry_run(SCRIPT, tmp_path / "with space")
    assert (code, line) == (0, LAUNCHED)
    assert token == "600 64"  # the owner's alone; 256 bits as hexadecimal digits
    assert not list(tmp_path.rglob(".ray-token*"))  # gone with the job


def test_a_failed_launch_fails_the_job(tmp_path: Path) -> None:
    broken = SCRIPT.replace("show hostnames", "show hosts")
    code, _, token = dry_run(broken, tmp_path / "run")
    assert code != 0 and token == ""
    assert not list(tmp_path.rglob(".ray-token*"))


def test_shellcheck_has_nothing_to_say() -> None:
    if shellcheck_path() is None:
        pytest.skip("shellcheck is not installed: it comes with the `dev` extra")
    assert shellcheck(SCRIPT) == []
    assert shellcheck(SCRIPT.replace('"$head"', "$head"))
