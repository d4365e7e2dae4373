"""Imports go one direction: held by importing in fresh processes, and by reading every module's import statements. Each
check is also shown to fail where it should."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dge_ray"

# Each module of the first set may import, of the project itself, what stands beside it and nothing else.
FOUNDATION = {"errors", "seeds"}
MAY_IMPORT = {
    "stats": {*FOUNDATION, "stats"},
    "table": {*FOUNDATION, "table"},
    "generators": {*FOUNDATION, "table", "generators"},
    "downstream": {*FOUNDATION, "table", "downstream"},
    "shards": {*FOUNDATION, "table", "generators"},
    "member": {*FOUNDATION, "table", "generators", "downstream", "shards"},
    "estimating": {*FOUNDATION, "table", "generators", "distributed"},
    "ensemble": {*FOUNDATION, "table", "generators", "downstream", "shards", "member", "estimating"},
    "crossfit": {*FOUNDATION, "table", "downstream", "stats"},
    "augmented": {
        *FOUNDATION,
        *("table", "generators", "downstream", "shards", "estimating", "ensemble", "crossfit", "stats"),
    },
    "prediction_powered": {
        *FOUNDATION,
        *("table", "generators", "estimating", "estimands", "estimand_models", "laws", "slm", "stats"),
    },
    "canaries": {*FOUNDATION, "table", "stats"},
    "laws": {*FOUNDATION, "table", "stats"},
    "estimand_models": {*FOUNDATION, "table", "stats"},
    "estimands": {*FOUNDATION, "table", "stats", "estimand_models"},
    "marks": {*FOUNDATION},
    "privacy": {*FOUNDATION, "storage", "privacy"},
    "slm": {*FOUNDATION, "table", "generators", "estimating", "laws"},
}


def modules_below(name: str) -> list[str]:
    """Dotted names of a package's modules, or the module itself."""
    home = PACKAGE / name
    if not home.is_dir():
        return [f"dge_ray.{name}"]
    paths = sorted(path.relative_to(PACKAGE.parent).with_suffix("") for path in home.rglob("*.py"))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def brought_in(imports: list[str], unwanted: list[str]) -> list[str]:
    """Which of the unwanted top-level modules are loaded after the imports, in a fresh process."""
    code = f"import sys, {', '.join(imports)}; print(*(m for m in {unwanted!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import statement, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def importers(package: str, files: dict[str, str]) -> set[str]:
    """The files, by path, that import a top-level package anywhere."""
    return {path for path, text in files.items() if any(n.split(".")[0] == package for _, n in imported(text))}


def sources() -> dict[str, str]:
    return {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}


def upward(part: str, files: dict[str, str]) -> list[str]:
    """Imports in a part of the package of another part that it must not know."""
    found = []
    for path, text in files.items():
        if path.split("/")[0].removesuffix(".py") != part:
            continue
        for line, name in imported(text):
            steps = name.split(".")
            if steps[0] == "dge_ray" and steps[1] not in MAY_IMPORT[part]:
                found.append(f"{path}:{line} imports {name}")
    return found


@pytest.mark.parametrize(
    ("imports", "unwanted"),
    [
        (["dge_ray"], ["ray", "torch", "mlflow", "sklearn", "pandas"]),
        (modules_below("stats"), ["ray", "torch", "mlflow", "sklearn", "pandas"]),
        (modules_below("table"), ["ray", "torch", "mlflow"]),
        (modules_below("generators"), ["ray", "mlflow"]),
        (modules_below("downstream"), ["ray", "mlflow"]),
        (["dge_ray.estimators.ensemble"], ["ray", "torch", "mlflow"]),
        (["dge_ray.estimators.slm"], ["ray", "torch", "mlflow"]),
        (["dge_ray.estimators.augmented"], ["ray", "torch", "mlflow"]),
        (["dge_ray.inference.prediction_powered"], ["ray", "torch", "mlflow"]),
        (modules_below("privacy"), ["ray", "torch", "mlflow", "opacus"]),
        (
            modules_below("distributed"),
            ["mlflow", "dge_ray.tracking.tracker"],
        ),  # so no worker can write to its database
    ],
    ids=[
        "dge_ray",
        "stats",
        "table",
        "generators",
        "downstream",
        "ensemble",
        "slm",
        "augmented",
        "prediction_powered",
        "privacy",
        "distributed",
    ],
)
def test_importing_brings_in_nothing_that_it_must_not(imports: list[str], unwanted: list[str]) -> None:
    assert brought_in(imports, unwanted) == []


def test_that_check_can_fail() -> None:
    assert brought_in(["dge_ray", "numpy"], ["numpy", "ray"]) == ["numpy"]
    assert "torch" in brought_in(["dge_ray.downstream.torch_mlp"], ["torch"])


def test_public_names_are_there() -> None:
    import dge_ray

    for name in dge_ray.__all__:
        assert getattr(dge_ray, name) is not None
        assert name in dir(dge_ray)
    assert not hasattr(dge_ray, "NoSuchName")


def test_ray_is_imported_in_distributed_alone() -> None:
    assert all(path.startswith("distributed/") for path in importers("ray", sources()))


def test_mlflow_is_imported_by_tracking_alone() -> None:
    # _pyfunc.py is the model's own code: MLflow runs it, and `dge_ray` does not import it.
    assert importers("mlflow", sources()) <= {"tracking.py", "tracked_model.py", "_pyfunc.py"}
    assert not [n for text in sources().values() for _, n in imported(text) if n.startswith("dge_ray.tracking.pyfunc")]
    # What they know of it is what the driver does; see tests/commands/test_track.py for who opens the database.
    tracks = {
        p for p, text in sources().items() if any(n.startswith("dge_ray.tracking.tracker.") for _, n in imported(text))
    }
    assert tracks == {"study.py", "track.py"}


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_imports_go_one_direction(part: str) -> None:
    assert upward(part, sources()) == []


def test_those_checks_can_fail() -> None:
    files = {
        "stats/klaw.py": "def f():\n    from dge_ray.table import schema\n",
        "study.py": "import ray.data\n",
        "report.py": "if True:\n    from mlflow import log_metric\n",
    }
    assert importers("ray", files) == {"study.py"}
    assert importers("mlflow", files) == {"report.py"}
    assert upward("stats", files) == ["stats/klaw.py:2 imports dge_ray.table.schema"]
