"""What units say besides events, until it is handled: of each unit and kind the newest, so that it is never left out.

While the database is away or busy, units go on saying how they are. An old hello needs no answer once there is another.
"""

from collections import OrderedDict

from hub.core.fair_queue import Bounds
from hub.core.ingest import Arrival, Heard, supersedes
from protocol.content import Applied
from protocol.delivery import Audit
from protocol.status import Status

Kind = tuple[str, str | int]
_IN_ALL = Bounds(5000, 32 * 1024 * 1024)
_OF_UNIT = Bounds(32, 1024 * 1024)
"""There is one place for each kind; only of what is said once, audits and erasures, are there several."""


class Deferred:
    """Messages of many units, bounded for each and for all together. One thread."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, dict[Kind, tuple[Heard, Arrival]]] = OrderedDict()
        self._count = 0
        self.size_bytes = 0

    def put(self, heard: Heard, arrival: Arrival) -> bool:
        """Keep a message, in place of an older one of its kind; False when there is no room: its unit says it again."""
        kind = _kind_of(heard)
        of_unit = self._waiting.get(heard.unit_id, {})
        before = of_unit.get(kind)
        if before is not None and _is_older(heard, before[0]):
            return True
        freed = 0 if before is None else len(before[1].payload)
        more = len(arrival.payload) - freed
        held = sum(len(one.payload) for _, one in of_unit.values())
        if before is None and (len(of_unit) >= _OF_UNIT.count or self._count >= _IN_ALL.count):
            return False
        if held + more > _OF_UNIT.size_bytes or self.size_bytes + more > _IN_ALL.size_bytes:
            return False
        self._waiting.setdefault(heard.unit_id, {})[kind] = (heard, arrival)
        self._count += before is None
        self.size_bytes += more
        return True

    def whose(self) -> list[str]:
        """Return of whom something waits; who has waited longest comes first."""
        return list(self._waiting)

    def first_of(self, unit_id: str) -> tuple[Heard, Arrival] | None:
        """Return what waits first of a unit and leave it there; None when nothing does."""
        return next(iter(self._waiting.get(unit_id, {}).values()), None)

    def drop_first(self, unit_id: str) -> None:
        """Forget what waits first of a unit. Raises KeyError when nothing does."""
        of_unit = self._waiting[unit_id]
        _, arrival = of_unit.pop(next(iter(of_unit)))
        self._count -= 1
        self.size_bytes -= len(arrival.payload)
        if not of_unit:
            del self._waiting[unit_id]


def _kind_of(heard: Heard) -> Kind:
    message = heard.message
    if isinstance(message, Audit):
        # One for each stream, once a day.
        return "audit", message.epoch
    if isinstance(message, Applied) and message.erased:
        # Whom a unit erased it says only once.
        return "erased", message.revision
    return type(message).__name__, 0


def _is_older(new: Heard, before: Heard) -> bool:
    """Tell whether a message came late: the will of a connection that another one has followed."""
    if isinstance(new.message, Status) and isinstance(before.message, Status):
        return not supersedes(new.message, before.message)
    return False
