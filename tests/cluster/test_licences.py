"""Licences of what `pip install dge-ray` brings, as the installed packages state them, and of the other pins of the
cluster's set: permissive ones, or an exception that cluster/README.md names with its reason."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PERMISSIVE = re.compile(
    r"\b(MIT(-0|-CMU)?|0?BSD(-\d-Clause)?|Apache|PSF(-2\.0)?|ISCL?|HPND|Python Software Foundation License"
    r"|Python-2\.0|Unlicense|Zlib|CC0-1\.0)\b|Permission is hereby granted, free of charge",
    re.IGNORECASE,
)
COPYLEFT = re.compile(
    r"GPL|MPL|Mozilla|EUPL|CDDL|SSPL|Business Source|proprietary|NVIDIA(?! CORPORATION)", re.IGNORECASE
)  # which has copyright in some MIT packages
# Named in cluster/README.md.
EXCEPTIONS = {"certifi", "tqdm", "hypothesis", "psycopg2-binary"}
UNSTATED = {"mlcroissant"}  # its package says nothing, its repository Apache-2.0


def pins() -> list[str]:
    lines = (ROOT / "cluster/constraints.txt").read_text().splitlines()
    return [canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and line[0] != "#"]


def needed(requirements: list[str]) -> Iterator[Distribution]:
    """The installed distributions that these and theirs ask for, here, with their extras."""
    seen: set[tuple[str, str]] = set()
    left = [(Requirement(text), "") for text in requirements]
    while left:
        requirement, extra = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for own in ("", *requirement.extras):
            key = canonicalize_name(requirement.name), own
            if key in seen:
                continue
            seen.add(key)
            try:
                found = distribution(requirement.name)
            except PackageNotFoundError:  # an extra's, where the tests run without it
                continue
            if own == "":
                yield found
            left += [(Requirement(text), own) for text in found.requires or []]


def licence(found: Distribution) -> str:
    """What it says of itself: the expression, else the classifiers, else the field or the file's first lines."""
    meta = found.metadata
    classifiers = [text for text in meta.get_all("Classifier") or [] if text.startswith("License ::")]
    stated = meta.get("License-Expression") or "; ".join(text.rpartition(":: ")[2] for text in classifiers)
    stated = f"{stated} {(meta.get('License') or '')[:200] if not meta.get('License-Expression') else ''}".strip()
    if PERMISSIVE.search(stated) or COPYLEFT.search(stated):
        return stated
    files = [file for file in found.files or [] if re.match(r"(?i)(licen[cs]e|copying)", Path(file).name)]
    texts = [found.locate_file(file) for file in files]
    return f"{stated} {' '.join(Path(str(text)).read_text(errors='replace')[:400] for text in texts)}".strip()


def hard() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_what_the_package_needs_is_under_permissive_licences() -> None:
    told = {canonicalize_name(found.metadata["Name"]): licence(found) for found in needed(hard())}
    assert len(told) > 60
    odd = {name: text for name, text in told.items() if not PERMISSIVE.search(text) or COPYLEFT.search(text)}
    cuda = {name for name in told if name.startswith(("nvidia-", "cuda-"))}  # what a CUDA build of torch brings along
    assert set(odd) - cuda <= EXCEPTIONS, odd


def test_so_are_the_other_pins_that_are_installed() -> None:
    told = {}
    for name in pins():
        try:
            told[name] = licence(distribution(name))
        except PackageNotFoundError:
            continue
    odd = {name: text for name, text in told.items() if not PERMISSIVE.search(text) or COPYLEFT.search(text)}
    assert set(odd) <= EXCEPTIONS | UNSTATED, odd


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_each_exception_is_pinned_and_told_of(name: str) -> None:
    assert name in pins() and f"`{name}`" in (ROOT / "cluster/README.md").read_text()


def test_those_checks_can_fail() -> None:
    for text in ("GNU Lesser General Public License v3 (LGPLv3)", "MPL-2.0", "Business Source License 1.1", "Other"):
        assert not PERMISSIVE.search(text) or COPYLEFT.search(text)
    assert {found.metadata["Name"].lower() for found in needed(["pandas"])} >= {"pandas", "numpy", "six"}


def test_the_audit_is_told_of_and_reads_every_pin() -> None:
    """The command needs the network; what it is given does not: each line is NAME==VERSION, which it takes as it is.

    Without `--strict` it ends with 0 where it could ask about nothing.
    """
    command = "pip-audit --strict --no-deps --disable-pip -r cluster/constraints.txt"
    assert command in (ROOT / "cluster/README.md").read_text()
    lines = (ROOT / "cluster/constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]
    assert odd == [] and len(set(pins())) == len(pins())
