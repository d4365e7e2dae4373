"""Text columns: what is taken for text, that they come through the codec unchanged, and who refuses them."""

import warnings

import pyarrow as pa
import pytest

from dge_ray.errors import InputError
from dge_ray.generators.checks import check_text
from dge_ray.generators.registry import installed, make_generator, names_with
from dge_ray.table import IdentifierWarning, Kind, TableCodec, TableSchema, check_schema, check_table, infer_schema
from dge_ray.table.text import joined, pieces

REVIEWS = [f"This is film number {i}, and it was not a good one." if i % 9 else None for i in range(60)]
TABLE = pa.table({"review": REVIEWS, "label": [i % 2 for i in range(60)]})


def schema(table: pa.Table = TABLE) -> TableSchema:
    return infer_schema(table, target="label", overrides={"review": "text"})


def test_text_is_what_is_called_text() -> None:
    found = schema()
    assert found["review"].kind is Kind.TEXT and found["review"].missing
    assert [c.name for c in found.texts] == ["review"] and [c.name for c in found.features] == ["review"]
    assert check_schema(found) == []
    assert TableSchema.from_json(found.to_json()) == found


def test_a_column_of_sentences_is_an_identifier_and_the_warning_says_what_else_it_could_be() -> None:
    extra = TABLE.append_column("x", pa.array([0.5, 1.5, 2.5] * 20))
    with pytest.warns(IdentifierWarning, match=r"columns\.review=text models it with generator=language"):
        assert infer_schema(extra, target="label")["review"].kind is Kind.IDENTIFIER
    names = pa.table({"review": [f"id {i}" for i in range(60)], "label": TABLE["label"], "x": extra["x"]})
    with pytest.warns(IdentifierWarning, match=r"columns\.review=categorical models it; drop with"):
        infer_schema(names, target="label")


@pytest.mark.parametrize("dtype", [pa.string(), pa.large_string(), pa.string_view()])
def test_codec_gives_every_text_back(dtype: pa.DataType) -> None:
    table = TABLE.set_column(0, "review", TABLE["review"].cast(dtype))
    found = schema(table)
    columns = TableCodec(found).encode(table)
    assert columns["review"].dtype == object and columns["review"].tolist() == REVIEWS
    again = TableCodec(found).decode(columns, seed=0)
    assert again.equals(table) and check_table(again, found) == []


def test_refusals_of_the_schema() -> None:
    with pytest.raises(InputError, match=r"columns\.label.*text for a column with type int64, no strings"):
        infer_schema(TABLE, overrides={"label": "text", "review": "text"})
    with pytest.raises(InputError, match=r"columns\.review.*text for the target"):
        infer_schema(
            TABLE.set_column(0, "review", pa.array(["a b", "c d"] * 30)), target="review", overrides={"review": "text"}
        )
    broken = schema().to_json().replace('"type": "string"', '"type": "int64"')
    assert check_schema(TableSchema.from_json(broken)) == ["column 'review': kind 'text' with type int64"]
    nulls = TableSchema.from_json(schema().to_json().replace('"missing": true', '"missing": false'))
    assert "nulls" in check_table(TABLE, nulls)[0]


@pytest.mark.parametrize("name", names_with(lambda able: not able.text))
def test_generators_without_text_refuse_it_in_one_line(name: str) -> None:
    if not installed(name):
        pytest.skip(f"the package that {name} stands on is not installed")
    with pytest.raises(InputError, match="column 'review': got text; takes generator=language") as caught:
        make_generator(name).fit(TABLE, schema(), seed=0)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="column 'review': got text"):
        check_text(name, schema())


def test_a_generator_of_text_needs_one_text_column() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none = infer_schema(TABLE.append_column("x", pa.array([0.5, 1.5] * 30)), target="label")
    with pytest.raises(InputError, match="no text column"):
        check_text("language", none)
    two = TABLE.append_column("more", TABLE["review"])
    both = infer_schema(two, target="label", overrides={"review": "text", "more": "text"})
    with pytest.raises(InputError, match="'review', 'more'"):
        make_generator("language").fit(two, both, seed=0)


@pytest.mark.parametrize(
    ("text", "words", "back"),
    [
        ("It's GOOD,<br />really!", ["it's", "good", ",", "<br />", "really", "!"], "it's good, <br /> really!"),
        ("(a 3 < 4) $5", ["(", "a", "3", "<", "4", ")", "$", "5"], "(a 3 < 4) $5"),
        ("", [], ""),
        ("naïve…  déjà\tvu", ["naïve", "…", "déjà", "vu"], "naïve… déjà vu"),
    ],
)
def test_words_and_signs(text: str, words: list[str], back: str) -> None:
    assert pieces(text) == words and joined(words) == back
    assert pieces(back) == words  # cutting again gives the same words
