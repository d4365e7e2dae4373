"""The step of a study with refit=all: its chosen members, fitted again on all of its real rows."""

from collections.abc import Callable
from typing import Any

from dge_ray.distributed.demand import Demand
from dge_ray.distributed.pilot import run_pilot
from dge_ray.results.outcomes import Outcome
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.refit import all_rows, refit_section, refit_spec


def fit_again(
    prepared: Prepared, folder: Folder, chosen: Outcome, volume: int, demand: Demand, say: Callable[[str], None]
) -> dict[str, Any]:
    """Have the members of the chosen arm fitted again, with its model on `volume` rows of each; what is there stays.
    Gives `refit` of report.json.

    Raises:
        StudyError: a fit failed.
    """
    members = len(chosen.at_choice)
    spec, rows = refit_spec(prepared, folder, chosen.arm, volume), all_rows(prepared.parts)
    run_pilot(
        {f"{k}": (spec, k) for k in range(members)},
        tables={"train": rows, "stopping": None},
        real=prepared.encoded(),
        demand=demand,
        say=say,
        what="refit",
    )
    return refit_section(spec, members, rows.num_rows)
