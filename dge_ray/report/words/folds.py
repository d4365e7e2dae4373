"""What a cross-fitted study's numbers are of: which rows they are read on, and how many its generators have seen."""

from collections.abc import Mapping

from dge_ray.phrases import number


def read_on(report: Mapping) -> str:
    """Where a study's risks are read."""
    return "by cross-fitting" if (report.get("folds") or {}).get("report") == "crossfit" else "on test"


def read_words(report: Mapping) -> str:
    """The same, in a sentence."""
    without_test = read_on(report) == "by cross-fitting"
    return "on rows of folds left out, each at the others' choice," if without_test else "on untouched test rows"


def folds_sentence(report: Mapping) -> str | None:
    """Of which generators a cross-fitted study's risks are; None in another study."""
    folds = report.get("folds") or {}
    if not folds:
        return None
    rows = ((report.get("data") or {}).get("rows") or {}).get("validation")
    averaged = "; a test row is read once by each fold's ensemble, and these risks are averaged"
    return (
        f"{folds['folds']} folds: every risk is of generators fitted on {number(folds['n'])} rows, which with "
        f"those that stop them are {number(folds['seen'])} of the {number(rows)} rows that are not test"
        f"{averaged if folds['report'] == 'test' else ''}; generators of all of them usually err a little less"
    )
