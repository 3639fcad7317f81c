"""What came from the broker and waits to be taken: bounded, the urgent first, each unit in turn and in its own lane."""

import threading
from collections.abc import Sequence
from zlib import crc32

from hub.core.fair_queue import Bounds, FairQueue
from hub.core.ingest import Arrival

# Whoever says hello waits for the answer before anything else; what waited for days can wait for what happens now.
_RANKS = {"hello": 0, "want": 0, "backlog": 2, "audit": 2}
_USUAL_RANK = 1
_RANKS_THERE_ARE = 3
_LANE_CHANNELS = frozenset({"events", "backlog"})
_MOST_BYTES = 64 * 1024 * 1024
"""Of one rank in all lanes together: as many full batches as a hub commits in some seconds."""
_OF_UNIT = Bounds(64, 2 * 1024 * 1024)
"""Of one rank from one unit: several times what the hub lets a unit have under way."""
_TAKEN_BYTES = 640 * 1024
"""Taken at once, about 2,000 events: one transaction, so that what comes next need not wait for long."""
_SHARE_OF_LESS_URGENT = 4
_HEAD_BYTES = 400
_HEADS = Bounds(1000, 1024 * 1024)
_HEADS_OF_UNIT = Bounds(16, 16 * 1024)
"""As many batches as a unit has under way: whoever sends more is not told of each."""
_MOST_AUDITS = 1000
_AUDITS_OF_UNIT = Bounds(16, 2 * 1024 * 1024)
"""One message for each stream on the unit's disk, once a day."""


class Inbox:
    """Messages of one lane. Keeps the contract of `hub.core.ports.Inbox`; any thread puts, one takes."""

    def __init__(self, size: int, most_bytes: int = _MOST_BYTES, of_unit: Bounds = _OF_UNIT) -> None:
        """`size` messages and `most_bytes` of each rank fit in, and of each unit `of_unit`."""
        self._size = size
        self._most_bytes = most_bytes
        self._filled = threading.Condition()
        self._waiting: tuple[FairQueue[Arrival], ...] = tuple(
            FairQueue(Bounds(size, most_bytes), of_unit) for _ in range(_RANKS_THERE_ARE)
        )
        self._turned_away: FairQueue[Arrival] = FairQueue(_HEADS, _HEADS_OF_UNIT)

    def put(self, arrival: Arrival) -> bool:
        """Keep a message; False when there is no room for it (of a batch its beginning is kept, for an answer)."""
        channel, unit = channel_of(arrival.topic), _unit_of(arrival.topic)
        queue = self._waiting[_RANKS.get(channel, _USUAL_RANK)]
        with self._filled:
            if not queue.put(unit, arrival, len(arrival.payload)):
                if channel in _LANE_CHANNELS:
                    head = Arrival(arrival.topic, arrival.payload[:_HEAD_BYTES], arrival.received_at)
                    self._turned_away.put(unit, head, len(head.payload))
                return False
            self._filled.notify()
        return True

    def take(self, most: int, timeout_s: float) -> list[Arrival]:
        """Return up to `most` messages and about half a megabyte, waiting at most `timeout_s` for the first.

        The most urgent first. While there are urgent ones, of less urgent ones a quarter is taken: they go on, slowly.
        """
        with self._filled:
            if not any(self._waiting):
                self._filled.wait(timeout_s)
            taken: list[Arrival] = []
            left, left_bytes = most, _TAKEN_BYTES
            for rank in range(len(self._waiting)):
                # Kept back for the less urgent, however much is urgent: otherwise nobody would ever hear of them.
                others = any(self._waiting[rank + 1 :])
                kept = left // _SHARE_OF_LESS_URGENT if others else 0
                kept_bytes = left_bytes // _SHARE_OF_LESS_URGENT if others else 0
                count, size = self._take_from(rank, taken, left - kept, left_bytes - kept_bytes)
                left, left_bytes = left - count, left_bytes - size
                if count:
                    left = max(kept, -(-left // _SHARE_OF_LESS_URGENT))
                    left_bytes = max(kept_bytes, left_bytes // _SHARE_OF_LESS_URGENT)
        return taken

    def _take_from(self, rank: int, taken: list[Arrival], most: int, most_bytes: int) -> tuple[int, int]:
        """Move messages of one rank to `taken`; return how many and how large. One may be larger than the rest."""
        count = size = 0
        queue = self._waiting[rank]
        while queue and count < most and (size < most_bytes or not taken):
            arrival, arrival_bytes = queue.take()
            count, size = count + 1, size + arrival_bytes
            taken.append(arrival)
        return count, size

    def turned_away(self) -> list[Arrival]:
        """Return the beginnings of batches that found no room since the last call: a thousand, some of each unit."""
        with self._filled:
            return [self._turned_away.take()[0] for _ in range(len(self._turned_away))]

    @property
    def pressure(self) -> float:
        """How full it is, from 0 to 1."""
        with self._filled:
            fullest = max(len(queue) for queue in self._waiting) / self._size
            return min(1.0, max(fullest, max(queue.size_bytes for queue in self._waiting) / self._most_bytes))


class Lanes:
    """Inboxes for events, one a lane; one for audits, which take long; one, the desk, for everything else.

    So whoever says hello never waits behind events, nor behind what is compared.
    """

    def __init__(self, lanes: int, size: int) -> None:
        """Without lanes everything is for the desk. `size` messages of each urgency fit in, in all lanes together."""
        self.desk = Inbox(size)
        self.audits = Inbox(_MOST_AUDITS, of_unit=_AUDITS_OF_UNIT)
        each, each_bytes = -(-size // max(1, lanes)), _MOST_BYTES // max(1, lanes)
        self.lanes: Sequence[Inbox] = tuple(Inbox(each, each_bytes) for _ in range(lanes))

    def put(self, arrival: Arrival) -> bool:
        """Keep a message in the inbox where it belongs; False when there is no room for it."""
        return self._of(arrival.topic).put(arrival)

    def _of(self, topic: str) -> Inbox:
        channel = channel_of(topic)
        if self.lanes and channel in _LANE_CHANNELS:
            # By unit: two transactions at once on one stream would only wait for each other.
            return self.lanes[crc32(_unit_of(topic).encode()) % len(self.lanes)]
        return self.audits if self.lanes and channel == "audit" else self.desk

    @property
    def pressure(self) -> float:
        """How full the fullest is, from 0 to 1. What is compared once a day does not count: it has time."""
        return max(inbox.pressure for inbox in (self.desk, *self.lanes))


def channel_of(topic: str) -> str:
    """Return the last level of a topic."""
    return topic.rpartition("/")[2]


def _unit_of(topic: str) -> str:
    return topic.rpartition("/")[0].rpartition("/")[2]
