"""Privacy accounting that takes milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dge_ray.privacy import ledger, plan
from dge_ray.privacy.accounting import renyi_epsilon


@contextmanager
def renyi_alone() -> Iterator[None]:
    """Renyi divergences alone within the block: an upper bound too, in milliseconds instead of seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (plan, ledger):
            patch.setattr(module, "epsilon", renyi_epsilon)
        yield
