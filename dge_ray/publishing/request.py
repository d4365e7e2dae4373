"""What a bundle is to be made of, its facts, and the folder that it fills."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dge_ray.errors import InputError
from dge_ray.generators.checks import refuse_made_elsewhere
from dge_ray.generators.rows.balanced import check_balanced
from dge_ray.options import Say
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.members import MemberSpec
from dge_ray.study.opened import OpenStudy

FEWEST = 3
DRAWING = "drawing.json"  # in `out` until all is written: whose rows they are


@dataclass(frozen=True)
class BundleRequest:
    """The study, how many of its members, and where their rows go, checked."""

    study: OpenStudy
    spec: MemberSpec
    out: Folder
    members: int

    @property
    def config(self) -> StudyConfig:
        return self.study.config

    @property
    def folder(self) -> Folder:
        """The study's."""
        return self.study.folder


def read_request(
    study: OpenStudy, *, out: str, members: int | None = None, balance: str | None = None
) -> BundleRequest:
    """The request for a bundle of a study in `out`. Where the number of members is None, it is the recommended one, and
    at least FEWEST: who receives the tables judges by one against the others, and has intervals from three on.

    Raises:
        InputError: a study with canaries, members not fitted, a column that cannot be balanced, or a place that cannot
            be read or written to.
    """
    if study.config.canaries:
        got = f"one with {study.config.canaries} canaries planted in train, which is not for publishing"
        raise InputError("study", got, "a study without: canaries=0 under another name (study=NAME)")
    place = Folder.open(out, "out", shared=True)
    place.check_readable("out")
    place.check_writable("out")
    count = study.members(members) if members is not None else study.recommended_members(FEWEST)
    if balance is not None:
        check_balanced(balance, study.schema)
        for name, _ in study.config.generators:
            refuse_made_elsewhere(name, "here: rows that are there already cannot be balanced")
    return BundleRequest(study, study.leaving(count, balance=balance), place, count)


def volume_of(study: OpenStudy, wanted: int | None, disclosed: bool, say: Say) -> int:
    """Rows of each member: as asked; else as recommended; else as many as there are real rows.

    Raises:
        InputError: not asked for, where nothing that was read off real rows may be told.
    """
    if wanted is not None:
        return wanted
    if not disclosed:
        takes = "a whole number from 1: the recommended volume and n were read off real rows outside the privacy ledger"
        raise InputError("volume", "nothing", f"{takes}; `dge-ray publish` takes them with uncovered=true")
    if volume := study.recommended.get("volume"):  # 0 are raw rows alone, of which there is no bundle
        say(f"volume={volume}, as the study recommends")
        return int(volume)
    n = study.rows_seen
    say(f"volume={n}, as many as the real rows that the generators were fitted on: the study has no answer")
    return n


def describe(request: BundleRequest, volume: int) -> dict[str, Any]:
    """bundle.json's first part, which tells nothing of the real rows."""
    balance = request.spec.balance
    return {
        "generator": request.config.generator_name,
        "version": version("dge-ray"),
        "members": request.members,
        "rows_per_member": volume,
        **({} if balance is None else {"balanced": balance}),
        **({"refitted": True} if request.config.refit == "all" else {}),
        "study": request.config.study,
    }


def real_facts(study: OpenStudy, *, disclosed: bool) -> dict[str, Any]:
    """bundle.json's second part, which was read off the real rows; without their number where it is not to be told."""
    if not disclosed:
        return {"reflection_point": None}
    return {"real_rows": study.rows_seen, "reflection_point": study.report.get("reflection_point")}


def claim(out: Folder, facts: dict[str, Any]) -> None:
    """Put these facts into `out`, unless an earlier call with them, that was cut off, had done so.

    Raises:
        InputError: as `check_claim`.
    """
    check_claim(out, facts)
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
