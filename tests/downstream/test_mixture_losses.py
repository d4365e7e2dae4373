"""What synthetic rows count, and the beta-divergence loss: against closed forms, quadrature, finite differences, the
log loss in the limit, rows' own gradients, and on a contaminated sample."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from dge_ray.downstream import check_learner, load_learner, make_learner
from dge_ray.downstream.mixture import Mixture
from dge_ray.downstream.mlp_losses import SMALLEST_LOG_SCALE, beta_losses, log_losses
from dge_ray.downstream.mlp_parts import Block
from dge_ray.downstream.torch_mlp import MLPSettings, TorchMLP
from dge_ray.errors import InputError
from dge_ray.table import TableCodec, infer_schema

ZERO = torch.zeros(1, dtype=torch.float64)


def _scores(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    scores = torch.randn((6, classes), generator=generator, dtype=torch.float64) * 2
    if classes == 1:
        return scores, torch.randn(6, generator=generator, dtype=torch.float64)
    return scores, torch.randint(classes, (6,), generator=generator)


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_the_loss_is_the_formula(beta: float) -> None:
    scores, target = _scores(4)
    p = scores.softmax(1)
    own = p[torch.arange(6), target]
    want = (p ** (beta + 1)).sum(1) / (beta + 1) - own**beta / beta + 1 / beta - 1
    torch.testing.assert_close(beta_losses(scores, target, ZERO, beta), want)
    scores, target = _scores(1)
    for s in (0.3, 1.0, 2.5):
        integral, _ = quad(lambda y, s=s: norm.pdf(y, 0, s) ** (beta + 1), -40, 40, points=[0], epsabs=1e-12)
        f = norm.pdf(target.numpy(), scores[:, 0].numpy(), s)
        want = integral / (beta + 1) - f**beta / beta + 1 / beta - 1
        np.testing.assert_allclose(beta_losses(scores, target, ZERO + np.log(s), beta).numpy(), want, rtol=1e-7)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_towards_beta_0_it_is_the_log_loss_and_so_is_its_gradient(classes: int) -> None:
    scores, target = _scores(classes)
    scores.requires_grad_(True)
    scale = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    log_f = norm.logpdf(target, scores[:, 0].detach(), np.exp(0.4)) if classes == 1 else None
    exact = beta_losses(scores, target, scale, 0.0)
    want = -torch.tensor(log_f) if log_f is not None else log_losses(scores, target)
    torch.testing.assert_close(exact, want)
    near = beta_losses(scores, target, scale, 1e-7)
    torch.testing.assert_close(near, exact, rtol=1e-5, atol=1e-6)  # apart by about beta (log f)^2 / 2
    wanted = (scores, scale) if classes == 1 else (scores,)
    for got, limit in zip(*(torch.autograd.grad(loss.sum(), wanted) for loss in (near, exact)), strict=True):
        torch.testing.assert_close(got, limit, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
def test_gradients_are_those_of_finite_differences(classes: int) -> None:
    scores, target = _scores(classes)
    scale = torch.tensor([-0.3], dtype=torch.float64, requires_grad=True)
    scores.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, s: beta_losses(x, target, s, 0.5), (scores, scale))


def test_impossible_rows_pull_ever_less_and_no_fit_is_infinitely_sure() -> None:
    at = torch.tensor([[0.5], [3.0], [8.0]], dtype=torch.float64, requires_grad=True)
    (pull,) = torch.autograd.grad(beta_losses(at, torch.zeros(3, dtype=torch.float64), ZERO, 0.5).sum(), at)
    assert pull[0] > pull[1] > 1e3 * pull[2] > 0  # (z - mu) f(z)^beta; the squared error's would grow
    exact, low = torch.zeros((1, 1), dtype=torch.float64), torch.tensor([-50.0], dtype=torch.float64)
    sure = beta_losses(exact, torch.zeros(1, dtype=torch.float64), low, 0.5)
    torch.testing.assert_close(sure, beta_losses(exact, exact[:, 0], ZERO + SMALLEST_LOG_SCALE, 0.5))


def _table(n: int, task: str, seed: int = 0) -> tuple[pa.Table, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).round(3)
    y = x @ [1.5, -1.0] + 0.3 * rng.normal(size=n)
    target = pa.array(y) if task == "regression" else pa.array(np.where(y > 0, "yes", "no"))
    table = pa.table({"a": x[:, 0], "b": x[:, 1], "y": target})
    return table, infer_schema(table, target="y")


SMALL: dict[str, Any] = {"hidden": (16,), "min_steps": 60, "min_epochs": 1, "dropout": 0.0}


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("loss", ["log", "beta_divergence"])
def test_a_rows_weight_multiplies_its_gradient(task: str, loss: str) -> None:
    """Of a minibatch of real and synthetic rows, against the rows' own gradients by autograd."""
    table, schema = _table(12, task)
    columns = TableCodec(schema).encode(table)
    learner = TorchMLP(schema, MLPSettings(**SMALL, loss=loss), seed=1).fit(columns, Mixture(4, 0.5))
    assert learner.weights is not None and learner.weights.shape == (learner.size,)
    [rows] = learner._encoded(lambda spans: iter([columns]), [Block(range(12), range(12))])
    flat = torch.cat([learner.weights, torch.tensor([0.2])])
    got = learner._gradient(flat.clone(), rows, [torch.ones(12, 16)], 12)

    def one(i: int) -> torch.Tensor:
        leaf = flat.clone().requires_grad_(True)
        row = rows.take(torch.tensor([i]))
        scores = learner._scores(leaf[:-1], row.features, None)
        if loss == "log":
            value = log_losses(scores, row.target)
        else:
            value = beta_losses(scores, row.target, leaf[-1:], 0.0 if i < 4 else 0.5)
        weight = 1.0 if i < 4 else 0.5 * 4 / 8
        return torch.autograd.grad(weight * value.sum() / 12, leaf, materialize_grads=True)[0]

    torch.testing.assert_close(got, sum((one(i) for i in range(12)), torch.zeros_like(flat)), rtol=1e-4, atol=1e-6)


def test_weight_0_and_weight_1_of_equal_numbers_are_fits_without_weights() -> None:
    table, schema = _table(60, "binary")
    columns = TableCodec(schema).encode(table)
    plain = TorchMLP(schema, MLPSettings(**SMALL), seed=2).fit(columns)
    same = TorchMLP(schema, MLPSettings(**SMALL), seed=2).fit(columns, Mixture(30, 1.0))
    np.testing.assert_array_equal(plain.predict(columns), same.predict(columns))
    apart = TorchMLP(schema, MLPSettings(**SMALL), seed=2).fit(columns, Mixture(30, 0.1))
    assert np.abs(plain.predict(columns) - apart.predict(columns)).max() > 1e-3


def test_it_withstands_a_share_of_rows_that_a_generator_got_wrong() -> None:
    """A fifth of the rows with a target far off: the squared error follows them, the beta loss does not."""
    table, schema = _table(1500, "regression")
    columns = TableCodec(schema).encode(table)
    test = TableCodec(schema).encode(_table(1000, "regression", seed=1)[0])
    wrong = {name: values.copy() for name, values in columns.items()}
    wrong["y"][::5] += 15
    error = {}
    for loss in ("log", "beta_divergence"):
        settings = MLPSettings(**{**SMALL, "min_steps": 300}, loss=loss)
        p = TorchMLP(schema, settings, seed=3).fit(wrong).predict(test)
        error[loss] = np.mean((p[:, 0] - test["y"]) ** 2)
    assert error["log"] > 4  # a fifth of 15 is a bias of 3, squared 9
    assert error["beta_divergence"] < 1  # not there yet after 300 steps: the noise alone is .09


def test_settings_and_learners_without_weights_are_refused_by_name() -> None:
    for setting, value in (("loss", "huber"), ("beta", 0), ("beta", "much")):
        with pytest.raises(InputError, match=f"learner.{setting}"):
            MLPSettings.read({setting: value})
    check_learner("torch_mlp", {"loss": "beta_divergence", "beta": 0.3}, "binary", weighted=True)
    check_learner("boosting", {}, "regression", weighted=True)
    with pytest.raises(InputError, match=r"^weights: got learner=knn, which takes no weights"):
        check_learner("knn", {}, "binary", weighted=True)


def test_a_learner_of_this_loss_comes_back_from_its_files(tmp_path: Any) -> None:
    table, schema = _table(60, "regression")
    columns = TableCodec(schema).encode(table)
    settings = {**SMALL, "hidden": [16], "loss": "beta_divergence"}
    learner: Any = make_learner("torch_mlp", settings, schema, seed=4)
    learner.fit(columns).save(tmp_path)
    np.testing.assert_array_equal(load_learner(tmp_path, schema).predict(columns), learner.predict(columns))
