"""`dge-ray publish`: a study's members as a bundle that others can find, read, check and use rightly."""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256 as digest_of
from typing import Any

from dge_ray.bundle.checksums import FILE as SUMS
from dge_ray.bundle.checksums import sha256, to_text
from dge_ray.bundle.croissant import FILE as CROISSANT
from dge_ray.bundle.croissant import croissant
from dge_ray.commands.gates import ending
from dge_ray.commands.verbs import PublishKeys
from dge_ray.inference.estimands import read_estimands
from dge_ray.options import Say, to_stderr
from dge_ray.phrases import code, one_line, shell_word
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.publishing.card import FILE as CARD
from dge_ray.publishing.card import About, card
from dge_ray.publishing.card_page import FILE as PAGE
from dge_ray.publishing.card_page import page
from dge_ray.publishing.copies import RealRows
from dge_ray.publishing.disclosure import (
    check_copies,
    check_identifiers,
    privacy_facts,
    real_rows,
    scrubbed,
    study_ledger,
)
from dge_ray.publishing.leaving import leaving
from dge_ray.publishing.member_figures import members_by_column
from dge_ray.publishing.member_shifts import member_shifts, unshifted_orders
from dge_ray.publishing.request import (
    DRAWING,
    BundleRequest,
    check_claim,
    claim,
    describe,
    read_request,
    real_facts,
    volume_of,
)
from dge_ray.publishing.rows import Cut, draw_members, part_file
from dge_ray.report.figures.catalogue import FIGURES
from dge_ray.study.lineage import mark_of
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import ATTACKS, ESTIMATES, UTILITY, figure_file, generator_folder

PART_ROWS = 65_536  # whatever the study's shards hold: their size tells the real rows' number to a factor of two
COPIED = {"attacks": ATTACKS, "estimates": ESTIMATES}  # of the study, which a bundle carries under the same names
SHOWN = (*(figure.name for figure in FIGURES if figure.on_card), "utility")  # on the bundle's page, where they are told
# What a bundle's ledger gets where `uncovered` is asked for.
TOLD = {
    "what": "publish: the real rows' number, the reflection point, utility, groups, attacks, estimates and figures",
    "mechanism": "none",
    "status": "uncovered",
    "note": "told with uncovered=true",
}
LOOK = {
    "what": "publish: a look for copies of real rows",
    "mechanism": "none",
    "status": "uncovered",
    "note": "asked for with uncovered=true; that the rows were published says what came of it",
}
UNSEEN = "not looking for copies of real rows"
NOT_LOOKED = (
    "Nobody looked for copies of real rows: whether a real row is among these would be an answer about it that the "
    "epsilon does not count. Copies are what the guarantee is for."
)


def publish(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Write a study's bundle to `out`, a folder or URI. Returns bundle.json's content and where it is.

    The rows are those of `dge-ray sample`, in parts of about 65,536, each with the mark of synthetic rows. A call that
    was cut off is gone on with when it is repeated. Where the study has a privacy ledger, what was read off real rows
    outside it is left out, and copies of real rows are not looked for, unless `uncovered` is true; then the bundle's
    ledger says so. `debias`: estimands for which the rows are debiased (debiasing.py).

    Raises:
        InputError: an unknown key or value, no such study, members not fitted, a folder that is not empty, columns like
            identifiers or copies of rare real rows that `allow` does not name, or no real table to look for copies in.
    """
    keys = PublishKeys.read(options)
    opened, allow = OpenStudy.find(study, keys.storage), set(keys.allow)
    request = read_request(opened, out=keys.out, members=keys.members)
    ledger, report = study_ledger(request.folder), opened.report
    disclosed = ledger is None or keys.uncovered
    estimands = read_estimands(keys.debias, opened.schema) if keys.debias else None
    debiased = [] if estimands is None else list(estimands.names)
    volume = volume_of(opened, keys.volume, disclosed, say)
    request.spec.check_volume(range(request.members), volume)
    cut = _cut(request, volume)
    facts = {
        "bundle": _bundle_id(request, cut.volume, debiased),
        "members": request.members,
        "volume": cut.volume,
        "allow": sorted(allow),
        "uncovered": keys.uncovered,
    }
    check_claim(request.out, facts)
    if estimands is not None:
        cut = replace(cut, shifts=member_shifts(opened, estimands, request.members, say))
    # Before a row leaves the study.
    cut, allowed, copies_text = _check_disclosure(cut, request, allow, ledger, keys.uncovered, say)
    leaves = cut.leaving or leaving(request.spec.schema, None, None)
    schema = unshifted_orders(leaves.schema, cut.shifts)
    if dropped := len(leaves.schema.orders) - len(schema.orders):
        say(f"{dropped} orders between columns are not promised of the bundle: debiased columns may break them")
    told = [*([] if UNSEEN in allowed else [LOOK]), TOLD] if ledger is not None and keys.uncovered else []
    if keys.licence is None:
        say("warning: no licence is given: nobody else may use the rows; licence=CC-BY-4.0, say, gives one")
    if disclosed and not request.folder.exists(ESTIMATES):
        say(
            "warning: no estimates: who receives the rows has no honest standard errors; "
            f"`dge-ray estimates {shell_word(request.config.study or '')} estimands='[mean(COLUMN)]'` makes some"
        )
    claim(request.out, facts)
    mark = {"bundle": facts["bundle"], **mark_of(request.folder, told=disclosed)}
    draw_members(cut, request.out, members=request.members, say=say, mark=mark)
    described = {
        **describe(request, cut.volume),
        **real_facts(opened, disclosed=disclosed),
        **privacy_facts(request.folder, "; ".join(entry["what"] for entry in told) if told else None),
        "licence": one_line(keys.licence or "not stated"),
        "bundle": facts["bundle"],
        "allowed": allowed,
        "discloses": list(leaves.columns),
        **({"debiased": debiased} if debiased else {}),
    }
    about = About(
        facts=described,
        schema=schema,
        settings=request.spec.generators,
        description=one_line(keys.description or "")
        or f"Synthetic rows of the table of the study '{request.config.study}'.",
        date=datetime.now(UTC).date().isoformat(),
        disclosed=disclosed,
        copies=copies_text,
        allowed=allowed,
        constraints=request.spec.constraints,
        ledger=None if ledger is None else {**ledger, "entries": [*(ledger.get("entries") or []), *told]},
        **(_read_off(request, report, say) if disclosed else {}),
    )
    _finish(cut, request, about, say)
    return {**described, "out": str(request.out), "page": str(request.out / PAGE)}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    made = f"{result['members']} members of {result['rows_per_member']:,} rows in {result['out']}; {result['privacy']}"
    told = [f"tells of {code(one['column'])} ({one['kind']}): {one['tells']}" for one in result["discloses"]]
    return [made, *told, *ending(result)]


def _cut(request: BundleRequest, volume: int) -> Cut:
    rows = request.spec.shard_rows
    return Cut(request.spec, volume, PART_ROWS // rows if PART_ROWS % rows == 0 else 1)


def _check_disclosure(
    cut: Cut, request: BundleRequest, allow: Set[str], ledger: Mapping[str, Any] | None, uncovered: bool, say: Any
) -> tuple[Cut, list[str], str]:
    """The cut with what is held back of its rows, what was allowed of what would have been refused, and what the card
    says of the look for copies.

    With a ledger the look is no part of its epsilon: it is made only where `uncovered` asks for it, and tells no count.
    """
    schema = request.spec.schema
    real = None if ledger is not None and not uncovered else real_rows(request.study)
    found = real if isinstance(real, RealRows) else None
    table = found.table if found is not None and ledger is None else None  # a ledger's schema was public before
    count = found.count if found is not None else request.study.rows_seen
    names = check_identifiers(schema, count, "identifiers" in allow, table)
    allowed = [f"identifier-like columns ({', '.join(names)})"] if names else []
    own = request.config if ledger is None else None
    cut = replace(cut, leaving=leaving(schema, own, table, allowed=names))
    if real is None:
        return cut, allowed, NOT_LOOKED
    copies = check_copies(cut, request.members, real, "copies" in allow, say, counts=ledger is None)
    if copies is None:
        allowed.append(UNSEEN)
        return cut, allowed, "Nobody looked for copies of real rows: the real table was not to be had."
    if ledger is not None:
        allowed += ["copies of rare real rows, if there are any"] if "copies" in allow else []
        text = "Copies of rare real rows were looked for before a row left the study"
        return cut, allowed, f"{text}: that look is in no epsilon, and counts are not told."
    if copies.rare:
        allowed.append("copies of rare real rows")
    rows = f"Of the {request.members * cut.volume:,} rows {copies.unique:,} equal a real row that occurs once"
    return cut, allowed, f"{rows}, and {copies.rare:,} one that is rare, so that chance would hardly bring it up."


def _bundle_id(request: BundleRequest, volume: int, debiased: list[str]) -> str:
    """What tells a bundle from others: of weights, volume and what it is debiased for, so that it says nothing else of
    real rows."""
    digest = digest_of("\0".join([f"{volume}", *debiased]).encode())
    for k in range(request.members):
        saved = request.spec.folder.read_json(f"{generator_folder(k)}/generator.json")
        digest.update(saved["weights_sha256"].encode())
    return digest.hexdigest()[:16]


def _read_off(request: BundleRequest, report: dict[str, Any], say: Say) -> dict[str, Any]:
    """The study's findings on real rows; not those that were made when the study had another number of members."""
    folder, members = request.folder, report.get("members")
    files = {"utility": UTILITY, **COPIED}
    results = {name: folder.read_json(file) for name, file in files.items() if folder.exists(file)}
    for name, result in list(results.items()):
        counted = result.get("members") or (result.get("against") or {}).get("members")
        ours = request.members if name == "estimates" else members
        if ours and counted and counted != ours:
            del results[name]
            whose = "bundle" if name == "estimates" else "study"
            say(f"warning: {files[name]} is of {counted} members, the {whose} has {ours}: left out, make it again")
    places = [request.config.source, request.config.storage, folder.path, str(folder)]
    return scrubbed({"report": report, **results}, [place for place in places if set(place) & set("/\\")])


def _finish(cut: Cut, request: BundleRequest, about: About, say: Callable[[str], None]) -> None:
    """Write everything but the rows, the checksums last."""
    out, schema = request.out, about.schema
    parts = [part_file(k, part) for k in range(request.members) for part in range(cut.count)]
    firsts = [out.read_table(part_file(k, 0)) for k in range(request.members)]
    figure = members_by_column(firsts, schema)
    figures = {} if figure is None else {"members_by_column": figure}
    if about.disclosed:
        told = [name for name in SHOWN if name != "utility" or about.utility]
        stored = [name for name in told if request.folder.exists(figure_file(name))]
        figures |= {name: request.folder.read_bytes(figure_file(name)) for name in stored}
    content = {
        "schema.json": schema.to_json(),
        "bundle.json": to_json(about.facts),
        CARD: card(about),
        PAGE: page(about, figures),
        **{file: to_json(getattr(about, name)) for name, file in COPIED.items() if getattr(about, name)},
        **({} if about.ledger is None else {LEDGER: to_json(about.ledger)}),
    }
    for name in out.files():
        if name.endswith(".part"):  # half-written by a call that was killed
            out.delete(name)
    for name, text in content.items():
        out.write_bytes(name, text.encode())
    say("checksums")
    sums = {name: sha256(out, name) for name in [*parts, *content]}
    described = {
        "name": one_line(about.name),
        "description": about.description,
        "citeAs": about.cite,
        "date": about.date,
    }
    out.write_json(CROISSANT, croissant(about.facts, schema, sums, described))
    out.write_bytes(SUMS, to_text({**sums, CROISSANT: sha256(out, CROISSANT)}).encode())
    out.delete(DRAWING)


def to_json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False)
