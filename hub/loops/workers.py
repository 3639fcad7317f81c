"""Several processes that serve together: started, watched, started again, and stopped with their parent."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hub.core.errors import Fault
from hub.core.ports import Clock

LOG = logging.getLogger("rollcall.hub.workers")
REFUSED = 3
"""The exit code of a worker that would be refused again: another try would not help."""

_LOOK_EVERY_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_SETTLED_S = 60.0
"""A worker that lived for so long ended over something new."""

_STOP_TIMEOUT_S = 9.0


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
        self, count: int, start: Callable[[int], Process], clock: Clock, pause: Callable[[float], bool]
    ) -> None:
        """`start` starts worker 1, 2, ...; `pause` waits so many seconds and tells whether to stop."""
        self._start = start
        self._clock = clock
        self._pause = pause
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
                worker.process, worker.started_at_s = self._start(number), now_s

    def _note_end(self, number: int, worker: _Worker, now_s: float) -> None:
        code = worker.process.poll() if worker.process is not None else None
        if code is None:
            return
        worker.process = None
        if code == REFUSED:
            raise Fault(f"worker {number} is not let in", hint="it said above by whom and what to do")
        if now_s - worker.started_at_s >= _SETTLED_S:
            worker.pause_s = _FIRST_PAUSE_S
        LOG.error("worker ended number=%d exit=%d; starting again in_s=%.0f", number, code, worker.pause_s)
        worker.start_at_s = now_s + worker.pause_s
        worker.pause_s = min(worker.pause_s * 2, _LONGEST_PAUSE_S)

    def _stop(self) -> None:
        running = {n: one.process for n, one in self._workers.items() if one.process is not None}
        for process in running.values():
            process.terminate()
        until_s = self._clock.monotonic_s() + _STOP_TIMEOUT_S
        left = list(running.items())
        while left and self._clock.monotonic_s() < until_s:
            # The event behind `pause` is set when we are to stop: then this only gives way, so the time is measured.
            self._pause(0.05)
            left = [(number, process) for number, process in left if process.poll() is None]
        for number, process in left:
            LOG.warning("worker did not stop in time number=%d", number)
            process.kill()
