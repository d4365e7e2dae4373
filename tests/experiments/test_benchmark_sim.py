"""The cluster simulation, against schedules that can be worked out by hand."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
from cluster_sim import Nodes, Times, floor, study_on

EXACT = Times(
    fit=10.0, draw=2.0, learn={100: 1.0, 200: 2.0}, concatenated=5.0, real=1.0, fixed=20.0, rows_bytes=0.0, spread=0.0
)


def test_one_core_does_everything_in_turn() -> None:
    found = study_on(3, EXACT, Nodes(1))
    # 3 generators of 12 s; fits of 3 x (1 + 2), then 2 ensemble fits of 2 s, the concatenated 5 s, 14 s on real rows
    assert found.generators == pytest.approx(36.0)
    assert found.downstream == pytest.approx(32.0, abs=0.05)  # and what the Board took in real time
    assert found.wall == pytest.approx(88.0, abs=0.05)


def test_two_nodes_halve_it_up_to_the_odd_one() -> None:
    found = study_on(4, EXACT, Nodes(2))
    assert found.generators == pytest.approx(24.0)
    # 12 s of members' fits on two; then 41 s: the concatenated 5 s, four without a quarter of the rows of 3.75 s, three
    # ensemble fits of 2 s, 15 on real rows of 1 s: no more than half of the shortest above the best schedule
    assert found.downstream == pytest.approx(6.0 + 20.5, abs=1.0)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 5))
def test_no_schedule_beats_the_floor_nor_loses_a_fit(members: int, count: int, trouble: int) -> None:
    """Task times vary by 5 % about their means, so the floor is held with twice that."""
    troubles = {"slow": 0.3} if trouble % 2 else {}
    found = study_on(members, replace(EXACT, spread=0.05), Nodes(count, **troubles))
    assert found.wall >= 0.9 * floor(members, EXACT, count)
    assert found.group_restarts == found.lost_work == 0


def test_lost_nodes_cost_time_and_no_result() -> None:
    calm, spot = (study_on(24, EXACT, Nodes(4, lost_an_hour=rate), repeats=8) for rate in (0.0, 120.0))
    assert spot.group_restarts > 0 and spot.lost_work > 0
    assert spot.wall > calm.wall


def test_slow_nodes_and_slow_networks_cost_time() -> None:
    calm = study_on(16, EXACT, Nodes(8))
    assert study_on(16, EXACT, Nodes(8, slow=0.5), repeats=4).wall > 1.2 * calm.wall
    assert study_on(16, replace(EXACT, rows_bytes=1e9), Nodes(8)).downstream > 1.2 * calm.downstream
