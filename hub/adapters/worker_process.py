"""A worker of `rollcall-hub serve --workers`: a process that ends when its parent does, however that ends.

Three pipes, none of which anybody ever waits for: the lifeline, whose end a worker notices; and one on which the other
workers tell the first one which units said hello, since the first alone announces galleries.
"""

import logging
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence

LOG = logging.getLogger("rollcall.hub.workers")
_UNIT = re.compile(r"[0-9a-f-]{36}\Z")


class Pipes:
    """The pipes between a parent and its workers. They live as long as the parent."""

    def __init__(self) -> None:
        self._lifeline, self._held = os.pipe()
        self._greeted_read, self._greeted_write = os.pipe()

    def start(self, command: Sequence[str], number: int) -> subprocess.Popen[bytes]:
        """Start worker `number` with this command and the numbers of its pipes behind it."""
        greeted = self._greeted_read if number == 1 else self._greeted_write
        return subprocess.Popen(  # noqa: S603 (our own program)
            [*command, "--worker", str(number), "--lifeline", str(self._lifeline), "--greeted", str(greeted)],
            # The other end of the lifeline stays with the parent alone: it closes when the parent is gone.
            pass_fds=(self._lifeline, greeted),
        )


def stop_with_parent(lifeline: int, stopping: threading.Event) -> None:
    """Set `stopping` when the parent is gone, even when it was killed."""

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        LOG.warning("the parent process is gone; stopping")
        stopping.set()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def tell_greeted(pipe: int) -> Callable[[str], None]:
    """Return the function with which a worker tells the first one that a unit said hello."""
    os.set_blocking(pipe, False)

    def tell(unit_id: str) -> None:
        try:
            # Less than a pipe takes at once: lines of two workers never mix.
            os.write(pipe, f"{unit_id}\n".encode())
        except OSError:
            # It is full, or the first worker is just being started again. Its head is retained: this was to be sure.
            return

    return tell


def hear_greeted(pipe: int, greeted: Callable[[str], None]) -> None:
    """Hand on what the other workers tell."""

    def listen() -> None:
        rest = ""
        while chunk := os.read(pipe, 65536):
            *lines, rest = (rest + chunk.decode("ascii", errors="replace")).split("\n")
            for line in lines:
                # The first line after a restart may be half of one.
                if _UNIT.match(line):
                    greeted(line)

    threading.Thread(target=listen, name="greeted", daemon=True).start()
