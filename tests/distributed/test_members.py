"""Members fitted together by one actor, against each fitted alone in this process."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from dge_ray.distributed import pool as members
from dge_ray.distributed.board import Board
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.pool import MemberPool
from dge_ray.distributed.reader import member_blocks
from dge_ray.distributed.session.ray_session import NAMESPACE, TINY, Resources
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import shard_file

SHARD = 256
SETTINGS = {"epochs": 2, "hidden": 16, "bins": 16}


def start_pool(
    folder: Path, choices: tuple[tuple[str, dict[str, Any]], ...], *, members_per_actor: int, volume: int
) -> tuple[Prepared, MemberSpec, Any, MemberPool]:
    """A pool of a study of these generators, with its Board."""
    prepared = prepare(read_config("breast_cancer", ["generator=copula"]))
    spec = MemberSpec(Folder.open(folder), prepared.schema, choices, 0, SHARD, f"run-{folder.name}")
    board = ray.remote(Board).options(name=spec.board_name, namespace=NAMESPACE, num_cpus=TINY).remote()
    parts = prepared.parts["train"], prepared.parts["stopping"]
    pool = MemberPool(spec, [parts], board, MemberDemand(), members_per_actor=members_per_actor, volume=volume)
    return prepared, spec, board, pool


def test_one_actor_fits_several_members_as_one_program(cluster: Resources, tmp_path: Path) -> None:
    """Five members of two generators, three an actor: the autoregressive ones 0, 2 and 4 together, the others alone.
    Each has its files and shards. Losses agree with those alone but for another order of sums."""
    choices = (("autoregressive", SETTINGS), ("copula", {}))
    prepared, spec, board, pool = start_pool(tmp_path, choices, members_per_actor=3, volume=3 * SHARD)
    train, stopping = prepared.parts["train"], prepared.parts["stopping"]
    pool.grow(5)
    until = time.monotonic() + 120
    while time.monotonic() < until and any(spec.missing_shards(k, 3 * SHARD) for k in range(5)):
        status = ray.get(board.status.remote())
        assert status["failure"] is None
        time.sleep(0.2)
    pool.stop()
    assert ray.get(board.status.remote())["members_ready"] == 5
    for k in range(5):
        assert not spec.missing_shards(k, 3 * SHARD)
        record = spec.folder.read_json(f"members/{k:03d}/member.json")
        assert record["member"] == k and record.get("together", 1) == (3 if k % 2 == 0 else 1)
        generator = spec.load_generator(k, "cpu")
        drawn, _ = spec.draw(generator, k, 1)
        assert spec.folder.read_table(shard_file(k, 1)).equals(drawn)
        assert set(spec.folder.read_json(f"members/{k:03d}/sampling.json")) == {"0", "1", "2"}
        if k % 2 == 0:
            seed = integer(0, Purpose.FIT, member=k)
            alone = make_generator("autoregressive", **SETTINGS).fit(train, spec.schema, seed=seed, stopping=stopping)
            losses = [[r["heldout"] for r in loss] for loss in (record["loss"], alone.history)]
            np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    ray.kill(board)


def test_rows_beyond_a_bound_wait_for_a_reader(
    cluster: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three shards of twelve are drawn ahead; then the member keeps no core, so that a fit that reads can begin."""
    monkeypatch.setattr(members, "AHEAD_ROWS", 3 * SHARD)
    _, spec, board, pool = start_pool(tmp_path, (("copula", {}),), members_per_actor=1, volume=12 * SHARD)
    pool.grow(1)
    until = time.monotonic() + 60
    while time.monotonic() < until and len(spec.missing_shards(0, 12 * SHARD)) > 9:
        time.sleep(0.1)
    time.sleep(3 * members.LOOK_SECONDS)  # it would draw on at its next look
    assert spec.missing_shards(0, 12 * SHARD) == list(range(3, 12))
    assert pool._announced == 0
    rows = sum(block.num_rows for block in member_blocks(spec, 0, range(12)))
    assert rows == 12 * SHARD and not spec.missing_shards(0, 12 * SHARD)
    pool.stop()
    ray.kill(board)


def test_what_cannot_be_fitted_together_is_fitted_alone(tmp_path: Path) -> None:
    prepared = prepare(read_config("breast_cancer", ["generator=copula"]))
    choices = (("autoregressive", {}), ("autoregressive", {"budget_seconds": 9.0}), ("copula", {}))
    spec = MemberSpec(Folder.open(tmp_path), prepared.schema, choices, 0, SHARD)
    assert [spec.fits_together(k) for k in range(3)] == [True, False, False]
    pretrained = MemberSpec(Folder.open(tmp_path), prepared.schema, choices, 0, SHARD, pretrained=("other",))
    assert not pretrained.fits_together(0)
