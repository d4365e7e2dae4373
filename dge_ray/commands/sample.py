"""A bundle: K synthetic tables for people who may not see the real one: rows, schema and facts, no weights."""

from collections.abc import Mapping
from typing import Any

from dge_ray.commands.gates import ending
from dge_ray.commands.verbs import SampleKeys
from dge_ray.options import Say, to_stderr
from dge_ray.publishing.disclosure import privacy_facts, real_table, study_ledger
from dge_ray.publishing.leaving import leaving
from dge_ray.publishing.request import DRAWING, claim, describe, read_request, real_facts, volume_of
from dge_ray.publishing.rows import Cut, draw_members
from dge_ray.study.opened import OpenStudy


def sample(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Write the first `volume` rows of each member of a study to `out`. Returns bundle.json's content and where it is.

    Shards that the study already holds are read, not drawn again, and a call that was cut off is gone on with. What
    `publish` holds back of the real table's values is held back here too.
    `balance`: rows of their own, with as many of each category of that column.

    Raises:
        InputError: an unknown or missing key, no such study, no volume of one with a privacy ledger, members not
            fitted, or a folder that is not empty.
    """
    keys = SampleKeys.read(options)
    opened = OpenStudy.find(study, keys.storage)
    request = read_request(opened, out=keys.out, members=keys.members, balance=keys.balance)
    ledger = study_ledger(request.folder)
    volume = volume_of(opened, keys.volume, ledger is None, say)
    request.spec.check_volume(range(request.members), volume)
    facts = {
        "identity": request.study.identity,
        "members": request.members,
        "volume": volume,
        "balance": request.spec.balance,
    }
    real = real_table(opened) if ledger is None else None
    if isinstance(real, str):
        say(f"warning: categories that one real row alone has are not held back: {real}")
        real = None
    leaves = leaving(request.spec.schema, request.config if ledger is None else None, real)
    claim(request.out, facts)
    draw_members(Cut(request.spec, volume, leaving=leaves), request.out, members=request.members, say=say)
    described = {
        **describe(request, volume),
        **real_facts(request.study, disclosed=ledger is None),
        **privacy_facts(request.folder),
        "licence": "not stated",
    }
    request.out.write_bytes("schema.json", leaves.schema.to_json().encode())
    request.out.write_json("bundle.json", described)
    request.out.delete(DRAWING)
    return {**described, "out": str(request.out)}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    made = f"{result['members']} members of {result['rows_per_member']:,} rows"
    return [made, *ending({"file": result["out"]})]
