"""`dge-ray attack`: what the released rows of a study's members give away about the rows they were made from."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from dge_ray.distributed.session import one_thread
from dge_ray.errors import InputError, nearest
from dge_ray.generators.registry import abilities
from dge_ray.options import Say, to_stderr
from dge_ray.privacy.attacks.assemble import attack as attack_all
from dge_ray.privacy.attacks.assemble import draw_candidates
from dge_ray.privacy.attacks.attributes import guessed_columns
from dge_ray.privacy.attacks.membership import MOST_FITTED, Material
from dge_ray.report.attacks_page import attack_figure, attack_lines, render_page
from dge_ray.report.json_values import plain_json
from dge_ray.storage import Folder
from dge_ray.study.folder import IDENTITY, find_study, read_study_config
from dge_ray.study.lock import study_lock
from dge_ray.study.members import MemberRows, MemberSpec
from dge_ray.study.prepare import Prepared, prepare

KEYS = ["rows", "volume", "members", "attributes", "storage"]
MOST_ASKED = 10_000  # rows of train, and of test, whose membership is asked, unless `rows` says otherwise
LEDGER = "privacy/ledger.json"

lines = attack_lines

LIMITS = (
    "evidence, not a guarantee: these attacks found what they found; better ones may find more",
    "who attacks by rows is taken to have the released rows of all members and real rows of the same law (here those "
    "of validation, and those that ended the fits early where any did); who attacks by likelihood has the generators' "
    "weights too, which is more than is released",
    "members of one study share all their train rows: none can stand for a generator that has not seen a row, so the "
    "likelihoods are held against references fitted on auxiliary rows alone",
    "rows of train are told from rows of test: where these follow different laws (a split by time, say) all attacks "
    "find that too; `blind`, which looks at no released row, shows how much of it there is",
    "intervals are over new rows, given these fitted generators; that of a true positive rate covers the threshold's "
    "own error, that of an epsilon takes the rows of one training run for independent, which they are only nearly",
    "an average over rows says little of the most exposed ones: look at the true positives at few false ones, and at "
    "canaries",
    "all figures were computed from real rows, and are outside of any epsilon",
)
NO_DENSITY = "the members' generators ({}) have no log_prob"


def attack(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Attack the rows that a study's members release together; writes attacks.json, attacks.html and the figure.

    Raises:
        InputError: an unknown key or value, no such study, one of text, or a table that is not the study's any more.
        StudyError: another driver works on the study.
    """
    for key in options:
        if key not in KEYS:
            raise InputError(key, "an unknown key", nearest(key, KEYS))
    folder = find_study(study, str(options.get("storage", "./studies")))
    prepared = prepare(read_study_config(folder))
    if prepared.identity() != folder.read_json(IDENTITY):
        raise InputError("study", f"{folder}, whose table or settings have changed", "the table that it was made from")
    schema, config, parts = prepared.schema, prepared.config, prepared.parts
    if schema.texts:
        raise InputError("study", f"one with the text column '{schema.texts[0].name}'", "a study without text")
    columns = guessed_columns(schema, _names(options))
    members = _whole(options, "members", _fitted(folder))
    volume, most = _whole(options, "volume") or _volume(folder, prepared), _whole(options, "rows") or MOST_ASKED
    spec = MemberSpec(
        folder=folder,
        schema=schema,
        generators=config.generators,
        seed=config.seed,
        shard_rows=prepared.shard_rows,
        constraints=config.constraints,
    )
    train = parts["train"].slice(0, prepared.n - config.canaries)
    candidates = draw_candidates(train, parts["test"], most, seed=config.seed, canaries=prepared.canaries)
    with study_lock(folder, say), threadpool_limits(limits=1):
        one_thread()
        generators = _with_density(spec, members or _fitted(folder))
        material = Material(
            schema=schema,
            released=MemberRows(spec, members or _fitted(folder), volume),
            auxiliary=pa.concat_tables([parts["validation"], parts["stopping"]]),
            candidates=candidates.table(),
            generators=generators,
            seed=config.seed,
        )
        count = candidates.seen.num_rows
        say(f"attacking {len(material.released)} members of {volume:,} rows, {count:,} rows asked about")
        found = attack_all(material, candidates, columns, folder.read_json(LEDGER) if folder.exists(LEDGER) else None)
        report = plain_json(
            {
                "study": prepared.name,
                "against": {
                    "generator": config.generator_name,
                    "members": len(material.released),
                    "volume": volume,
                    "fitted_on_at_most": MOST_FITTED,
                },
                **found,
                "left_out": [] if generators else [_left_out(config.generators)],
                "limits": list(LIMITS),
            }
        )
        figure = attack_figure(report)
        folder.write_json("attacks.json", report)
        folder.write_bytes("figures/attacks.png", figure)
        folder.write_bytes("attacks.html", render_page(report, figure).encode())
    return report


def _with_density(spec: MemberSpec, members: int) -> list[Any]:
    able = [k for k in range(members) if abilities(spec.generator(k)[0]).log_prob]
    return [spec.load_generator(k, "cpu") for k in able]


def _left_out(generators: Sequence[tuple[str, Any]]) -> dict[str, str]:
    return {"name": "likelihood", "why": NO_DENSITY.format(", ".join(dict.fromkeys(name for name, _ in generators)))}


def _names(options: Mapping[str, Any]) -> list[str] | None:
    given = options.get("attributes")
    if given is None:
        return None
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("attributes", repr(given), "names of columns, as [a,b]; [] for none")
    return [name.strip() for name in names]


def _whole(options: Mapping[str, Any], key: str, most: int | None = None) -> int | None:
    value = options.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most is not None and value > most):
        takes = "a whole number from 1" + (f" to the {most} fitted members" if most is not None else "")
        raise InputError(key, repr(value), takes)
    return value


def _volume(folder: Folder, prepared: Prepared) -> int:
    """The reflection point's; else as many as there are real rows."""
    report = folder.read_json("report.json") if folder.exists("report.json") else {}
    return int((report.get("reflection_point") or {}).get("volume") or prepared.n)


def _fitted(folder: Folder) -> int:
    count = 0
    while folder.exists(f"members/{count:03d}/member.json"):
        count += 1
    if not count:
        raise InputError("study", f"{folder} without a fitted member", "a study that `dge-ray tune` has fitted")
    return count
