"""Imports go one direction, room by room: held by reading every module's import statements, and by importing in fresh
processes. Each check is also shown to fail where it should. `dge_ray/README.md` has the same table for people."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dge_ray"

GROUND = {
    "errors",
    "skops_files",
    "masking",
    "options",
    "phrases",
    "seeds",
    "spelling",
    "storage",
}
BASE = {"ground", "stats", "table"}
# What a room may import of the others.
MAY_IMPORT: dict[str, set[str]] = {
    "ground": set(),
    "table": {"ground"},
    "stats": {"ground"},
    "bundle": {"ground", "table"},
    "generators": {"ground", "table"},
    "downstream": {"ground", "table"},
    "report": {"ground", "stats"},
    "privacy": {*BASE, "downstream", "generators"},
    "study": {*BASE, "downstream", "generators", "privacy"},
    "distributed": {*BASE, "downstream", "generators", "study"},
    "tracking": {*BASE, "downstream", "study"},
    "evaluation": {*BASE, "bundle", "downstream", "study", "distributed"},
    "estimators": {*BASE, "bundle", "downstream", "generators", "study", "distributed", "evaluation"},
    "results": {*BASE, "generators", "report", "study", "evaluation"},
    "inference": {*BASE, "bundle", "downstream", "generators", "estimators"},
    "publishing": {*BASE, "generators", "report", "privacy", "study", "distributed", "inference"},
    "commands": {
        *BASE,
        *("bundle", "downstream", "generators", "report", "privacy", "study", "distributed", "tracking"),
        *("evaluation", "estimators", "results", "inference", "publishing"),
    },
    "cli": {"ground", "commands", "report", "study"},
}
# Sub-rooms, and modules at a room's root where they count as the room's own ground (`.`).
MODELS = {".", "encoding", "private", "fitting", "rows"}
MAY_IMPORT_INSIDE: dict[str, dict[str, set[str]]] = {
    "stats": {
        ".": set(),
        "metrics": {"."},
        "ensemble": {".", "metrics"},
        "volume": {".", "metrics", "ensemble"},
        "comparison": {".", "metrics", "ensemble", "volume"},
        "utility": {".", "metrics", "ensemble", "volume", "comparison"},
        "inference": {".", "metrics"},
        "leakage": {".", "metrics"},
    },
    "generators": {
        ".": set(),
        "encoding": {"."},
        "private": {".", "encoding"},
        "fitting": {".", "encoding", "private"},
        "rows": {".", "encoding"},
        **{
            name: MODELS
            for name in ("autoregressive", "diffusion", "gan", "vae", "copula", "marginals", "adapters", "tables")
        },
        **{name: MODELS for name in ("text", "trees")},
    },
    "privacy": {".": set(), "attacks": {"."}},
    "commands": {".": set(), "api": {"."}},
    "table": {
        "arrow": set(),
        "types": {"arrow"},
        "reading": {"arrow", "types"},
        "identifiers": {"arrow"},
        "schema": {"arrow", "types"},
        "relations": {"arrow", "schema"},
        ".": {"arrow", "types", "reading", "identifiers", "schema", "relations"},
    },
    "report": {
        "words": set(),
        "shell": set(),
        "figures": {"words", "shell"},
        ".": {"words", "shell", "figures"},
    },
    "study": {
        **{name: set() for name in ("keys", "terminal", "records")},
        ".": {"keys", "terminal", "records"},
        "pilot": {".", "keys", "records"},
    },
    "tracking": {".": set(), "before": {"."}},
    "distributed": {"session": set(), ".": {"session"}},
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


@cache
def imported(source: str) -> tuple[tuple[int, str], ...]:
    """(line, dotted name) of each import statement, those inside functions too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return tuple(found)


def importers(package: str, files: Mapping[str, str]) -> set[str]:
    """The files, by path, that import a top-level package anywhere."""
    return {path for path, text in files.items() if any(n.split(".")[0] == package for _, n in imported(text))}


@cache
def sources() -> dict[str, str]:
    """Every module's text by its path below the package."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}


def module_of(name: str, files: Mapping[str, str]) -> str | None:
    """The path of the module that an import of `name` reads: `dge_ray.stats.klaw.gain` is in stats/klaw.py."""
    steps = name.split(".")[1:]
    while steps:
        for path in ("/".join(steps) + ".py", "/".join(steps) + "/__init__.py"):
            if path in files:
                return path
        steps.pop()
    return None


def arrows(files: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
    """(path, line, path imported) of each import of the project by the project."""
    for path, text in files.items():
        for line, name in imported(text):
            target = module_of(name, files) if name.startswith("dge_ray.") else None
            if target is not None and target != path:
                yield path, line, target


def room(path: str) -> str:
    first, _, rest = path.partition("/")
    name = first.removesuffix(".py")
    return "ground" if not rest and name in GROUND else name


def part(path: str) -> str:
    """A sub-room of a room; `.` for what lies at the room's root."""
    steps = path.split("/")
    return steps[1] if len(steps) > 2 else "."


def sub_room(path: str) -> str:
    """A room with its sub-room; a module at the root of a room that has sub-rooms stands for itself."""
    if room(path) in MAY_IMPORT_INSIDE:
        return f"{room(path)}/{part(path)}" if part(path) != "." else path
    return room(path)


def upward(files: Mapping[str, str]) -> list[str]:
    """Imports of a room, or of a sub-room of the same room, that the tables above do not allow."""
    found = []
    for path, line, target in arrows(files):
        home, other = room(path), room(target)
        if home == "__init__":  # the door names homes for type checkers alone
            continue
        if home != other:
            allowed = other in MAY_IMPORT.get(home, set())
        else:
            inside = MAY_IMPORT_INSIDE.get(home, {})
            allowed = part(path) == part(target) or part(target) in inside.get(part(path), set()) or not inside
        if not allowed:
            found.append(f"{path}:{line} imports {target}")
    return sorted(found)


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Sets of nodes that import each other, directly or through others (Tarjan's strongly connected components)."""
    graph: dict[str, set[str]] = {}
    for start, end in edges:
        if start != end:
            graph.setdefault(start, set()).add(end)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in sorted(graph.get(node, ())):
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            cut = stack.index(node)
            component = stack[cut:]
            del stack[cut:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


ESTIMATORS = [f"dge_ray.estimators.{name}" for name in ("ensemble", "slm", "augmented", "synthesizer")]


# Rooms that must not bring in the same are imported by one process: what all of them leave out, each leaves out.
@pytest.mark.parametrize(
    ("imports", "unwanted"),
    [
        (["dge_ray", "dge_ray.cli", *modules_below("stats")], ["ray", "torch", "mlflow", "sklearn", "pandas"]),
        (
            [*modules_below("table"), *ESTIMATORS, "dge_ray.inference.prediction_powered"],
            ["ray", "torch", "mlflow"],
        ),
        (modules_below("report"), ["ray", "torch", "mlflow", "pandas"]),
        (
            [name for room in ("generators", "downstream", "study", "privacy") for name in modules_below(room)],
            ["ray", "mlflow", "opacus"],
        ),
        # No worker can write to the tracker's database; each of a study's processes would spend seconds on torch.
        (modules_below("distributed"), ["mlflow", "dge_ray.tracking.tracker", "torch"]),
        (["dge_ray.distributed.train_entry"], ["sklearn", "torch"]),  # all that Train's controller reads
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_importing_brings_in_nothing_that_it_must_not(imports: list[str], unwanted: list[str]) -> None:
    assert brought_in(imports, unwanted) == []


def test_that_check_can_fail() -> None:
    assert set(brought_in(["dge_ray.table.reading.load"], ["numpy", "ray", "pyarrow"])) == {"numpy", "pyarrow"}


def test_public_names_are_there() -> None:
    import dge_ray

    for name in dge_ray.__all__:
        assert getattr(dge_ray, name) is not None
        assert name in dir(dge_ray)
    assert not hasattr(dge_ray, "NoSuchName")


def test_type_checkers_read_the_same_names() -> None:
    import dge_ray

    block = next(n for n in ast.parse(sources()["__init__.py"]).body if isinstance(n, ast.If))
    homes = {a.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert homes == dge_ray._HOMES
    assert sorted(dge_ray.__all__) == sorted([*dge_ray._HOMES, "__version__"])


def test_every_room_is_under_a_rule() -> None:
    files = sources()
    assert {room(path) for path in files} - {"__init__"} == set(MAY_IMPORT)
    for name, parts in MAY_IMPORT_INSIDE.items():
        assert {part(path) for path in files if room(path) == name} == set(parts)
    others = {f"{room(path)}/{part(path)}" for path in files if part(path) != "."}
    assert {name.split("/")[0] for name in others} == set(MAY_IMPORT_INSIDE)


def test_imports_go_one_direction() -> None:
    assert upward(sources()) == []


@pytest.mark.parametrize("level", [str, sub_room, room], ids=["modules", "sub-rooms", "rooms"])
def test_there_is_no_circle(level) -> None:
    assert circles((level(a), level(b)) for a, _, b in arrows(sources())) == []


def test_a_folder_can_be_overlooked() -> None:
    """At most 20 modules a folder; `commands` has a file a verb, so that it grows with the verbs alone."""
    count = Counter(path.rpartition("/")[0] for path in sources() if not path.endswith("__init__.py"))
    assert {folder: n for folder, n in count.items() if n > 20 and folder != "commands"} == {}
    assert (
        len(list(PACKAGE.glob("*.py"))) <= 10 and len({path.split("/")[0] for path in sources() if "/" in path}) <= 16
    )


def test_ray_is_imported_in_distributed_alone() -> None:
    assert {path.split("/")[0] for path in importers("ray", sources())} == {"distributed"}


def test_mlflow_is_imported_in_tracking_alone() -> None:
    assert {path.split("/")[0] for path in importers("mlflow", sources())} == {"tracking"}
    # tracking/pyfunc.py is the model's own code: MLflow runs it, and `dge_ray` does not import it.
    assert not [n for text in sources().values() for _, n in imported(text) if n.startswith("dge_ray.tracking.pyfunc")]
    # Who knows of the tracker; see tests/commands/test_track.py for who opens the database.
    assert {room(a) for a, _, b in arrows(sources()) if b == "tracking/tracker.py"} <= {"tracking", "commands"}


def test_the_command_line_alone_knows_typer() -> None:
    assert importers("typer", sources()) == {"cli.py"}


def test_those_checks_can_fail() -> None:
    files = {
        "stats/klaw.py": "def f():\n    from dge_ray.table import schema\n",
        "stats/metrics/auc.py": "from dge_ray.stats.ensemble import combine\n",
        "stats/ensemble/combine.py": "from dge_ray.stats.metrics.auc import auc\n",
        "stats/ensemble/__init__.py": "",
        "table/schema.py": "",
        "study/folder.py": "import ray.data\nimport dge_ray.commands.tune\n",
        "commands/tune.py": "if True:\n    from mlflow import log_metric\nfrom dge_ray.study.folder import FILE\n",
    }
    assert importers("ray", files) == {"study/folder.py"}
    assert importers("mlflow", files) == {"commands/tune.py"}
    assert upward(files) == [
        "stats/klaw.py:2 imports table/schema.py",
        "stats/metrics/auc.py:1 imports stats/ensemble/combine.py",
        "study/folder.py:2 imports commands/tune.py",
    ]
    edges = [(a, b) for a, _, b in arrows(files)]
    assert circles(edges) == [
        ["commands/tune.py", "study/folder.py"],
        ["stats/ensemble/combine.py", "stats/metrics/auc.py"],
    ]
    assert circles((sub_room(a), sub_room(b)) for a, b in edges) == [
        ["commands/tune.py", "study/folder.py"],
        ["stats/ensemble", "stats/metrics"],
    ]
    assert circles((room(a), room(b)) for a, b in edges) == [["commands", "study"]]
