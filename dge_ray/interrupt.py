"""Ctrl-C and SIGTERM: the first ends the work in good order and cannot be swallowed, the second ends it at once."""

import _thread
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
INTERRUPTED = 130  # the exit code


def stop_on_second() -> None:
    """Have the first SIGINT or SIGTERM of this process raise KeyboardInterrupt, and the second end the process.

    At once: nothing is awaited or tidied up. Ray's processes end by themselves when their driver is gone, and the
    study's lock is taken over after its lease.
    """
    heard = False

    def hear(*_: object) -> None:
        nonlocal heard
        if heard:
            os.write(2, b"interrupted again: stopped at once; the same command goes on from here\n")
            os._exit(INTERRUPTED)
        heard = True
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)


@contextmanager
def insistent() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread on SIGINT or SIGTERM, and again each second until the block is left.

    Libraries below have bare `except`s, some of them around imports, that swallow the first one. If the block ends all
    the same, KeyboardInterrupt is raised at its end. A signal is also passed on to the handler that was there before,
    which may know of an earlier one. Outside the main thread, where signals cannot be caught, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, left, again = threading.Event(), threading.Event(), threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        repeated = number == signal.SIGINT and again.is_set()
        again.clear()
        heard.set()
        if left.is_set():
            return
        earlier = before[number]
        if callable(earlier) and not repeated:
            earlier(number, frame)
        raise KeyboardInterrupt

    def insist() -> None:
        while not left.wait(AGAIN_SECONDS):
            if heard.is_set():
                again.set()
                _thread.interrupt_main()

    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, hear)
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
