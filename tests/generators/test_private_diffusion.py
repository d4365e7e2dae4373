"""Private fits of the diffusion: clipped sums against a gradient a row, bounds on any row, and what a fit may read."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.fit_cases import resumed_bit_for_bit
from helpers.generator_cases import mixed_schema, mixed_table, tiny_cells, tiny_table
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from dge_ray.errors import InputError
from dge_ray.generators.base import Unsupported
from dge_ray.generators.diffusion import generator as diffusion
from dge_ray.generators.diffusion.denoiser import ResidualMlp
from dge_ray.generators.diffusion.edm import LOG_SIGMA_MEAN, LOG_SIGMA_SD, Edm, Seeded
from dge_ray.generators.diffusion.generator import Diffusion
from dge_ray.generators.diffusion.layer_clipping import add_clipped
from dge_ray.generators.diffusion.private import ClippedDenoising
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals
from dge_ray.generators.private.streams import Use
from dge_ray.generators.registry import abilities
from dge_ray.table import check_table, infer_schema

SMALL: dict[str, Any] = {"width": 16, "layers": 1, "bins": 16, "draws": 1}
TABLE = mixed_table()
SCHEMA = mixed_schema(TABLE)  # public here: nothing is being protected
PRIVATE = PrivateFit(1.0, 1.0, 0.2, 40, 5.0, key=2**200 + 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def process(layers: int = 2) -> Edm:
    """Random weights everywhere, the head too; float32, as the oracle's."""
    shares = np.concatenate([np.full(3, 1 / 3), np.full(70, 1 / 70)])
    made = Edm(2, [3, 70], shares, width=16, layers=layers, sampling_steps=4, device="cpu")
    made.network.type = torch.float32
    made.flat.copy_(0.3 * torch.randn(made.flat.shape, generator=generator()))
    return made


def some_rows(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    codes = [torch.randint(size, (n, 1), generator=generator(size)) for size in (3, 70)]
    return torch.randn(n, 2, generator=generator(1)), torch.cat(codes, 1)


def parts_of(network: ResidualMlp) -> tuple[torch.Tensor, list[torch.Tensor]]:
    flat = torch.zeros_like(network.flat)
    return flat, list(network.views(flat).values())


# Oracles


@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("clip", [1e-3, 18.0, 1e6])  # all rows are cut, some are, none is
def test_the_sum_is_that_of_a_gradient_a_row(draws: int, layers: int, clip: float) -> None:
    """torch.func's gradients of each row's own loss. Rows are cut by up to draws * SLACK / 2 too much."""
    edm, n = process(layers), 9
    scores, codes = (part.repeat_interleave(draws, 0) for part in some_rows(n))
    noise = edm.independent_noise(n, Seeded(generator(3)), draws=draws)
    inputs, total = edm.task(scores, codes, noise)
    out, seen = edm.network.traced(edm.flat, inputs)
    found, parts = parts_of(edm.network)
    add_clipped(parts, seen, total(out), clip, draws=draws)

    def loss(flat: torch.Tensor, *row: torch.Tensor) -> torch.Tensor:
        return edm.loss(flat, row[0], row[1], row[2:])

    by_row = [part.view(n, draws, -1) for part in (scores, codes, *noise)]
    gradients = torch.func.vmap(torch.func.grad(loss), (None, *[0] * len(by_row)))(edm.flat, *by_row)
    norms = gradients.norm(dim=1)
    assert 0 < (norms > 18).sum() < n and norms.max() < 1e6  # and some are 0: all columns known
    expected = (gradients * (clip / norms).clamp(max=1)[:, None]).sum(0)
    assert float((found - expected).norm()) < 3e-5 * draws * float(expected.norm())


def test_traced_is_the_network() -> None:
    network = process().network
    inputs = torch.randn(5, network.shapes["in.A"][1], generator=generator())
    out, seen = network.traced(network.flat, inputs)
    assert torch.equal(out, network(network.flat, inputs))
    matrices = [shape for shape in network.shapes.values() if len(shape) == 2]
    assert [(layer.outputs.shape[1], layer.inputs.shape[1]) for layer in seen] == matrices


def test_the_sum_does_not_depend_on_blocks_and_rows_may_be_none() -> None:
    """Blocks of another size, as of a GPU, are sums in another order: float32 rounding."""
    rows, private = torch.arange(0, 40, 3), PRIVATE
    clipped = ClippedDenoising(process(), *some_rows(40), private, draws=2)
    whole = clipped(rows, 5).clone()
    again = clipped(rows, 5).clone()
    assert torch.equal(whole, again) and whole.abs().max() > 0.01
    assert not torch.equal(whole, clipped(rows, 6))
    clipped.block = 64  # the draws of a step are made block by block, so only a block that holds all is the same
    torch.testing.assert_close(clipped(rows, 5), whole)
    assert not clipped(rows[:0], 5).any()


# Properties


def numbers(most: float) -> st.SearchStrategy[float]:
    return st.floats(-most, most, width=32) | st.sampled_from([math.inf, -math.inf, math.nan, 3e38, 1e-38, 0.0])


@settings(max_examples=60, deadline=None)
@given(
    inputs=st.lists(st.lists(numbers(2.0**20), min_size=3, max_size=3), min_size=2, max_size=5),
    target=numbers(2.0**66),
    clip=st.floats(1e-6, 1e6),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
    draws=st.sampled_from([1, 2]),
)
def test_no_row_adds_more_than_the_clip(
    inputs: list[list[float]], target: float, clip: float, scale: float, kind: torch.dtype, draws: int
) -> None:
    """Each row alone, and as the difference of sums with and without it; rows of any size, infinite or no numbers.

    Tolerances: 1e-5 of rounding in the added-up gradient itself, and of each sum of n rows.
    """
    network = ResidualMlp(3, 2, width=8, layers=1, device="cpu")
    network.type = kind
    network.flat.copy_(scale * torch.randn(network.flat.shape, generator=generator()))
    rows = torch.tensor(inputs).repeat_interleave(draws, 0)
    rows[::draws] += 1  # draws differ

    def clipped(kept: torch.Tensor) -> torch.Tensor:
        out, seen = network.traced(network.flat, rows[kept])
        found, parts = parts_of(network)
        add_clipped(parts, seen, ((out - target) ** 2).sum(), clip, draws=draws)
        return found

    n = len(inputs)
    owner = torch.arange(n).repeat_interleave(draws)
    whole = clipped(owner >= 0)
    assert whole.isfinite().all()
    for i in range(n):
        assert float(clipped(owner == i).double().norm()) <= clip * (1 + 1e-5)
        assert float((whole - clipped(owner != i)).double().norm()) <= clip * (1 + 1e-5 * n)


def test_rows_are_noised_independently() -> None:
    """Levels of the usual fit fill n strata, one each; of a private fit they are plain draws, by row's place."""
    n = 400
    edm = process()

    def strata(noise: tuple[torch.Tensor, ...]) -> np.ndarray:
        log_sigma = noise[0][:, 0].log().numpy()
        return norm.cdf((log_sigma - LOG_SIGMA_MEAN) / LOG_SIGMA_SD)  # clipped at the ends

    stratified = strata(edm.noise(n, generator()))
    independent = strata(edm.independent_noise(n, PRIVATE.stream(Use.DENOISING, 0)))
    inside = (stratified > 0.2) & (stratified < 0.8)
    assert (np.bincount((n * stratified[inside]).astype(int), minlength=n)[90:310] <= 2).all()
    occupied = len(np.unique((n * independent).astype(int)[(independent > 0.2) & (independent < 0.8)]))
    assert abs(occupied - 240 * (1 - math.exp(-1))) < 40  # boxes hit by as many balls
    u = independent[(independent > 0.2) & (independent < 0.8)]
    assert kstest((u - 0.2) / 0.6, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(independent[1:], independent[:-1])[0, 1]) < 4 / math.sqrt(n)


# The generator


def fit(private: PrivateFit = PRIVATE, table: pa.Table = TABLE, seed: int = 0, **options: Any) -> Diffusion:
    changed = {key: options.pop(key) for key in list(options) if key not in ("keeper", "progress", "stopping")}
    return Diffusion(**(SMALL | changed)).fit(table, SCHEMA, seed=seed, private=private, **options)


def files(fitted: Diffusion, path: Path) -> tuple[bytes, dict[str, Any]]:
    fitted.save(path)
    plain = json.loads((path / "generator.json").read_text())
    for record in plain["extra"]["history"]:
        del record["seconds"]
    return (path / "weights.safetensors").read_bytes(), plain


def test_it_is_a_generator_like_any_other(tmp_path: Path) -> None:
    """The conformance suite's promises, of a private fit: schema, seeds, files, log, conditions, target law."""
    assert abilities("diffusion").private is not None
    records: list[dict[str, Any]] = []
    fitted = fit(progress=records.append)
    rows = fitted.sample(300, seed=1)
    assert rows.schema.equals(TABLE.schema) and check_table(rows, SCHEMA) == []
    fitted.save(tmp_path)
    loaded = Diffusion.load(tmp_path)
    assert loaded.sample(300, seed=1).equals(rows) and not loaded.sample(300, seed=2).equals(rows)
    assert loaded.history == fitted.history == records
    assert [record["epoch"] for record in records] == list(range(1, 21))
    assert all(record["train"] is None and record["heldout"] is None for record in records)  # no loss is told
    given = TABLE.slice(0, 20).select(["income", "label"])
    assert loaded.sample(20, seed=0, given=given).select(given.column_names).equals(given.combine_chunks())
    law = loaded.target_law(TABLE.slice(0, 5), points=8)
    assert law is not None and np.allclose(law[1].sum(1), 1)


def test_key_and_member_make_the_fit_and_nothing_else_does(tmp_path: Path) -> None:
    first = files(fit(), tmp_path / "a")
    assert files(fit(), tmp_path / "b") == first
    other_key = PrivateFit(1.0, 1.0, 0.2, 40, 5.0, key=7)
    assert files(fit(other_key), tmp_path / "c")[0] != first[0]
    member = fit(PrivateFit(1.0, 1.0, 0.2, 40, 5.0, key=PRIVATE.key, member=1))
    model, theirs = member._state()[1], fit()._state()[1]
    assert np.array_equal(model.shares, theirs.shares)  # one histogram for all members
    assert (model.process.flat - theirs.process.flat).abs().max() > 0.01
    assert str(PRIVATE.key) not in (tmp_path / "a" / "generator.json").read_text()


def test_rows_are_read_by_the_two_mechanisms_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same noisy histogram and no row in any step, two tables give the same files, byte for byte."""
    marginals = noisy_marginals(SCHEMA.modelled, diffusion.TableCodec(SCHEMA).encode(TABLE), TABLE.num_rows, PRIVATE)
    empty = PrivateFit(1.0, 1.0, 1e-15, 40, 5.0, key=3)

    def found(name: str, table: pa.Table) -> tuple[bytes, dict[str, Any]]:
        return files(fit(empty, table), tmp_path / name)

    other = TABLE.take(pa.array([7] * TABLE.num_rows))
    assert found("a", TABLE)[0] != found("b", other)[0]
    monkeypatch.setattr(diffusion, "noisy_marginals", lambda *_: marginals)
    assert found("c", TABLE) == found("d", other)


def test_stopping_rows_are_fitted_on(tmp_path: Path) -> None:
    whole = files(fit(), tmp_path / "a")
    parts = files(fit(table=TABLE.slice(0, 300), stopping=TABLE.slice(300)), tmp_path / "b")
    assert parts[0] == whole[0]


def test_a_cut_off_fit_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole, resumed, epochs = resumed_bit_for_bit(partial(fit, draws=2), tmp_path, cut=7)
    assert files(resumed, tmp_path / "resumed") == files(whole, tmp_path / "whole")
    assert epochs[0] == 7  # the sixth round's state was kept last


def test_a_usual_fit_may_start_from_a_private_one(tmp_path: Path) -> None:
    settings = {"bins": 16, "width": 16, "draws": 1}
    Diffusion(**settings).fit(TABLE, SCHEMA, seed=0, private=PRIVATE).save(tmp_path)
    warm = Diffusion(**settings, steps=2, lr=1e-8).fit(TABLE, SCHEMA, seed=0, warm_start=tmp_path)
    before = Diffusion.load(tmp_path)._state()[1].process.flat
    assert (warm._state()[1].process.flat - before).abs().max() < 1e-6


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"generator\.formulation: got 'tabddpm' in a private fit.*'edm'"):
        fit(formulation="tabddpm")
    with pytest.raises(InputError, match=r"generator\.formulation: got 'tabddpm'"):
        private_settings("diffusion", {"formulation": "tabddpm"})
    fit().save(tmp_path)
    with pytest.raises(InputError, match="warm_start"):
        Diffusion(**SMALL).fit(TABLE, SCHEMA, seed=0, private=PRIVATE, warm_start=tmp_path)


def test_a_study_fits_it_with_settings_of_its_own() -> None:
    """A setting that is given stands; steps and rows a step too."""
    assert private_settings("diffusion", {"width": 9})["width"] == 9
    settings = private_settings("diffusion", {"steps": 3, "batch_size": 100})
    assert private_steps("diffusion", settings, 400) == (1.0, 0.25, 3)
    assert private_steps("diffusion", private_settings("diffusion", {}), 1_000)[1] == 1.0  # few rows: all, each step
    assert Diffusion(**settings).settings.width == 128


@pytest.mark.parametrize("names", [["income", "price"], ["colour", "label"]])
def test_tables_of_one_kind_of_columns(names: list[str]) -> None:
    part = TABLE.select(names)
    fitted = Diffusion(**SMALL).fit(part, infer_schema(part), seed=0, private=PRIVATE)
    assert fitted.sample(50, seed=0).schema.equals(part.schema)


def test_a_quantity_that_is_mostly_one_value_is_coded() -> None:
    """As in a usual fit, though its tokens are bins here; its law as a target is of the bins' parts."""
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(2_000) < 0.8, 0, rng.integers(1, 100_000, 2_000))
    part = pa.table({"gain": gain, "rank": rng.integers(0, 9, 2_000)})
    private = PrivateFit(1.0, 1.0, 0.1, 5, 0.1, key=1)
    fitted = Diffusion(**SMALL).fit(part, infer_schema(part, target="gain"), seed=0, private=private)
    encoder = fitted._state()[1].encoder
    assert encoder.coded == ["gain"] and encoder.measured == ["rank"]
    drawn = fitted.sample(4_000, seed=0)["gain"].to_numpy()
    # Of 4,000 rows: 4 standard errors, .025; half of those above 0 lie above 50,000.
    assert abs((drawn == 0).mean() - 0.8) < 0.04 and abs((drawn > 50_000).mean() - 0.1) < 0.03
    law = fitted.target_law(part.slice(0, 3), points=4)
    assert law is not None and law[0].shape[1] == law[1].shape[1]
    mean = (law[0] * law[1]).sum(1)
    assert np.allclose(law[1].sum(1), 1) and (np.abs(mean - 10_000) < 2_000).all()


def test_without_noise_the_law_of_a_small_table_is_learnt() -> None:
    """Total variation over 24 cells of 20,000 drawn rows: sampling is about .03, independent columns are .43 away."""
    table = tiny_table()
    private = PrivateFit(1e4, 0.0, 0.2, 150, 0.0, key=1)  # nothing is cut
    fitted = Diffusion(width=64, draws=1, lr=1e-2).fit(table, infer_schema(table), seed=0, private=private)
    index = {tuple(row.values()): i for i, row in enumerate(tiny_cells().to_pylist())}

    def shares(rows: pa.Table) -> np.ndarray:
        return np.bincount([index[tuple(row.values())] for row in rows.to_pylist()], minlength=24) / rows.num_rows

    assert np.abs(shares(fitted.sample(20_000, seed=0)) - shares(table)).sum() / 2 < 0.08
