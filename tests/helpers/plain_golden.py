"""A golden study in one loop, without Ray: the files of its folder that the loop can make."""

from pathlib import Path

from plain import fit_member, plain_study

from dge_ray.generators.rows.shards import draw_shard
from dge_ray.results.assemble import choose, surface_table
from dge_ray.results.outcomes import Outcome
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import SURFACE, generator_folder, shard_file
from dge_ray.study.records.predictions import tensor, write_predictions

NOT_MADE = "models/"  # Train's workers save the learners


def run_plain(prepared: Prepared, study: Path) -> None:
    """Fit the members, draw their rows, learn from them at each volume, and the baselines; keep it as a study does."""
    folder, config, (arm,) = Folder.open(study), prepared.config, prepared.arms
    members, volumes = config.members, list(arm.volumes)
    claim_folder(prepared, folder)
    for k in range(members):
        generator = fit_member(prepared, k)
        generator.save(study / generator_folder(k))
        for j in range(-(-max(volumes) // prepared.shard_rows)):
            rows, _ = draw_shard(generator, j, shard_rows=prepared.shard_rows, seed=config.seed, member=k)
            folder.write_table(shard_file(k, j), rows)

    def keep(baselines_at: int | None, at: list[int]) -> None:
        for job, values in plain_study(prepared, members, at, baselines_at=baselines_at).items():
            write_predictions(folder, arm.label, job, values, prepared.schema.classes)

    keep(None, volumes)
    truth = {split: prepared.truth(split) for split in ("validation", "test")}
    rows = {split: len(values) for split, values in truth.items()}
    found = tensor(folder, arm.label, members=members, volumes=volumes, width=prepared.width, rows=rows)
    choice = choose(prepared, found["validation"], truth["validation"], volumes)
    keep(choice.volume, [])
    folder.write_table(SURFACE, surface_table(Outcome(prepared, arm, volumes, found, choice), truth))
