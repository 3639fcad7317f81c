"""Galleries: prepares new revisions, announces them, and hands out the content that units ask for."""

import logging
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

from hub.core.errors import StoreUnavailable
from hub.core.galleries import parts
from hub.core.ports import Clock, GalleryState, GalleryStore, Link, PackShelf
from protocol import codec, topics
from protocol.content import PACK_PARTS_AT_ONCE, Part, Want, Wanted

LOG = logging.getLogger("rollcall.hub.publisher")
_MOST_WANTS = 1000
_MOST_PARTS = 64
"""Parts sent for one request; the unit asks for the rest, so a slow line is not filled for minutes."""

_MOST_WANTS_AT_ONCE = 20
"""Wants answered in one step: new revisions are looked for in between, however many units ask."""

_MOST_PACK_WANTS_AT_ONCE = 4
"""Of these fewer, and after the others: a pack has time, and nobody's erasure waits for one."""

_POLL_EVERY_S = 1.0
_REFRESH_EVERY_S = 3600.0
"""How often a gallery is looked at although nobody changed it: consents run out, terms begin, timetables move on."""

_RETRY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Announced:
    revision: int
    push_count: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """What units asked for, oldest first: content of galleries, parts of the model pack, and to hear their head."""

    wants: list[tuple[str, Want]]
    pack_wants: list[tuple[str, Wanted]]
    greeted: set[str]


class Requests:
    """What the ingest thread tells the publisher. Any thread; bounded: a unit that is not answered asks again."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._wants: deque[tuple[str, Want]] = deque(maxlen=_MOST_WANTS)
        # One a unit: it fetches one file after the other, and whoever asks again has given up what it asked before.
        self._pack_wants: OrderedDict[str, Wanted] = OrderedDict()
        self._greeted: set[str] = set()

    def want(self, unit_id: str, want: Want) -> None:
        """A unit asks for content."""
        of_pack = [item for item in want.items if item.kind in ("pack", "pack_file")]
        others = tuple(item for item in want.items if item not in of_pack)
        with self._lock:
            if others:
                self._wants.append((unit_id, want if not of_pack else Want(items=others)))
            if of_pack and (unit_id in self._pack_wants or len(self._pack_wants) < _MOST_WANTS):
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
            wants = [self._wants.popleft() for _ in range(min(len(self._wants), _MOST_WANTS_AT_ONCE))]
            most = min(len(self._pack_wants), _MOST_PACK_WANTS_AT_ONCE)
            pack_wants = [self._pack_wants.popitem(last=False) for _ in range(most)]
            greeted = set(self._greeted)
            self._greeted.clear()
        return Asked(wants, pack_wants, greeted)


class PublisherLoop:
    """Keeps units' galleries announced. One thread calls `step`."""

    name = "publisher"

    def __init__(
        self,
        *,
        site: str,
        link: Link,
        store: GalleryStore,
        clock: Clock,
        requests: Requests,
        shelf: PackShelf | None = None,
    ) -> None:
        self._site = site
        self._link = link
        self._store = store
        self._clock = clock
        self._requests = requests
        self._shelf = shelf
        self._serving: set[str] = set()
        self._announced: dict[str, _Announced] = {}
        self._refreshed_at_s: dict[str, float] = {}
        self._connections = 0
        self._poll_at_s = 0.0

    def step(self) -> None:
        """Answer requests and look for new revisions. Raises StoreRefused.

        While the database is away nothing is answered: units ask again. The ingest loop says that it is away.
        """
        asked = self._requests.take(min(_POLL_EVERY_S, max(0.0, self._poll_at_s - self._clock.monotonic_s())))
        try:
            for unit_id in asked.greeted:
                # Whatever was announced before: this unit may not have heard it.
                self._announced.pop(unit_id, None)
            if asked.greeted or self._clock.monotonic_s() >= self._poll_at_s:
                self._poll_at_s = self._clock.monotonic_s() + _POLL_EVERY_S
                self._poll()
            # After the look for what has changed: nobody is given what was withdrawn a moment ago.
            for unit_id, want in asked.wants:
                for item in want.items:
                    self._hand_out(unit_id, item)
            for unit_id, item in asked.pack_wants:
                self._hand_out_pack(unit_id, item)
        except StoreUnavailable:
            self._poll_at_s = self._clock.monotonic_s() + _RETRY_EVERY_S

    def _poll(self) -> None:
        if self._link.connections != self._connections:
            # A broker that was away may have lost what it retained.
            self._connections = self._link.connections
            self._announced.clear()
        states = self._store.states()
        for state in states:
            self._prepare(state)
            self._announce(state)
        self._serving = {state.unit_id for state in states}
        gone = set(self._announced) - self._serving
        for unit_id in gone:
            self._withdraw(unit_id)

    def _prepare(self, state: GalleryState) -> None:
        now_s = self._clock.monotonic_s()
        due = now_s - self._refreshed_at_s.get(state.unit_id, -_REFRESH_EVERY_S) >= _REFRESH_EVERY_S
        if state.revision > state.prepared_revision or due:
            self._store.prepare(state.unit_id)
            self._refreshed_at_s[state.unit_id] = now_s
            self._announced.pop(state.unit_id, None)

    def _announce(self, state: GalleryState) -> None:
        before = self._announced.get(state.unit_id)
        if before is not None and before.push_count == state.push_count and before.revision >= state.prepared_revision:
            return
        head = self._store.head(state.unit_id)
        if head is None:
            return
        topic = topics.down(self._site, state.unit_id, "head").topic
        if self._link.publish(topic, head.payload, retain=True):
            self._announced[state.unit_id] = _Announced(head.revision, state.push_count, head.payload)
            if before is None or before.payload != head.payload:
                LOG.info("gallery announced unit=%s revision=%d", state.unit_id, head.revision)

    def _withdraw(self, unit_id: str) -> None:
        """Remove the retained head of a unit that was revoked."""
        if self._link.publish(topics.down(self._site, unit_id, "head").topic, b"", retain=True):
            self._announced.pop(unit_id, None)

    def _hand_out(self, unit_id: str, item: Wanted) -> None:
        content = self._store.content(unit_id, item.kind, item.hash)
        topic = topics.down(self._site, unit_id, "part").topic
        if content is None:
            self._link.publish(topic, codec.encode(Part(kind=item.kind, hash=item.hash, missing=True)))
            return
        pieces = parts(content)
        for index in range(item.from_part, min(len(pieces), item.from_part + _MOST_PARTS)):
            part = Part(kind=item.kind, hash=item.hash, index=index, count=len(pieces), data=pieces[index])
            if not self._link.publish(topic, codec.encode(part)):
                # Too much is under way, or there is no connection: the unit asks for what it lacks.
                return

    def _hand_out_pack(self, unit_id: str, item: Wanted) -> None:
        """Send a few parts of the pack to a unit of ours; it asks for more when it has them."""
        if unit_id not in self._serving:
            return
        topic = topics.down(self._site, unit_id, "part").topic
        for index in range(item.from_part, item.from_part + PACK_PARTS_AT_ONCE):
            found = self._shelf.part(item.kind, item.hash, index) if self._shelf else None
            if found is None:
                if index == item.from_part:
                    self._link.publish(topic, codec.encode(Part(kind=item.kind, hash=item.hash, missing=True)))
                return
            part = Part(kind=item.kind, hash=item.hash, index=found.index, count=found.count, data=found.data)
            if not self._link.publish(topic, codec.encode(part)):
                return
