"""What units ask the publisher for: noted by whoever hears it, one request a unit, answered in turn."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from protocol.content import Want, Wanted

_MOST_UNITS = 1000
_MOST_AT_ONCE = 20
"""Requests taken in one step: new revisions are looked for in between, however many units ask."""

_MOST_OF_PACK_AT_ONCE = 4
"""Of these fewer, and after the others: a pack has time, and nobody's erasure waits for one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What units asked for, oldest first: content of galleries, parts of the model pack, and to hear their head."""

    wants: list[tuple[str, Want]]
    pack_wants: list[tuple[str, Wanted]]
    greeted: set[str]


class Requests:
    """What the ingest threads tell the publisher. Any thread; bounded: a unit that is not answered asks again.

    One request of each kind a unit: whoever asks again has given up what it asked before, and goes on waiting where it
    was. So nobody fills the queue, and everybody has a turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._wants: OrderedDict[str, Want] = OrderedDict()
        self._pack_wants: OrderedDict[str, Wanted] = OrderedDict()
        self._greeted: set[str] = set()

    def want(self, unit_id: str, want: Want) -> None:
        """A unit asks for content."""
        of_pack = [item for item in want.items if item.kind in ("pack", "pack_file")]
        others = tuple(item for item in want.items if item not in of_pack)
        with self._lock:
            if others and (unit_id in self._wants or len(self._wants) < _MOST_UNITS):
                self._wants[unit_id] = want if not of_pack else Want(items=others)
            if of_pack and (unit_id in self._pack_wants or len(self._pack_wants) < _MOST_UNITS):
                self._pack_wants[unit_id] = of_pack[-1]
            self._lock.notify()

    def greeted(self, unit_id: str) -> None:
        """A unit said hello and should hear its head."""
        with self._lock:
            self._greeted.add(unit_id)
            self._lock.notify()

    def take(self, timeout_s: float) -> Asked:
        """Return what was asked, oldest first and some at a time, waiting at most `timeout_s` for something."""
        with self._lock:
            if not self._wants and not self._pack_wants and not self._greeted:
                self._lock.wait(timeout_s)
            wants = [self._wants.popitem(last=False) for _ in range(min(len(self._wants), _MOST_AT_ONCE))]
            most = min(len(self._pack_wants), _MOST_OF_PACK_AT_ONCE)
            pack_wants = [self._pack_wants.popitem(last=False) for _ in range(most)]
            greeted = set(self._greeted)
            self._greeted.clear()
        return Asked(wants, pack_wants, greeted)
