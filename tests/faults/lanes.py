"""Parts of faults side by side: each in a process of its own, what came of it known at once, and all ended together."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tests.faults.catalogue import Fault

LONGEST_S = 1200.0
"""A part that takes longer is stuck: every wait in it is bounded, and they add up to less."""
_ENDS_WITHIN_S = 60.0
_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Task:
    """One part of one fault. `place` is the fault's in the list of all of them."""

    place: int
    fault: Fault
    part: int


class Running(Protocol):
    """A task in its process."""

    def ended(self) -> bool:
        """Tell whether it is over."""
        ...

    def stop(self) -> None:
        """Ask it to end and to leave nothing behind; does not wait."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


Started = TypeVar("Started", bound=Running)


class Lanes(Generic[Started]):
    """Runs tasks in their order, `count` at a time; one of a quiet fault has the machine for itself.

    `done` is told of each task that is over: by itself (True), or because it took too long.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[Task], Started],
        done: Callable[[Task, Started, bool], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._start = start
        self._done = done
        self._now_s = now_s
        self._running: list[tuple[Task, Started, float]] = []

    def run(self, tasks: Sequence[Task], wait: Callable[[float], None] = time.sleep) -> None:
        """Run all of them. When an exception comes, Ctrl-C for one, everything that runs is ended first."""
        waiting = deque(tasks)
        try:
            while waiting or self._running:
                while waiting and self._has_room(waiting[0]):
                    task = waiting.popleft()
                    self._running.append((task, self._start(task), self._now_s()))
                self._look()
                if self._running:
                    wait(_TICK_S)
        except BaseException:
            self._end_all(wait)
            raise

    def _has_room(self, task: Task) -> bool:
        if not self._running:
            return True
        quiet = task.fault.quiet or any(one.fault.quiet for one, _, _ in self._running)
        return not quiet and len(self._running) < self._count

    def _look(self) -> None:
        for entry in list(self._running):
            task, process, began_s = entry
            by_itself = process.ended()
            if not by_itself and self._now_s() - began_s > LONGEST_S:
                process.kill()
            elif not by_itself:
                continue
            self._running.remove(entry)
            self._done(task, process, by_itself)

    def _end_all(self, wait: Callable[[float], None]) -> None:
        for _, process, _ in self._running:
            process.stop()
        until_s = self._now_s() + _ENDS_WITHIN_S
        while self._now_s() < until_s and not all(process.ended() for _, process, _ in self._running):
            wait(_TICK_S)
        for _, process, _ in self._running:
            process.kill()


def in_order(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks in the order in which they are run.

    Parts of one fault are spread among the others: what mostly starts processes beside what mostly waits. Those that
    need the machine for themselves come at the end.
    """
    parts = Counter(task.place for task in tasks)
    many = [task for task in tasks if parts[task.place] > 1]
    single = [task for task in tasks if parts[task.place] == 1]
    placed = [(number / len(group), task) for group in (single, many) for number, task in enumerate(group)]
    placed.sort(key=lambda one: (one[1].fault.quiet, one[0]))
    return [task for _, task in placed]
