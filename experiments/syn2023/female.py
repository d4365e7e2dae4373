"""Boosting on synthetic rows of Adult's women, whose generators come from the men (papers' section 4.4): accuracy.

usage: female.py [splits=1] [members=4] --work FOLDER --json FILE

A generator is fitted on the 32,650 men; each member fine-tunes it on 1,350 women, which are the raw rows. As the
authors do, the learner has synthetic rows alone, in ratios to the raw ones. The other women are cut in two: a ratio is
chosen on one half and reported on the other, 7,421 rows (theirs: 1,350 rows for both). `generator_rows` are the men.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import pyarrow as pa
import torch
from benchmarks import Roles, Split, kept_members, summary
from measure import SHARED, finish, words
from transfer import tuned

from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import NO_MEMBER, Purpose, integer, numpy_generator
from dge_ray.table import infer_schema, load_table
from dge_ray.table.arrow.arrow_types import pc

RAW = 1_350
MODES = ["synthetic"]


class Women(Split):
    """The women's split; one source for all members."""

    source: Generator | None = None

    def generator(self, member: int) -> Generator:
        name, _ = self.roles.settings
        if self.source is None:
            seed = integer(self.seed, Purpose.FIT, member=NO_MEMBER)
            self.source = make_generator(name).fit(self.tables["generator"], self.schema, seed=seed)
        return tuned(self.source, name, self.tables["raw"], self.schema, self.seed, member=member)


def women(seed: int) -> Women:
    whole = load_table(str(SHARED / "adult.parquet")).drop_columns(["split"])
    is_male = pc.equal(whole["sex"].cast(pa.string()), "Male")
    rest = whole.drop_columns(["sex"])
    male, female = rest.filter(is_male), rest.filter(pc.invert(is_male))
    order = numpy_generator(seed, Purpose.SPLIT).permutation(female.num_rows)
    middle = RAW + (len(order) - RAW) // 2
    rows = {"raw": order[:RAW], "choose": order[RAW:middle], "report": order[middle:]}
    tables = {"generator": male} | {part: female.take(pa.array(where)) for part, where in rows.items()}
    roles = Roles("income", male.num_rows, RAW, ("accuracy", "log_loss"))
    return Women("adult_female", seed, roles, infer_schema(rest, target="income"), tables)


def main(argv: list[str]) -> None:
    at = argv.index("--work")
    work = Path(argv[at + 1])
    _, options, file = words(argv[:at] + argv[at + 2 :], splits=1, members=4)
    torch.set_num_threads(1)
    found = []
    for seed in range(options["splits"]):
        split = women(seed)
        members = kept_members(split, options["members"], MODES, work)
        found += [summary(split, members, mode, metric) for mode in MODES for metric in split.roles.metrics]
    finish(found, file)


if __name__ == "__main__":
    main(sys.argv[1:])
