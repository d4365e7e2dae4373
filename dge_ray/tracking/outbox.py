"""Records on their way to a server that may go away: kept in order, sent when it answers, dropped only when refused."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dge_ray.errors import StudyError
from dge_ray.tracking.records import Point
from dge_ray.tracking.server import quiet, reason

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30  # after a failure, how long until the next attempt
BATCH = 500  # metrics in one request; servers take 1000
# A server that says so will say so again: the request is dropped with a warning. All else is tried again later, also
# where a run is not known: the database was replaced, and `dge-ray track` makes the runs anew.
REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "ENDPOINT_NOT_FOUND", "INVALID_STATE"}

Stamped = tuple[Point, int]  # a point and its time in ms, fixed once: a repeated request is then the same request


@dataclass
class _Call:
    """A request other than a metric; `act` may be repeated without harm."""

    what: str
    act: Callable[[], None]


class _AwayError(Exception):
    """The server answers nothing at all."""


class Outbox:
    """Calls and metric points that wait to be sent. Used from one thread, and sent by another.

    `send_points(volume, points)` sends one batch of one run; `probe()` raises where the server is away. Both run in a
    thread of the outbox, one after the other: Ctrl-C is raised in the main thread only, and in the middle of a
    database's transaction it would leave the database locked for what is sent next.
    """

    def __init__(self, send_points: Callable[[int | None, list[Stamped]], None], probe: Callable[[], object]) -> None:
        self._send_points, self._probe = send_points, probe
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._calls: deque[_Call] = deque()
        self._points: dict[int | None, deque[Stamped]] = {}
        self._try_again_at = 0.0
        self._warned = False

    @property
    def pending(self) -> int:
        """How many calls and points are held."""
        return len(self._calls) + sum(len(points) for points in self._points.values())

    @property
    def held_points(self) -> list[Point]:
        """The points that are held."""
        return [point for points in self._points.values() for point, _ in points]

    @property
    def volumes(self) -> set[int | None]:
        """The runs for which points are held."""
        return set(self._points)

    def call(self, what: str, act: Callable[[], None]) -> None:
        """Hold a call; `send` sends it."""
        self._calls.append(_Call(what, act))

    def points(self, points: Iterable[Point]) -> None:
        """Hold points; `send` sends them. nan is left out: MLflow would draw it as 0."""
        now = int(time.time() * 1000)
        for point in points:
            if point.value == point.value:
                self._points.setdefault(point.volume, deque()).append((point, now))

    def send(self, *, at_once: bool = False) -> None:
        """Sends what is held; in the pause after a failure only if `at_once`. Never raises for the server's sake."""
        if not at_once and time.monotonic() < self._try_again_at:
            return
        failures: list[str] = []
        try:
            with quiet():
                self._send_all(failures)
        except _AwayError as error:
            failures.append(str(error))
        if failures:
            self._try_again_at = time.monotonic() + PAUSE_SECONDS
            if not self._warned:
                log.warning("MLflow does not take the study's records (%s); they are kept and sent later", failures[0])
        elif self._warned:
            log.info("MLflow answers again; all records are sent")
        self._warned = bool(failures)

    def _send_all(self, failures: list[str]) -> None:
        for volume, held in list(self._points.items()):
            while held:
                batch = [held[at] for at in range(min(BATCH, len(held)))]
                if not self._attempt(_Call("metrics", lambda v=volume, b=batch: self._send_points(v, b)), failures):
                    break
                for _ in batch:
                    held.popleft()
            if not held:
                del self._points[volume]
        for _ in range(len(self._calls)):
            done = self._attempt(self._calls[0], failures)
            call = self._calls.popleft()
            if not done:  # behind the others: one that always fails must not hold them up
                self._calls.append(call)

    def _attempt(self, call: _Call, failures: list[str]) -> bool:
        """True: carried out, or refused for good, which is warned about. False: to be tried again.

        Raises:
            _AwayError: there is no point in sending the rest.
        """
        try:
            self._sender.submit(call.act).result()
            return True
        except Exception as error:
            if _refused(error):
                log.warning("MLflow refuses %s: %s", call.what, reason(error))
                return True
            failures.append(f"{call.what}: {reason(error)}")
        try:
            self._sender.submit(self._probe).result()
        except Exception as error:
            raise _AwayError(reason(error)) from None
        return False


def _refused(error: Exception) -> bool:
    """True for a failure that another attempt would meet again: a refusal, or data that cannot be sent."""
    if type(error).__module__.startswith("requests"):  # its exceptions are OSErrors and ValueErrors
        return False
    ours = isinstance(error, FileNotFoundError | TypeError | ValueError | StudyError)
    return ours or getattr(error, "error_code", "") in REFUSALS
