"""Virtual time: what is due happens in order, and the same seed gives the same run."""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

Action = Callable[..., object]


class Scheduler:
    """A queue of actions by their moment, in seconds since the simulation began. Equal moments keep their order."""

    __slots__ = ("_count", "_queue", "done", "now_s", "seed")

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.now_s = 0.0
        self.done = 0
        """Actions that have happened."""
        self._count = 0
        self._queue: list[tuple[float, int, Action, tuple[Any, ...]]] = []

    def random(self, name: str) -> Random:
        """Return a source of chance of its own for each name: one part that asks more does not change the others."""
        return Random(f"{self.seed}/{name}")  # noqa: S311 (a simulation must repeat)

    def at(self, when_s: float, action: Action, *arguments: Any) -> None:
        """Let `action` happen at a moment; one that is past happens next."""
        self._count += 1
        when_s = max(when_s, self.now_s)
        heapq.heappush(self._queue, (when_s, self._count, action, arguments))

    def after(self, delay_s: float, action: Action, *arguments: Any) -> None:
        """Let `action` happen after a while."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_s + delay_s, self._count, action, arguments))

    def run(self, until_s: float) -> None:
        """Let everything happen up to a moment, at which the time then is."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= until_s:
            when_s, _, action, arguments = pop(queue)
            self.now_s = when_s
            self.done += 1
            action(*arguments)
        self.now_s = max(self.now_s, until_s)
