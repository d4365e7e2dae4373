"""The diffusion generator: schedules and posteriors by enumeration, samplers on known laws, conditions, resuming.

Oracles first. Small networks and hundreds of steps: what is learnt is checked with tolerances said at each test.
"""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.fit_cases import resumed_bit_for_bit
from helpers.generator_cases import mixed_schema, mixed_table, tiny_cells, tiny_table

from dge_ray.errors import InputError
from dge_ray.generators.diffusion.ddpm import Ddpm, cosine_betas, log_mix, log_posterior
from dge_ray.generators.diffusion.denoiser import ResidualMlp
from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.generator import Diffusion
from dge_ray.generators.diffusion.training import DenoisingFit
from dge_ray.generators.fitting.rounds import RoundsPlan, run_rounds
from dge_ray.table import TableSchema, infer_schema

EDM: dict[str, Any] = {"steps": 80, "width": 32, "layers": 1, "bins": 16}
TABDDPM: dict[str, Any] = {"formulation": "tabddpm", "steps": 80, "width": 32, "layers": 2, "timesteps": 10, "bins": 16}
TABLE = mixed_table()
SCHEMA = mixed_schema(TABLE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Oracles: schedule, posterior, beliefs


@pytest.mark.parametrize("timesteps", [1, 10, 100, 1000])
def test_cosine_schedule_has_its_closed_form(timesteps: int) -> None:
    beta = cosine_betas(timesteps)
    assert beta.shape == (timesteps,) and beta.max() <= 0.999
    t = torch.arange(1, timesteps, dtype=torch.float64) / timesteps

    def f(u: torch.Tensor) -> torch.Tensor:
        return torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    # Up to the last step, where beta is cut.
    expected = f(t) / f(torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(torch.cumprod(1 - beta, 0)[:-1], expected)


def test_multinomial_posterior_by_enumeration() -> None:
    """q(x_{t-1} | x_t, x_0) from the joint of the whole chain, all paths of 3 codes over 4 steps counted."""
    size, beta = 3, cosine_betas(4)
    step = [(1 - b) * torch.eye(size, dtype=torch.float64) + b / size for b in beta]
    kept = torch.cumprod(1 - beta, 0)
    for clean, t in itertools.product(range(size), range(1, 4)):
        joint = torch.zeros(size, size, dtype=torch.float64)  # x_{t-1}, x_t
        for path in itertools.product(range(size), repeat=t + 1):
            p, before = 1.0, clean
            for k, code in enumerate(path):
                p *= step[k][before, code]
                before = code
            joint[path[-2], path[-1]] += p
        marginal = log_mix(torch.log(torch.eye(size, dtype=torch.float64)[[clean]]), kept[t].view(1, 1)).exp()
        torch.testing.assert_close(marginal[0], joint.sum(0))
        for seen in range(size):
            one_hot = torch.eye(size, dtype=torch.float64).clamp_min(1e-30).log()
            found = log_posterior(one_hot[[clean]], one_hot[[seen]], kept[t - 1].view(1, 1), 1 - beta[t].view(1, 1))
            torch.testing.assert_close(found.exp()[0], joint[:, seen] / joint[:, seen].sum())


@pytest.mark.parametrize("size", [3, 100])
def test_without_other_columns_beliefs_are_exact(size: int) -> None:
    """A network of zeros leaves Bayes' rule on a column's own noisy value: by quadrature and by densities."""
    shares = np.arange(1, size + 1) / np.arange(1, size + 1).sum()
    process = Edm(1, [size], shares, width=8, layers=1, sampling_steps=4, device="cpu")
    sigma = torch.tensor([[0.7]])
    x, z = torch.tensor([[0.4]]), torch.randn(1, process.widths[0], generator=generator())
    corrections, logits = process._predict(process.flat, x, z, sigma, sigma.expand(1, 2))
    assert not corrections.any()
    distance = ((z - process.vectors[0]) ** 2).sum(1)
    density = torch.from_numpy(shares).float() * torch.exp(-(distance - distance.min()) / (2 * 0.7**2))
    torch.testing.assert_close(torch.softmax(logits[0], 1)[0], density / density.sum(), atol=1e-6, rtol=1e-4)


def test_a_network_of_zeros_samples_independent_normals_and_shares() -> None:
    """Then the law is known: scores are standard normal, codes have their shares, all independent.

    20,000 rows: standard errors .007 of a mean, .005 of a deviation, .0035 of a share; 4 of them, and 4 % less
    deviation, which ten steps and ending at a noise of .1 cost.
    """
    shares = np.array([0.5, 0.3, 0.2, 0.9, 0.1])
    process = Edm(2, [3, 2], shares, width=8, layers=1, sampling_steps=10, device="cpu")
    scores, codes = process.sample(20_000, generator())
    assert scores.mean(0).abs().max() < 0.03
    assert (scores.std(0) - 1).abs().max() < 0.06
    assert abs(np.corrcoef(scores.numpy().T)[0, 1]) < 0.03
    for j, expected in enumerate((shares[:3], shares[3:])):
        found = np.bincount(codes[:, j].numpy(), minlength=len(expected)) / 20_000
        assert np.abs(found - expected).max() < 0.015


def test_network_has_no_effect_before_training_and_is_deterministic() -> None:
    network = ResidualMlp(5, 3, width=16, layers=2, device="cpu")
    network.initialise(generator())
    assert not network(network.flat, torch.randn(7, 5)).any()
    first = network.flat.clone()
    network.initialise(generator())
    assert torch.equal(first, network.flat)


# Samplers on laws that are known: a mixture of two normals with a code


def mixture(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Code 1 with .3: around (1, 1.2), else around (-.43, -.51) (means 0), deviations .5, correlation -.5 within."""
    rng = np.random.default_rng(seed)
    code = (rng.random(n) < 0.3).astype(np.int64)
    centre = np.where(code[:, None] == 1, [[1.0, 1.2]], [[-0.3 / 0.7, -0.36 / 0.7]])
    noise = rng.multivariate_normal([0, 0], [[0.25, -0.125], [-0.125, 0.25]], n)
    return torch.from_numpy((centre + noise).astype(np.float32)), torch.from_numpy(code[:, None])


def fit_process(process: Edm | Ddpm, rows: tuple[torch.Tensor, torch.Tensor], steps: int, lr: float = 5e-3) -> None:
    process.network.initialise(generator(1))

    def begin(share: float) -> DenoisingFit:
        return DenoisingFit(
            process,
            rows,
            None,
            steps=steps,
            batch_size=512,
            lr=lr * share,
            rate=lambda step, steps: 1 - step / steps,
            weight_decay=0.0,
            ema=True,
            seed=0,
        )

    run_rounds(begin, RoundsPlan(40, 40), identity="")


def assert_is_mixture(scores: torch.Tensor, codes: torch.Tensor, tolerance: float) -> None:
    x, code = scores.numpy(), codes[:, 0].numpy()
    assert abs((code == 1).mean() - 0.3) < tolerance
    assert np.abs(x[code == 1].mean(0) - [1.0, 1.2]).max() < tolerance * 1.5
    assert np.abs(x[code == 0].mean(0) - [-0.3 / 0.7, -0.36 / 0.7]).max() < tolerance * 1.5
    for k in (0, 1):
        assert np.abs(x[code == k].std(0) - 0.5).max() < tolerance * 1.5
        assert abs(np.corrcoef(x[code == k].T)[0, 1] + 0.5) < tolerance * 3


@pytest.fixture(scope="module")
def learnt_mixture() -> Edm:
    process = Edm(2, [2], np.array([0.7, 0.3]), width=48, layers=2, sampling_steps=12, device="cpu")
    fit_process(process, mixture(8_000), 800)
    return process


def test_edm_learns_a_mixture(learnt_mixture: Edm) -> None:
    """10,000 rows: sampling errors are under .01; the tolerance is what 800 steps of a small network leave."""
    assert_is_mixture(*learnt_mixture.sample(10_000, generator(2)), tolerance=0.04)


def test_edm_conditions_on_scores_as_bayes_has_it(learnt_mixture: Edm) -> None:
    """Given a first score, the code's probability and the second score's mean in closed form."""
    for value in (-0.6, 0.3, 1.2):
        n = 8_000
        scores, codes = torch.zeros(n, 2), torch.zeros(n, 1, dtype=torch.int64)
        scores[:, 0] = value
        known = torch.tensor([True, False, False])
        x, code = learnt_mixture.sample(n, generator(3), known, scores, codes)
        assert (x[:, 0] == value).all()
        centres, shares = np.array([[-0.3 / 0.7, -0.36 / 0.7], [1.0, 1.2]]), np.array([0.7, 0.3])
        weight = shares * np.exp(-((value - centres[:, 0]) ** 2) / 0.5)
        p = weight[1] / weight.sum()
        means = centres[:, 1] - 0.5 * (value - centres[:, 0])
        assert abs(float(code.float().mean()) - p) < 0.06
        assert abs(float(x[:, 1].mean()) - (weight * means).sum() / weight.sum()) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize("target", [None, 0])
def test_tabddpm_learns_a_mixture(target: int | None) -> None:
    """Whether the code is diffused or drawn first. Over four starts and seeds 2,000 steps leave at most .026."""
    process = Ddpm(2, [2], np.array([0.7, 0.3]), target=target, timesteps=50, widths=[64, 64], device="cpu")
    fit_process(process, mixture(8_000), 2_000)
    assert_is_mixture(*process.sample(10_000, generator(2)), tolerance=0.05)


@pytest.mark.slow
def test_edm_learns_the_law_of_a_small_table() -> None:
    """Total variation between 20,000 drawn rows and 3,000 fitted ones over 24 cells; sampling noise is about .03."""
    table = tiny_table()
    rows = Diffusion(width=64, steps=1_000).fit(table, infer_schema(table), seed=0).sample(20_000, seed=0)
    index = {tuple(row.values()): i for i, row in enumerate(tiny_cells().to_pylist())}

    def shares(drawn: pa.Table) -> np.ndarray:
        found = [index[tuple(row.values())] for row in drawn.to_pylist()]
        return np.bincount(found, minlength=24) / drawn.num_rows

    assert np.abs(shares(rows) - shares(table)).sum() / 2 < 0.06


# The generator


@pytest.mark.parametrize("settings", [EDM, TABDDPM], ids=["edm", "tabddpm"])
def test_any_columns_given_come_back(settings: dict[str, Any]) -> None:
    fitted = Diffusion(**settings).fit(TABLE, SCHEMA, seed=0)
    for names in (["label"], ["income", "day"], ["colour", "age", "unit", "key"], TABLE.column_names):
        given = TABLE.slice(0, 40).select(names)
        rows = fitted.sample(40, seed=0, given=given)
        assert rows.schema.equals(TABLE.schema)
        assert rows.select(names).equals(given.combine_chunks())
        assert rows.equals(fitted.sample(40, seed=0, given=given))


def test_nulls_are_given_where_the_schema_has_them() -> None:
    fitted = Diffusion(**EDM).fit(TABLE, SCHEMA, seed=0)
    given = pa.table({"income": pa.array([None] * 5, pa.float64()), "colour": pa.array([None] * 5, pa.string())})
    rows = fitted.sample(5, seed=0, given=given)
    assert rows["income"].null_count == rows["colour"].null_count == 5
    with pytest.raises(InputError, match=r"'age'.*nulls"):
        fitted.sample(5, seed=0, given=pa.table({"age": pa.array([None] * 5, pa.int16())}))


@pytest.mark.parametrize("settings", [EDM, TABDDPM], ids=["edm", "tabddpm"])
def test_a_cut_off_fit_is_resumed_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Cut in the middle of a pass over the rows: a round is 2 steps of 128 of 360 rows."""

    def fit(**options: Any) -> Diffusion:
        return Diffusion(**settings | {"batch_size": 128}).fit(TABLE, SCHEMA, seed=1, **options)

    whole, resumed, _ = resumed_bit_for_bit(fit, tmp_path, cut=4)
    assert [r["heldout"] for r in whole.history] == [r["heldout"] for r in resumed.history]


def test_early_stopping_leaves_the_best_average() -> None:
    """Noise fitted by a wide network for long: the held-out loss gets worse, and the fit must go back."""
    rng = np.random.default_rng(0)
    noise = {name: rng.integers(0, 6, 60).astype(str) for name in "abcd"}
    table, stopping = pa.table(noise).slice(0, 30), pa.table(noise).slice(30)
    schema: TableSchema = infer_schema(pa.table(noise))
    fitted = Diffusion(steps=2_000, width=128, patience=3, lr=1e-2).fit(table, schema, seed=0, stopping=stopping)
    heldout = [record["heldout"] for record in fitted.history]
    assert len(heldout) < 40
    assert len(heldout) - 1 - int(np.argmin(heldout)) == 3


def test_members_start_and_end_apart() -> None:
    flats = [Diffusion(**EDM).fit(TABLE, SCHEMA, seed=seed)._state()[1].process.flat for seed in range(2)]
    assert (flats[0] - flats[1]).abs().max() > 0.1


def test_warm_start_begins_where_the_checkpoint_ended(tmp_path: Path) -> None:
    settings = EDM | {"steps": 400, "lr": 1e-2}
    Diffusion(**settings).fit(TABLE, SCHEMA, seed=0).save(tmp_path)
    short = EDM | {"steps": 1, "lr": 1e-7}
    stopping = mixed_table(300, seed=0)
    warm = Diffusion(**short).fit(TABLE, SCHEMA, seed=1, warm_start=tmp_path, stopping=stopping)
    cold = Diffusion(**short).fit(TABLE, SCHEMA, seed=1, stopping=stopping)
    assert warm.history[0]["heldout"] < cold.history[0]["heldout"]
    model = warm._state()[1]
    source = Diffusion.load(tmp_path)._state()[1]
    assert (model.process.flat - source.process.flat).abs().max() < 1e-5
    assert np.array_equal(model.shares, source.shares)


def test_warm_start_refuses_what_does_not_fit(tmp_path: Path) -> None:
    Diffusion(**EDM).fit(TABLE, SCHEMA, seed=0).save(tmp_path)
    other = TABLE.drop_columns(["age"])
    with pytest.raises(InputError, match="another schema"):
        Diffusion(**EDM).fit(other, mixed_schema(other), seed=0, warm_start=tmp_path)
    for changed, message in (({"width": 16}, "width=32"), (TABDDPM, "formulation=edm")):
        with pytest.raises(InputError, match=message):
            Diffusion(**(EDM | changed)).fit(TABLE, SCHEMA, seed=0, warm_start=tmp_path)


@pytest.mark.parametrize("settings", [EDM, TABDDPM], ids=["edm", "tabddpm"])
@pytest.mark.parametrize("names", [["income", "price"], ["colour", "label"], ["label"], ["price"]])
def test_tables_of_one_kind_of_columns(settings: dict[str, Any], names: list[str]) -> None:
    part = TABLE.select(names)
    target = "label" if "label" in names else None
    schema = TableSchema(tuple(SCHEMA[name] for name in names), target, SCHEMA.task if target else None)
    rows = Diffusion(**settings).fit(part, schema, seed=0).sample(200, seed=0)
    assert rows.schema.equals(part.schema)


def test_thousands_of_categories() -> None:
    """2,000 levels, as random directions: rows are drawn over most of them."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2_000, 4_000)
    table = pa.table({"level": [f"v{i}" for i in level], "half": np.where(level < 1_000, "low", "high")})
    schema = infer_schema(table, target="half", overrides={"level": "categorical"})
    rows = Diffusion(**EDM).fit(table, schema, seed=0).sample(4_000, seed=0)
    assert len(set(rows["level"].to_pylist())) > 1_000
