"""The time left of a simulated stage: steady once it is told, and near what is truly left; nothing before that."""

import numpy as np
import pytest

from dge_ray.distributed.board import Ledger
from dge_ray.study.records.jobs import Job
from dge_ray.study.terminal import time_left
from dge_ray.study.terminal.time_left import TimeLeft

MEMBERS, VOLUMES = 8, (100, 200, 400, 800, 1600)


def readings(monkeypatch: pytest.MonkeyPatch, workers: int, seconds_a_row: float) -> list[tuple[float, float | None]]:
    """What a Board's Ledger and TimeLeft say every second of a stage of fits of .5 s and more, with true times left."""
    clock, generator, left = [0.0], np.random.default_rng(3), TimeLeft()
    monkeypatch.setattr("dge_ray.distributed.board.time.monotonic", lambda: clock[0])
    ledger = Ledger()
    ledger.ready = set(range(MEMBERS))
    ledger.wanted = {Job("member", k, m, learner="a b") for k in range(MEMBERS) for m in VOLUMES}
    at_work: dict[int, tuple[Job, float]] = {}
    said: list[tuple[float, float | None]] = []
    while len(ledger.done) < len(ledger.wanted):
        for worker in range(workers):
            if worker in at_work and at_work[worker][1] <= clock[0]:
                ledger.finish(at_work.pop(worker)[0])
            if worker not in at_work and (job := ledger.claim(worker, None)):
                took = (0.5 + seconds_a_row * job.rows) * generator.uniform(0.8, 1.2)
                at_work[worker] = (job, clock[0] + took)
        if clock[0] % 1 == 0:
            counts = {"fits_wanted": len(ledger.wanted), "members_ready": MEMBERS, **ledger.work(ledger.wanted)}
            said.append((clock[0], left(counts, MEMBERS, clock[0])))
        clock[0] += 0.125
    return [(clock[0] - at, told) for at, told in said]


@pytest.mark.parametrize(("workers", "seconds_a_row"), [(1, 0.002), (2, 0.01), (4, 0.0)])
def test_what_is_told_is_near_the_truth(monkeypatch: pytest.MonkeyPatch, workers: int, seconds_a_row: float) -> None:
    """Costs are drawn within a fifth: what is left is known to about that, and to some fits at the end."""
    said = readings(monkeypatch, workers, seconds_a_row)
    told = [(truth, left) for truth, left in said if left is not None]
    assert all(left is None for _, left in said[: int(time_left.STEADY_SECONDS)])
    if said[0][0] > 20:
        assert len(told) > 0.4 * len(said)
    assert all(abs(left - truth) <= 0.35 * truth + 5 for truth, left in told)
    ends = np.array([left - truth for truth, left in told])
    assert not len(ends) or np.ptp(ends) <= 0.3 * said[0][0] + 5


def test_members_that_are_not_fitted_yet_come_on_top() -> None:
    left, found = TimeLeft(), []
    work = {"l member": {"done": [4, 400, 40_000, 8.0, 800.0], "left": [1, 100]}}
    for now in range(40):
        counts = {
            "fits_wanted": 12,
            "members_ready": 2 + now // 10,
            "work": work,
            "running": 0.0,
            "busy": now,
            "since": now,
        }
        found.append(left(counts, 8, float(now)))
    assert found[5] is None and found[9] is None, "no member was fitted while somebody looked"
    assert found[-1] == pytest.approx(2.0 + 3 * 10 - 9, rel=0.35)
