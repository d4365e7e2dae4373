"""skops without torch: what is imported, what is left behind, and that the names it trusts are all there."""

import subprocess
import sys

import pytest

from dge_ray.skops_files import skops_io

NAMES = """
import sys
from dge_ray.skops_files import skops_io
skops_io()
assert "torch" not in sys.modules
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES
from sklearn.utils import all_estimators  # with torch, now
every = {f"{one.__module__}.{one.__name__}" for _, one in all_estimators()}
assert "torch" in sys.modules
assert {name for name in every if name.startswith("sklearn.")} == set(SKLEARN_ESTIMATOR_TYPE_NAMES)
"""


def test_it_is_skops_and_nothing_stays_barred() -> None:
    import skops.io

    assert skops_io() is skops.io
    assert None not in sys.modules.values()


@pytest.mark.slow
def test_torch_stays_out_and_the_trusted_names_are_the_same() -> None:
    pytest.importorskip("torch")
    subprocess.run([sys.executable, "-c", NAMES], check=True, timeout=120)
