"""What the adapters promise beyond the conformance suite. Where a package is absent, its tests are skipped."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.generator_cases import SMALL, mixed_schema, mixed_table, tiny_table

from dge_ray.errors import InputError
from dge_ray.generators import registry
from dge_ray.generators.adapters import ctgan, mostlyai
from dge_ray.generators.adapters.base import own_random_states
from dge_ray.generators.adapters.settings import CtganSettings
from dge_ray.generators.registry import (
    REGISTRY,
    check_generator,
    generator_class,
    installed,
    make_generator,
    settings_class,
)
from dge_ray.table import TableCodec, infer_schema

PACKAGES = {name: package for name in sorted(REGISTRY) if (package := settings_class(name).package) is not None}
needs_ctgan = pytest.mark.skipif(not installed("ctgan"), reason="ctgan is not installed")
needs_mostlyai = pytest.mark.skipif(not installed("mostlyai"), reason="mostlyai-engine is not installed")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_generator_without_its_package_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    for ask in (lambda: check_generator(name, {}), lambda: make_generator(name), lambda: generator_class(name)):
        with pytest.raises(InputError, match=rf"pip install 'dge-ray\[{PACKAGES[name][1]}\]'") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_looking_for_packages_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (module, _) in PACKAGES.items():
        monkeypatch.delitem(sys.modules, module, raising=False)
        installed(name)
        assert module not in sys.modules
    monkeypatch.setattr(CtganSettings, "package", ("no_such_parent.module", "ctgan"))
    assert not installed("ctgan")


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_random_states_of_its_own() -> None:
    """The same draws for one seed, others for another, and the process's states as before, whatever happens inside."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = drawn()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    inside = []
    for seed in (5, 5, 6):
        with own_random_states(seed, "cpu"):
            inside.append(drawn())
    with pytest.raises(KeyError), own_random_states(7, "cpu"):
        torch.set_default_dtype(torch.float64)
        drawn()
        raise KeyError
    assert torch.get_default_dtype() == torch.float32
    assert inside[0] == inside[1] and all(a != b for a, b in zip(inside[1], inside[2], strict=True))
    assert drawn() == expected


@pytest.mark.parametrize("name", [name for name in PACKAGES if installed(name)])
def test_no_warm_start(name: str, tmp_path: Path) -> None:
    table = tiny_table(60)
    with pytest.raises(InputError, match="warm_start"):
        make_generator(name).fit(table, infer_schema(table), seed=0, warm_start=tmp_path)


def test_ctgan_frames_hold_atoms_and_missing_as_categories() -> None:
    table = mixed_table()
    schema = mixed_schema(table)
    values = TableCodec(schema).encode(table)
    frame, categories = ctgan._frame(schema, values)
    income = values["income"]
    assert list(frame) == ["0", "0-atom", "1", "2", "3", "4", "5", "6"] and not frame.isna().any().any()
    assert np.array_equal(categories["0-atom"], [0.0, np.inf, np.nan], equal_nan=True)
    atoms = categories["0-atom"][frame["0-atom"]]
    assert np.array_equal(np.where(np.isinf(atoms), frame["0"], atoms), income, equal_nan=True)


@needs_ctgan
def test_ctgan_draws_what_the_packages_own_model_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that was fitted, with rdt's way back from the matrix, against the one made anew from arrays.

    Equal categories, and numbers to rounding: the package computes them in another order.
    """
    models: list[Any] = []
    make = ctgan._package_model

    def kept(*args: Any) -> Any:
        models.append(make(*args))
        return models[-1]

    monkeypatch.setattr(ctgan, "_package_model", kept)
    table = mixed_table()
    schema = mixed_schema(table)
    generator: Any = make_generator("ctgan", **SMALL["ctgan"]).fit(table, schema, seed=0)
    _, state = generator._fitted
    layout = ctgan._layout(state)
    ours = ctgan._restored(generator.settings, layout, state, "cpu")
    with own_random_states(3, "cpu"):
        matrix = ours.sample(700)
    with own_random_states(3, "cpu"):
        theirs = models[0].sample(700)
    _, categories = ctgan._frame(schema, TableCodec(schema).encode(table))
    at = 0
    for name, column in layout.items():
        found = column.decode(matrix[:, at : at + column.width])
        expected = categories[name][theirs[name]] if name in categories else theirs[name].to_numpy()
        assert np.allclose(found, expected, rtol=1e-6, atol=0, equal_nan=True)
        at += column.width


@needs_ctgan
def test_ctgan_of_many_rows_is_the_same_fit_again() -> None:
    """From 500 rows on the package encodes in other processes, whose random states are their own; here it must not."""
    table = mixed_table(600)
    fits: list[Any] = [
        make_generator("ctgan", **SMALL["ctgan"] | {"epochs": 2}).fit(table, mixed_schema(table), seed=0)
        for _ in range(2)
    ]
    assert np.array_equal(*(fit._fitted[1].arrays["weights"] for fit in fits))


@pytest.mark.parametrize("pac", [1, 7])
def test_ctgan_batches_are_even_multiples_of_pac(pac: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "installed", lambda _: True)
    check_generator("ctgan", {"pac": pac, "batch_size": 14})
    with pytest.raises(InputError, match=rf"generator\.batch_size: got 15; takes an even multiple .* {pac}"):
        check_generator("ctgan", {"pac": pac, "batch_size": 15})


def test_mostlyai_categories_with_few_rows_are_drawn_evenly() -> None:
    import pandas as pd

    column = infer_schema(tiny_table())["b"]
    found = pd.Series(["0", "_RARE_", None, "_RARE_"] * 500)
    with own_random_states(0, "cpu"):
        codes = mostlyai._codes(found, column, {"_RARE_": 0, "<<NULL>>": 1, "0": 2}).reshape(500, 4)
    assert (codes[:, 0] == 0).all() and (codes[:, 2] == -1).all()
    assert set(codes[:, [1, 3]].ravel()) == {1, 2}
    assert abs((codes[:, [1, 3]] == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(1_000)  # 4 standard errors


@needs_mostlyai
def test_mostlyai_holds_out_the_rows_to_stop_on_and_tells_of_each_epoch() -> None:
    table = mixed_table()
    schema = mixed_schema(table)
    told: list[dict[str, Any]] = []
    settings = SMALL["mostlyai"] | {"epochs": 3}
    generator = make_generator("mostlyai", **settings)
    generator.fit(table, schema, seed=0, stopping=mixed_table(50, seed=1), progress=told.append)
    assert generator.history == told and [record["epoch"] for record in told] == [1, 2, 3]
    assert set(told[0]) == {"epoch", "epochs", "train", "heldout", "seconds"}
    counts = generator._fitted[1].extra["statistics"]  # type: ignore[attr-defined]
    assert (counts["no_of_training_records"], counts["no_of_validation_records"]) == (400, 50)


@needs_mostlyai
def test_mostlyai_draws_protected_categories_too(tmp_path: Path) -> None:
    """A category of 3 rows in 400 is below the package's threshold, so it is neither in its statistics nor lost."""
    table = tiny_table(400)
    names = table["c"].to_pylist()
    names[:3] = ["seldom"] * 3
    table = table.set_column(2, "c", [names])
    schema = infer_schema(table)
    generator: Any = make_generator("mostlyai", **SMALL["mostlyai"]).fit(table, schema, seed=0)
    known = generator._fitted[1].extra["statistics"]["columns"]["c2"]["codes"]
    assert str(schema["c"].categories.index("seldom")) not in known
    assert "seldom" in generator.sample(5_000, seed=0)["c"].to_pylist()
