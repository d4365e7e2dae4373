"""What an error says of columns: as many as can be read, and the one that was meant among them."""

from dge_ray.errors import nearest, nearest_column

MANY = [f"feature {i:03d}" for i in range(300)]


def test_few_columns_are_listed() -> None:
    assert (
        nearest_column("ag", ["age", "sex"])
        == nearest("ag", ["age", "sex"])
        == ("one of age, sex (did you mean 'age'?)")
    )


def test_of_many_columns_the_nearest_ones_are_named() -> None:
    assert nearest_column("incme", [*MANY, "income"]) == "'income' or another of the 301 columns"
    assert nearest_column("nope", MANY) == "'feature 000', 'feature 001', 'feature 002' or another of the 300 columns"
