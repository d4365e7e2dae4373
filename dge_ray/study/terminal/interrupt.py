"""Ctrl-C and SIGTERM: the first ends the work in good order and cannot be swallowed, the second ends it at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
INTERRUPTED = 130  # the exit code
_counts = False  # within `stop_on_second`
_heard_one = False


@contextmanager
def stop_on_second() -> Iterator[None]:
    """Within the block, the first SIGINT or SIGTERM raises KeyboardInterrupt, and the second ends the process.

    At once: nothing is awaited or tidied up. Ray's processes end by themselves when their driver is gone, and the
    study's lock is taken over after its lease. Handlers are as before after the block.
    """
    global _counts, _heard_one

    def hear(*_: object) -> None:
        _count()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    _counts, _heard_one = True, False
    try:
        yield
    finally:
        _counts = False
        for number, handler in before.items():
            signal.signal(number, handler)


def _count() -> None:
    global _heard_one
    if _counts and _heard_one:
        os.write(2, b"interrupted again: stopped at once; the same command goes on from here\n")
        os._exit(INTERRUPTED)
    _heard_one = True


@contextmanager
def insistent() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread on SIGINT or SIGTERM, and again each second until the block is left.

    Libraries below have bare `except`s, some of them around imports, that swallow the first one. If the block ends all
    the same, KeyboardInterrupt is raised at its end. Within `stop_on_second` a second signal ends the process
    here too. Outside the main thread, where signals cannot be caught, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, left, again = threading.Event(), threading.Event(), threading.Event()

    def hear(number: int, _: FrameType | None) -> None:
        repeated = number == signal.SIGINT and again.is_set()
        again.clear()
        heard.set()
        if left.is_set():
            return
        if not repeated:
            _count()
        raise KeyboardInterrupt

    main = threading.get_ident()

    def insist() -> None:
        while not left.wait(AGAIN_SECONDS):
            if heard.is_set():
                again.set()
                # A real signal: `_thread.interrupt_main` would not wake a main thread that sleeps or waits.
                signal.pthread_kill(main, signal.SIGINT)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=insist, name="interrupt", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard.is_set():
        raise KeyboardInterrupt
