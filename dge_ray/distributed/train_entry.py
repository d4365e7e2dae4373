"""What Ray Train's processes are handed. In a file of its own: the run's controller reads it too, and would otherwise
import all that a fit needs, seconds of work.
"""

from typing import Any

import ray
from ray.exceptions import RayError

# Train's V2 package gives them no public names.
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy

from dge_ray.distributed.session.ray_session import first_line
from dge_ray.errors import StudyError


class TellController(ControllerCallback):
    """Has the run's controller tell the Board who it is: Train gives the driver no handle to end it by."""

    def __init__(self, board: Any, first: int) -> None:
        self.board, self.first = board, first

    def after_controller_start(self, train_run_context: Any) -> None:
        ray.get(self.board.controlled_by.remote(self.first, ray.get_runtime_context().current_actor))


class FixedWorkers(FixedScalingPolicy):
    """So many workers, on the nodes that are there: no actor is asked to have the cluster grow for them."""

    def after_controller_start(self, train_run_context: Any) -> None:
        return

    def _maybe_send_resource_request(self) -> None:
        return


def downstream_worker(config: dict[str, Any]) -> None:
    """What each Train worker runs."""
    from dge_ray.distributed.worker import Worker

    board = config["board"]
    try:
        worker = Worker(config["spec"], ray.get(config["real"]), board, config["first"])
        worker.run()
    except (RuntimeError, OSError, RayError) as error:
        # Also what a worker sees when another one dies: Train restarts them all, a few times.
        if isinstance(error, StudyError):
            ray.get(board.fail.remote(str(error)))
        raise
    except Exception as error:  # it would come again: told at once, in one line, to everybody who waits
        ray.get(board.fail.remote(f"a downstream fit failed: {first_line(error)}"))
        raise
