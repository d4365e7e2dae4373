"""Interrupts: heard at once, insisted on where they are swallowed, and the old handlers put back."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dge_ray.study.terminal.interrupt import insistent


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


TWICE = """
import os, signal, sys, time
from dge_ray.study.terminal.interrupt import insistent, stop_on_second
guard = stop_on_second()
guard.__enter__()
inside, numbers = sys.argv[1] == "inside", [getattr(signal, name) for name in sys.argv[2:]]
def slowly_end():
    print("ending", flush=True)
    for number in numbers[1:]:
        os.kill(os.getpid(), number)
    time.sleep(1)
    print("ended", flush=True)
try:
    with insistent():
        try:
            os.kill(os.getpid(), numbers[0])
            time.sleep(10)
        finally:
            if inside:
                slowly_end()
finally:
    if not inside:
        slowly_end()
"""


SWALLOWING = TWICE.replace(
    "time.sleep(10)\n", "time.sleep(10)\n        except KeyboardInterrupt:\n            time.sleep(10)\n"
)


def _run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("where", ["inside", "after"])
@pytest.mark.parametrize("numbers", [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT"), ("SIGINT", "SIGTERM")])
def test_a_second_signal_ends_the_process_at_once(where: str, numbers: tuple[str, str]) -> None:
    done = _run(TWICE, where, *numbers)
    assert done.returncode == 130 and done.stdout.split() == ["ending"], done.stderr
    assert done.stderr.splitlines() == ["interrupted again: stopped at once; the same command goes on from here"]


@pytest.mark.parametrize("script", [TWICE, SWALLOWING])
def test_what_is_insisted_on_is_no_second_signal(script: str) -> None:
    done = _run(script, "after", "SIGINT")
    assert done.stdout.split() == ["ending", "ended"], done.stderr
    assert done.stderr.strip().endswith("KeyboardInterrupt") and "interrupted again" not in done.stderr
