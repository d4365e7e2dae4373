"""The one Ray Train run of a study: workers pull downstream fits from the Board until it closes."""

import threading
import time
from contextlib import suppress
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError

# Train's V2 package gives them no public names.
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from dge_ray.distributed.session.ray_session import first_line
from dge_ray.distributed.train_entry import FixedWorkers, TellController, downstream_worker
from dge_ray.distributed.worker import fits_together
from dge_ray.study.downstream_spec import DownstreamSpec

WORKER_RESTARTS = 3
START_SECONDS = 20.0  # the longest that a run's controller takes to start, on a busy machine


class _Trainer(DataParallelTrainer):
    """Without the processes of Ray Train that have nothing to do here, at two CPU-seconds of imports each.

    One hands out datasets, of which there are none: workers read their members' rows themselves. In a Ray of our own
    (`own_ray`) there is no autoscaler to be asked for nodes, and what a dead controller leaves behind ends with Ray.
    """

    def __init__(self, *arguments: Any, own_ray: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own_ray = own_ray

    def _create_default_callbacks(self) -> list[Any]:
        idle = (DatasetsCallback, PlacementGroupCleanerCallback) if self._own_ray else (DatasetsCallback,)
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, idle)]

    def _initialize_and_run_controller(self, **given: Any) -> Any:
        if self._own_ray:
            given["scaling_policy"] = FixedWorkers(self.scaling_config)
        return super()._initialize_and_run_controller(**given)


class DownstreamRun:
    """A Train run in a thread of the driver: workers `first`, `first` + 1, ... of the study.

    If the study's first run fails, the Board tells everybody. A later one, on nodes that joined, may end with them:
    what its workers had claimed goes back to the Board, and the others do it.
    """

    def __init__(
        self,
        spec: DownstreamSpec,
        real: Any,
        board: Any,
        *,
        workers: int,
        cpus_per_worker: float,
        scratch: str,
        first: int = 0,
        own_ray: bool = False,
    ) -> None:
        self.board, self.first, self.workers = board, first, workers
        self._ending = False
        backend: ray.train.BackendConfig | None = None
        if fits_together(spec) and workers > 1:
            from ray.train.torch import TorchConfig

            backend = TorchConfig(backend="gloo")
        restarts = 0 if first else WORKER_RESTARTS
        self._trainer = _Trainer(
            downstream_worker,
            own_ray=own_ray,
            train_loop_config={"spec": spec, "real": real, "board": board, "first": first},
            backend_config=backend,
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers, resources_per_worker={"CPU": cpus_per_worker}, placement_strategy="SPREAD"
            ),
            run_config=ray.train.RunConfig(
                storage_path=scratch,
                name=f"downstream-{first}",
                failure_config=ray.train.FailureConfig(max_failures=restarts, controller_failure_limit=restarts),
                callbacks=[TellController(board, first)],  # type: ignore[list-item]
            ),
        )
        self._thread = threading.Thread(target=self._run, name="ray-train", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:  # whatever ended the run, those who wait for it must hear of it
            if self._ending:
                return
            if self.first:
                with suppress(RayError):
                    ray.get(self.board.left.remote(list(range(self.first, self.first + self.workers))))
                return
            failures = list(getattr(error, "worker_failures", {}).values())
            cause = getattr(failures[0], "cause", None) or failures[0] if failures else error
            self._report_failure(f"the downstream workers failed: {first_line(cause)}")

    def _report_failure(self, message: str) -> None:
        try:
            ray.get(self.board.fail.remote(message))
        except RayError:
            return  # the Board is gone too: its own waiters have heard

    def end(self, timeout: float) -> None:
        """Wait for the run to end, the Board being closed; then end it.

        Its thread must be over before Ray is: a call that is under way when Ray ends takes the whole process with it.
        """
        self._ending = True
        self._thread.join(timeout)
        until = time.monotonic() + START_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            with suppress(RayError, TimeoutError):  # without its Board a run ends by itself
                controller: Any = ray.get(self.board.controller_handle.remote(self.first), timeout=1)
                if controller is not None:
                    ray.kill(controller)
            self._thread.join(0.5)
