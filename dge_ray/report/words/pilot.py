"""How the report says which generators a pilot compared, and which it chose."""

from collections.abc import Mapping

from dge_ray.phrases import NOTHING, duration, number
from dge_ray.stats.metrics.losses import label


def pilot_line(pilot: Mapping) -> str:
    """What was chosen, and among what."""
    chosen, compared = pilot["chosen"], [row for row in pilot["candidates"] if "score" in row]
    if not compared:
        return f"pilot: {chosen}, without a comparison"
    scores = ", ".join(f"{row['name']} {number(row['score'])}" for row in compared)
    return (
        f"pilot: chosen on validation among {len(compared)}: {chosen} ({label(str(pilot['metric']))} of {scores}; "
        "the first in order of preference within one standard error of the best)"
    )


def pilot_to_do_lines(pilot: Mapping | None) -> list[str]:
    """What `check` says of a pilot."""
    if not pilot:
        return []
    if "named" in pilot:
        return [f"the generator is {pilot['named']}, without a pilot: {pilot['why']}"]
    if "chosen" in pilot:
        return [f"generator=auto: the pilot of this study has chosen {pilot['chosen']}"]
    left_out = [f"pilot without {line}" for line in pilot["left_out"]]
    if not pilot["fits"]:
        return [f"generator=auto: no pilot, {pilot['candidates'][0]} alone is left", *left_out]
    kept = f"the {pilot['members']} of the chosen one are the study's own"
    return [
        f"pilot, before these: {pilot['members']} members each of {', '.join(pilot['candidates'])} at "
        f"{pilot['volume']:,} rows, {pilot['fits']} generator and {pilot['fits']} downstream fits; {kept}. The "
        f"others are {pilot['unkept'] / pilot['planned_fits']:.0%} of the {pilot['planned_fits']:,} fits that the "
        f"study plans at least, and about {pilot['seconds']:,.0f} of its {pilot['price']:,.0f} CPU-seconds, as "
        f"predicted from the table's size (at most {pilot['most']:.0%} of each)",
        *left_out,
    ]


def pilot_under_way_lines(pilot: Mapping) -> list[str]:
    """What `status` says of a pilot whose study has not begun."""
    if "chosen" in pilot:
        return [f"the pilot has chosen {pilot['chosen']}; the study itself has not begun"]
    of = "" if pilot["fits"] is None else f" of {pilot['fits']}"
    tried = f" of {', '.join(pilot['candidates'])}" if pilot["candidates"] else ""
    return [f"the pilot{tried}: {pilot['done']}{of} fits done; the study itself begins when it has chosen a generator"]


def pilot_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the pilot's table; no lines where there was no comparison."""
    pilot = report.get("pilot") or {}
    compared = [row for row in pilot.get("candidates") or [] if "score" in row]
    lines = [
        [
            f"{row['name']}{' (chosen)' if row['chosen'] else ''}",
            f"{number(row['score'])} ± {number(row['se'])}",
            *(_difference(row[key]) for key in ("to_best", "to_chosen")),
            duration(row["cpu_seconds"]),
        ]
        for row in compared
    ]
    header = ["generator", "validation", "less the best", "less the chosen", "CPU time"]
    return header, lines, _caption(pilot, len(compared)) if compared else ""


def _caption(pilot: Mapping, count: int) -> str:
    left_out = "".join(f" Not tried: {line}." for line in pilot.get("left_out") or [])
    return (
        f"{label(str(pilot['metric']))} of {pilot['members']} members of each generator at {number(pilot['volume'])} "
        f"rows a member, of {pilot['learner']}, ± one standard error over the validation rows; differences are paired "
        f"on them. The generator was chosen on validation among {count} candidates, so that its score here is "
        "optimistic; the test rows played no part. Chosen is the first in order of preference that is not worse than "
        f"the best by more than one standard error of their difference. The pilot's {pilot['fits']} fits took "
        f"{duration(pilot['cpu_seconds'])} of CPU; those of the chosen one are the study's own.{left_out}"
    )


def _difference(values: list[float]) -> str:
    difference, error = values
    return NOTHING if not error and not difference else f"{number(difference, signed=True)} ± {number(error)}"
