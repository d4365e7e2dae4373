"""A bundle: K synthetic tables for people who may not see the real one: rows, schema and facts, no weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dge_ray.errors import InputError, nearest
from dge_ray.generators.rows.balanced import check_balanced
from dge_ray.options import Say, to_stderr
from dge_ray.publishing.disclosure import privacy_facts, study_ledger
from dge_ray.publishing.rows import Cut, draw_members
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import IDENTITY, find_study, read_schema, read_study_config
from dge_ray.study.members import MemberSpec

DRAWING = "drawing.json"  # in `out` until all is written: whose rows they are
KEYS = ["out", "volume", "members", "storage", "balance"]


@dataclass(frozen=True)
class Request:
    """What a bundle is to be made of, checked, and where."""

    spec: MemberSpec
    config: StudyConfig
    out: Folder
    members: int

    @property
    def folder(self) -> Folder:
        """The study's."""
        return self.spec.folder


def sample(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Write the first `volume` rows of each member of a study to `out`. Returns bundle.json's content and where it is.

    Shards that the study already holds are read, not drawn again, and a call that was cut off is gone on with.
    `balance`: rows of their own, with as many of each category of that column.

    Raises:
        InputError: an unknown or missing key, no such study, members not fitted, or a folder that is not empty.
    """
    check_keys(options, KEYS)
    volume = whole(options, "volume")
    asked = read_request(study, options, KEYS)
    ledger = study_ledger(asked.folder)
    facts = {
        "identity": asked.folder.read_json(IDENTITY),
        "members": asked.members,
        "volume": volume,
        "balance": asked.spec.balance,
    }
    claim(asked.out, facts)
    draw_members(Cut(asked.spec, volume), asked.out, members=asked.members, say=say)
    described = {
        **describe(asked, volume),
        **real_facts(asked.folder, told=ledger is None),
        **privacy_facts(asked.folder),
        "licence": "not stated",
    }
    asked.out.write_bytes("schema.json", asked.spec.schema.to_json().encode())
    asked.out.write_json("bundle.json", described)
    asked.out.delete(DRAWING)
    return {**described, "out": str(asked.out)}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return [f"{result['members']} members of {result['rows_per_member']:,} rows in {result['out']}"]


def check_keys(options: Mapping[str, Any], keys: list[str]) -> None:
    """Raises InputError for a key that is not among `keys`."""
    for key in options:
        if key not in keys:
            raise InputError(key, "an unknown key", nearest(key, keys))


def read_request(study: str, options: Mapping[str, Any], keys: list[str]) -> Request:
    """The study, members and folder that are asked for.

    Raises:
        InputError: an unknown or missing key, no such study, members not fitted, or a place that cannot be read.
    """
    check_keys(options, keys)
    members = whole(options, "members", optional=True)
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
    return Request(spec, config, out, members)


def describe(asked: Request, volume: int) -> dict[str, Any]:
    """bundle.json's first part, which tells nothing of the real rows."""
    balance = asked.spec.balance
    return {
        "generator": asked.config.generator_name,
        "version": version("dge-ray"),
        "members": asked.members,
        "rows_per_member": volume,
        **({} if balance is None else {"balanced": balance}),
        "study": asked.config.study,
    }


def real_facts(folder: Folder, *, told: bool) -> dict[str, Any]:
    """bundle.json's second part, which was read off the real rows; without their number where it is not to be told."""
    if not told:
        return {"reflection_point": None}
    rows = folder.read_json("members/000/member.json")["rows"]
    return {"real_rows": rows, "reflection_point": read_report(folder).get("reflection_point")}


def read_report(folder: Folder) -> dict[str, Any]:
    """A study's report.json; empty where it has none yet."""
    return folder.read_json("report.json") if folder.exists("report.json") else {}


def claim(out: Folder, facts: dict[str, Any]) -> None:
    """Put these facts into `out`, unless an earlier call with them, that was cut off, had done so.

    Raises:
        InputError: as `check_claim`, or it cannot be written.
    """
    check_claim(out, facts)
    out.check_writable("out")
    if not out.exists(DRAWING):
        out.write_json(DRAWING, facts)


def check_claim(out: Folder, facts: dict[str, Any]) -> None:
    """See that `out` is empty, or holds what an earlier call with these facts had written when it was cut off.

    Raises:
        InputError: it holds anything else.
    """
    held = out.list()
    if held and not (out.exists(DRAWING) and out.read_json(DRAWING) == facts):
        got = "a bundle of another call, not finished" if out.exists(DRAWING) else "which is not empty"
        raise InputError("out", f"{out}, {got}", "an empty or absent folder, or one that the same call began to fill")


def whole(options: Mapping[str, Any], key: str, *, optional: bool = False) -> Any:
    """The option, a whole number from 1; None where it is optional and not given.

    Raises:
        InputError: it is anything else.
    """
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
