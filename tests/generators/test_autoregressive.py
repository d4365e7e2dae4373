"""The autoregressive generator: exact likelihoods by brute force and quadrature, conditions, early stopping."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from helpers.generator_cases import SMALL, mixed_schema, mixed_table, tiny_cells, tiny_table

from dge_ray.errors import InputError
from dge_ray.generators.autoregressive import marginals, training
from dge_ray.generators.autoregressive.generator import Autoregressive
from dge_ray.generators.checkpoint import read_pretrained
from dge_ray.table import TableSchema, infer_schema

TINY = tiny_table()
TINY_SCHEMA = infer_schema(TINY)


@pytest.fixture(scope="module")
def tiny() -> Autoregressive:
    return Autoregressive(epochs=6).fit(TINY, TINY_SCHEMA, seed=0)


@pytest.fixture(scope="module")
def mixed() -> tuple[Autoregressive, pa.Table, TableSchema]:
    table = mixed_table()
    schema = mixed_schema(table)
    return Autoregressive(**SMALL["autoregressive"]).fit(table, schema, seed=0), table, schema


def counts_by_cell(rows: pa.Table) -> np.ndarray:
    index = {tuple(row.values()): i for i, row in enumerate(tiny_cells().to_pylist())}
    return np.bincount([index[tuple(row.values())] for row in rows.to_pylist()], minlength=24)


def test_log_prob_sums_to_one_over_all_cells(tiny: Autoregressive) -> None:
    log_p = tiny.log_prob(tiny_cells())
    assert log_p.dtype == np.float64 and log_p.shape == (24,)
    assert abs(np.exp(log_p).sum() - 1) < 1e-5  # float32 logits


def test_sampled_frequencies_agree_with_log_prob(tiny: Autoregressive) -> None:
    """Chi-square over 24 cells of 50,000 rows: 23 expected, sd 6.8; bound at 5 sd. (No cell expects under 5 rows.)"""
    n = 50_000
    expected = n * np.exp(tiny.log_prob(tiny_cells()))
    assert expected.min() > 5
    observed = counts_by_cell(tiny.sample(n, seed=0))
    assert ((observed - expected) ** 2 / expected).sum() < 57


def test_fitted_law_is_close_to_the_tables(tiny: Autoregressive) -> None:
    """Total variation between the fitted law and the 3,000 rows' shares; sampling noise alone is about .03 here."""
    share = counts_by_cell(TINY) / TINY.num_rows
    assert np.abs(np.exp(tiny.log_prob(tiny_cells())) - share).sum() / 2 < 0.08


@pytest.mark.parametrize("leading", [1, 2])
def test_conditional_sampling_is_exact(tiny: Autoregressive, leading: int) -> None:
    """Against log_prob's own conditionals: chi-square over at most 12 cells, 11 + 5 sd (4.7) = 35."""
    n = 20_000
    row = tiny_cells().slice(5, 1).select(list("abc")[:leading])
    given = pa.concat_tables([row] * n)
    drawn = tiny.sample(n, seed=3, given=given)
    assert drawn.select(given.column_names).equals(given.combine_chunks())
    inside = np.array([all(c[k] == row[k][0].as_py() for k in row.column_names) for c in tiny_cells().to_pylist()])
    p = np.where(inside, np.exp(tiny.log_prob(tiny_cells())), 0)
    expected = n * p[inside] / p.sum()
    observed = counts_by_cell(drawn)
    assert observed[~inside].sum() == 0
    assert ((observed[inside] - expected) ** 2 / expected).sum() < 35


def test_all_columns_given_come_back(mixed: tuple[Autoregressive, pa.Table, TableSchema]) -> None:
    generator, table, _ = mixed
    assert generator.sample(50, seed=0, given=table.slice(0, 50)).equals(table.slice(0, 50).combine_chunks())


def test_leading_columns_of_every_kind_are_kept(mixed: tuple[Autoregressive, pa.Table, TableSchema]) -> None:
    generator, table, _ = mixed
    for leading in range(1, table.num_columns):
        given = table.slice(0, 30).select(table.column_names[:leading])
        rows = generator.sample(30, seed=0, given=given)
        assert rows.schema.equals(table.schema)
        assert rows.select(given.column_names).equals(given.combine_chunks())


def test_conditions_that_cannot_be_met_are_refused(tiny: Autoregressive) -> None:
    ten = TINY.slice(0, 10)
    with pytest.raises(InputError, match="10 rows"):
        tiny.sample(11, seed=0, given=ten.select(["a"]))
    with pytest.raises(InputError, match="'d'"):
        tiny.sample(10, seed=0, given=pa.table({"d": ["x"] * 10}))
    with pytest.raises(InputError, match="'a'"):
        tiny.sample(10, seed=0, given=pa.table({"a": ["purple"] * 10}))
    with pytest.raises(InputError, match=r"'a'.*nulls"):
        tiny.sample(10, seed=0, given=pa.table({"a": pa.array([None] * 10, pa.string())}))


def test_numeric_density_integrates_to_one() -> None:
    """p(label, x) summed over the label and integrated over x by the midpoint rule on 400,001 points.

    The density is constant on some 300 cells, so the rule errs only in the points next to their edges: under 300 x
    (step x density jump), about 1e-3. The atom at 0 and missing are added as the point masses they are.
    """
    rng = np.random.default_rng(0)
    n = 4_000
    label = rng.random(n) < 0.5
    x = rng.normal(size=n) + 2 * label
    x[:400] = 0.0
    table = pa.table({"x": pa.array(x, mask=rng.random(n) < 0.1), "label": np.where(label, "yes", "no")})
    schema = infer_schema(table, target="label")
    generator = Autoregressive(epochs=3, bins=32).fit(table, schema, seed=0)
    grid = np.linspace(x.min(), x.max(), 400_002)
    middles = (grid[1:] + grid[:-1]) / 2
    total = 0.0
    for value in ("yes", "no"):
        density = np.exp(generator.log_prob(pa.table({"x": middles, "label": [value] * len(middles)})))
        points = pa.table({"x": pa.array([0.0, None], pa.float64()), "label": [value] * 2})
        total += density.sum() * (grid[1] - grid[0]) + np.exp(generator.log_prob(points)).sum()
    assert abs(total - 1) < 2e-3


def test_log_prob_is_minus_infinity_outside_the_support(mixed: tuple[Autoregressive, pa.Table, TableSchema]) -> None:
    generator, table, _ = mixed
    assert np.isfinite(generator.log_prob(table)).all()
    one = table.slice(0, 1)
    for index, name, value in ((3, "price", 1e9), (8, "label", "perhaps")):
        changed = one.set_column(index, name, pa.array([value]))
        assert np.isneginf(generator.log_prob(changed)).all()


def test_own_samples_are_in_the_support(mixed: tuple[Autoregressive, pa.Table, TableSchema]) -> None:
    generator, _, _ = mixed
    assert np.isfinite(generator.log_prob(generator.sample(2_000, seed=0))).all()


def test_a_rare_class_is_drawn_as_often_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of 6 % that depends on four columns, after too few epochs. Settled, it is within 4 standard errors of the
    4,000 drawn rows (.015); the fit itself is off by more, and so are its columns on average."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (4, 1_500))
    rare = rng.random(1_500) < 1 / (1 + np.exp(9.5 - x.sum(0) * 0.6))
    columns = {name: column.astype(str) for name, column in zip("abcd", x, strict=True)}
    table = pa.table({**columns, "y": np.where(rare, "yes", "no")})

    def error(rows: pa.Table, name: str) -> float:
        values = {value.as_py() for value in table[name].unique()}
        found, real = ([t[name].to_pylist().count(value) / t.num_rows for value in values] for t in (rows, table))
        return float(np.abs(np.subtract(found, real)).max())

    errors = []
    for sweeps in (0, marginals.SWEEPS):
        monkeypatch.setattr(marginals, "SWEEPS", sweeps)
        generator = Autoregressive(epochs=2, hidden=16).fit(table, infer_schema(table, target="y"), seed=0)
        rows = generator.sample(4_000, seed=1)
        errors.append([error(rows, name) for name in table.column_names])
    before, after = np.array(errors)
    assert after[-1] < 0.015 < before[-1] and after.mean() < before.mean()


def test_early_stopping_keeps_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent noise, a wide network, no dropout: the held-out likelihood gets worse, and the fit must go back."""
    monkeypatch.setattr(marginals, "SWEEPS", 0)  # biases settled after the fit change the likelihood
    rng = np.random.default_rng(0)
    table = pa.table({name: rng.integers(0, 8, 300).astype(str) for name in "abcde"})
    stopping = pa.table({name: rng.integers(0, 8, 300).astype(str) for name in "abcde"})
    schema = infer_schema(table)
    heard: list[dict] = []
    generator = Autoregressive(dropout=0.0, hidden=128, epochs=60, patience=3, lr=1e-2, weight_decay=0.0)
    generator.fit(table, schema, seed=0, stopping=stopping, progress=heard.append)
    assert heard == generator.history
    assert len(heard) < 60
    heldout = [record["heldout"] for record in heard]
    assert len(heldout) - 1 - int(np.argmin(heldout)) == 3
    assert heldout[-1] > min(heldout)
    assert heard[-1]["train"] < heard[0]["train"]
    # the weights that are left have the best epoch's likelihood, to float32
    assert abs(-generator.log_prob(stopping).mean() - min(heldout)) < 1e-4
    for record in heard:
        assert set(record) == {"epoch", "epochs", "train", "heldout", "seconds"}


def test_a_stopping_slice_is_cut_from_the_table_when_none_is_given(tiny: Autoregressive) -> None:
    assert all(record["heldout"] > 0 for record in tiny.history)


def test_stopping_rows_with_unseen_categories_are_left_out() -> None:
    table = tiny_table(300)
    schema = infer_schema(pa.concat_tables([table, pa.table({"a": ["new"], "b": ["x"], "c": ["x"]})]))
    generator = Autoregressive(epochs=2).fit(table, schema, seed=0, stopping=tiny_table(50, seed=1))
    assert np.isfinite([record["heldout"] for record in generator.history]).all()


def test_initial_weights_differ_between_members() -> None:
    """One step at a rate too small to change a float32: what is saved is the start."""
    starts = []
    for seed in range(3):
        generator = Autoregressive(epochs=1, batch_size=200, lr=1e-8, weight_decay=0.0).fit(
            TINY.slice(0, 200), TINY_SCHEMA, seed=seed, stopping=TINY.slice(200, 100)
        )
        starts.append(generator._state()[1].network.weights["1.A"].clone().numpy())
    for i in range(3):
        for j in range(i):
            assert np.abs(starts[i] - starts[j]).max() > 0.05


def test_warm_start_begins_where_the_checkpoint_ended(tiny: Autoregressive, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    stopping = tiny_table(500, seed=7)
    cold = Autoregressive(epochs=1, lr=1e-6).fit(TINY, TINY_SCHEMA, seed=1, stopping=stopping)
    warm = Autoregressive(epochs=1, lr=1e-6).fit(TINY, TINY_SCHEMA, seed=1, stopping=stopping, warm_start=tmp_path)
    fitted = -tiny.log_prob(stopping).mean()
    assert abs(warm.history[-1]["heldout"] - fitted) < 0.01 < cold.history[-1]["heldout"] - fitted


def test_warm_start_refuses_what_does_not_fit(tiny: Autoregressive, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    other = tiny_table(300).drop_columns(["c"])
    with pytest.raises(InputError, match=r"columns a, b, c in .*takes one with the columns a, b$"):
        Autoregressive().fit(other, infer_schema(other), seed=0, warm_start=tmp_path)
    numbers = pa.table({"a": np.arange(300) % 7 / 2, "b": TINY["b"][:300], "c": TINY["c"][:300]})
    with pytest.raises(InputError, match="'a' as categorical"):
        Autoregressive().fit(numbers, infer_schema(numbers), seed=0, warm_start=tmp_path)
    with pytest.raises(InputError, match="hidden=64"):
        Autoregressive(hidden=32).fit(TINY, TINY_SCHEMA, seed=0, warm_start=tmp_path)
    with pytest.raises(InputError, match="checkpoint"):
        Autoregressive().fit(TINY, TINY_SCHEMA, seed=0, warm_start=tmp_path / "absent")


@pytest.mark.parametrize("device", ["cude", "tpu", ""])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(InputError, match=r"^device"):
        Autoregressive().fit(TINY, TINY_SCHEMA, seed=0, device=device)


def test_thousands_of_categories() -> None:
    """5,000 levels in one column, and the column after it depends on them."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 5_000, 6_000)
    table = pa.table({"level": [f"v{i}" for i in level], "parity": np.where(level % 2, "odd", "even")})
    schema = infer_schema(table, target="parity", overrides={"level": "categorical"})
    generator = Autoregressive(epochs=1, hidden=16).fit(table, schema, seed=0)
    rows = generator.sample(2_000, seed=0)
    assert len(set(rows["level"].to_pylist())) > 500


def test_where_the_table_has_its_target_does_not_matter() -> None:
    """The target first, in the middle and last: the same weights, so the same rows but for the columns' order."""
    drawn = []
    for names in ("cab", "acb", "abc"):
        table = TINY.drop_null().select(list(names))
        generator = Autoregressive(epochs=2, hidden=8).fit(table, infer_schema(table, target="c"), seed=0)
        assert generator.sample(5, seed=0).column_names == list(names)
        drawn.append(generator.sample(500, seed=0).select(list("abc")))
    assert drawn[0].equals(drawn[1]) and drawn[0].equals(drawn[2])


def test_the_target_stays_where_the_table_has_it_on_request(tmp_path: Path) -> None:
    table = TINY.drop_null().select(list("cab"))
    schema = infer_schema(table, target="c")
    in_place = Autoregressive(epochs=1, hidden=8, target="in_place").fit(table, schema, seed=0)
    assert list(in_place._state()[1].discretiser.columns) == list("cab")
    in_place.save(tmp_path)
    assert Autoregressive.load(tmp_path).sample(50, seed=0).equals(in_place.sample(50, seed=0))
    with pytest.raises(InputError, match=r"^warm_start: .*target=in_place"):
        Autoregressive(hidden=8).fit(table, schema, seed=0, warm_start=tmp_path)


def test_a_regression_on_many_rows_is_wider_and_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And starts fine-tuning on few rows at its own width."""
    table = TINY.drop_null().append_column("y", pa.array(np.arange(TINY.drop_null().num_rows) % 50 / 4))

    def fitted(rows: int, warm_start: Path | None = None) -> Autoregressive:
        generator = Autoregressive(budget_seconds=0.01)  # one epoch of those that are planned
        return generator.fit(table.slice(0, rows), infer_schema(table, target="y"), seed=0, warm_start=warm_start)

    assert training.size_for(15_001, "regression") == training.Size(128, 24)
    monkeypatch.setattr(training, "MANY_ROWS", 250)
    monkeypatch.setattr(training, "LARGE", training.Size(128, 200))  # more than the steps of so few rows ask for
    assert [training.size_for(*case).hidden for case in ((250, "regression"), (900, "binary"))] == [64, 64]
    fitted(400).save(tmp_path)
    wide = Autoregressive.load(tmp_path)
    assert wide._state()[1].network.hidden == 128 and wide.history[0]["epochs"] == 200
    assert fitted(200, warm_start=tmp_path)._state()[1].network.hidden == 128
    with pytest.raises(InputError, match=r"hidden=128 in .*takes hidden=64"):
        Autoregressive(hidden=64).fit(table, infer_schema(table, target="y"), seed=0, warm_start=tmp_path)


def test_a_checkpoint_of_an_older_format_is_refused(tiny: Autoregressive, tmp_path: Path) -> None:
    """In one line that says the way out, by whoever meets it: loading, fine-tuning, a study's request."""
    tiny.save(tmp_path)
    file = tmp_path / "generator.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    says = r"^checkpoint: got format 1 of autoregressive in .*; takes format 2: fit it anew, .*study=NAME.*$"
    with pytest.raises(InputError, match=says):
        Autoregressive.load(tmp_path)
    with pytest.raises(InputError, match=says):
        Autoregressive().fit(TINY, TINY_SCHEMA, seed=0, warm_start=tmp_path)
    with pytest.raises(InputError, match=says):
        read_pretrained(str(tmp_path), TINY_SCHEMA)


@pytest.mark.gpu
def test_cpu_and_gpu_agree(tiny: Autoregressive, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    tiny.save(tmp_path)
    gpu = Autoregressive.load(tmp_path, device="cuda")
    np.testing.assert_allclose(gpu.log_prob(tiny_cells()), tiny.log_prob(tiny_cells()), atol=1e-3)
    assert gpu.sample(1_000, seed=0).equals(gpu.sample(1_000, seed=0))
    trained = Autoregressive(epochs=2).fit(TINY, TINY_SCHEMA, seed=0, device="cuda")
    assert abs(np.exp(trained.log_prob(tiny_cells())).sum() - 1) < 1e-4


def test_fine_tuning_grows_categories_that_the_source_had_not(
    tiny: Autoregressive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where 'y' is 'w' and a new level 'v' takes part of 'z': shares within 4 sd of 4,000 draws, sqrt(.25 / 4000) * 4 =
    .032, and .03 more for what 1,000 rows teach; few rows suffice because the rest is known from the source."""
    tiny.save(tmp_path)
    table = tiny_table(1_000, seed=5)
    rng = np.random.default_rng(0)
    b = [{"y": "w", "z": "v" if rng.random() < 0.5 else "z"}.get(value, value) for value in table["b"].to_pylist()]
    table = table.set_column(1, "b", pa.array(b))
    tuned = Autoregressive().fit(table, infer_schema(table), seed=0, warm_start=tmp_path)
    assert "column 'b': 2 categories that the source had not: v, w" in caplog.text
    rows = tuned.sample(4_000, seed=1)
    for value in ("v", "w", "x", "z"):
        drawn, real = (np.mean([v == value for v in t["b"].to_pylist()]) for t in (rows, table))
        assert abs(drawn - real) < 0.062, value
    rates = {record["rate"] for record in tuned.history}
    assert len(rates) == 1  # of the rate that was best on held-out rows
    cold = Autoregressive().fit(table, infer_schema(table), seed=0)
    assert min(r["heldout"] for r in tuned.history) < min(r["heldout"] for r in cold.history) + 0.02


def test_a_frozen_body_stays_as_it_was(tiny: Autoregressive, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    tuned = Autoregressive(epochs=2, freeze="body").fit(TINY, TINY_SCHEMA, seed=1, warm_start=tmp_path)
    before, after = (generator._state()[1].network.weights for generator in (tiny, tuned))
    for name in before:
        same = np.array_equal(before[name].numpy(), after[name].numpy())
        assert same == (name.rpartition(".")[2] not in ("C", "c")), name


def test_fine_tuning_on_fewer_categories_keeps_what_was_learnt(tiny: Autoregressive, tmp_path: Path) -> None:
    """Without level 'z' of 'b', whose embedding was three wide for three levels: the two left keep all three."""
    tiny.save(tmp_path)
    table = TINY.filter(pc.not_equal(TINY["b"], "z"))
    schema = infer_schema(table)
    warm = Autoregressive(epochs=1, lr=1e-8, weight_decay=0.0).fit(table, schema, seed=0, warm_start=tmp_path)
    old, new = (generator._state()[1].network.weights for generator in (tiny, warm))
    assert np.allclose(new["1.embed"].numpy(), old["1.embed"][:2].numpy(), atol=1e-5)
    rows = table.slice(0, 200)
    with_z = tiny.log_prob(rows)  # has z's share to lose, no more: the law given "not z" is higher by it
    assert (warm.log_prob(rows) - with_z > -1e-3).all()
    warm.save(tmp_path / "warm")
    again = Autoregressive.load(tmp_path / "warm")
    assert np.array_equal(again.log_prob(rows), warm.log_prob(rows))


def test_fine_tuning_starts_from_the_new_rows_shares(tiny: Autoregressive, tmp_path: Path) -> None:
    """A fifth of the 'z' rows of 'b' stay: before a step is taken, 'b' is drawn as often as in the new rows.

    600 drawn rows: a share's standard error is below 0.02, 4 of which are allowed.
    """
    tiny.save(tmp_path)
    rare = np.arange(TINY.num_rows) % 5 == 0
    table = TINY.filter(pc.or_(pc.not_equal(TINY["b"], "z"), pa.array(rare)))
    warm = Autoregressive(epochs=1, lr=1e-8, weight_decay=0.0)
    warm.fit(table, infer_schema(table), seed=0, warm_start=tmp_path)

    def share(rows: pa.Table) -> float:
        return float(np.mean(np.array(rows["b"].to_pylist()) == "z"))

    assert abs(share(tiny.sample(600, seed=1)) - share(table)) > 0.08
    assert abs(share(warm.sample(600, seed=1)) - share(table)) < 0.08
