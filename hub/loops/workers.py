"""Several processes that serve together: started, watched, started again, and stopped with their parent."""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hub.core.errors import Fault
from hub.core.ports import Clock

LOG = logging.getLogger("rollcall.hub.workers")
REFUSED = 4
"""The exit code of a worker that would be refused again: another try would not help. No command ends with it."""

_LOOK_EVERY_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_SETTLED_S = 60.0
"""A worker that lived for so long ended over something new."""

_STOP_TIMEOUT_S = 9.0
_STOP_LOOK_EVERY_S = 0.05
_REASONS = {
    0: "it stopped by itself",
    1: "it failed and said above why",
    2: "it does not understand how it was started",
    3: "the database or the broker could not be reached",
}


class Process(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


@dataclass(slots=True)
class _Worker:
    process: Process | None
    started_at_s: float
    start_at_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


class Workers:
    """Keeps `count` workers running. `run` belongs to the main thread."""

    def __init__(
        self,
        count: int,
        start: Callable[[int], Process],
        clock: Clock,
        pause: Callable[[float], bool],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`start` starts worker 1, 2, ...; `pause` waits so many seconds and tells whether to stop, `sleep` only waits.

        `start` raises OSError when there is no room for another process.
        """
        self._start = start
        self._clock = clock
        self._pause = pause
        self._sleep = sleep
        now_s = clock.monotonic_s()
        self._workers = {number: _Worker(None, now_s, now_s) for number in range(1, count + 1)}

    def run(self) -> None:
        """Run until it is time to stop, and stop all of them. Raises Fault when a worker says that it is refused."""
        try:
            self.look()
            while not self._pause(_LOOK_EVERY_S):
                self.look()
        finally:
            self._stop()

    def look(self) -> None:
        """Start what is not there and may be started. Raises Fault when a worker says that it is refused."""
        now_s = self._clock.monotonic_s()
        for number, worker in self._workers.items():
            if worker.process is not None:
                self._note_end(number, worker, now_s)
            if worker.process is None and now_s >= worker.start_at_s:
                self._begin(number, worker, now_s)

    def _begin(self, number: int, worker: _Worker, now_s: float) -> None:
        worker.started_at_s = now_s
        try:
            worker.process = self._start(number)
        except OSError as exc:
            self._again_later(number, worker, now_s, f"it could not be started: {exc.strerror}")

    def _note_end(self, number: int, worker: _Worker, now_s: float) -> None:
        code = worker.process.poll() if worker.process is not None else None
        if code is None:
            return
        worker.process = None
        if code == REFUSED:
            raise Fault(f"worker {number} cannot serve", hint="it said above why, and what to do")
        if now_s - worker.started_at_s >= _SETTLED_S:
            worker.pause_s = _FIRST_PAUSE_S
        self._again_later(number, worker, now_s, _reason(code))

    def _again_later(self, number: int, worker: _Worker, now_s: float, reason: str) -> None:
        LOG.error("worker ended number=%d reason=%r; starting again in_s=%.0f", number, reason, worker.pause_s)
        worker.start_at_s = now_s + worker.pause_s
        worker.pause_s = min(worker.pause_s * 2, _LONGEST_PAUSE_S)

    def _stop(self) -> None:
        running = {n: one.process for n, one in self._workers.items() if one.process is not None}
        for process in running.values():
            process.terminate()
        until_s = self._clock.monotonic_s() + _STOP_TIMEOUT_S
        left = list(running.items())
        while left and self._clock.monotonic_s() < until_s:
            self._sleep(_STOP_LOOK_EVERY_S)
            left = [(number, process) for number, process in left if process.poll() is None]
        for number, process in left:
            LOG.warning("worker did not stop in time number=%d", number)
            process.kill()


def _reason(code: int) -> str:
    """Return in plain words why a process ended."""
    if code >= 0:
        return f"{_REASONS.get(code, 'it failed')} (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"something ended it by {name}{hint}"
