"""What came from the broker and waits to be taken: bounded, the urgent first, each unit always in the same lane."""

import threading
from collections import deque
from collections.abc import Sequence
from zlib import crc32

from hub.core.ingest import Arrival

# Whoever says hello waits for the answer before anything else; what waited for days can wait for what happens now.
_RANKS = {"hello": 0, "want": 0, "backlog": 2, "audit": 2}
_USUAL_RANK = 1
_RANKS_THERE_ARE = 3
_LANE_CHANNELS = frozenset({"events", "backlog"})
_MOST_BYTES = 64 * 1024 * 1024
"""Of one rank in all lanes together: as many full batches as a hub commits in some seconds."""
_TAKEN_BYTES = 640 * 1024
"""Taken at once, about 2,000 events: one transaction, so that what comes next need not wait for long."""
_SHARE_OF_LESS_URGENT = 4
_HEAD_BYTES = 400
_MOST_HEADS = 1000


class Inbox:
    """Messages of one lane. Keeps the contract of `hub.core.ports.Inbox`; any thread puts, one takes."""

    def __init__(self, size: int, most_bytes: int = _MOST_BYTES) -> None:
        """`size` messages and `most_bytes` of each rank fit in."""
        self._size = size
        self._most_bytes = most_bytes
        self._filled = threading.Condition()
        self._waiting: tuple[deque[Arrival], ...] = tuple(deque() for _ in range(_RANKS_THERE_ARE))
        self._bytes = [0] * _RANKS_THERE_ARE
        self._turned_away: deque[Arrival] = deque(maxlen=_MOST_HEADS)

    def put(self, arrival: Arrival) -> bool:
        """Keep a message; False when there is no room for it (of a batch its beginning is kept, for an answer)."""
        channel = channel_of(arrival.topic)
        rank = _RANKS.get(channel, _USUAL_RANK)
        with self._filled:
            queue, size = self._waiting[rank], len(arrival.payload)
            if len(queue) >= self._size or (queue and self._bytes[rank] + size > self._most_bytes):
                if channel in _LANE_CHANNELS:
                    head = Arrival(arrival.topic, arrival.payload[:_HEAD_BYTES], arrival.received_at)
                    self._turned_away.append(head)
                return False
            queue.append(arrival)
            self._bytes[rank] += size
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
            arrival = queue.popleft()
            count, size = count + 1, size + len(arrival.payload)
            taken.append(arrival)
        self._bytes[rank] -= size
        return count, size

    def turned_away(self) -> list[Arrival]:
        """Return the beginnings of batches that found no room since the last call, the newest thousand of them."""
        with self._filled:
            heads = list(self._turned_away)
            self._turned_away.clear()
        return heads

    @property
    def pressure(self) -> float:
        """How full it is, from 0 to 1."""
        with self._filled:
            fullest = max(len(queue) for queue in self._waiting) / self._size
            return min(1.0, max(fullest, max(self._bytes) / self._most_bytes))


class Lanes:
    """Inboxes for events, one a lane, and one for everything else: whoever says hello never waits behind events."""

    def __init__(self, lanes: int, size: int) -> None:
        """Without lanes everything is for the desk. `size` messages of each urgency fit in, in all lanes together."""
        self.desk = Inbox(size)
        each, each_bytes = -(-size // max(1, lanes)), _MOST_BYTES // max(1, lanes)
        self.lanes: Sequence[Inbox] = tuple(Inbox(each, each_bytes) for _ in range(lanes))

    def put(self, arrival: Arrival) -> bool:
        """Keep a message in the inbox where it belongs; False when there is no room for it."""
        if self.lanes and channel_of(arrival.topic) in _LANE_CHANNELS:
            # By unit: two transactions at once on one stream would only wait for each other.
            return self.lanes[crc32(_unit_of(arrival.topic)) % len(self.lanes)].put(arrival)
        return self.desk.put(arrival)

    @property
    def pressure(self) -> float:
        """How full the fullest is, from 0 to 1."""
        return max(inbox.pressure for inbox in (self.desk, *self.lanes))


def channel_of(topic: str) -> str:
    """Return the last level of a topic."""
    return topic.rpartition("/")[2]


def _unit_of(topic: str) -> bytes:
    return topic.rpartition("/")[0].rpartition("/")[2].encode()
