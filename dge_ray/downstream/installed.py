"""Which modules an estimator named in a configuration may come from: those of installed packages that only define.

A study YAML may be somebody else's: it must not have a file run that happens to lie in the working directory, nor a
command line that a package brings. To import a module is to run it, so its source is read first.
"""

import ast
import json
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit


@cache
def is_installed(top: str) -> bool:
    """Whether a top-level module lies where packages are installed, or in one that is installed in editable mode.

    Nothing is imported. The standard library is no installed package: it has no estimators.
    """
    if top in sys.stdlib_module_names:
        return False
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    origin = spec.origin or next(iter(spec.submodule_search_locations or []), None)
    if origin is None or origin in ("built-in", "frozen"):
        return False
    # The editable ones are looked for last: it takes reading every distribution's files, a CPU-second.
    return any(_lies_in(origin, place) for place in _sites()) or any(_lies_in(origin, f) for f in _editable(top))


def _lies_in(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def _sites() -> list[str]:
    """Where packages are installed: as this interpreter says, and where scikit-learn lies, which runs in any case: in
    an environment that is laid over another one that is the other's folder."""
    paths = sysconfig.get_paths()
    own = find_spec("sklearn")
    beside = [str(Path(own.origin).parents[1])] if own is not None and own.origin is not None else []
    return [paths["purelib"], paths["platlib"], site.getusersitepackages(), *site.getsitepackages(), *beside]


def _editable(top: str) -> list[str]:
    """The source folders of editable distributions that declare this module."""
    urls = [distribution(name).read_text("direct_url.json") for name in packages_distributions().get(top, [])]
    described = [json.loads(url) for url in urls if url]
    folders = [d["url"] for d in described if d.get("dir_info", {}).get("editable")]
    return [unquote(urlsplit(folder).path) for folder in folders]


@cache
def objection(module: str, name: str) -> str | None:
    """Why `module` is not to be imported for its `name`, in a few words; None where nothing speaks against it.

    It is a package's command line (`__main__`), it or a package around it runs one when it is imported, or it has no
    such name. Nothing is imported. Modules without source, and names that a module makes as it runs, pass.
    """
    if "__main__" in module.split("."):
        return "a command line, which runs when it is imported"
    trees = [_tree(spec) for spec in _specs(module)]
    for tree in trees:
        if tree is not None and any(_runs(statement) for statement in _statements(tree.body)):
            return "it runs a command line when it is imported"
    known = None if len(trees) < len(module.split(".")) or trees[-1] is None else _names(trees[-1])
    return f"no {name!r} in it" if known is not None and name not in known else None


def _specs(module: str) -> Iterator[ModuleSpec]:
    """The packages around a module and the module, from outside in, as far as they are files."""
    steps, places = module.split("."), None
    for at in range(1, len(steps) + 1):
        spec = find_spec(steps[0]) if at == 1 else PathFinder.find_spec(".".join(steps[:at]), places)
        if spec is None:
            return
        yield spec
        if spec.submodule_search_locations is None:
            return
        places = list(spec.submodule_search_locations)


def _tree(spec: ModuleSpec) -> ast.Module | None:
    if not isinstance(spec.loader, SourceFileLoader):
        return None
    try:
        return ast.parse(spec.loader.get_data(spec.loader.path))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs on import: also inside `if`, `try` and `with`, but for what waits for being the main program."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test):
            yield from _statements(statement.orelse)
            continue
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
                yield from _statements(getattr(statement, inner, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body)


def _runs(statement: ast.stmt) -> bool:
    """`main()`, `sys.exit(...)`, `raise SystemExit` as a statement of its own."""
    if isinstance(statement, ast.Raise):
        return statement.exc is not None and "'SystemExit'" in ast.dump(statement.exc)
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    called = statement.value.func
    word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return word in ("main", "_main", "cli", "exit", "_exit", "quit", "execv", "system")


def _names(tree: ast.Module) -> set[str] | None:
    """The names that a module has after it ran; None where that is not to be seen."""
    names: set[str] = set()
    for statement in _statements(tree.body):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {(one.asname or one.name).partition(".")[0] for one in statement.names}
        names |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    # What puts another module in its place in sys.modules has other names too.
    makes_more = names & {"*", "__getattr__", "globals", "vars", "setattr", "exec"}
    return (
        None if makes_more or "attr='modules'" in ast.dump(tree) else names
    )  # sys.modules: it puts another in its place
