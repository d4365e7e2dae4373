"""The process is its caller's: what Ray and a study change of it holds for the length of a block."""

import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Actors and tasks of a study, by the names under which Ray passes on what they print.
OWN = ("Board", "GeneratorActor", "ImplicitFunc", "TrainController", "RayTrainWorker", "PlacementGroupCleaner")


@contextmanager
def environment(
    fixed: Mapping[str, str] | None = None, *, defaults: Mapping[str, str] | None = None, without: tuple[str, ...] = ()
) -> Iterator[None]:
    """os.environ with these variables, and as it was after the block, whatever Ray adds to it meanwhile.

    `defaults`: set where the user has said nothing. `without`: taken out.
    """
    before = dict(os.environ)
    for name in without:
        os.environ.pop(name, None)
    for name, value in (defaults or {}).items():
        os.environ.setdefault(name, value)
    os.environ.update(fixed or {})
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@contextmanager
def logging_as_found() -> Iterator[None]:
    """Levels and handlers of the loggers that are there are as before after the block."""
    known = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    found = [(one, one.level, list(one.handlers), one.propagate) for one in known if isinstance(one, logging.Logger)]
    try:
        yield
    finally:
        for logger, level, handlers, propagate in found:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate = propagate


@contextmanager
def level(logger: str, least: int) -> Iterator[None]:
    """The logger passes on nothing below this level, for the length of the block."""
    one = logging.getLogger(logger)
    before = one.level
    one.setLevel(least)
    try:
        yield
    finally:
        one.setLevel(before)


@contextmanager
def handlers_as_found(*signals: signal.Signals) -> Iterator[None]:
    """The handlers of these signals, of uncaught exceptions and of faults are as before after the block."""
    hook, faults = sys.excepthook, faulthandler.is_enabled()
    before = {number: signal.getsignal(number) for number in signals}
    try:
        yield
    finally:
        sys.excepthook = hook
        if not faults:
            faulthandler.disable()
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def silent_workers() -> Iterator[None]:
    """In a Ray that the caller has started, what the study's own processes print is not passed on to the caller's
    output for the length of the block; what the caller's own tasks print still is."""
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as dispatcher

    handlers: Any = dispatcher.handlers
    before = list(handlers)

    def only_others(passed_on: Any) -> Any:
        return lambda data: None if str(data.get("actor_name") or "").startswith(OWN) else passed_on(data)

    handlers[:] = [(name, only_others(passed_on)) for name, passed_on in before]
    try:
        yield
    finally:
        handlers[:] = before
