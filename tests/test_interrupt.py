"""Interrupts: heard at once, insisted on where they are swallowed, and the old handlers put back."""

import os
import signal
import threading
import time

import pytest

from dge_ray.interrupt import insistent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), insistent():
        os.kill(os.getpid(), number)
        time.sleep(10)
    assert signal.getsignal(number) is before


def test_a_swallowed_one_comes_again() -> None:
    swallowed = 0
    with pytest.raises(KeyboardInterrupt), insistent():
        while swallowed < 2:
            try:
                if not swallowed:
                    os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)
            except BaseException:  # what the libraries do
                swallowed += 1
        time.sleep(10)
    assert swallowed == 2


def test_a_block_that_ends_all_the_same_is_interrupted_at_its_end() -> None:
    with pytest.raises(KeyboardInterrupt), insistent():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        except BaseException:  # swallowed, and nothing comes after
            pass


def test_without_a_signal_nothing_happens_in_any_thread() -> None:
    done = []
    with insistent():
        pass

    def elsewhere() -> None:
        with insistent():
            done.append(1)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == [1]
