"""What waits of many units: bounded for each and for all together, taken from one after the other.

A unit that sends without end fills its own share and nobody else's, and whoever has little to say is not kept waiting.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many items, and how many bytes of them. One item always fits where there is none, however large."""

    count: int
    size_bytes: int


class _Share(Generic[Item]):
    """What waits of one unit, oldest first."""

    __slots__ = ("items", "size_bytes")

    def __init__(self) -> None:
        self.items: deque[tuple[Item, int]] = deque()
        self.size_bytes = 0


class FairQueue(Generic[Item]):
    """Items by whose they are. Not for several threads at once."""

    def __init__(self, of_all: Bounds, of_one: Bounds) -> None:
        self._of_all = of_all
        self._of_one = of_one
        self._shares: OrderedDict[str, _Share[Item]] = OrderedDict()
        self._count = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return self._count

    def put(self, whose: str, item: Item, size_bytes: int = 0) -> bool:
        """Keep an item behind the others of the same unit; False when its share, or everything, is full."""
        share = self._shares.get(whose)
        if _full(self._of_all, self._count, self.size_bytes, size_bytes):
            return False
        if share is None:
            share = self._shares[whose] = _Share()
        elif _full(self._of_one, len(share.items), share.size_bytes, size_bytes):
            return False
        share.items.append((item, size_bytes))
        share.size_bytes += size_bytes
        self._count += 1
        self.size_bytes += size_bytes
        return True

    def take(self) -> tuple[Item, int]:
        """Remove and return the oldest item of the unit whose turn it is, and its size; raises KeyError when empty."""
        whose = next(iter(self._shares), None)
        if whose is None:
            raise KeyError("nothing waits")
        taken = self.take_of(whose)
        if whose in self._shares:
            self._shares.move_to_end(whose)
        return taken

    def take_of(self, whose: str) -> tuple[Item, int]:
        """Remove and return the oldest item of this unit, and its size; raises KeyError when there is none."""
        share = self._shares[whose]
        item, size_bytes = share.items.popleft()
        share.size_bytes -= size_bytes
        self._count -= 1
        self.size_bytes -= size_bytes
        if not share.items:
            del self._shares[whose]
        return item, size_bytes


def _full(bounds: Bounds, count: int, held_bytes: int, size_bytes: int) -> bool:
    return count >= bounds.count or (count > 0 and held_bytes + size_bytes > bounds.size_bytes)
