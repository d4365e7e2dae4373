"""Three small studies against what they were when their digests were kept (helpers/golden.py).

On a machine of the same kind (versions, CPU, kernels) the bytes of identity, schema, predictions, surface, weights and
shards are those. On another kind sums are rounded elsewhere, so a sampled row may differ and a tree with it: there the
files are the same and each risk is near the kept one.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import golden

from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config

Run = Callable[..., tuple[int, str, str]]


def check(study: Path, name: str, without: str | None = None) -> None:
    """`without`: what the study's files that it lacks begin with."""
    kept, found = golden.kept(name), golden.digests(study)
    digests = {file: digest for file, digest in kept["digests"].items() if not without or not file.startswith(without)}
    assert kept["words"] == golden.words(name)
    assert found.keys() == digests.keys()
    if golden.machine() == kept["machine"]:
        assert [file for file, digest in found.items() if digest != digests[file]] == []
    else:
        near(golden.risks(study), kept["risks"])


def near(found: list[list], kept: list[list]) -> None:
    assert [cell[:-1] for cell in found] == [cell[:-1] for cell in kept]
    assert [cell[-1] for cell in found] == pytest.approx([cell[-1] for cell in kept], **golden.NEAR)


def test_copula_classification(copula_study: Path) -> None:
    check(copula_study / "studies" / "breast_cancer", "breast_cancer")


def test_regression_in_one_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a study on Ray keeps, made without it; the slow test has Ray make it."""
    from helpers.plain_golden import NOT_MADE, run_plain

    golden.write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    source, *words = golden.words("autoregressive")
    run_plain(prepare(read_config(source, words)), tmp_path / "study")
    check(tmp_path / "study", "autoregressive", without=NOT_MADE)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", ["autoregressive", "augmented"])
def test_regression(run: Run, tmp_path: Path, name: str) -> None:
    golden.write_table(tmp_path)
    code, _, err = run("tune", *golden.words(name), "tracking=false")
    assert code == 0, err
    check(tmp_path / "studies" / name, name)


def test_a_changed_byte_and_a_changed_risk_are_found(
    copula_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "breast_cancer"
    shutil.copytree(copula_study / "studies" / "breast_cancer", study)
    kept = {**golden.kept("breast_cancer"), "machine": golden.machine(), "digests": golden.digests(study)}
    monkeypatch.setattr(golden, "kept", lambda name: kept)
    check(study, "breast_cancer")
    for path in ("members/001/generator/weights.safetensors", "shards/member=002/part-00000.parquet"):
        before = (study / path).read_bytes()
        (study / path).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(AssertionError, match=path):
            check(study, "breast_cancer")
        (study / path).write_bytes(before)
    kept["machine"] = {**kept["machine"], "cpu": "another"}
    kept["risks"] = [[*cell[:-1], 1.5 * cell[-1]] for cell in kept["risks"]]
    with pytest.raises(AssertionError):
        check(study, "breast_cancer")
