"""Generators by name: where each lives, what it can do, and what is wrong with a name or a setting.

Listing and checking read a generator's settings alone (`settings.py` of its folder); its model is imported on use.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from dge_ray.errors import InputError, nearest
from dge_ray.generators.abilities import Abilities
from dge_ray.generators.base import Generator
from dge_ray.generators.settings import Settings

# One line a generator: its module and class. The settings of FOLDER.MODULE:Name are FOLDER.settings:NameSettings.
REGISTRY: dict[str, str] = {
    "autoregressive": "dge_ray.generators.autoregressive.generator:Autoregressive",
    "causal_lm": "dge_ray.generators.text.causal_lm:CausalLm",
    "copula": "dge_ray.generators.copula.generator:Copula",
    "ctgan": "dge_ray.generators.adapters.ctgan:Ctgan",
    "diffusion": "dge_ray.generators.diffusion.generator:Diffusion",
    "gan": "dge_ray.generators.gan.generator:Gan",
    "language": "dge_ray.generators.text.language:Language",
    "marginals": "dge_ray.generators.marginals.generator:Marginals",
    "mostlyai": "dge_ray.generators.adapters.mostlyai:Mostlyai",
    "tables": "dge_ray.generators.tables.generator:Tables",
    "trees": "dge_ray.generators.trees.generator:Trees",
    "vae": "dge_ray.generators.vae.generator:Vae",
}


@cache
def settings_class(name: str) -> type[Settings]:
    """A registered generator's settings."""
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module.rpartition(".")[0] + ".settings"), f"{attribute}Settings")


def abilities(generator: str | Any) -> Abilities:
    """What a generator can do, by its name or itself; one that says nothing of itself fits and samples whole rows."""
    if isinstance(generator, str):
        return settings_class(generator).abilities
    return getattr(generator, "abilities", Abilities())


def names_with(ability: Callable[[Abilities], Any]) -> list[str]:
    """The registered generators, installed or not, that can do something, in alphabetical order."""
    return [name for name in sorted(REGISTRY) if ability(abilities(name))]


def installed(name: str) -> bool:
    """Whether the package that a registered generator stands on is there; it is not imported."""
    package = settings_class(name).package
    if package is None:
        return True
    try:
        return find_spec(package[0]) is not None
    except ModuleNotFoundError:  # the module's parent is absent too
        return False


def member_settings(generators: Sequence[tuple[str, Mapping[str, Any]]], member: int) -> tuple[str, dict[str, Any]]:
    """The name and settings of a member's generator: members take them in turn, and of one that holds rows the tables
    in turn."""
    turn, at = divmod(member, len(generators))
    name, settings = generators[at]
    if not abilities(name).holds_rows:
        return name, dict(settings)
    alike = [i for i, other in enumerate(generators) if other == generators[at]]
    return name, {**settings, "member": turn * len(alike) + alike.index(at)}


def check_generator(name: str, settings: Mapping[str, Any]) -> None:
    """Whether `make_generator` will make this one; loads no model code.

    Raises:
        InputError: no such generator, one whose package is not installed, or a setting that it does not have or take.
    """
    if name not in REGISTRY:
        raise InputError("generator", repr(name), nearest(name, sorted(REGISTRY)))
    package = settings_class(name).package
    if package is not None and not installed(name):
        takes = f"it after: pip install 'dge-ray[{package[1]}]' (see dge_ray/generators/README.md)"
        raise InputError("generator", f"{name!r}, whose package is not installed", takes)
    settings_class(name).read(settings)


def generator_class(name: str) -> type:
    """The class behind a registered name.

    Raises:
        InputError: no such generator, or one whose package is not installed.
    """
    check_generator(name, {})
    module, attribute = REGISTRY[name].split(":")
    return getattr(import_module(module), attribute)


def make_generator(name: str, **settings: Any) -> Generator:
    """A fresh generator by name.

    Raises:
        InputError: as `check_generator`.
    """
    check_generator(name, settings)
    return generator_class(name)(**settings)
