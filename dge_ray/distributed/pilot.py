"""Members that are fitted apart from a study's own, each a task that gives what the study's own would be: a pilot's, of
several generators, and those that are fitted again on all rows."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dge_ray.distributed.actors import fit_member
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.session.ray_session import check_shared, ray_session
from dge_ray.distributed.tasks import Shared, Task, run
from dge_ray.distributed.worker import Fits
from dge_ray.generators.base import Generator
from dge_ray.storage import make_folders
from dge_ray.study.downstream_spec import DownstreamSpec
from dge_ray.study.records.files import sampling_file, shard_file
from dge_ray.study.records.predictions import Job, finished
from dge_ray.table import Columns


def run_pilot(
    specs: Mapping[str, tuple[DownstreamSpec, int]],
    *,
    tables: Mapping[str, pa.Table | None],
    real: dict[str, Columns],
    demand: Demand,
    say: Callable[[str], None],
    what: str = "pilot",
) -> None:
    """Have every member of `specs` fitted, drawn from and learned from, a task each; those that are done stay.

    Args:
        specs: by a key of its own, where a member's files lie and what they are of, and which member it is.
        tables: the generators' `train` and `stopping` rows; None for the latter: a fit that stops early cuts them from
            the former.
        real: encoded rows for the learners.
        demand: what the study asks of the cluster: the members are put on the same kind of device.
        what: it is for, as `say` hears.

    Raises:
        StudyError: a fit failed.
    """
    done = {key: None for key, (spec, member) in specs.items() if is_done(spec, member)}
    if len(done) == len(specs):
        return
    with ray_session() as resources:
        member_demand = demand.on(resources).member
        device = "cuda" if member_demand.gpus else "cpu"
        if resources.nodes > 1 and (folder := next(iter(specs.values()))[0].members.folder).is_local:
            make_folders(Path(folder.path))  # nothing is in it yet, and it is asked for on every node
            check_shared(folder.path)
        options = member_demand.options(None) | {"num_cpus": 1}
        rows = (Shared("train"), Shared("stopping"), Shared("real"))
        run(
            [
                Task(key, pilot_member, (spec, member, device, *rows), options=options)
                for key, (spec, member) in specs.items()
            ],
            done=done,
            keep=lambda key, result: None,  # a task writes its files itself
            say=lambda text: say(f"{what}: {text}"),
            shared={"train": lambda: tables["train"], "stopping": lambda: tables["stopping"], "real": lambda: real},
            noun="fits",
        )


def is_done(spec: DownstreamSpec, member: int) -> bool:
    """Whether a member's every downstream fit at the volume is on disk: it is what is written last."""
    return all(finished(spec.members.folder, job.learner, [job]) for job in _jobs(spec, member))


def pilot_member(
    spec: DownstreamSpec,
    member: int,
    device: str,
    train: pa.Table,
    stopping: pa.Table | None,
    real: dict[str, Columns],
) -> None:
    """Fit a member's generator, draw its shards up to the volume, and fit the learners on them; what is there stays."""
    members = spec.members
    generator = None
    if not members.is_fitted(member):
        generator = fit_member(members, member, train, stopping, device=device, progress=lambda record: None)
    _draw(spec, member, generator)
    fits = Fits(spec, [real])
    for job in _jobs(spec, member):
        if not finished(members.folder, job.learner, [job]):
            fits.fit(job)


def _jobs(spec: DownstreamSpec, member: int) -> list[Job]:
    return [Job("member", member, spec.volume, learner=label) for label in spec.learners]


def _draw(spec: DownstreamSpec, member: int, generator: Generator | None) -> None:
    members, name = spec.members, sampling_file(member)
    notes: dict[str, Any] = members.folder.read_json(name) if members.folder.exists(name) else {}
    for shard in members.missing_shards(member, spec.volume):
        if generator is None:
            generator = members.load_generator(member, members.device(member))
        cpu = time.process_time()
        table, met = members.draw(generator, member, shard)
        members.folder.write_table(shard_file(member, shard), table)
        notes[str(shard)] = {"cpu_seconds": time.process_time() - cpu, "met": met}
        members.folder.write_json(name, notes)
