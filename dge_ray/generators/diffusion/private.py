"""What a private fit of a diffusion reads of its rows: sums of cut gradients of noisy rows."""

import torch

from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.layer_clipping import add_clipped
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.rounds import blocks
from dge_ray.generators.private.streams import Use

BLOCK = 1024  # noisy rows of a CPU whose activations are in memory at once; a GPU takes 16 times as many


class ClippedDenoising:
    """Rows (b,) of scores (n, q) and codes (n, c), and the step, to the sum (p,) of their gradients, each cut to the
    norm `private.clip`. The next call overwrites it.

    A row's loss is the mean over `draws` of noise, of which no other row has the same: its gradient is then a function
    of the row and of randomness that does not depend on the rows, which is what the noise multiplier is made for. All
    draws come from the secret key: whoever knew them would see which rows a step had.
    """

    def __init__(
        self, process: Edm, scores: torch.Tensor, codes: torch.Tensor, private: PrivateFit, *, draws: int
    ) -> None:
        self.process, self.scores, self.codes, self.private, self.draws = process, scores, codes, private, draws
        self.sum = torch.zeros_like(process.flat)
        self.parts = list(process.network.views(self.sum).values())
        self.block = max(1, (BLOCK if process.flat.device.type == "cpu" else 16 * BLOCK) // draws)

    def __call__(self, rows: torch.Tensor, step: int) -> torch.Tensor:
        process, device = self.process, self.sum.device
        random = self.private.stream(Use.DENOISING, step)
        self.sum.zero_()
        for block in blocks(rows, self.block):
            noise = [part.to(device) for part in process.independent_noise(len(block), random, draws=self.draws)]
            shown = block.repeat_interleave(self.draws)
            inputs, total = process.task(self.scores[shown], self.codes[shown], noise)
            out, seen = process.network.traced(process.flat, inputs)
            add_clipped(self.parts, seen, total(out), self.private.clip, draws=self.draws)
        return self.sum
