"""Starts the loops, waits, stops them: the first loop that fails ends the process, and systemd starts it again."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


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


@dataclass(slots=True)
class Supervisor:
    """Runs loops until one fails, one ends the program, or `stop` is set."""

    loops: list[Loop]
    stop: threading.Event
    _threads: list[tuple[Loop, threading.Thread]] = field(default_factory=list)
    _failed: list[str] = field(default_factory=list)
    _halts: dict[str, threading.Event] = field(default_factory=dict)

    def run(self) -> bool:
        """Run everything; return False when a loop failed or would not stop."""
        for loop in self.loops:
            self._halts[loop.name] = threading.Event()
            thread = threading.Thread(target=self._run_loop, args=[loop], name=loop.name, daemon=True)
            self._threads.append((loop, thread))
            thread.start()
        # In slices: a signal handler runs only between waits.
        while not self.stop.wait(0.5):
            pass
        return self._shut_down() and not self._failed

    def _run_loop(self, loop: Loop) -> None:
        halt = self._halts[loop.name]
        try:
            while not halt.is_set() and loop.step():
                pass
            loop.finish()
            if loop.ends_program:
                self.stop.set()
        except Exception:
            # The one place that catches everything: log it once, stop all, let the service manager start again.
            log.exception("loop failed name=%s", loop.name)
            self._failed.append(loop.name)
            self.stop.set()

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
