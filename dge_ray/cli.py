"""The command line: `dge-ray` and a verb: tune, check, sample, publish, verify, evaluate, select, report, ..."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer

from dge_ray.errors import InputError, InputErrors, StudyError
from dge_ray.masking import mask
from dge_ray.study.interrupt import INTERRUPTED, stop_on_second

app = typer.Typer(
    help="Deep generative ensembles on Ray: how many generators, how many synthetic rows, can it be trusted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# Click's error for bad usage; typer keeps it in different places by version, but always as this base.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]

KEYS = (
    "Keys: study=NAME storage=DIR|URI seed=0 members=auto|8 ratios=0.5,1,2 generator=NAME learner=NAME|[a,b] "
    "rows=synthetic|augmented weights=0.3,1 target=COLUMN split_column=COLUMN drop=a,b columns.NAME=KIND metric=NAME "
    "search=grid|refine|optuna; dotted keys reach the rest (generator.epochs=8). `dge-ray check SOURCE` prints every "
    "key with its value."
)
Source = Annotated[
    str,
    typer.Argument(
        help="A study YAML, a CSV or Parquet path or URI, a built-in table (breast_cancer), or openml:NAME."
    ),
]
Words = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS)]
Storage = Annotated[
    list[str] | None, typer.Argument(metavar="[storage=DIR|URI]", help="Where studies lie; ./studies if not given.")
]
Bundle = Annotated[str, typer.Argument(help="A bundle's folder or URI, as `dge-ray sample` or `publish` wrote it.")]
Published = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Keys: out=DIR|URI volume=N (the reflection point if not given) members=K licence=TEXT description=TEXT "
        "allow=identifiers,copies uncovered=true (with a privacy ledger: tell what it does not cover) storage=DIR|URI.",
    ),
]
Verified = Annotated[
    list[str] | None,
    typer.Argument(metavar="[real=TABLE]", help="The real table, for its publisher: looks for copies of rare rows."),
]
JUDGES = (
    "target=COLUMN (the bundle's own if not given) K=N others=rotating|first volume=N test=TABLE seed=0 "
    "out=DIR|URI (finished fits, ./evaluations if not given)"
)
Evaluated = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help=f"Keys: estimator=boosting estimator.SETTING=VALUE folds=5 {JUDGES}."
    ),
]
Selected = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help=f"Keys: estimators=[logistic,tree,...] metric=NAME {JUDGES}."),
]
Table = Annotated[str, typer.Argument(help="A CSV or Parquet path or URI, a built-in table, or openml:NAME.")]
Tested = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Keys: features=[a,b] alpha=0.05 target=COLUMN method=refit|paper ratio=4 (synthetic rows over real ones; "
        "paper: a list) volume=N replicates=200 generator=NAME pretrained=DIR|URI learner=NAME seed=0 drop=a,b "
        "drop_missing_target=true out=DIR|URI (finished replicates, ./syntests if not given).",
    ),
]
StudyName = Annotated[str, typer.Argument(help="A study's folder, or its name under storage.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output; progress on standard error.")]


@app.command()
def tune(source: Source, words: Words = None, as_json: AsJson = False) -> None:
    """Fit the generators, map the error over K and m, find the reflection point, and report. Resumes what is there."""
    from dge_ray.commands.tune import run_study
    from dge_ray.report.summary import summary_lines
    from dge_ray.study.config import read_config
    from dge_ray.study.log import JsonProgress

    config, progress = read_config(source, words or []), None
    if config.log == "json":
        progress = JsonProgress(str(config.study))
        logging.basicConfig(level=logging.ERROR, handlers=[progress.handler()], force=True)
    report = run_study(config, progress)
    _print(report, as_json, lambda: summary_lines(report))


@app.command()
def check(source: Source, words: Words = None, as_json: AsJson = False) -> None:
    """Validate everything, print the resolved configuration and the bill. Writes and trains nothing."""
    from dge_ray.commands.check import check_study, lines
    from dge_ray.study.config import read_config

    checked = check_study(read_config(source, words or []), _say)
    _print(checked, as_json, lambda: lines(checked))


@app.command()
def sample(study: StudyName, words: Words = None, as_json: AsJson = False) -> None:
    """Write a bundle of synthetic rows: out=DIR volume=N [members=K] [balance=COLUMN]."""
    from dge_ray.commands.sample import write_bundle
    from dge_ray.study.config import parse_words

    made = write_bundle(study, parse_words(words or []), _say)
    _print(made, as_json, lambda: [f"{made['members']} members of {made['rows_per_member']:,} rows in {made['out']}"])


@app.command()
def publish(study: StudyName, words: Published = None, as_json: AsJson = False) -> None:
    """Write a bundle to publish: rows, schema, Croissant, data card, page, checksums. Goes on where it was cut off."""
    from dge_ray.commands.publish import publish as write
    from dge_ray.study.config import parse_words

    made = write(study, parse_words(words or []), _say)
    line = f"{made['members']} members of {made['rows_per_member']:,} rows in {made['out']}; {made['privacy']}"
    _print(made, as_json, lambda: [line])


@app.command()
def verify(bundle: Bundle, words: Verified = None, as_json: AsJson = False) -> None:
    """Check all of a published bundle: exit code 0 if it is clean, 1 with a line a fault, 2 if it is no bundle."""
    from dge_ray.commands.verify import verify as look
    from dge_ray.commands.verify import verify_lines
    from dge_ray.study.config import parse_words

    found = look(bundle, parse_words(words or []), _say)
    _print(found, as_json, lambda: verify_lines(found))
    if not found["clean"]:
        raise typer.Exit(1)


@app.command()
def evaluate(bundle: Bundle, words: Evaluated = None, as_json: AsJson = False) -> None:
    """Judge a model with synthetic tables alone: trained on each member, scored on the others; naive beside it."""
    from dge_ray.commands.evaluate import evaluate as judge
    from dge_ray.commands.evaluate import evaluation_lines
    from dge_ray.study.config import parse_words

    found = judge(bundle, parse_words(words or []), _say)
    _print(found, as_json, lambda: evaluation_lines(found))


@app.command()
def select(bundle: Bundle, words: Selected = None, as_json: AsJson = False) -> None:
    """Rank estimators with synthetic tables alone, and say how far the ranking can be trusted."""
    from dge_ray.commands.select import select as rank
    from dge_ray.commands.select import selection_lines
    from dge_ray.study.config import parse_words

    found = rank(bundle, parse_words(words or []), _say)
    _print(found, as_json, lambda: selection_lines(found))


@app.command()
def report(study: StudyName, words: Storage = None, as_json: AsJson = False) -> None:
    """Rebuild report.html and the figures of a study from its files."""
    from dge_ray.report.summary import summary_lines
    from dge_ray.results.assemble import rebuild_report
    from dge_ray.study.config import parse_words

    rebuilt, where = rebuild_report(study, parse_words(words or []))
    _print(rebuilt, as_json, lambda: [*summary_lines(rebuilt), f"report: {where}"])


@app.command()
def utility(study: StudyName, words: Words = None, as_json: AsJson = False) -> None:
    """Is training on the synthetic rows good enough, on real test rows? [estimators=a,b] [margin=X] [volume=N].

    Needs the study and its table; a bundle has no real row, so it certifies no utility.
    """
    from dge_ray.commands.utility import study_utility
    from dge_ray.report.utility_page import utility_lines
    from dge_ray.study.config import parse_words

    found = study_utility(study, parse_words(words or []), _say)
    _print(found, as_json, lambda: utility_lines(found))


@app.command()
def attack(study: StudyName, words: Words = None, as_json: AsJson = False) -> None:
    """What do the released rows give away of train's? [rows=N] [volume=N] [members=K] [attributes=a,b].

    Needs the study and its table. Evidence with limits, never a guarantee.
    """
    from dge_ray.commands.attack import attack_study
    from dge_ray.report.attacks_page import attack_lines
    from dge_ray.study.config import parse_words

    found = attack_study(study, parse_words(words or []), _say)
    _print(found, as_json, lambda: attack_lines(found))


@app.command()
def estimates(study: StudyName, words: Words = None, as_json: AsJson = False) -> None:
    """Honest standard errors for estimands="[mean(age), ...]": the generators are refitted on resampled real rows.

    [replicates=100] [members=K] [volume=N]; a YAML file of estimands too. `publish` takes estimates.json along.
    """
    from dge_ray.commands.estimates import estimates_lines, study_estimates
    from dge_ray.study.config import parse_words

    found = study_estimates(study, parse_words(words or []), _say)
    _print(found, as_json, lambda: estimates_lines(found))


@app.command()
def test(source: Table, words: Tested = None, as_json: AsJson = False) -> None:
    """Test on synthetic rows, at a level that holds, whether features tell of the target what the others do not."""
    from dge_ray.commands.test import syn_test
    from dge_ray.report.syntest_words import syntest_lines
    from dge_ray.study.config import parse_words

    found = syn_test(source, parse_words(words or []), _say)
    _print(found, as_json, lambda: syntest_lines(found))


@app.command()
def status(study: StudyName, words: Storage = None, as_json: AsJson = False) -> None:
    """Say where a study is, from any shell: running or not, what is done, how long it will take."""
    from dge_ray.commands.status import status_lines, study_status
    from dge_ray.study.config import parse_words

    found = study_status(study, parse_words(words or []))
    _print(found, as_json, lambda: status_lines(found))


@app.command()
def track(study: StudyName, words: Storage = None, as_json: AsJson = False) -> None:
    """Send MLflow what it lacks of a study: after a server's failure, or to another server. Nothing goes twice."""
    from dge_ray.commands.track import track_study
    from dge_ray.study.config import parse_words

    sent = track_study(study, parse_words(words or []), _say)
    _print(sent, as_json, lambda: [f"study {sent['study']}: run {sent['run']} in {sent['uri']}"])


@app.command()
def ls(words: Words = None, as_json: AsJson = False) -> None:
    """List the studies in the storage, and the generators, learners and built-in tables."""
    from dge_ray.commands.check import inventory, inventory_lines
    from dge_ray.study.config import parse_words

    found = inventory(parse_words(words or []))
    _print(found, as_json, lambda: inventory_lines(found))


def _say(line: str) -> None:
    print(mask(line), file=sys.stderr)


def _print(value: Any, as_json: bool, as_lines: Callable[[], list[str]]) -> None:
    text = json.dumps(value, allow_nan=False) if as_json else "\n".join(as_lines())
    print(text, file=sys.__stdout__, flush=True)


def main() -> None:
    """Run the command line; every failure is plain lines and an exit code: 1 failed, 2 bad input, 130 interrupted."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("dge_ray").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    with stop_on_second():
        _run()


def _run() -> None:
    code = 0
    try:
        if {"--help", "-h"}.isdisjoint(sys.argv[1:]) and sys.argv[1:]:
            # Ray prints notes of its own to standard output, which belongs to the answer alone.
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                code = app(standalone_mode=False)
        else:
            code = app(standalone_mode=False)
        if code == INTERRUPTED:  # so typer answers to KeyboardInterrupt
            raise KeyboardInterrupt
    except (InputError, InputErrors) as error:
        raise SystemExit(_fail(error, 2)) from None
    except StudyError as error:
        raise SystemExit(_fail(error, 1)) from None
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted; the same command goes on from here")
        raise SystemExit(INTERRUPTED) from None
    except USAGE_ERROR as error:
        raise SystemExit(_fail(error.format_message(), 2)) from None
    except Exception as error:  # what nobody foresaw is still one line; the traceback is for those who ask
        if os.environ.get("DGE_RAY_TRACEBACK"):
            raise
        raise SystemExit(_fail(f"{type(error).__name__}: {error}", 1)) from None
    raise SystemExit(code)


def _fail(message: object, code: int) -> int:
    for line in str(message).splitlines():
        _say(f"dge-ray: {line}")
    return code


if __name__ == "__main__":
    main()
