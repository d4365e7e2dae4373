"""Faults at random moments of a real study: it ends, or ends with one line and goes on when it is run again, and is
then the undisturbed one bit for bit, with nothing that was finished done again and no file half-written.

All are slow; by default a study is killed in tests/commands/test_tune.py. `experiments/faults/run.py` lets thirty
happen.
"""

from pathlib import Path

import pytest
from helpers.fault_injector import FAULTS, FaultInjector
from helpers.fault_study import rows

WORDS = ["generator=copula", "learner=boosting", "members=3", "ratios=0.5,1,2", "workers=1"]
ENDS_ALONE = {"actor", "worker", "trial", "server", "store", "node"}  # the others end with one line


@pytest.fixture(scope="module")
def whole(copula_study: Path) -> Path:
    """The study undisturbed; with another number of workers, which makes no difference."""
    return copula_study / "studies" / "breast_cancer"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", FAULTS)
def test_a_study_survives(kind: str, whole: Path, tmp_path: Path) -> None:
    try:
        outcome = FaultInjector(kind, seed=1, index=list(FAULTS).index(kind)).run(tmp_path, WORDS, whole)
    except PermissionError as error:
        pytest.skip(str(error))
    assert outcome is not None, "the study was over before the fault"
    assert outcome.is_good, outcome
    assert outcome.rows == rows(whole)
    if kind in ENDS_ALONE:
        assert outcome.codes == (0,), outcome
    elif kind != "driver":
        assert outcome.codes[0] in (0, 1) and (outcome.line or outcome.codes[0] == 0), outcome
