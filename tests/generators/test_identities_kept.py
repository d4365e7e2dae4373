"""Identities between columns in the rows of every generator: kept in all of them, given columns or not, saved or not.

The reference is arithmetic on the rows that come out.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.generator_cases import SMALL

from dge_ray.errors import InputError
from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.generators.registry import REGISTRY, abilities, generator_class, installed, make_generator
from dge_ray.generators.rows.balanced import sample_balanced
from dge_ray.table import TableCodec, TableSchema, check_table, infer_schema
from dge_ray.table.filling import broken
from dge_ray.table.kept import with_identities

NAMES = [n for n in sorted(REGISTRY) if installed(n) and not abilities(n).holds_rows and not abilities(n).text]
COMPLETING = [name for name in NAMES if abilities(name).completes]
TOWN = {"a": "X", "b": "Y", "c": "Z", "d": "Z"}


@cache
def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 300
    gross, tax = rng.gamma(2, 1000, n).round(2), rng.gamma(2, 200, n).round(2)
    area = rng.choice(list("abcd"), n)
    return pa.table(
        {
            "net": np.round(gross - tax, 2),
            "tax": tax,
            "town": [TOWN[a] for a in area],
            "area": area,
            "gross": gross,
            "level": np.char.add("level-", area),
            "owed": np.round(tax + rng.exponential(50, n), 2),
            "y": np.where(tax + rng.normal(0, 100, n) > 400, "yes", "no"),
        }
    )


@cache
def schema() -> TableSchema:
    return with_identities(infer_schema(rows(), target="y"), rows())[0]


@cache
def fitted(name: str) -> Any:
    return make_generator(name, **SMALL.get(name, {})).fit(rows(), schema(), seed=0)


def kept(table: pa.Table) -> float:
    """The share of rows that keep every identity."""
    columns = table.to_pydict()
    held = [
        abs(columns["gross"][i] - columns["net"][i] - columns["tax"][i]) < 0.006
        and columns["town"][i] == TOWN[columns["area"][i]]
        and columns["level"][i] == f"level-{columns['area'][i]}"
        and columns["owed"][i] >= columns["tax"][i]
        for i in range(table.num_rows)
    ]
    return float(np.mean(held))


def test_what_is_computed_here() -> None:
    assert schema().computed == {"gross", "town", "level"}
    assert [column.name for column in schema().modelled] == ["net", "tax", "area", "owed", "y"]
    assert len(schema().features) == 7 and schema().orders == (("owed", "tax"),)


@pytest.mark.parametrize("name", NAMES)
def test_rows_keep_them_and_a_saved_generator_draws_the_same(name: str, tmp_path: Path) -> None:
    generator = fitted(name)
    made = generator.sample(500, seed=1)
    assert kept(made) >= 0.999 and check_table(made, schema()) == []
    generator.save(tmp_path / "saved")
    assert generator_class(name).load(tmp_path / "saved").sample(500, seed=1).equals(made)
    if abilities(name).log_prob:
        assert np.isfinite(generator.log_prob(rows())).mean() > 0.9


@pytest.mark.parametrize("name", COMPLETING)
def test_rows_are_completed_from_computed_columns_that_tell_the_others(name: str) -> None:
    for given in (["gross", "tax"], ["net", "tax"], ["level"], ["area", "gross", "net"], ["y"]):
        part = rows().select(given).slice(0, 100)
        made = fitted(name).sample(100, seed=1, given=part)
        assert kept(made) >= 0.98  # a given tax above any that leaves a gross within its bounds is possible
        assert made.select(given).to_pydict() == part.to_pydict()
        assert given != ["level"] or made["area"].to_pylist() == rows()["area"].to_pylist()[:100]


@pytest.mark.parametrize("name", COMPLETING)
def test_a_computed_column_that_leaves_two_open_is_refused(name: str) -> None:
    for column, lacking in (("gross", "'net', 'tax'"), ("town", "'area'")):
        with pytest.raises(Unsupported, match=f"column '{column}' without {lacking}") as refused:
            fitted(name).sample(2, seed=0, given=rows().select([column]).slice(0, 2))
        assert "\n" not in str(refused.value)


def test_computed_categories_can_be_balanced() -> None:
    """Drawn anew until they come up, where a town does not tell its area; at once where a level does."""
    for column in ("town", "level"):
        made, _ = sample_balanced(fitted("copula"), 120, column, schema(), seed=0)
        counts = made[column].value_counts().field("counts").to_pylist()
        assert kept(made) == 1 and max(counts) - min(counts) <= 1


@pytest.mark.parametrize("name", [n for n in NAMES if abilities(n).log_prob])
def test_rows_that_break_one_are_impossible(name: str) -> None:
    """Real rows and drawn ones are not, for all that rounding leaves open; what breaks each one is, and it alone."""
    generator, real = fitted(name), rows().slice(0, 6)
    before = generator.log_prob(real)
    for column, value in (("gross", 1e4), ("town", "X"), ("level", "level-a"), ("owed", 0.01)):
        at = real.schema.get_field_index(column)
        changed = pa.array([value, *real[column].to_pylist()[1:]], real.schema.field(at).type)
        table = real.set_column(at, real.schema.field(at), changed)
        found = generator.log_prob(table)
        same = real[column][0].as_py() == value
        assert (found[0] == before[0]) if same else np.isneginf(found[0]), column
        np.testing.assert_array_equal(found[1:], before[1:])
    drawn = generator.sample(200, seed=3)
    assert not any(rows.any() for rows in broken(TableCodec(schema()).encode(drawn), schema()).values())


def test_a_saved_generator_of_other_identities_is_refused_in_a_line(tmp_path: Path) -> None:
    """A test of features models every column; what was saved with identities does not."""
    fitted("autoregressive").save(tmp_path / "saved")
    plain = infer_schema(rows(), target="y")
    with pytest.raises(InputError) as caught:
        read_pretrained(str(tmp_path / "saved"), plain)
    line = str(caught.value)
    assert "other identities between columns" in line and "'gross' = 'net' + 'tax'" in line and "\n" not in line
    assert "takes one fitted with identities=none, here and there, or with the same (none)" in line
    assert read_pretrained(str(tmp_path / "saved"), schema())["generator"] == "autoregressive"
