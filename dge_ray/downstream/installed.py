"""Which modules an estimator named in a configuration may come from: those of installed packages.

A study YAML may be somebody else's: it must not have a file run that happens to lie in the working directory.
"""

import json
import site
import sysconfig
from functools import cache
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit


@cache
def is_installed(top: str) -> bool:
    """Whether a top-level module lies where packages are installed, or in one that is installed in editable mode.

    Nothing is imported. The standard library is no installed package: it has no estimators.
    """
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    origin = spec.origin or next(iter(spec.submodule_search_locations or []), None)
    if origin is None or origin in ("built-in", "frozen"):
        return False
    return any(Path(origin).resolve().is_relative_to(Path(place).resolve()) for place in [*_sites(), *_editable(top)])


def _sites() -> list[str]:
    paths = sysconfig.get_paths()
    return [paths["purelib"], paths["platlib"], site.getusersitepackages(), *site.getsitepackages()]


def _editable(top: str) -> list[str]:
    """The source folders of editable distributions that declare this module."""
    urls = [distribution(name).read_text("direct_url.json") for name in packages_distributions().get(top, [])]
    described = [json.loads(url) for url in urls if url]
    folders = [d["url"] for d in described if d.get("dir_info", {}).get("editable")]
    return [unquote(urlsplit(folder).path) for folder in folders]
