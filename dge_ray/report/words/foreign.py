"""What `evaluate` says of tables that some tool made: three questions with answers, and lines for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from dge_ray.phrases import number
from dge_ray.report.words.answer import rounded
from dge_ray.stats.metrics.losses import direction, label

LIKE, USEFUL, COPIES = "Do they look like real rows?", "Are they as useful?", "Are they copies?"
VERDICTS = {
    "better": "better than real rows",
    "worse": "worse than real rows",
    "level": "as good as real rows",
    "untold": "not told from real rows",
}
HALVES = (
    "No test= was given: halves of the real table stand for train and test. If the tables were made from all of it, "
    "the rows that judge were seen, and usefulness is flattered."
)


def told_apart(fidelity: Mapping[str, Any]) -> bool:
    """Whether a classifier tells the tables' rows from real ones, by its interval, better than it tells real rows from
    real rows."""
    return fidelity["interval"][0] > max(fidelity["real"]["interval"][1], 0.5)


def sentences(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(question, answer), three of them."""
    return [(LIKE, _like(answer)), (USEFUL, _useful(answer)), (COPIES, _copies(answer))]


def copies_judge(answer: Mapping[str, Any]) -> bool:
    """Whether tables hold copies of the rows that judge them, which says nothing of how like real rows they are."""
    return answer["nearest"]["leak"] and not answer["held_out"]


def _like(answer: Mapping[str, Any]) -> str:
    fidelity = answer["fidelity"]
    real, interval = fidelity["real"], fidelity["interval"]
    auc = f"{rounded(fidelity['two_sample_auc'], interval)} ({rounded(interval[0])} to {rounded(interval[1])})"
    said = (
        "Not known, for rows that judge are copied: a classifier tells them"
        if copies_judge(answer)
        else (
            "No: a classifier tells them" if told_apart(fidelity) else "As far as can be told: a classifier tells them"
        )
    )
    return (
        f"{said} from real rows with an AUC of {auc}; real rows in their place have {rounded(real['two_sample_auc'])}. "
        f"Shape error {_size(fidelity['shape_error'])} beside {_size(real['shape_error'])}, trend error "
        f"{_size(fidelity['trend_error'])} beside {_size(real['trend_error'])}."
    )


def _size(error: float) -> str:
    return f"{error:.3f}"


def _useful(answer: Mapping[str, Any]) -> str:
    useful, count = answer["usefulness"], len(answer["tables"])
    together = useful["together"]
    if together is None:
        return "Not known: some side's rows are of one class."
    metric = useful["metric"]
    scores = useful["scores"][metric]
    known = {"better": "Yes", "level": "Yes", "worse": "No"}.get(together["verdict"], "Not known")
    what = "models of the tables together" if count > 1 else "a model of the table"
    text = (
        f"{known}: {what} {'are' if count > 1 else 'is'} {VERDICTS[together['verdict']]}, {label(metric)} "
        f"{rounded(scores['together']['value'], together['difference'][1:])} beside "
        f"{rounded(scores['real']['value'], together['difference'][1:])} ({direction(metric)}), difference "
        f"{difference_text(together['difference'])}"
    )
    if useful["one"] is not None:
        text += f"; one table's model: {difference_text(useful['one']['difference'])}"
    return f"{text}. Under {rounded(useful['margin'])} would not matter."


def _copies(answer: Mapping[str, Any]) -> str:
    near = answer["nearest"]
    said = "Yes, at least in part" if near["leak"] else "No sign of it"
    text = (
        f"{said}: {near['copies']:.2%} of their rows equal one that they were made from; of real rows "
        f"{near['copies_by_chance']:.2%} do by chance"
    )
    if near["closer"] is None:
        return (
            f"{text}. Whether rows are nearer to those seen than to others needs test=, real rows that were not used."
        )
    low, high = near["interval"]
    return (
        f"{text}; {near['closer']:.1%} ({low:.1%} to {high:.1%}) are nearer to those seen than to as many others, and "
        "50 % would be if nothing was copied."
    )


def difference_text(difference: Any) -> str:
    """`+0.020 (0.010 to 0.030)`."""
    value, *ends = difference
    low, high = (rounded(end, ends, signed=True) for end in ends)
    return f"{rounded(value, ends, signed=True)} ({low} to {high})"


def about_tables(answer: Mapping[str, Any]) -> str:
    """What was judged, and by what."""
    tables, rows = answer["tables"], answer["rows"]
    sizes = sorted({one["rows"] for one in tables})
    each = number(sizes[0]) if len(sizes) == 1 else f"{number(sizes[0])} to {number(sizes[-1])}"
    count = "1 table" if len(tables) == 1 else f"{len(tables)} tables"
    real = f"{number(rows['real'])} real rows"
    held = f" and {number(rows['test'])} that were not used" if rows["test"] is not None else ""
    return f"{count} of {each} rows ({answer['synthetic']}) against {real}{held}; target {answer['target']}"


def foreign_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """The answer for a terminal; a line a table where there are several."""
    yield f"{about_tables(answer)} ({answer['task']}), learner {answer['learner']}"
    yield from (f"note: {note}" for note in [*([] if answer["held_out"] else [HALVES]), *answer["notes"]])
    if len(answer["tables"]) > 1:
        yield from (f"{one['table']}: {', '.join(table_figures(one))}" for one in answer["tables"])
    yield from (f"{question} {text}" for question, text in sentences(answer))


def table_figures(one: Mapping[str, Any]) -> list[str]:
    closer = [] if one["closer"] is None else [f"{one['closer']:.1%} nearer to rows seen"]
    return [
        f"two-sample AUC {rounded(one['two_sample_auc'], one['interval'])}",
        f"shape error {_size(one['shape_error'])}",
        f"trend error {_size(one['trend_error'])}",
        f"{one['copies']:.2%} copies",
        *closer,
    ]
