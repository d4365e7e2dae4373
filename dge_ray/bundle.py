"""A bundle: K synthetic tables for people who may not see the real one: rows, schema and facts, no weights."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from dge_ray.distributed.actors import MemberSpec
from dge_ray.distributed.sampling import draw_members
from dge_ray.errors import InputError, nearest
from dge_ray.folder import IDENTITY, find_study, read_schema, read_study_config
from dge_ray.generators.balanced import check_balanced
from dge_ray.privacy.ledger import privacy_statement
from dge_ray.storage import Folder

DRAWING = "drawing.json"  # in `out` until all is written: whose rows they are
KEYS = ["out", "volume", "members", "storage", "balance"]


def write_bundle(study: str, options: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Write the first `volume` rows of each member of a study to `out`. Returns bundle.json's content and where it is.

    Shards that the study already holds are read, not drawn again, and a call that was cut off is gone on with.
    `balance`: rows of their own, with as many of each category of that column.

    Raises:
        InputError: an unknown or missing key, no such study, members not fitted, or a folder that is not empty.
    """
    for key in options:
        if key not in KEYS:
            raise InputError(key, "an unknown key", nearest(key, KEYS))
    volume, members = _whole(options, "volume"), _whole(options, "members", optional=True)
    if not isinstance(options.get("out"), str):
        raise InputError("out", repr(options.get("out", "nothing")), "a folder or a pyarrow filesystem URI")
    folder = find_study(study, str(options.get("storage", "./studies")))
    config, schema = read_study_config(folder), read_schema(folder)
    fitted = _fitted(folder)
    if members is None:
        members = fitted
    if not 1 <= members <= fitted:
        raise InputError("members", str(members), f"1 to the {fitted} fitted members of this study")
    balance = None if options.get("balance") is None else str(options["balance"])  # a column may be named 3
    if balance is not None:
        check_balanced(balance, schema)
    out = Folder.open(options["out"], "out")
    out.check_readable("out")
    facts = {"identity": folder.read_json(IDENTITY), "members": members, "volume": volume, "balance": balance}
    _claim(out, facts)
    assert config.shard_rows is not None  # resolved before the study's first member was fitted
    spec = MemberSpec(
        folder=folder,
        schema=schema,
        generators=config.generators,
        seed=config.seed,
        shard_rows=config.shard_rows,
        constraints=config.constraints,
        balance=balance,
    )
    draw_members(spec, out, members=members, volume=volume, say=say)
    report = folder.read_json("report.json") if folder.exists("report.json") else {}
    described = {
        "generator": config.generator_name,
        "version": version("dge-ray"),
        "members": members,
        "rows_per_member": volume,
        **({} if balance is None else {"balanced": balance}),
        "real_rows": folder.read_json("members/000/member.json")["rows"],
        "study": config.study,
        "reflection_point": report.get("reflection_point"),
        "privacy": privacy_statement(folder),
        "licence": "not stated",
    }
    out.write_bytes("schema.json", schema.to_json().encode())
    out.write_json("bundle.json", described)
    out.delete(DRAWING)
    return {**described, "out": str(out)}


def _claim(out: Folder, facts: dict[str, Any]) -> None:
    """See that `out` is empty, or holds what an earlier call with these facts had written when it was cut off.

    Raises:
        InputError: it holds anything else, or cannot be written.
    """
    held = out.list()
    if held and not (out.exists(DRAWING) and out.read_json(DRAWING) == facts):
        got = "a bundle of another call, not finished" if out.exists(DRAWING) else "which is not empty"
        raise InputError("out", f"{out}, {got}", "an empty or absent folder, or one that the same call began to fill")
    out.check_writable("out")
    if not held:
        out.write_json(DRAWING, facts)


def _whole(options: Mapping[str, Any], key: str, *, optional: bool = False) -> Any:
    value = options.get(key)
    if value is None and optional:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(key, repr(value) if value is not None else "nothing", "a whole number from 1")
    return value


def _fitted(folder: Folder) -> int:
    count = 0
    while folder.exists(f"members/{count:03d}/member.json"):
        count += 1
    if not count:
        raise InputError("study", f"{folder} without a fitted member", "a study that `dge-ray tune` has fitted")
    return count
