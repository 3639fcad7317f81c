"""Runs the loops, each in its thread; the first failure stops them all and ends the process with a reason."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from hub.core.errors import Fault, HubError

LOG = logging.getLogger("rollcall.hub")
_STOP_TIMEOUT_S = 6.0
"""With the goodbye to the broker less than what whoever started us waits before it kills."""

_WATCH_EVERY_S = 1.0


class Loop(Protocol):
    """Work that is done a step at a time; a step takes a second or so at most when there is nothing to do."""

    name: str

    def step(self) -> None:
        """Do some work."""
        ...


class Supervisor:
    """Starts, watches and stops loops. `run` belongs to the main thread; `stop` may be called from anywhere."""

    def __init__(self, loops: Sequence[Loop], watch: Callable[[], Exception | None], stopping: threading.Event) -> None:
        """`watch` is asked every second and returns what has gone wrong outside of the loops, or None."""
        self._loops = loops
        self._watch = watch
        self._stopping = stopping
        self._failure: HubError | None = None

    def stop(self) -> None:
        """Ask everything to end."""
        self._stopping.set()

    def run(self) -> None:
        """Run until `stop`. Raises the HubError a loop failed with, or Fault; systemd starts the process again."""
        threads = [
            threading.Thread(target=self._run, args=(loop,), name=loop.name, daemon=True) for loop in self._loops
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(_WATCH_EVERY_S):
            wrong = self._watch()
            if wrong is not None:
                self._fail("watch", wrong)
        until_s = time.monotonic() + _STOP_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
            if thread.is_alive():
                LOG.warning("loop did not stop in time name=%s", thread.name)
        if self._failure is not None:
            # The cause stays behind: its text may hold a whole statement, and with it what a message said.
            raise self._failure from None

    def _run(self, loop: Loop) -> None:
        try:
            while not self._stopping.is_set():
                loop.step()
        except Exception as exc:  # noqa: BLE001 (here and nowhere else: one failure must end the whole process)
            self._fail(loop.name, exc)

    def _fail(self, name: str, exc: Exception) -> None:
        if self._failure is None:
            if isinstance(exc, HubError):
                self._failure = exc
            else:
                # Not the exception's text: it may quote a message, and messages may hold personal data.
                kind, errno = type(exc).__name__, _errno_of(exc)
                trace = "".join(traceback.format_tb(exc.__traceback__))
                LOG.error("loop failed name=%s error=%s errno=%s\n%s", name, kind, errno, trace)
                self._failure = Fault(
                    f"the hub stopped over something unexpected: {name}, {kind}, {errno or 'no number'}",
                    hint="the log says where; restart it, and report this if it happens again",
                )
        self._stopping.set()


def _errno_of(exc: Exception) -> int | None:
    """Return the number in an error of the operating system or the database, if there is one."""
    number = getattr(getattr(exc, "orig", exc), "errno", None)
    return number if isinstance(number, int) else None
