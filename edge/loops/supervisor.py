"""Starts the loops, watches that each gets on, stops them: the first that fails or is stuck ends the process.

The service manager starts it again.
"""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

STUCK = 70
"""Exit code of a program that was ended because a loop was stuck."""

_SLICE_S = 0.5
_LONG_SLICE_S = 5.0
_EXCUSED_S = 600.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A thread: `step` again and again while it returns True, then `finish`; `interrupt` ends a step that waits."""

    name: str
    step: Callable[[], bool]
    interrupt: Callable[[], None] = lambda: None
    finish: Callable[[], None] = lambda: None
    ends_program: bool = False
    """True when the program is over as soon as this loop has come to its end by itself."""
    patience_s: float = 5.0
    """How long it may take to stop."""
    stuck_after_s: float = float("inf")
    """How long one step may take; longer than whatever it waits for by itself."""
    excused: Callable[[], bool] = lambda: False
    """Tells whether the step does something rare that takes long, such as trying out another model pack."""


def end_at_once(code: int) -> None:
    """End the process, whatever its threads hold: a stuck one would keep it from ending in order."""
    logging.shutdown()
    os._exit(code)


@dataclass(slots=True)
class Supervisor:
    """Runs loops until one fails, one is stuck, one ends the program, or `stop` is set."""

    loops: list[Loop]
    stop: threading.Event
    monotonic_s: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    end: Callable[[int], None] = end_at_once
    on_failure: Callable[[], None] = lambda: None
    """Called when a loop fails, before the others are stopped: nobody should be waited for then."""
    _threads: list[tuple[Loop, threading.Thread]] = field(default_factory=list)
    _failed: list[str] = field(default_factory=list)
    _halts: dict[str, threading.Event] = field(default_factory=dict)
    _moved_s: dict[str, float] = field(default_factory=dict)
    """When each loop that is at a step began it."""

    def run(self) -> bool:
        """Run everything; return False when a loop failed or would not stop. A stuck loop ends the process."""
        for loop in self.loops:
            self._halts[loop.name] = threading.Event()
            thread = threading.Thread(target=self._run_loop, args=[loop], name=loop.name, daemon=True)
            self._threads.append((loop, thread))
            thread.start()
        looked_s = self.monotonic_s()
        # In slices: a signal handler runs only between waits.
        while not self.wait(self.stop, _SLICE_S):
            looked_s = self._watch(looked_s)
        return self._shut_down() and not self._failed

    def _run_loop(self, loop: Loop) -> None:
        halt = self._halts[loop.name]
        try:
            self._moved_s[loop.name] = self.monotonic_s()
            while not halt.is_set() and loop.step():
                self._moved_s[loop.name] = self.monotonic_s()
            # How long it may take to finish is another matter, see `patience_s`.
            self._moved_s.pop(loop.name, None)
            loop.finish()
            if loop.ends_program:
                self.stop.set()
        except Exception:
            # The one place that catches everything: log it once, stop all, let the service manager start again.
            log.exception("loop failed name=%s", loop.name)
            self._moved_s.pop(loop.name, None)
            self._failed.append(loop.name)
            self.on_failure()
            self.stop.set()

    def _watch(self, looked_s: float) -> float:
        """End the process when a loop is stuck; return when that was looked at."""
        now_s = self.monotonic_s()
        if now_s - looked_s > _LONG_SLICE_S:
            # This thread did not get on either: the whole process stood still, and nobody is to blame.
            for name in list(self._moved_s):
                self._moved_s[name] = now_s
            return now_s
        for loop, thread in self._threads:
            moved_s = self._moved_s.get(loop.name, now_s)
            if now_s - moved_s > (max(_EXCUSED_S, loop.stuck_after_s) if loop.excused() else loop.stuck_after_s):
                log.critical(
                    "loop stuck name=%s for_s=%.0f exit_code=%d at:\n%s",
                    loop.name,
                    now_s - moved_s,
                    STUCK,
                    _stack_of(thread),
                )
                self._failed.append(loop.name)
                self.end(STUCK)
                self.stop.set()
        return now_s

    def _shut_down(self) -> bool:
        """Stop the loops in the order in which they were given: whoever produces first, so that others can finish."""
        clean = True
        for loop, thread in self._threads:
            self._halts[loop.name].set()
            try:
                loop.interrupt()
            except Exception:
                # The others must still finish: what they hold goes to disk.
                log.exception("loop cannot be interrupted name=%s", loop.name)
                clean = False
            thread.join(loop.patience_s)
            if thread.is_alive():
                log.error("loop does not stop name=%s", loop.name)
                clean = False
        return clean


def _stack_of(thread: threading.Thread) -> str:
    """Return where a thread is: files, lines and functions, no values."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)).rstrip() if frame else "(the thread is gone)"
