"""Ctrl-C and SIGTERM that cannot be swallowed."""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN_SECONDS = 1.0


@contextmanager
def insistent() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread on SIGINT or SIGTERM, and again each second until the block is left.

    Libraries below have bare `except`s, some of them around imports, that swallow the first one. If the block ends all
    the same, KeyboardInterrupt is raised at its end. Outside the main thread, where signals cannot be caught, nothing
    is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, left = threading.Event(), threading.Event()

    def hear(*_: object) -> None:
        heard.set()
        if not left.is_set():
            raise KeyboardInterrupt

    def insist() -> None:
        while not left.wait(AGAIN_SECONDS):
            if heard.is_set():
                _thread.interrupt_main()

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
