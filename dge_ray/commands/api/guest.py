"""The process as it was: what libraries change in it while a study runs is put back."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np


@contextmanager
def as_it_was() -> Iterator[None]:
    """Within the block standard output is standard error (Ray prints notes of its own); after it the environment, the
    hook of uncaught errors and the random states of Python and NumPy are those of before. Signal handlers are put back
    by who sets them."""
    environment, hook = dict(os.environ), sys.excepthook
    states = random.getstate(), np.random.get_state()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        sys.excepthook = hook
        random.setstate(states[0])
        np.random.set_state(states[1])
