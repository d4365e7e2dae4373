"""What the outbox does that needs no MLflow."""

import signal
import threading
import time

import pytest

from dge_ray.study.terminal.interrupt import stop_on_second
from dge_ray.tracking.outbox import Outbox


def test_an_interrupt_cuts_no_request_in_two() -> None:
    """It goes on in the outbox's thread to its end, what follows waits for that, and it may be repeated."""
    began, ended = [], []

    def request() -> None:
        began.append(threading.current_thread())
        time.sleep(0.5)
        ended.append(len(began))

    outbox = Outbox(lambda volume, points: None, lambda: None)
    outbox.call("a request", request)
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
    with stop_on_second(), pytest.raises(KeyboardInterrupt):  # as the command line hears signals
        outbox.send()
    assert (len(began), ended, outbox.pending) == (1, [], 1)  # interrupted in its middle
    outbox.send(at_once=True)
    assert ended == [1, 2] and outbox.pending == 0  # the first was over before the second began
    assert threading.main_thread() not in began
