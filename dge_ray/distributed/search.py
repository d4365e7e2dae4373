"""The search over volumes: a Tune trial is a volume, its training iterations are K = 1, 2, ... members."""

import logging
import signal
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
import ray.tune
from ray.tune.execution import class_cache
from ray.tune.search import BasicVariantGenerator, Searcher

from dge_ray.distributed.session.guest import handlers_as_found, level
from dge_ray.distributed.session.own_ray import without_counting_callbacks
from dge_ray.distributed.session.ray_session import TINY, ask, first_line
from dge_ray.distributed.trial import SearchSpec, volume_trial
from dge_ray.errors import StudyError
from dge_ray.seeds import Purpose, integer

# Tune would hand the driver's AWS keys to its trials in a runtime_env, which Ray writes to its logs as it is. Trials
# have them from their node: a local Ray's processes inherit the environment.
class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if "AWS" in name}

TRIAL_RESTARTS = 3  # of one trial, whose process or node was lost; it only waits and reads, so nothing is redone
TRIALS_AT_ONCE = 1  # a trial costs a process; a grid's fits are on the Board before any trial asks for them


class _OnReport(ray.tune.Callback):
    """Hands each trial's report to the study, in the driver."""

    def __init__(self, on_report: Callable[[int, int, float], None]) -> None:
        self.on_report = on_report

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into its scratch; this one belongs to the driver's live objects

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        if "risk" in result:
            self.on_report(int(result["volume"]), int(result["members"]), float(result["risk"]))


class _EnoughVolumes(ray.tune.Stopper):
    """Ends a search after so many *different* volumes: a searcher may propose one twice, which costs it nothing."""

    def __init__(self, volumes: int, members: int) -> None:
        self.volumes, self.members = volumes, members
        self._seen: set[int] = set()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        if result.get("members") == self.members:
            self._seen.add(int(result["volume"]))
        return False

    def stop_all(self) -> bool:
        return len(self._seen) >= self.volumes


def search_volumes(
    spec: SearchSpec,
    board: Any,
    truth: np.ndarray,
    *,
    searcher: str,
    volumes: Sequence[int],
    trials: int,
    seed: int,
    scratch: str,
    on_report: Callable[[int, int, float], None],
) -> list[int]:
    """Run the search; gives the volumes it looked at, ascending.

    `grid` takes every volume; `optuna` proposes up to `trials` different volumes between the smallest and the largest,
    both among them, on a log scale, one after the other, each judged at all K members.

    Raises:
        StudyError: the study failed meanwhile, or a trial did.
    """
    space: dict[str, Any]
    algorithm: Searcher | BasicVariantGenerator
    if searcher == "grid":
        space = {"volume": ray.tune.grid_search(list(volumes))}
        at_once = min(len(volumes), TRIALS_AT_ONCE)
        algorithm, samples = BasicVariantGenerator(max_concurrent=at_once), 1
        stop = None
    else:
        from ray.tune.search.optuna import OptunaSearch

        space = {"volume": ray.tune.lograndint(min(volumes), max(volumes) + 1)}
        # The ends first: status and interval need to know what lies there.
        ends = [{"volume": min(volumes)}, {"volume": max(volumes)}]
        algorithm = OptunaSearch(seed=integer(seed, Purpose.SEARCH, bits=31), points_to_evaluate=ends)
        samples, at_once = 3 * trials, 1
        stop = _EnoughVolumes(trials, spec.members)
    trainable = ray.tune.with_resources(
        ray.tune.with_parameters(volume_trial, spec=spec, board=board, truth=truth), {"CPU": TINY}
    )
    # A failure is one line, raised below, not pages.
    quiet = level("ray.tune", logging.CRITICAL), level("optuna", logging.ERROR)
    with (
        quiet[0],
        quiet[1],
        handlers_as_found(signal.SIGUSR1),
        warnings.catch_warnings(),
        without_counting_callbacks(),
    ):
        warnings.simplefilter("ignore")
        results = ray.tune.Tuner(
            trainable,
            param_space=space,
            tune_config=ray.tune.TuneConfig(
                search_alg=algorithm,
                num_samples=samples,
                max_concurrent_trials=at_once,
                reuse_actors=True,
                metric="risk",
                mode="min" if spec.lower_is_better else "max",
            ),
            run_config=ray.tune.RunConfig(
                storage_path=tempfile.mkdtemp(dir=scratch),  # a search may come in rounds
                name=spec.label,
                verbose=0,
                stop=stop,
                failure_config=ray.tune.FailureConfig(max_failures=TRIAL_RESTARTS),
                callbacks=[_OnReport(on_report)],
            ),
        ).fit()
    if failure := ask(board.status.remote())["failure"]:
        raise StudyError(failure)
    for error in results.errors:
        raise StudyError(f"a volume's trial failed: {first_line(getattr(error, 'cause', None) or error)}")
    return sorted({int(result.config["volume"]) for result in results if result.config})
