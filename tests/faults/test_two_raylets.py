"""A study on two nodes (`ray start` twice, a token of their own) whose second one is lost at three moments: while
members fit, while shards are drawn, while learners fit. It ends as if nothing had been, with nothing finished done
again."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.fault_nodes import Nodes
from helpers.fault_processes import looks
from helpers.fault_study import PATIENCE, StudyProcess, differences, finished, half_written, undisturbed

WORDS = ["generator.epochs=12", "learner=boosting", "members=4", "ratios=0.5,1,2", "tracking=false"]
ADULT = Path(__file__).parents[2].parent / "shared" / "data" / "adult.parquet"
STUDIES = {
    "breast_cancer": ("breast_cancer", WORDS),
    "adult": (str(ADULT), ["target=income", "split_column=split", "members=4", "ratios=0.5,1,2", "tracking=false"]),
}


def _members_fit(study: Path) -> bool:
    return (study / "identity.json").exists() and any(study.glob("members/*/member.json"))


def _shards_drawn(study: Path) -> bool:
    return any(study.glob("shards/*/*.parquet"))


def _learners_fit(study: Path) -> bool:
    return len(list(study.glob("predictions/*.parquet"))) >= 2


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], Path]:
    """A table, the words of its study, and that study undisturbed."""
    table, words = STUDIES[request.param]
    if request.param == "adult" and not ADULT.exists():
        pytest.skip(f"{ADULT.name} is not there")
    return table, words, undisturbed(tmp_path_factory.mktemp("whole"), words, table)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moment", [_members_fit, _shards_drawn, _learners_fit])
def test_the_second_node_is_lost(
    moment: Callable[[Path], bool], study: tuple[str, list[str], Path], tmp_path: Path
) -> None:
    table, words, whole = study
    nodes = Nodes(2)
    running = StudyProcess(tmp_path, words, nodes.environment, table)
    try:
        for _ in looks(PATIENCE):
            assert not running.is_over, running.said
            if moment(running.study):
                break
        nodes.kill_second()
        kept, started = finished(running.study), time.monotonic()
        assert half_written(running.study) == []
        running.finish()
        print(f"{moment.__name__}: {len(kept)} files finished, ended {time.monotonic() - started:.0f} s after")
        now = finished(running.study)
        assert [name for name, stamp in kept.items() if now.get(name) != stamp] == []
        assert differences(running.study, whole) == []
    finally:
        running.close()
        nodes.close()
