"""The diffusion that TabDDPM published: Gaussian on normal scores, multinomial on codes, ancestral sampling.

A coded target is not diffused: its codes are drawn by their shares, and the network is told them. Sources: Kotelnikov
et al. 2023, TabDDPM; Hoogeboom et al. 2021, argmax flows and multinomial diffusion, for codes; Nichol & Dhariwal 2021
for the cosine schedule.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from dge_ray.generators.diffusion.denoiser import TIME_FEATURES, PublishedMlp, time_features
from dge_ray.generators.diffusion.process import Held, Process
from dge_ray.generators.encoding.ranks import FARTHEST

LARGEST_BETA = 0.999
LOG_ZERO = math.log(1e-30)
LONGEST = 10_000.0  # the time features' longest period, over 2 pi
BLOCK_ROWS = 16_384


def cosine_betas(timesteps: int) -> torch.Tensor:
    """beta (T,) float64, so that the product of (1 - beta) up to t goes as cos^2((t / T + .008) / 1.008 * pi / 2)."""
    kept = torch.cos((torch.arange(timesteps + 1, dtype=torch.float64) / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=LARGEST_BETA)


def log_mix(log_p: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """log(kept * p + (1 - kept) / size), for log p (n, size) and shares kept (n or 1, 1)."""
    even = torch.log((1 - kept).clamp_min(1e-30) / log_p.shape[1])
    return torch.logaddexp(log_p + torch.log(kept.clamp_min(1e-30)), even)


def log_posterior(
    log_clean: torch.Tensor, log_noisy: torch.Tensor, kept_before: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """log q(x_{t-1} | x_t, x_0), (n, size): Hoogeboom et al. 2021, equation 15, in logarithms.

    `log_clean`: log probabilities of x_0 (n, size); `log_noisy`: log one-hot of x_t (n, size); `kept_before` (n or 1,
    1): the product of alphas before t (1 at the first step); `alpha` (n or 1, 1): 1 - beta_t.
    """
    return torch.log_softmax(log_mix(log_clean, kept_before) + log_mix(log_noisy, alpha), 1)


class Ddpm(Process):
    """Noise, loss and sampling for q measured columns and c coded ones of `sizes` codes.

    `shares`: shares of all codes in the training rows (sum of sizes,). `target`: which coded column is drawn first and
    conditioned on; None: all columns are diffused alike. Scores are (n, q) float32, codes (n, c) int64.
    """

    def __init__(
        self,
        measured: int,
        sizes: list[int],
        shares: np.ndarray,
        *,
        target: int | None,
        timesteps: int,
        widths: list[int],
        device: str,
    ) -> None:
        self.q, self.sizes, self.target, self.timesteps = measured, sizes, target, timesteps
        self.classes = 0 if target is None else sizes[target]
        self.class_shares = None
        if target is not None:
            self.class_shares = torch.from_numpy(shares).split(sizes)[target].float().to(device)
        self.diffused = [j for j in range(len(sizes)) if j != target]
        self.diffused_sizes = [sizes[j] for j in self.diffused]
        beta = cosine_betas(timesteps)
        kept = torch.cumprod(1 - beta, 0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        variance = torch.cat([(beta * (1 - before) / (1 - kept))[1:2], beta[1:]]) if timesteps > 1 else beta
        as_float = {"alpha": 1 - beta, "kept": kept, "before": before, "variance": variance}
        self.schedule = {name: value.float().to(device) for name, value in as_float.items()}
        dimensions = measured + sum(self.diffused_sizes)
        self.network = PublishedMlp(dimensions, dimensions, self.classes, widths=widths, device=device)

    def noise(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """What a loss of n rows draws, on the CPU: timesteps (n,), the noise of scores (n, q), and uniform numbers (n,
        size) for each diffused column."""
        t = torch.randint(self.timesteps, (n,), generator=generator)
        of_scores = torch.randn(n, self.q, generator=generator)
        return t, of_scores, *(torch.rand(n, size, generator=generator) for size in self.diffused_sizes)

    def loss(
        self, flat: torch.Tensor, scores: torch.Tensor, codes: torch.Tensor, noise: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Mean squared error of the noise in scores, plus the codes' variational bound in nats over their columns."""
        t, of_scores, *uniform = noise
        kept = self.schedule["kept"][t][:, None]
        x = kept.sqrt() * scores + (1 - kept).sqrt() * of_scores
        clean = [_log_one_hot(codes[:, j], self.sizes[j]) for j in self.diffused]
        noisy = [
            _log_one_hot(_gumbel(log_mix(part, kept), u), part.shape[1]) for part, u in zip(clean, uniform, strict=True)
        ]
        predicted_noise, predicted = self._predict(flat, x, noisy, t, self._labels(codes))
        total = flat[0] * 0.0  # a table of nothing but its target has no other loss
        if self.q:
            total = total + ((predicted_noise - of_scores) ** 2).mean()
        before, alpha = self.schedule["before"][t][:, None], self.schedule["alpha"][t][:, None]
        last = self.schedule["kept"][-1:][:, None]
        for true, seen, guess in zip(clean, noisy, predicted, strict=True):
            of_true = log_posterior(true, seen, before, alpha)
            of_guess = log_posterior(guess, seen, before, alpha)
            divergence = (of_true.exp() * (of_true - of_guess)).sum(1)
            nats = torch.where(t == 0, -(true.exp() * of_guess).sum(1), divergence)
            end = log_mix(true, last)
            at_end = (end.exp() * (end + math.log(true.shape[1]))).sum(1)
            total = total + (nats * self.timesteps + at_end).mean() / len(clean)
        return total

    @property
    def block_rows(self) -> int:
        return BLOCK_ROWS

    def _sample_block(self, n: int, generator: torch.Generator, held: Held | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Ancestral, over all timesteps. Known columns other than the target are replaced by their own noisy values at
        each step (Song et al. 2021, appendix I.2), which is an approximation.
        """
        device = self.network.device

        def uniform(size: int) -> torch.Tensor:
            return torch.rand(n, size, generator=generator, device=device)

        def normal() -> torch.Tensor:
            return torch.randn(n, self.q, generator=generator, device=device)

        drawn = torch.zeros(n, len(self.sizes), dtype=torch.int64, device=device)
        if self.target is not None and self.class_shares is not None:
            drawn[:, self.target] = _gumbel(self.class_shares.log().expand(n, -1), uniform(self.classes))
            if held is not None and held[0][self.q + self.target]:
                drawn[:, self.target] = held[2][:, self.target]
        labels = self._labels(drawn)
        x = normal()
        for j in self.diffused:
            drawn[:, j] = _gumbel(torch.zeros(n, self.sizes[j], device=device), uniform(self.sizes[j]))
        for step in reversed(range(self.timesteps)):
            t = torch.full((n,), step, device=device)
            alpha, kept, before, variance = (self.schedule[name][step].view(1, 1) for name in self.schedule)
            if held is not None:
                known, clean, codes = held
                x = torch.where(known[: self.q], kept.sqrt() * clean + (1 - kept).sqrt() * normal(), x)
                for j in self.diffused:
                    if known[self.q + j]:
                        mixed = log_mix(_log_one_hot(codes[:, j], self.sizes[j]), kept)
                        drawn[:, j] = _gumbel(mixed, uniform(self.sizes[j]))
            noisy = [_log_one_hot(drawn[:, j], self.sizes[j]) for j in self.diffused]
            noise, predicted = self._predict(self.flat, x, noisy, t, labels)
            # The published code does not clip, and a short fit's errors at the first steps then end in outliers.
            expected = ((x - (1 - kept).sqrt() * noise) / kept.sqrt()).clamp(-FARTHEST, FARTHEST)
            mean = (before.sqrt() * (1 - alpha) * expected + alpha.sqrt() * (1 - before) * x) / (1 - kept)
            x = mean + variance.sqrt() * normal() if step else mean
            for j, guess, seen in zip(self.diffused, predicted, noisy, strict=True):
                drawn[:, j] = _gumbel(log_posterior(guess, seen, before, alpha), uniform(self.sizes[j]))
        x = x.clamp(-FARTHEST, FARTHEST)
        if held is not None:
            known, clean, codes = held
            x, drawn = torch.where(known[: self.q], clean, x), torch.where(known[self.q :], codes, drawn)
        return x, drawn

    def _predict(
        self, flat: torch.Tensor, x: torch.Tensor, noisy: list[torch.Tensor], t: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The noise in scores (n, q), and a diffused column's log probabilities of x_0 (n, size) each."""
        time = time_features(t.float(), TIME_FEATURES, LONGEST)
        out = self.network(flat, torch.cat([x, *noisy], 1), time, labels)
        parts = out[:, self.q :].split(self.diffused_sizes, 1) if self.diffused_sizes else ()
        return out[:, : self.q], [torch.log_softmax(part, 1) for part in parts]

    def _labels(self, codes: torch.Tensor) -> torch.Tensor:
        """The target's one-hot (n, classes), of no width where there is none."""
        if self.target is None:
            return torch.zeros(len(codes), 0, device=codes.device)
        labels = torch.zeros(len(codes), self.classes, device=codes.device)
        return labels.scatter_(1, codes[:, self.target, None], 1.0)  # one_hot would wait for the codes


def _log_one_hot(codes: torch.Tensor, size: int) -> torch.Tensor:
    """(n, size): 0 at the codes (n,), log 1e-30 elsewhere."""
    return torch.full((len(codes), size), LOG_ZERO, device=codes.device).scatter_(1, codes[:, None], 0.0)


def _gumbel(log_p: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Codes (n,) drawn by log odds (n, size), by uniform numbers of the same shape."""
    return (log_p - torch.log(-torch.log(u.clamp(1e-30, 1 - 1e-7)))).argmax(1)
