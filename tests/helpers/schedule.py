"""How pytest-xdist shares the tests out: file by file, and the files that take Ray to one process: it starts once."""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parents[1]


@cache
def takes_ray(file: str) -> bool:
    """Whether a test file, by its path below the repository, starts Ray or reads the study that was made with it."""
    text = (TESTS.parent / file).read_text(encoding="utf-8")
    return re.search(r'mark\.ray\b|usefixtures\("cluster"|\bcluster: |\b(copula|shared)_study\b', text) is not None


class OneRay(LoadFileScheduling):
    """Ray's tests are one unit of work, and the largest, so that it begins first."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "ray" if takes_ray(file) else file
