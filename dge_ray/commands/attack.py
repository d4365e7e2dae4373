"""`dge-ray attack`: what the released rows of a study's members give away about the rows they were made from."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dge_ray.commands.gates import ending
from dge_ray.commands.verbs import AttackKeys
from dge_ray.distributed.session.ray_session import one_thread
from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities
from dge_ray.options import Say, to_stderr
from dge_ray.privacy.attacks.assemble import attack as attack_all
from dge_ray.privacy.attacks.assemble import draw_candidates
from dge_ray.privacy.attacks.attributes import guessed_columns
from dge_ray.privacy.attacks.membership import MOST_FITTED, Material
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.report.attacks_page import attack_figure, attack_lines, render_page
from dge_ray.report.figures.axes import png_bytes, svg_text
from dge_ray.report.json_values import plain_json
from dge_ray.results.assemble import write_page
from dge_ray.study.members import MemberRows, MemberSpec
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import ATTACKS, ATTACKS_PAGE, REPORT, SURFACE


def lines(report: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return [*attack_lines(report), *ending(report)]


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
    """Attack the rows that a study's members release together; writes attacks.json, attacks.html, the figure, and
    the study's report.html anew.

    Raises:
        InputError: an unknown key or value, no such study, one of text, or a table that is not the study's any more.
        StudyError: another driver works on the study.
    """
    keys = AttackKeys.read(options)
    opened = OpenStudy.find(study, keys.storage, writes=True)
    folder, prepared = opened.folder, opened.prepared
    prepared.check_test()
    schema, config, parts = prepared.schema, prepared.config, prepared.parts
    if schema.texts:
        raise InputError("study", f"one with the text column '{schema.texts[0].name}'", "a study without text")
    columns = guessed_columns(schema, None if keys.attributes is None else list(keys.attributes))
    members, volume, spec = opened.members(keys.members), opened.volume(keys.volume), opened.spec()
    train = parts["train"].slice(0, prepared.n - config.canaries)
    candidates = draw_candidates(train, parts["test"], keys.rows, seed=config.seed, canaries=prepared.canaries)
    with opened.locked(say):
        one_thread()
        generators = _with_density(spec, members)
        material = Material(
            schema=schema,
            released=MemberRows(spec, members, volume),
            auxiliary=pa.concat_tables([parts["validation"], parts["stopping"]]),
            candidates=candidates.table(),
            generators=generators,
            seed=config.seed,
        )
        count = candidates.seen.num_rows
        say(f"attacking {len(material.released)} members of {volume:,} rows, {count:,} rows asked about")
        results = attack_all(material, candidates, columns, folder.read_json(LEDGER) if folder.exists(LEDGER) else None)
        report = plain_json(
            {
                "study": prepared.name,
                "against": {
                    "generator": config.generator_name,
                    "members": len(material.released),
                    "volume": volume,
                    "fitted_on_at_most": MOST_FITTED,
                },
                **results,
                "left_out": [] if generators else [_left_out(config.generators)],
                "limits": list(LIMITS),
            }
        )
        figure = attack_figure(report)
        opened.keep(
            ATTACKS, report, page=(ATTACKS_PAGE, render_page(report, svg_text(figure))), attacks=png_bytes(figure)
        )
        if folder.exists(REPORT) and folder.exists(SURFACE):  # the study's own page states the verdict
            write_page(folder, opened.report, folder.read_table(SURFACE))
    return {**report, "page": str(folder / ATTACKS_PAGE)}


def _with_density(spec: MemberSpec, members: int) -> list[Any]:
    supported = [k for k in range(members) if abilities(spec.generator(k)[0]).log_prob]
    return [spec.load_generator(k, "cpu") for k in supported]


def _left_out(generators: Sequence[tuple[str, Any]]) -> dict[str, str]:
    return {"name": "likelihood", "why": NO_DENSITY.format(", ".join(dict.fromkeys(name for name, _ in generators)))}
