"""The torch MLP, checked against scikit-learn's on the same rows, and against itself: the number of workers and the cut
of the stream change nothing."""

import threading
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from helpers.learner_cases import rows_of, sample, schema
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, make_friedman1
from sklearn.metrics import log_loss, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dge_ray.downstream import StreamingLearner, make_learner
from dge_ray.downstream.base import RowsOf
from dge_ray.downstream.mixture import Mixture
from dge_ray.downstream.mlp_parts import blocks, cut
from dge_ray.downstream.torch_mlp import MLPSettings
from dge_ray.errors import StudyError
from dge_ray.table.codec import Columns
from dge_ray.table.features import feature_matrix
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema


def test_torch_mlp_is_about_as_good_as_scikit_learns_on_breast_cancer() -> None:
    data = load_breast_cancer()
    columns = {f"x{j}": data.data[:, j].astype(np.float64) for j in range(30)} | {"y": data.target.astype(np.int32)}
    measured = [Column(f"x{j}", Kind.NUMERIC, "double", minimum=0.0, maximum=5e3) for j in range(30)]
    table = TableSchema((*measured, Column("y", Kind.CATEGORICAL, "int64", categories=(0, 1))), "y", "binary")
    order = np.random.default_rng(0).permutation(569)
    train, test = (rows_of(columns, part) for part in (order[:400], order[400:]))
    got = log_loss(test["y"], make_learner("torch_mlp", {}, table, seed=0).fit(train).predict(test))
    other = make_pipeline(StandardScaler(), MLPClassifier(max_iter=300, random_state=0))
    x, xt = feature_matrix(train, table)[0], feature_matrix(test, table)[0]
    # One split of 169 rows: a loss of 0.1 has a standard error of about 0.04; chance is 0.66.
    assert got < log_loss(test["y"], other.fit(x, train["y"]).predict_proba(xt)) + 0.1


def test_torch_mlp_is_about_as_good_as_scikit_learns_on_a_regression() -> None:
    x, y = make_friedman1(1500, noise=1.0, random_state=0)
    columns = {f"x{j}": x[:, j] for j in range(10)} | {"y": 100 * y}
    measured = [Column(f"x{j}", Kind.NUMERIC, "double", minimum=0.0, maximum=1.0) for j in range(10)]
    table = TableSchema((*measured, Column("y", Kind.NUMERIC, "double", minimum=0.0, maximum=3e3)), "y", "regression")
    train, test = rows_of(columns, np.arange(1000)), rows_of(columns, np.arange(1000, 1500))
    got = r2_score(test["y"], make_learner("torch_mlp", {}, table, seed=0).fit(train).predict(test)[:, 0])
    network = TransformedTargetRegressor(MLPRegressor(max_iter=300, random_state=0), transformer=StandardScaler())
    other = make_pipeline(StandardScaler(), network).fit(x[:1000], y[:1000])
    # 500 rows: R2 of about 0.9 has a standard error of about 0.01.
    assert got > r2_score(y[1000:], other.predict(x[1000:])) - 0.04


class Workers:
    """W threads that sum their gradients as an all-reduce does: in rank order, the same bits for all."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world)
        self.slots: list[torch.Tensor] = [torch.empty(0)] * world

    def average(self, rank: int, gradients: list[torch.Tensor]) -> None:
        for gradient in gradients:
            self.slots[rank] = gradient.clone()
            self.barrier.wait(60)
            total = torch.stack(self.slots).sum(dim=0)
            self.barrier.wait(60)
            gradient.copy_(total)


def in_pieces(columns: Columns, length: int) -> RowsOf:
    def read(ranges: Sequence[range]) -> Iterator[Columns]:
        rows = np.concatenate([np.asarray(span, np.intp) for span in ranges])
        for start in range(0, len(rows), length):
            yield {name: values[rows[start : start + length]] for name, values in columns.items()}

    return read


def fit_by(
    world: int, table: TableSchema, columns: Columns, length: int, batch: int = 37, mixture: Mixture | None = None
) -> list[np.ndarray]:
    """Each worker's predictions after a fit by `world` workers on a stream of pieces of `length` rows."""
    n = len(columns["y"])
    workers, results = Workers(world), [np.empty(0)] * world

    def work(rank: int) -> None:
        learner = make_learner("torch_mlp", {"min_steps": 60, "batch_size": batch}, table, seed=4)
        assert isinstance(learner, StreamingLearner)
        average = partial(workers.average, rank)
        learner.fit_stream(in_pieces(columns, length), n, average=average, part=(rank, world), mixture=mixture)
        results[rank] = learner.predict(columns)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(("task", "mixture"), [("multiclass", None), ("regression", Mixture(150, 0.3))])
def test_workers_fit_what_one_fits(task: str, mixture: Mixture | None) -> None:
    table = schema(task, classes=3)
    columns = sample(table, 410)
    (alone,) = fit_by(1, table, columns, 410, mixture=mixture)
    scale = np.ptp(columns["y"]) if task == "regression" else 1.0
    for world in (2, 3):
        together = fit_by(world, table, columns, 100, mixture=mixture)
        for one in together:
            np.testing.assert_array_equal(one, together[0])
            # 60 steps of float32 sums in another order
            np.testing.assert_allclose(one / scale, alone / scale, atol=1e-4)
        np.testing.assert_array_equal(fit_by(world, table, columns, 410, mixture=mixture)[0], together[0])


@pytest.mark.parametrize("length", [1, 64, 1000])
def test_the_cut_of_the_stream_changes_no_bit(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dge_ray.downstream.torch_mlp.BLOCK_ROWS", 128)  # several blocks
    table = schema()
    columns = sample(table, 300)
    (got,) = fit_by(1, table, columns, length)
    want = make_learner("torch_mlp", {"min_steps": 60, "batch_size": 37}, table, seed=4).fit(columns).predict(columns)
    np.testing.assert_array_equal(got, want)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 12), st.data())
def test_blocks_are_the_stream_in_order(sizes: list[int], size: int, data: st.DataObject) -> None:
    values = np.arange(sum(sizes), dtype=np.float64)
    pieces = [{"x": part} for part in np.split(values, np.cumsum(sizes)[:-1])]
    wanted = blocks(data.draw(st.integers(0, len(values))), size, 0, 1)
    got = [block["x"].tolist() for block in cut(pieces, [len(block.rows) for block in wanted])]
    assert got == [list(block.rows) for block in wanted]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 5))
def test_workers_parts_are_disjoint_and_all_of_it(rows: int, size: int, world: int) -> None:
    parts = [blocks(rows, size, rank, world) for rank in range(world)]
    for together in zip(*parts, strict=True):
        assert [i for block in together for i in block.own] == list(together[0].rows)
    assert [i for block in parts[0] for i in block.rows] == list(range(rows))


def test_several_blocks_by_workers_some_without_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block has one row for three workers, minibatches have two."""
    monkeypatch.setattr("dge_ray.downstream.torch_mlp.BLOCK_ROWS", 50)
    table = schema(classes=3)
    columns = sample(table, 301)
    (alone,) = fit_by(1, table, columns, 301, batch=2)
    for one in fit_by(3, table, columns, 40, batch=2):
        np.testing.assert_allclose(one, alone, atol=1e-3)  # 151 steps a pass of float32 sums in another order


def test_a_stream_that_ends_early_is_an_error() -> None:
    table = schema()
    learner = make_learner("torch_mlp", {}, table, seed=0)
    assert isinstance(learner, StreamingLearner)
    with pytest.raises(StudyError, match="ended after 300 of 301 rows"):
        learner.fit_stream(lambda _: iter([sample(table)]), 301)


def test_small_volumes_get_as_many_steps() -> None:
    chosen = MLPSettings()
    for rows in (50, 400, 3000, 30_000, 1_000_000):
        steps = chosen.passes(rows) * -(-rows // chosen.batch(rows))
        assert steps >= chosen.min_steps
        assert chosen.passes(rows) >= chosen.min_epochs
    assert MLPSettings(epochs=2).passes(50) == 2
