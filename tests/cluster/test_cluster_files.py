"""Every file in cluster/ against the strictest checker that needs no cluster: Ray's own validation of launcher files,
KubeRay's schemas, the command lines' own options. test_cluster_typos.py shows that the checkers refuse."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers.cluster_commands import calls, command_faults, study_faults
from helpers.cluster_fields import CLUSTER, PINS, ROOT, field_faults
from helpers.cluster_kubernetes import SCHEMAS, kubernetes_faults, runtime_faults
from helpers.cluster_launcher import header_faults, launcher_faults
from helpers.cluster_scripts import dockerfile_faults, readme_faults, sbatch_faults

CHECKERS: dict[str, Callable[[str], list[str]]] = {
    "aws.yaml": launcher_faults,
    "gcp.yaml": launcher_faults,
    "onprem.yaml": launcher_faults,
    "kuberay/rayjob.yaml": kubernetes_faults,
    "kuberay/raycluster.yaml": kubernetes_faults,
    "kuberay/mlflow.yaml": kubernetes_faults,
    "kuberay/studies.yaml": kubernetes_faults,
    "runtime_env.yaml": lambda text: runtime_faults(text) + command_faults(text),
    "slurm/study.sbatch": sbatch_faults,
    "Dockerfile": dockerfile_faults,
    "README.md": readme_faults,
}


def checker(name: str) -> Callable[[str], list[str]]:
    """The file's checker, or a skip where what it asks is not here."""
    if name.startswith("kuberay/ray") and not SCHEMAS.is_dir():
        pytest.skip("KubeRay's schemas are not beside this repository (../shared/kuberay)")
    if CHECKERS[name] is launcher_faults:
        import ray

        if ray.__version__ != PINS["ray"]:
            pytest.skip(f"the launcher's validation is private to Ray: checked with {PINS['ray']} alone")
    return CHECKERS[name]


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_a_file_has_no_fault(name: str) -> None:
    text = (CLUSTER / name).read_text()
    assert checker(name)(text) == []
    if name.endswith(".yaml"):
        assert header_faults(text) == []


def test_every_file_has_a_checker() -> None:
    files = {path.relative_to(CLUSTER).as_posix() for path in CLUSTER.rglob("*") if path.is_file()}
    assert files == {*CHECKERS, "constraints.txt"}


def test_every_pin_is_exact_and_stands_once() -> None:
    lines = (CLUSTER / "constraints.txt").read_text().splitlines()[1:]
    names = [line.split("==")[0].lower().replace("_", "-") for line in lines]
    assert len(set(names)) == len(names)
    assert field_faults(lines, [r"[A-Za-z0-9_.-]+==[0-9][\w.]*"]) == []  # no local version: +cpu would bar CUDA nodes


def test_what_a_job_brings_along_has_studies_and_no_results(tmp_path: Path) -> None:
    # Ray's own reading of .rayignore: a pattern without a leading slash would also hide experiments/studies/.
    from ray._private.runtime_env.packaging import get_excludes_from_ignore_files

    (tmp_path / ".rayignore").write_text((ROOT / ".rayignore").read_text())
    (hidden,) = get_excludes_from_ignore_files(tmp_path, include_gitignore=False)
    assert not hidden(tmp_path / "experiments" / "studies" / "adult.yaml")
    assert not hidden(tmp_path / "dge_ray" / "study.py")
    assert hidden(tmp_path / "studies" / "adult" / "report.json")
    assert hidden(tmp_path / "data" / "adult.parquet")


def test_command_lines_are_found_where_they_stand() -> None:
    text = (
        "# run:  ray job submit --no-wait -- \\\n#   dge-ray tune wine seed=1   (a note)\nray exec x 'dge-ray ls'; pwd"
    )
    assert list(calls(text, "dge-ray")) == [["tune", "wine", "seed=1"], ["ls"]]
    assert [words[0] for words in calls(text, "ray")] == ["job", "exec"]


@pytest.mark.parametrize(
    "words", ["tune breast_cancr", "tun wine", "tune wine ratio=1", "tune wine members=none", "ls x"]
)
def test_a_wrong_study_command_is_a_fault(words: str) -> None:
    assert study_faults(words.split())


def test_the_service_and_the_jobs_agree_on_mlflow() -> None:
    job = yaml.safe_load((CLUSTER / "kuberay" / "rayjob.yaml").read_text())["spec"]["runtimeEnvYAML"]
    shared = yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text())
    assert yaml.safe_load(job)["env_vars"] == shared["env_vars"]
