"""Fitting the GAN: Wasserstein loss with gradient penalty, training by sampling, an average of the maker's weights."""

import math
from collections.abc import Callable

import numpy as np
import torch

from dge_ray.generators.encoding.calibration import code_shares
from dge_ray.generators.fitting.adam import FusedAdam
from dge_ray.generators.fitting.flat_weights import FlatWeights
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.precision import compute_type
from dge_ray.generators.gan.condition_vectors import RowFinder
from dge_ray.generators.gan.model import GanModel
from dge_ray.generators.gan.networks import Critic

MAKER_WEIGHTS, CRITIC_WEIGHTS, STEPS, MOMENTS = 0, 1, 2, 3  # the streams of a fit: indices at Purpose.FIT
ROUND_STEPS = 100
TEMPERATURE = 0.2  # of the Gumbel-softmax whose gradients are taken
BETAS = (0.5, 0.999)


class GanFit:
    """The two networks fitted to rows, a round being `ROUND_STEPS` steps.

    The networks multiply in `compute_type`; weights, batch norm, norms and losses are float32, and so are the rows of a
    finished fit: measured columns would have few values else.

    `real(round)` gives scores (n, q) and codes (n, c), whose ties fall anew each round. What counts is the moving
    average of the maker's weights. Losses are the critic's, penalty included.
    """

    def __init__(
        self,
        model: GanModel,
        real: Callable[[int], tuple[np.ndarray, np.ndarray]],
        *,
        rate: float,
        round_steps: int,
        seed: int,
    ) -> None:
        self.model, self.real, self.settings, self.round_steps, self.seed = (
            model,
            real,
            model.settings,
            round_steps,
            seed,
        )
        self.maker, self.device = model.weights, model.law.device
        self.type = compute_type(self.device)
        settings, pac = model.settings, model.settings.pac
        self.batch = math.ceil(settings.batch_size / pac) * pac
        self.critic = Critic(model.scores + model.blocks.width + model.law.width, settings.hidden, settings.layers, pac)
        self.judge = FlatWeights(self.critic.shapes, str(self.device))
        self.judge.initialise(stream(seed, CRITIC_WEIGHTS))
        self.random = stream(seed, STEPS, self.device)
        self.lr = self.rate = settings.lr * rate
        self.optimizers = [
            FusedAdam(side.flat, betas=BETAS, weight_decay=settings.weight_decay, decoupled=False)
            for side in (self.maker, self.judge)
        ]
        self.average, self.best = self.maker.flat.clone(), self.maker.flat.clone()
        codes = real(0)[1]
        self.finder = RowFinder(model.law, codes[:, : len(model.law.sizes)])
        self.shares = code_shares(codes, model.blocks.sizes)
        self.step = 0

    def run(self, done: int, rounds: int) -> float:
        scores, codes = self.real(done)
        rows = torch.from_numpy(scores).to(self.device), torch.from_numpy(codes).to(self.device)
        loss = torch.zeros((), device=self.device)
        span = max(1.0, self.settings.average * rounds * self.round_steps)
        for _ in range(self.round_steps):
            if self.settings.schedule == "cosine":
                share = (1 + math.cos(math.pi * self.step / (rounds * self.round_steps))) / 2
                self.rate = self.lr * share
            for _ in range(self.settings.critic_steps):
                loss += self._critic_step(*rows)
            self._maker_step()
            self.step += 1
            self.average.lerp_(self.maker.flat, max(1 / self.step, 1 / span))
        return float(loss) / (self.round_steps * self.settings.critic_steps)

    def _critic_step(self, scores: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        s, n = self.settings, self.batch
        places = self.model.law.draw(n, s.frequencies, self.random)
        at = self.finder.draw(places, self.random)
        condition = self.model.law.vectors(places).to(self.type)
        coded = self.model.blocks.one_hot(codes.index_select(0, at))
        real = torch.cat([scores.index_select(0, at).to(self.type), coded.to(self.type), condition], 1)
        with torch.no_grad():
            fake = torch.cat([self._fake(places)[0], condition], 1)
        share = torch.rand(n // s.pac, 1, generator=self.random, device=self.device).repeat_interleave(s.pac, 0)
        between = real.lerp(fake, share.to(self.type))
        masks = self.critic.masks(2 * n, s.dropout, self.random, self.type)
        w, packs = self.judge.cast(self.type), n // s.pac
        values = self.critic(w, torch.cat([real, fake]), masks)
        loss = values[packs:].mean() - values[:packs].mean()
        loss = loss + s.penalty * self.critic.penalty(w, between, None if masks is None else masks[:, :packs])
        self._descend(self.judge, self.optimizers[1], loss)
        return loss.detach()

    def _maker_step(self) -> None:
        places = self.model.law.draw(self.batch, self.settings.frequencies, self.random)
        fake, logits = self._fake(places)
        seen = torch.cat([fake, self.model.law.vectors(places).to(self.type)], 1)
        w = {name: leaf.detach() for name, leaf in self.judge.cast(self.type).items()}
        masks = self.critic.masks(self.batch, self.settings.dropout, self.random, self.type)
        loss = -self.critic(w, seen, masks).mean()
        if self.model.law.width:
            loss = loss - self.model.blocks.log_softmax(logits).gather(1, places[:, None]).mean()
        self._descend(self.maker, self.optimizers[0], loss)

    def _fake(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Made rows as the critic sees them (n, q + width), and the logits (n, width) of their categories."""
        model, hard = self.model, self.settings.made == "one_hot"
        scores, logits = model.outputs(self.maker.cast(self.type), places, self.random)
        soft = model.blocks.relaxed(logits, TEMPERATURE, self.random, hard=hard)
        return torch.cat([scores, soft], 1).to(self.type), logits

    def _descend(self, side: FlatWeights, optimizer: FusedAdam, loss: torch.Tensor) -> None:
        side.gradient.zero_()
        loss.backward()
        if self.settings.clip is not None:
            side.clip(self.settings.clip)
        optimizer.step(self.rate)

    def score(self) -> float | None:
        return None

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        self.maker.flat.grad = None
        self.maker.flat.copy_(self.best)
        self.model.settle(self.shares, stream(self.seed, MOMENTS, self.device))

    def state(self) -> dict[str, torch.Tensor]:
        sides = (("maker", self.maker, self.optimizers[0]), ("critic", self.judge, self.optimizers[1]))
        state = {"average": self.average, "best": self.best, "random": self.random.get_state()}
        for name, side, optimizer in sides:
            state |= {name: side.flat, **dict(optimizer.state(name))}
        return state | {"step": torch.tensor(self.step)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        sides = (("maker", self.maker, self.optimizers[0]), ("critic", self.judge, self.optimizers[1]))
        for name, side, optimizer in sides:
            side.flat.copy_(state[name])
            optimizer.restore(name, state)
        self.average.copy_(state["average"])
        self.best.copy_(state["best"])
        self.random.set_state(state["random"])
        self.step = int(state["step"])
