"""A training step recorded once as a CUDA graph and replayed: one launch in place of hundreds of small ones.

A step's shapes, and the addresses of what it reads and writes, must stay the same; what changes from step to step is
put into buffers beforehand (`stage`) or read from tables at a counter that lies on the device.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

WARM_UPS = 2  # steps outside a graph before one is recorded: libraries then have their workspaces
log = logging.getLogger(__name__)


class Replay:
    """Calls `step`; on a GPU, from the first call on, by replaying a recording of it.

    `state()`: the tensors whose values the step changes and later steps depend on. They are put back after warming up,
    so that the first call is the first step; a recording itself computes nothing.

    `step` must not wait for the device, nor move anything to or from it. A GPU that refuses the recording has the step
    called as it is, with a warning.
    """

    def __init__(
        self, step: Callable[[], None], state: Callable[[], Sequence[torch.Tensor]], device: torch.device
    ) -> None:
        self.step, self.state, self.device = step, state, device
        self.graph: torch.cuda.CUDAGraph | None = None
        self.recordable = device.type == "cuda"

    def __call__(self) -> None:
        if self.recordable and self.graph is None:
            with self._unchanged():
                try:
                    self.graph = self._record()
                except RuntimeError as error:
                    log.warning("a training step could not be recorded as a CUDA graph, and runs without: %s", error)
                    self.recordable = False
        if self.graph is None:
            self.step()
        else:
            self.graph.replay()

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        before = [tensor.clone() for tensor in self.state()]
        yield
        self._put(before)

    def _put(self, values: Sequence[torch.Tensor]) -> None:
        for tensor, value in zip(self.state(), values, strict=True):
            tensor.copy_(value)

    def _warm_up(self) -> None:
        for _ in range(WARM_UPS):
            with self._unchanged():  # each at the first step's place: a round may have only one
                self.step()

    def _record(self) -> torch.cuda.CUDAGraph:
        with torch.cuda.device(self.device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._warm_up()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
        return graph


def stage(buffer: torch.Tensor, values: torch.Tensor) -> None:
    """Copy `values` into a buffer of the same shape; from the CPU to a GPU without waiting for the GPU."""
    if buffer.is_cuda and not values.is_cuda and values.numel():
        values = values.pin_memory()
    buffer.copy_(values, non_blocking=True)


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """On a GPU, float32 products on the tensor cores (TF32: 10 bits of mantissa, float32 sums); elsewhere nothing."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
