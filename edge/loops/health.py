"""What is wrong now, in words for a person; every loop writes here, the status and `check` read."""

import logging
import threading

from edge.core.errors import EdgeError
from protocol.status import Problem

log = logging.getLogger(__name__)


class Health:
    """The present problems by code. Any thread. Logs when a problem begins and when it ends, not in between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: dict[str, str] = {}
        self._changes = 0

    def problem(self, code: str, text: str) -> None:
        """Report a problem; repeated reports of the same code are one."""
        with self._lock:
            is_new = code not in self._problems
            self._changes += is_new
            self._problems[code] = text[:200]
        if is_new:
            log.warning("problem code=%s text=%s", code, text)

    def failed(self, code: str, exc: EdgeError) -> None:
        """Report an error of ours as a problem, with what to do about it."""
        self.problem(code, f"{exc}: {exc.hint}" if exc.hint else str(exc))

    def fine(self, code: str) -> None:
        """Take a problem back."""
        with self._lock:
            was = self._problems.pop(code, None)
            self._changes += was is not None
        if was is not None:
            log.info("recovered code=%s", code)

    def problems(self) -> tuple[Problem, ...]:
        """Return the present problems, oldest first."""
        with self._lock:
            return tuple(Problem(code=code, text=text) for code, text in self._problems.items())[:20]

    @property
    def changes(self) -> int:
        """Rises whenever a problem begins or ends."""
        return self._changes
