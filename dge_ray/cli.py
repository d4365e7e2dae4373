"""The command line: `dge-ray` and a verb. `commands/verbs.py` declares the verbs, `commands/VERB.py` holds each."""

import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dge_ray.commands.gates import exit_code
from dge_ray.commands.help import keys_of, overview, verb_help
from dge_ray.commands.verbs import VERBS, Verb
from dge_ray.errors import InputError, InputErrors, StudyError
from dge_ray.options import parse_words, to_stderr
from dge_ray.study.terminal.interrupt import INTERRUPTED, stop_on_second

# Click's error for bad usage; typer keeps it in different places by version, but always as this base.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
HELP = {"help_option_names": ["-h", "--help"]}


class _Group(TyperGroup):
    """`dge-ray --help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(overview()))


class _Command(TyperCommand):
    """`dge-ray VERB --help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(verb_help(str(self.name))))


app = typer.Typer(
    cls=_Group,
    context_settings=HELP,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _door(
    context: typer.Context,
    tell_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if tell_version:
        _print(f"dge-ray {version('dge-ray')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        _print("\n".join(overview()))


def _command(name: str, verb: Verb) -> Callable[..., None]:
    """What typer calls for a verb."""

    def keys(incomplete: str) -> list[str]:
        return [f"{key.name}=" for key in keys_of(verb.keys) if key.name.startswith(incomplete)]

    rest = typer.Argument(metavar="[KEY=VALUE]...", autocompletion=keys)
    json_flag = typer.Option("--json")

    def of_subject(
        subject: Annotated[str, typer.Argument(metavar=verb.subject)],
        words: Annotated[list[str] | None, rest] = None,
        as_json: Annotated[bool, json_flag] = False,
    ) -> None:
        if not verb.needs_subject and subject.partition("=")[0] in verb.keys.model_fields and "=" in subject:
            _run_verb(name, [], [subject, *(words or [])], as_json)
        else:
            _run_verb(name, [subject], words, as_json)

    def of_none(words: Annotated[list[str] | None, rest] = None, as_json: Annotated[bool, json_flag] = False) -> None:
        _run_verb(name, [], words, as_json)

    return of_subject if verb.subject else of_none


for _name, _verb in VERBS.items():
    app.command(_name, cls=_Command, context_settings=HELP, help=_verb.what)(_command(_name, _verb))


def _run_verb(name: str, subject: list[str], words: list[str] | None, as_json: bool) -> None:
    _check_process()
    # Ray prints notes of its own to standard output, which belongs to the answer alone.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        options = parse_words(words or [], VERBS[name].keys)
        module = import_module(f"dge_ray.commands.{name}")
        result = getattr(module, name)(*subject, options=options)
    _print(json.dumps(result, allow_nan=False) if as_json else "\n".join(module.lines(result)))
    raise typer.Exit(getattr(module, "exit_code", exit_code)(result))


def _check_process() -> None:
    """What libraries below would end with words of their own: no working folder, no place for temporary files, or no
    docstrings, which Ray reads."""
    try:
        os.getcwd()
    except OSError:
        raise InputError("the working folder", "one that was deleted", "one that is there: `cd` to it first") from None
    try:
        tempfile.gettempdir()
    except OSError:
        got = "no folder for temporary files that can be written to"
        raise InputError("TMPDIR", got, "one that can, such as TMPDIR=/scratch") from None
    if sys.flags.optimize > 1:
        raise InputError("PYTHONOPTIMIZE", str(sys.flags.optimize), "0 or 1: Ray does not start without docstrings")


def _print(text: str) -> None:
    print(text, file=sys.__stdout__, flush=True)


def main() -> None:
    """Run the command line; every failure is plain lines and an exit code: 1 failed, 2 bad input, 3 a gate
    that is not met, 130 interrupted."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("dge_ray").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    with stop_on_second():
        _run()


def _run() -> None:
    code = 0
    try:
        code = app(prog_name="dge-ray", standalone_mode=False)
        if code == INTERRUPTED:  # so typer answers to KeyboardInterrupt
            raise KeyboardInterrupt
    except (InputError, InputErrors) as error:
        raise SystemExit(_fail(error, 2)) from None
    except StudyError as error:
        raise SystemExit(_fail(error, 1)) from None
    except (KeyboardInterrupt, typer.Abort):
        to_stderr("interrupted; the same command goes on from here")
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
        to_stderr(f"dge-ray: {line}")
    return code


if __name__ == "__main__":
    main()
