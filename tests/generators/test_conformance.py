"""What every registered generator promises, checked against the Protocol's words and the schema's own checker."""

import json
import os
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from helpers.generator_cases import (
    A_WHOLE_NUMBER,
    LEARNING,
    LEARNING_ROWS,
    SMALL,
    mixed_schema,
    mixed_table,
    tiny_table,
    with_notes,
)
from safetensors.numpy import load_file

from dge_ray.errors import InputError
from dge_ray.generators.base import Generator, Unsupported
from dge_ray.generators.registry import REGISTRY, abilities, generator_class, installed, make_generator
from dge_ray.table import Kind, TableCodec, TableSchema, check_table, infer_schema

FITTED: dict[tuple[str, int], Any] = {}

# Those that hold rows made elsewhere fit nothing, and their rows have an end: they have test_tables.py.
INSTALLED = [name for name in sorted(REGISTRY) if installed(name) and not abilities(name).holds_rows]
ABSENT = [
    pytest.param(name, marks=pytest.mark.skip(reason=f"the package that {name} stands on is not installed"))
    for name in sorted(REGISTRY)
    if not installed(name)
]

pytestmark = pytest.mark.parametrize("name", [*INSTALLED, *ABSENT])


@cache
def table_of(name: str, rows: int = 400) -> pa.Table:
    """Every column kind; for a generator of text, with a text column."""
    return with_notes(mixed_table(rows)) if abilities(name).text else mixed_table(rows)


@cache
def schema_of(name: str) -> TableSchema:
    return mixed_schema(table_of(name))


def fitted(name: str, seed: int = 0) -> Any:
    """Fits are shared between tests: none of them changes a fitted generator."""
    if (name, seed) not in FITTED:
        FITTED[name, seed] = make_generator(name, **SMALL[name]).fit(table_of(name), schema_of(name), seed=seed)
    return FITTED[name, seed]


def learnt(name: str) -> Any:
    """A fit long enough to learn from, shared too."""
    if (name, -1) not in FITTED:
        table = table_of(name, LEARNING_ROWS[name])
        FITTED[name, -1] = make_generator(name, **LEARNING[name]).fit(table, mixed_schema(table), seed=0)
    return FITTED[name, -1]


def test_satisfies_the_protocol(name: str) -> None:
    generator = fitted(name)
    assert isinstance(generator, Generator)
    assert generator.name == name
    assert isinstance(generator.history, list)


def test_says_what_it_can_do_where_its_settings_stand(name: str, tmp_path: Path) -> None:
    """What `abilities` says, without a model being loaded, is what the class does."""
    generator, able = fitted(name), abilities(name)
    assert generator.abilities is able and abilities(generator) is able
    assert hasattr(generator, "log_prob") == able.log_prob
    assert hasattr(generator, "target_law") == able.target_law
    assert hasattr(generator, "fit_together") == able.together
    table, schema = table_of(name), schema_of(name)
    if not able.warm_starts:
        with pytest.raises(Unsupported, match="warm_start: got a checkpoint"):
            make_generator(name).fit(table, schema, seed=0, warm_start=tmp_path)
    if able.private is None:
        private: Any = object()
        with pytest.raises(Unsupported, match=r"privacy: .*diffusion or marginals, which can be fitted privately"):
            make_generator(name).fit(table, schema, seed=0, private=private)
    if able.stopping:
        assert all(record["heldout"] is not None for record in generator.history)
    else:
        assert not any(record["heldout"] for record in generator.history)


def test_keeps_the_schema(name: str) -> None:
    rows = fitted(name).sample(1_000, seed=1)
    assert rows.num_rows == 1_000
    assert rows.schema.equals(table_of(name).schema)
    assert check_table(rows, schema_of(name)) == []
    # Missing values, levels and the atom at 0 come back: with 1,000 rows each is expected 50 times or more.
    assert rows["income"].null_count > 0 and rows["flag"].null_count > 0 and rows["colour"].null_count > 0
    assert set(rows["label"].to_pylist()) == {"yes", "no"}
    assert (rows["income"].drop_null().to_numpy() == 0).mean() > 0.1
    assert set(rows["unit"].to_pylist()) == {"kg"}


def test_fit_returns_self(name: str) -> None:
    generator = make_generator(name, **SMALL[name])
    assert generator.fit(table_of(name).slice(0, 60), schema_of(name), seed=0) is generator


@pytest.mark.parametrize("n", [1, 7, 2_500])
def test_same_seed_same_rows_other_seed_other_rows(name: str, n: int) -> None:
    generator = fitted(name)
    first = generator.sample(n, seed=5)
    generator.sample(3, seed=9)  # what was drawn in between must not matter
    assert first.num_rows == n
    assert generator.sample(n, seed=5).equals(first)
    assert not generator.sample(n, seed=6).equals(first)


def test_two_fits_with_one_seed_are_the_same_whatever_happens_between(name: str) -> None:
    first = make_generator(name, **SMALL[name]).fit(table_of(name), schema_of(name), seed=0)
    np.random.default_rng().random()
    make_generator(name, **SMALL[name]).fit(table_of(name), schema_of(name), seed=3)
    second = make_generator(name, **SMALL[name]).fit(table_of(name), schema_of(name), seed=0)
    assert first.sample(500, seed=1).equals(second.sample(500, seed=1))


def test_global_generators_are_left_alone(name: str) -> None:
    import torch

    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    make_generator(name, **SMALL[name]).fit(table_of(name), schema_of(name), seed=0).sample(10, seed=0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]
    assert random.getstate() == before[2]


def test_members_differ_in_weights_and_rows(name: str, tmp_path: Path) -> None:
    """Pairwise over four members, at the same sampling seed: an ensemble of copies is an ensemble of one.

    Members in a study also draw with seeds of their own. Here they share one, and fits as small as these are still near
    to independent columns, which gives many equal rows; copies would give nothing else.
    """
    weights, rows = [], []
    for seed in range(4):
        generator = fitted(name, seed)
        generator.save(tmp_path / str(seed))
        arrays = load_file(tmp_path / str(seed) / "weights.safetensors")
        weights.append(arrays["weights"] if "weights" in arrays else arrays["factor"])
        rows.append(generator.sample(500, seed=1).drop_columns(["key"]))
    for i in range(4):
        for j in range(i):
            same_shape = weights[i].shape == weights[j].shape
            assert not same_shape or np.abs(weights[i] - weights[j]).max() > 1e-4
            same = np.mean([a == b for a, b in zip(rows[i].to_pylist(), rows[j].to_pylist(), strict=True)])
            assert same < 0.75


def test_save_and_load_give_bit_identical_rows(name: str, tmp_path: Path) -> None:
    generator = fitted(name)
    generator.save(tmp_path / "member")
    loaded = generator_class(name).load(tmp_path / "member", device="cpu")
    assert loaded.sample(2_000, seed=4).equals(generator.sample(2_000, seed=4))
    assert loaded.history == generator.history
    loaded.save(tmp_path / "again")
    for file in ("generator.json", "weights.safetensors"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "member" / file).read_bytes()


def test_a_dataset_on_disk_gives_the_same_fit_as_its_table(name: str, tmp_path: Path) -> None:
    for i in range(4):
        pq.write_table(table_of(name).slice(i * 100, 100), tmp_path / f"{i}.parquet")
    generator = make_generator(name, **SMALL[name]).fit(ds.dataset(tmp_path), schema_of(name), seed=0)
    assert generator.sample(500, seed=4).equals(fitted(name).sample(500, seed=4))


def test_files_are_safetensors_and_json_only(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["generator.json", "weights.safetensors"]
    assert json.loads((tmp_path / "generator.json").read_text())["generator"] == name
    load_file(tmp_path / "weights.safetensors")


def test_saved_files_do_not_hold_the_rows(name: str, tmp_path: Path) -> None:
    """The identifier's values are nowhere in the files; continuous values not as a whole."""
    fitted(name).save(tmp_path)
    saved = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"id-17-0" not in saved
    kept = sum(v.tobytes() in saved for v in table_of(name)["income"].drop_null().to_numpy() if v > 0)
    assert kept < 0.5 * table_of(name).num_rows


def test_refuses_to_sample_or_save_unfitted(name: str, tmp_path: Path) -> None:
    generator = make_generator(name)
    with pytest.raises(InputError, match="not fitted"):
        generator.sample(10, seed=0)
    with pytest.raises(InputError, match="not fitted"):
        generator.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_refuses_a_bad_count(name: str, n: Any) -> None:
    with pytest.raises(InputError, match=r"^n: got"):
        fitted(name).sample(n, seed=0)


def test_refuses_rows_that_do_not_match_the_schema(name: str) -> None:
    table, schema = table_of(name), schema_of(name)
    generator = make_generator(name, **SMALL[name])
    with pytest.raises(InputError, match="'age'"):
        generator.fit(table.drop_columns(["age"]), schema, seed=0)
    with pytest.raises(InputError, match="'age'"):
        changed = table.set_column(2, "age", pa.array(["old"] * table.num_rows))
        generator.fit(changed, schema, seed=0)
    with pytest.raises(InputError, match="'colour'"):
        changed = table.set_column(5, "colour", pa.array(["ultraviolet"] * table.num_rows))
        generator.fit(changed, schema, seed=0)
    with pytest.raises(InputError, match=r"'age'.*nulls"):
        changed = table.set_column(2, "age", pa.array([None, *table["age"].to_pylist()[1:]], pa.int16()))
        generator.fit(changed, schema, seed=0)


def test_refuses_an_absent_target_and_one_with_nulls(name: str) -> None:
    generator = make_generator(name, **SMALL[name])
    with pytest.raises(InputError, match=r"target.*'label'"):
        generator.fit(table_of(name).drop_columns(["label"]), schema_of(name), seed=0)
    nulls = pa.array([None, None, *table_of(name)["label"].to_pylist()[2:]])
    with pytest.raises(InputError, match="2 nulls"):
        generator.fit(table_of(name).set_column(8, "label", nulls), schema_of(name), seed=0)


def test_refuses_too_few_rows(name: str) -> None:
    with pytest.raises(InputError, match="3 rows"):
        make_generator(name).fit(table_of(name).slice(0, 3), schema_of(name), seed=0)


def test_refuses_conditions_it_cannot_meet(name: str) -> None:
    given = table_of(name).slice(0, 5).select(["colour"])
    if abilities(name).given != "any":
        for column in ["price"] if abilities(name).given == "one coded" else ["price", "colour"]:
            with pytest.raises(Unsupported, match="given"):
                fitted(name).sample(5, seed=0, given=table_of(name).slice(0, 5).select([column]))
        return
    with pytest.raises(InputError, match="5 rows"):
        fitted(name).sample(6, seed=0, given=given)
    with pytest.raises(InputError, match="'hue'"):
        fitted(name).sample(5, seed=0, given=given.rename_columns(["hue"]))
    with pytest.raises(InputError, match="'colour'"):
        fitted(name).sample(5, seed=0, given=pa.table({"colour": ["ultraviolet"] * 5}))
    with pytest.raises(InputError, match=r"'label'.*nulls"):
        fitted(name).sample(5, seed=0, given=pa.table({"label": pa.array([None] * 5, pa.string())}))


def test_any_column_given_comes_back_and_the_others_follow_it(name: str) -> None:
    """The share of 'yes' given red, or not red, is that among such rows of the joint law.

    4,000 rows each way, of which at least 1,200 are of either kind: standard errors of .5 / sqrt(1200) = .014 each,
    .02 of the difference, and 4 of them. (The difference between the two kinds is about .6.)
    """
    if abilities(name).given != "any":
        pytest.skip("takes leading columns, or none")
    joint = learnt(name).sample(4_000, seed=0).drop_null()
    for colour in ("red", "green"):
        given = pa.table({"colour": pa.array([colour] * 4_000)})
        rows = learnt(name).sample(4_000, seed=1, given=given)
        assert rows["colour"].to_pylist() == [colour] * 4_000
        alike = joint.filter(pc.equal(joint["colour"], colour))
        shares = [np.mean([value == "yes" for value in table["label"].to_pylist()]) for table in (rows, alike)]
        assert abs(shares[0] - shares[1]) < 0.08
    for column in (c.name for c in schema_of(name).columns if c.kind is not Kind.TEXT):
        given = table_of(name).slice(0, 30).select([column])
        assert fitted(name).sample(30, seed=0, given=given).select([column]).equals(given.combine_chunks())


def test_completes_rows_from_one_coded_column(name: str) -> None:
    """The column comes back as it was, and the label's law given it is near the one of unconditional rows.

    Each share is of at least 400 rows: standard error .025, of a difference .035. What is asked of a network and what
    it gives unasked agree less than that in a fit this small: .2 is allowed, where red and the others differ by .5.
    """
    if abilities(name).given != "one coded":
        pytest.skip("refuses, as the test before has it")
    generator = learnt(name)
    colours = ["red", "green", None, "blue"]
    given = pa.table({"colour": pa.array(colours * 500).dictionary_encode()})
    rows = generator.sample(2_000, seed=3, given=given)
    assert rows.schema.equals(table_of(name).schema) and check_table(rows, schema_of(name)) == []
    assert rows["colour"].to_pylist() == colours * 500
    assert generator.sample(2_000, seed=3, given=given).equals(rows)
    free = generator.sample(8_000, seed=4)
    assert abs(_share(rows, "red") - _share(free, "red")) < 0.2
    assert abs(_share(rows, "blue") - _share(free, "blue")) < 0.2
    assert _share(rows, "red") - _share(rows, "blue") > 0.25
    with pytest.raises(InputError, match=r"'colour'.*not in its schema"):
        generator.sample(1, seed=0, given=pa.table({"colour": ["ultraviolet"]}))
    with pytest.raises(InputError, match="3 rows"):
        generator.sample(2, seed=0, given=pa.table({"colour": ["red"] * 3}))


def _share(rows: pa.Table, colour: str) -> float:
    """The share of 'yes' among rows of a colour."""
    labels = [r["label"] for r in rows.select(["label", "colour"]).to_pylist() if r["colour"] == colour]
    return float(np.mean([label == "yes" for label in labels]))


def test_refuses_a_damaged_checkpoint(name: str, tmp_path: Path) -> None:
    cls = generator_class(name)
    with pytest.raises(InputError, match="checkpoint"):
        cls.load(tmp_path / "absent")
    fitted(name).save(tmp_path)
    weights = (tmp_path / "weights.safetensors").read_bytes()
    middle = len(weights) // 2
    flipped = weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1 :]
    for damaged in (weights[:-10], flipped, b""):
        (tmp_path / "weights.safetensors").write_bytes(damaged)
        with pytest.raises(InputError, match="do not match"):
            cls.load(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    for make in (lambda _: None, os.mkfifo):  # nothing there, or a pipe, which is not waited for
        make(tmp_path / "weights.safetensors")
        with pytest.raises(InputError, match=r"no weights\.safetensors in"):
            cls.load(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    fitted(name).save(tmp_path)
    record = (tmp_path / "generator.json").read_text()
    for damaged_text in (record[:200], re.sub('"format": [0-9]', '"format": 99', record), "[]"):
        (tmp_path / "generator.json").write_text(damaged_text)
        with pytest.raises(InputError, match="checkpoint"):
            cls.load(tmp_path)


def test_refuses_another_generators_checkpoint(name: str, tmp_path: Path) -> None:
    other = next(n for n in INSTALLED if n != name)
    fitted(other).save(tmp_path)
    with pytest.raises(InputError, match=other):
        generator_class(name).load(tmp_path)


def test_refuses_an_unknown_setting_and_a_bad_value(name: str) -> None:
    setting = A_WHOLE_NUMBER[name]
    with pytest.raises(InputError, match=f"did you mean '{setting}'"):
        make_generator(name, **{setting[:-1]: 3})
    for bad in (0, "many"):
        with pytest.raises(InputError, match=rf"generator\.{setting}"):
            make_generator(name, **{setting: bad})


def test_fits_on_ten_rows_and_on_a_single_column(name: str) -> None:
    generator = make_generator(name, **SMALL[name])
    few = generator.fit(table_of(name).slice(0, 10), schema_of(name), seed=0).sample(20, seed=0)
    assert check_table(few, schema_of(name)) == []
    column = table_of(name).select(["note"]) if abilities(name).text else tiny_table(200).select(["c"])
    schema = schema_of(name) if abilities(name).text else infer_schema(tiny_table(200))
    one = TableSchema((schema[column.column_names[0]],))
    rows = make_generator(name, **SMALL[name]).fit(column, one, seed=0).sample(50, seed=0)
    assert check_table(rows, one) == []


def test_learns_marginals_and_the_dependence_on_the_target(name: str) -> None:
    """The share of 'yes' and of red among 'yes' (about 1 in the data, 1/3 among 'no').

    The label's share has a standard error of .5 / sqrt(4000) = .008 from sampling and .025 from the fitted rows; 4 of
    both together are .1. The dependence is required in direction and size only: these fits are tiny.
    """
    rows = learnt(name).sample(4_000, seed=0)
    yes = np.array([value == "yes" for value in rows["label"].to_pylist()])
    red = np.array([value == "red" for value in rows["colour"].to_pylist()])
    assert abs(yes.mean() - np.mean([v == "yes" for v in table_of(name)["label"].to_pylist()])) < 0.1
    assert red[yes].mean() - red[~yes].mean() > 0.25


def test_decoding_then_encoding_stays_within_the_fitted_categories(name: str) -> None:
    rows = fitted(name).sample(500, seed=2)
    encoded = TableCodec(schema_of(name)).encode(rows)
    assert encoded["label"].min() >= 0
