"""Which of Ray Train's own processes a study starts: those alone that have something to do. No Ray is needed here."""

from pathlib import Path

import pytest
import ray
import ray.train
from ray.train.v2._internal.execution.scaling_policy import ResizeDecision
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from dge_ray.distributed.train import _Trainer
from dge_ray.distributed.train_entry import FixedWorkers, downstream_worker


@pytest.mark.parametrize(
    ("own_ray", "left_out"),
    [(True, {"DatasetsCallback", "PlacementGroupCleanerCallback"}), (False, {"DatasetsCallback"})],
)
def test_helpers_without_work_are_left_out(own_ray: bool, left_out: set[str], tmp_path: Path) -> None:
    """In a Ray that goes on after the study, what a dead controller leaves behind is still cleared away."""
    options = {
        "scaling_config": ray.train.ScalingConfig(num_workers=2),
        "run_config": ray.train.RunConfig(storage_path=str(tmp_path), name="run"),
    }
    usual = DataParallelTrainer(downstream_worker, **options)._create_default_callbacks()
    ours = _Trainer(downstream_worker, own_ray=own_ray, **options)._create_default_callbacks()
    assert [type(one) for one in ours] == [type(one) for one in usual if type(one).__name__ not in left_out]
    assert len(usual) - len(ours) == len(left_out)


def test_the_workers_of_ones_own_ray_ask_nobody_for_nodes() -> None:
    before = ray.is_initialized()
    policy = FixedWorkers(ray.train.ScalingConfig(num_workers=3, resources_per_worker={"CPU": 0.5}))
    policy.after_controller_start(None)
    decision = policy.make_decision_for_non_running_worker_group()
    policy.before_controller_abort()
    assert isinstance(decision, ResizeDecision)
    assert (decision.num_workers, decision.resources_per_worker) == (3, {"CPU": 0.5})
    assert ray.is_initialized() == before
