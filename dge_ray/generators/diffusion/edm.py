"""The default diffusion: every column in Gaussian noise of one level, cleaned by a network that predicts clean columns.

Measured columns enter as normal scores, coded ones as unit vectors (one-hot, or random directions where there are many
codes), all with added noise sigma * N(0, 1). What a column's own noisy value says of its clean one is exact and needs
no learning: for scores the normal posterior, for codes Bayes' rule on their shares. The network sees these beliefs
(expected waves of scores, probabilities of codes), and adds to them what the other columns say: a correction of the
posterior mean with EDM's scaling (Karras et al. 2022, table 1, sigma_data = 1), and log odds.

Half of the training rows have some columns free of noise. The network so learns every conditional law, and columns
that are given are held at their values: no inpainting, whose rows follow what is given too weakly.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from dge_ray.generators.diffusion.denoiser import ResidualMlp, time_features
from dge_ray.generators.diffusion.process import Held, Process
from dge_ray.generators.encoding.code_vectors import MOST_ONE_HOT, code_vectors
from dge_ray.generators.encoding.ranks import FARTHEST

SIGMA_MIN, SIGMA_MAX = 0.1, 6.0
LOG_SIGMA_MEAN, LOG_SIGMA_SD = -0.5, 1.4  # of training noise: most of a row is decided around sigma = .5
KNOWN_SIGMA = 1e-3  # the noise that columns without noise are said to have
CONDITIONED = 0.5
WAVES, HIGHEST = 8, 12.0  # frequencies of a score's features, from .5 to the highest, in radians a unit
TIME_WAVES = 32
BLOCK_ROWS = (
    4_096  # of a CPU; a GPU takes 16 times as many. More fall out of the caches, fewer cost calls (8,192: 7 % slower)
)


class Random(Protocol):
    """Where the noise of a loss is drawn from, on the CPU and in float32: uniform in [0, 1), and standard normal."""

    def uniform(self, *shape: int) -> torch.Tensor: ...

    def normal(self, *shape: int) -> torch.Tensor: ...


@dataclass(frozen=True)
class Seeded:
    """From torch's generator: that of every fit but a private one."""

    generator: torch.Generator

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)


class Edm(Process):
    """Noise, loss and sampling for q measured columns and c coded ones of `sizes` codes.

    `shares`: shares of all codes in the training rows (sum of sizes,), none of them 0. Scores are (n, q) float32,
    codes (n, c) int64; `level` holds each column's noise, (n or 1, q) and (n or 1, c).
    """

    network: ResidualMlp

    def __init__(
        self,
        measured: int,
        sizes: list[int],
        shares: np.ndarray,
        *,
        width: int,
        layers: int,
        sampling_steps: int,
        device: str,
    ) -> None:
        self.q, self.sizes, self.steps = measured, sizes, sampling_steps
        self.shares = torch.from_numpy(shares).float().to(device).split(sizes) if sizes else ()
        self.widths = [min(size, MOST_ONE_HOT) for size in sizes]
        self.vectors = [code_vectors(size, j).to(device) for j, size in enumerate(sizes)]  # (size, width) each
        owner = [j for j, width in enumerate(self.widths) for _ in range(width)]
        self.owner = torch.tensor(owner, dtype=torch.int64, device=device)  # each dimension's coded column
        self.frequency = torch.exp(torch.linspace(math.log(0.5), math.log(HIGHEST), WAVES)).to(device)
        inputs = measured * (2 + 2 * WAVES) + sum(self.widths) + TIME_WAVES
        self.network = ResidualMlp(inputs, measured + sum(sizes), width=width, layers=layers, device=device)

    def noise(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """What a loss of n rows draws, on the CPU: sigma (n, 1), which columns are known (n, q + c), every column's
        level (n, q + c), and the noise of scores (n, q) and of codes' vectors (n, sum of widths)."""
        # One draw in each n-th of the noise levels: rows are in random order, and the loss varies less.
        random = Seeded(generator)
        return self._noise_at((torch.arange(n) + random.uniform(n)) / n, random)

    def independent_noise(self, n: int, random: Random, *, draws: int = 1) -> tuple[torch.Tensor, ...]:
        """`noise` of n rows, `draws` times each, those of a row together: (n * draws, ...) in place of (n, ...).

        Drawn without regard to other rows, so that what one row does to a sum is its own affair. A row's own draws are
        one in each part of the noise levels: its mean loss varies less.
        """
        u = (torch.arange(draws) + random.uniform(n, draws)) / draws
        return self._noise_at(u.flatten(), random)

    def _noise_at(self, u: torch.Tensor, random: Random) -> tuple[torch.Tensor, ...]:
        """The noise at quantiles u (n,) of its levels."""
        n = len(u)
        log_sigma = LOG_SIGMA_MEAN + LOG_SIGMA_SD * torch.special.ndtri(u)
        sigma = log_sigma.exp().clamp(SIGMA_MIN, SIGMA_MAX)[:, None]
        conditioned = random.uniform(n, 1) < CONDITIONED
        share = torch.where(conditioned, random.uniform(n, 1), 0.0)
        known = random.uniform(n, self.q + len(self.sizes)) < share
        level = torch.where(known, KNOWN_SIGMA, sigma)
        of_scores = random.normal(n, self.q)
        return sigma, known, level, of_scores, random.normal(n, sum(self.widths))

    def loss(
        self, flat: torch.Tensor, scores: torch.Tensor, codes: torch.Tensor, noise: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Mean over rows of squared errors of scores (in EDM's scaling) and nats of codes, of columns with noise."""
        inputs, total = self.task(scores, codes, noise)
        return total(self.network(flat, inputs)) / len(scores)

    def task(
        self, scores: torch.Tensor, codes: torch.Tensor, noise: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        """What the network is shown of n noisy rows (n, inputs), and the sum of the rows' losses as a function of what
        it makes of that (n, outputs)."""
        sigma, known, level, of_scores, of_vectors = noise
        x = scores + level[:, : self.q] * of_scores
        z = self._clean_vectors(codes)
        z += self._spread(level[:, self.q :]) * of_vectors
        inputs, evidence = self._beliefs(x, z, sigma, level)
        spread = level[:, : self.q]
        wanted = (scores - x / (1 + spread**2)) * torch.sqrt(1 + spread**2) / spread

        def total(out: torch.Tensor) -> torch.Tensor:
            corrections, logits = self._parts(out, evidence)
            losses = ((corrections - wanted) ** 2 * ~known[:, : self.q]).sum()
            for j, part in enumerate(logits):
                nats = cross_entropy(part, codes[:, j], reduction="none")
                losses = losses + (nats * ~known[:, self.q + j]).sum()
            return losses

        return inputs, total

    @property
    def block_rows(self) -> int:
        return BLOCK_ROWS if self.network.device.type == "cpu" else 16 * BLOCK_ROWS

    @torch.no_grad()
    def quantile_scores(self, column: int, scores: torch.Tensor, codes: torch.Tensor, points: int) -> torch.Tensor:
        """A measured column's quantiles given all others, at the middles of `points` equal parts, (n, points).

        In one unknown the flow's ODE keeps the order of where it starts, so the quantiles of the noise end as those of
        the column. What is given of the column itself does not count.
        """
        known = torch.ones(self.q + len(self.sizes), dtype=torch.bool, device=scores.device)
        known[column] = False
        start = torch.special.ndtri((torch.arange(points, device=scores.device) + 0.5) / points)
        quantiles, block = [], max(1, BLOCK_ROWS // points)
        for at in range(0, len(scores), block):
            x, z = (part[at : at + block].repeat_interleave(points, 0) for part in (scores, codes))
            still = x.new_zeros(len(x), self.q), x.new_zeros(len(x), sum(self.widths))
            noise = still[0].clone()
            noise[:, column] = start.repeat(len(noise) // points)
            draws = iter([*still, noise, still[1]])
            expected, _ = self._solve(len(noise), lambda _, draws=draws: next(draws), (known, x, z))
            quantiles.append(expected[:, column].view(-1, points))
        return torch.cat(quantiles)

    @torch.no_grad()
    def code_law(self, column: int, scores: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The probabilities (n, size) of a coded column's codes given all others: what is expected at the most noise.

        `column`: its place among the coded ones. What is given of the column itself does not count.
        """
        z = self._clean_vectors(codes)
        z[:, self.owner == column] = self.shares[column] @ self.vectors[column]
        level = z.new_full((1, self.q + len(self.sizes)), KNOWN_SIGMA)
        level[0, self.q + column] = SIGMA_MAX
        at = z.new_full((1, 1), SIGMA_MAX)
        return torch.softmax(self._predict(self.flat, scores, z, at, level)[1][column].double(), 1)

    def _sample_block(self, n: int, generator: torch.Generator, held: Held | None) -> tuple[torch.Tensor, torch.Tensor]:
        """DPM-Solver++(2M), Lu et al. 2022, algorithm 2: the probability flow's ODE with one prediction a step, noise
        levels as in EDM with rho = 4. At the last level scores are their expectations, and codes are drawn.
        """
        device = self.network.device
        scores, logits = self._solve(n, lambda width: torch.randn(n, width, generator=generator, device=device), held)
        drawn = [_draw(part, torch.rand(n, 1, generator=generator, device=device)) for part in logits]
        sampled = torch.stack(drawn, 1) if drawn else torch.empty(n, 0, dtype=torch.int64, device=device)
        if held is not None:
            known, _, codes = held
            sampled = torch.where(known[self.q :], codes, sampled)
        return scores, sampled

    def _solve(
        self,
        n: int,
        normal: Callable[[int], torch.Tensor],
        held: Held | None,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Scores (n, q) at the flow's end, and there the coded columns' log odds (n, size) each.

        `normal(width)`: standard normal numbers (n, width).
        """
        device = self.network.device
        sigmas = torch.linspace(SIGMA_MAX**0.25, SIGMA_MIN**0.25, self.steps).tolist()
        sigmas = [root**4 for root in sigmas]

        x = normal(self.q) * math.sqrt(1 + SIGMA_MAX**2)
        means = [share @ vectors for share, vectors in zip(self.shares, self.vectors, strict=True)]
        z = SIGMA_MAX * normal(sum(self.widths)) + torch.cat([*means, x.new_empty(0)])
        known = torch.zeros(self.q + len(self.sizes), dtype=torch.bool, device=device)
        if held is not None:
            known, clean, codes = held
            clean_z, known_z = self._clean_vectors(codes), self._spread(known[None, self.q :])

        def predict(sigma: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
            """Expected clean scores (n, q), and a coded column's log odds (n, size) each."""
            level = torch.where(known, KNOWN_SIGMA, sigma)[None]
            at = torch.full((1, 1), sigma, device=device)
            corrections, logits = self._predict(self.flat, x, z, at, level)
            return x / (1 + sigma**2) + corrections * (sigma / math.sqrt(1 + sigma**2)), logits

        def expected_vectors(logits: list[torch.Tensor]) -> torch.Tensor:
            parts = [torch.softmax(part, 1) @ vectors for part, vectors in zip(logits, self.vectors, strict=True)]
            return torch.cat([*parts, x.new_empty(n, 0)], 1)

        if held is not None:  # begin around what is expected of the rest given these columns
            x, z = torch.where(known[: self.q], clean, x), torch.where(known_z, clean_z, z)
            centre, logits = predict(SIGMA_MAX)
            x, z = SIGMA_MAX * normal(self.q) + centre, SIGMA_MAX * normal(z.shape[1]) + expected_vectors(logits)
        previous: tuple[torch.Tensor, torch.Tensor] | None = None
        for k, sigma in enumerate(sigmas):
            if held is not None:
                x, z = torch.where(known[: self.q], clean, x), torch.where(known_z, clean_z, z)
            expected_x, logits = predict(sigma)
            if k == len(sigmas) - 1:
                break
            expected_z = expected_vectors(logits)
            ahead_x, ahead_z = expected_x, expected_z
            if previous is not None:
                ratio = math.log(sigmas[k] / sigmas[k + 1]) / math.log(sigmas[k - 1] / sigmas[k]) / 2
                ahead_x = expected_x + ratio * (expected_x - previous[0])
                ahead_z = expected_z + ratio * (expected_z - previous[1])
            previous = expected_x, expected_z
            shrink = sigmas[k + 1] / sigma
            x, z = torch.lerp(ahead_x, x, shrink), torch.lerp(ahead_z, z, shrink)
        expected_x = expected_x.clamp(-FARTHEST, FARTHEST)
        if held is not None:
            expected_x = torch.where(known[: self.q], clean, expected_x)
        return expected_x, logits

    def _predict(
        self, flat: torch.Tensor, x: torch.Tensor, z: torch.Tensor, sigma: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Corrections (n, q) of scores, and a coded column's log odds (n, size) each, all columns considered."""
        inputs, evidence = self._beliefs(x, z, sigma, level)
        return self._parts(self.network(flat, inputs), evidence)

    @torch.no_grad()
    def _beliefs(
        self, x: torch.Tensor, z: torch.Tensor, sigma: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The network's inputs (n, inputs), and what coded columns' own noisy vectors say: log odds (n, size) each."""
        noise = level[:, : self.q]
        mean, variance = x / (1 + noise**2), noise**2 / (1 + noise**2)
        phase = mean[:, :, None] * self.frequency
        fade = torch.exp(variance[:, :, None] * self.frequency**2 / -2)
        parts = [
            mean,
            variance.expand(len(x), -1),
            (phase.cos() * fade).flatten(1),
            (phase.sin() * fade).flatten(1),
        ]
        evidence = []
        for j, part in enumerate(z.split(self.widths, 1) if self.widths else ()):
            vectors, share = self.vectors[j], self.shares[j]
            own = part if len(vectors) == vectors.shape[1] else part @ vectors.T
            evidence.append(own / level[:, self.q + j, None] ** 2 + share.log())
            belief = torch.softmax(evidence[-1], 1) - share
            parts.append(belief if len(vectors) == vectors.shape[1] else belief @ vectors)
        time = time_features(20 * sigma[:, 0].log(), TIME_WAVES, 100.0)
        return torch.cat([*parts, time.expand(len(x), -1)], 1), evidence

    def _parts(self, out: torch.Tensor, evidence: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The network's corrections of scores, and its log odds with the evidence's."""
        logits = out[:, self.q :].split(self.sizes, 1) if self.sizes else ()
        return out[:, : self.q], [part + own for part, own in zip(logits, evidence, strict=True)]

    def _clean_vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, sum of widths) of codes (n, c)."""
        parts = [vectors[codes[:, j]] for j, vectors in enumerate(self.vectors)]
        return torch.cat([*parts, torch.empty(len(codes), 0, device=codes.device)], 1)

    def _spread(self, columns: torch.Tensor) -> torch.Tensor:
        """Values by coded column (n, c) as values by dimension (n, sum of widths)."""
        return columns.index_select(1, self.owner)


def _draw(logits: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Codes (n,) of log odds (n, size), by uniform numbers (n, 1)."""
    below = torch.softmax(logits, 1).cumsum(1)
    return (u * below[:, -1:] >= below).sum(1).clamp_(max=logits.shape[1] - 1)
