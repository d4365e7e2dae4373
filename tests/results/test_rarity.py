"""The density of features against a closed form, and the tenth that is picked by a fitted generator."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from dge_ray.generators.abilities import Abilities
from dge_ray.generators.registry import make_generator
from dge_ray.results.rarity import feature_log_density, least_likely
from dge_ray.storage import Folder
from dge_ray.table import infer_schema


def table_of(n: int) -> pa.Table:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, n)
    x = np.round(generator.standard_normal(n) + 3 * y, 3)
    return pa.table({"x": x, "z": np.round(generator.standard_normal(n), 3), "y": np.array(["a", "b"])[y]})


class Known:
    """A generator whose density is that of `table_of`'s x, shifted."""

    abilities = Abilities(log_prob=True)

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def log_prob(self, table: pa.Table) -> np.ndarray:
        b = np.array(table["y"].to_pylist()) == "b"
        return np.log(0.5) + norm.logpdf(table["x"].to_numpy() - self.shift, 3.0 * b)


def test_the_density_is_summed_over_classes_and_averaged_over_members() -> None:
    table = table_of(50)
    found = feature_log_density([Known(0.0), Known(1.0)], infer_schema(table, target="y"), table)
    x = table["x"].to_numpy()
    each = [0.5 * norm.pdf(x - s) + 0.5 * norm.pdf(x - s - 3) for s in (0.0, 1.0)]
    np.testing.assert_allclose(found, np.log(np.mean(each, axis=0)), atol=1e-12)


def test_the_least_likely_tenth_of_a_fitted_generator(tmp_path: Path) -> None:
    table = table_of(1500)
    schema = infer_schema(table, target="y")
    make_generator("autoregressive", epochs=8).fit(table, schema, seed=0).save(tmp_path / "members/000/generator")
    folder = Folder.open(str(tmp_path))
    group = least_likely(folder, ["autoregressive", "copula"], schema, table)
    assert group is not None and abs(group.rows.mean() - 0.1) < 0.02
    x, z = table["x"].to_numpy(), table["z"].to_numpy()
    true = norm.logpdf(z) + np.log(0.5 * norm.pdf(x) + 0.5 * norm.pdf(x - 3))
    assert true[group.rows].mean() < true.mean() - 1.5  # the tenth of a normal pair: 2.3
    assert least_likely(folder, ["copula"], schema, table) is None
