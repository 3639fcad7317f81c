"""Galleries: prepares new revisions, announces them, and hands out the content that units ask for."""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hub.core.errors import HubError, StoreBusy, StoreRefused, StoreUnavailable
from hub.core.galleries import parts
from hub.core.ports import Clock, GalleryState, GalleryStore, Link, PackShelf
from hub.loops.requests import Requests
from protocol import codec, topics
from protocol.content import PACK_PARTS_AT_ONCE, Part, Wanted

LOG = logging.getLogger("rollcall.hub.publisher")
_MOST_PARTS = 64
"""Parts sent for one request; the unit asks for the rest, so a slow line is not filled for minutes."""

_MOST_PIECES_AT_ONCE = 64
"""Pieces of content looked up in one step: new revisions are looked for in between, however much is asked for."""

_PACKS_FIRST_EVERY = 4
_MOST_SENDING = 1000
_RESUME_S, _STALLED_S = 0.02, 0.25
"""How soon to go on when no more parts may be under way: when some of them went, and when none did."""

_POLL_EVERY_S = 1.0
_REFRESH_EVERY_S = 3600.0
"""How often a gallery is looked at although nobody changed it: consents run out, terms begin, timetables move on."""

_RETRY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Announced:
    revision: int
    push_count: int
    payload: bytes


_Finding = Callable[[str, Wanted], Iterator[Part]]


@dataclass(slots=True)
class _Sending:
    """What a unit is being sent: what it asked for and has not got, and how many parts of that are still for it."""

    items: deque[Wanted]
    parts_left: int


@dataclass(slots=True)
class _Line:
    """Whom something is being sent, in turn."""

    units: OrderedDict[str, _Sending] = field(default_factory=OrderedDict)

    def put(self, unit_id: str, items: Iterable[Wanted], most_parts: int) -> None:
        """Send a unit this; whoever asks again has given up what it asked before."""
        if unit_id in self.units or len(self.units) < _MOST_SENDING:
            self.units[unit_id] = _Sending(deque(items), most_parts)


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
        self._galleries, self._packs = _Line(), _Line()
        self._resume_s = _POLL_EVERY_S
        self._sendings = 0

    def step(self) -> None:
        """Answer requests and look for new revisions. Raises StoreRefused.

        While the database is away nothing is answered: units ask again. The ingest loop says that it is away.
        """
        asked = self._requests.take(self._patience_s())
        for unit_id, want in asked.wants:
            self._galleries.put(unit_id, want.items, _MOST_PARTS)
        for unit_id, item in asked.pack_wants:
            self._packs.put(unit_id, [item], PACK_PARTS_AT_ONCE)
        try:
            for unit_id in asked.greeted:
                # Whatever was announced before: this unit may not have heard it.
                self._announced.pop(unit_id, None)
            if asked.greeted or self._clock.monotonic_s() >= self._poll_at_s:
                self._poll_at_s = self._clock.monotonic_s() + _POLL_EVERY_S
                self._poll()
            # After the look for what has changed: nobody is given what was withdrawn a moment ago.
            self._send()
        except StoreUnavailable:
            self._poll_at_s = self._clock.monotonic_s() + _RETRY_EVERY_S
            self._galleries, self._packs = _Line(), _Line()

    def _patience_s(self) -> float:
        until_poll_s = max(0.0, self._poll_at_s - self._clock.monotonic_s())
        return min(_POLL_EVERY_S, until_poll_s, self._resume_s)

    def _poll(self) -> None:
        if self._link.connections != self._connections:
            # A broker that was away may have lost what it retained.
            self._connections = self._link.connections
            self._announced.clear()
        states = self._store.states()
        for state in states:
            self._keep_announced(state)
        self._serving = {state.unit_id for state in states}
        gone = set(self._announced) - self._serving
        for unit_id in gone:
            self._withdraw(unit_id)

    def _keep_announced(self, state: GalleryState) -> None:
        try:
            self._prepare(state)
            self._announce(state)
        except StoreRefused:
            raise
        except HubError as exc:
            if isinstance(exc, StoreUnavailable) and not isinstance(exc, StoreBusy):
                raise
            # One gallery that cannot be read now holds up no other one's.
            LOG.error("gallery cannot be prepared unit=%s reason=%r; tried again", state.unit_id, str(exc))  # noqa: TRY400

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

    # ---- content ---------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send parts, one unit's piece after another's, galleries first, until no more may be under way."""
        self._resume_s = _POLL_EVERY_S
        self._sendings += 1
        sent = 0
        lines = [(self._galleries, self._of_gallery), (self._packs, self._of_pack)]
        if self._sendings % _PACKS_FIRST_EVERY == 0:
            # So that units that ask for galleries without end do not keep others from their packs for ever.
            lines.reverse()
        for line, found in lines:
            for _ in range(_MOST_PIECES_AT_ONCE):
                if not line.units:
                    break
                unit_id, sending = next(iter(line.units.items()))
                line.units.move_to_end(unit_id)
                count, all_went = self._send_piece(unit_id, sending, found)
                sent += count
                if not sending.items or not sending.parts_left or unit_id not in self._serving:
                    del line.units[unit_id]
                if not all_went:
                    self._resume_s = _RESUME_S if sent else _STALLED_S
                    return
            if line.units:
                self._resume_s = 0.0

    def _send_piece(self, unit_id: str, sending: _Sending, found: _Finding) -> tuple[int, bool]:
        """Send what a unit lacks of one piece; return how many parts, and whether all that there is for now went."""
        if unit_id not in self._serving:
            return 0, True
        sent, item = 0, sending.items[0]
        topic = topics.down(self._site, unit_id, "part").topic
        for part in found(unit_id, item):
            if not sending.parts_left:
                break
            if not self._link.publish(topic, codec.encode(part)):
                sending.items[0] = item.model_copy(update={"from_part": item.from_part + sent})
                return sent, False
            sent += 1
            sending.parts_left -= 1
        sending.items.popleft()
        return sent, True

    def _of_gallery(self, unit_id: str, item: Wanted) -> Iterator[Part]:
        content = self._store.content(unit_id, item.kind, item.hash)
        if content is None:
            yield Part(kind=item.kind, hash=item.hash, missing=True)
            return
        pieces = parts(content)
        for index in range(item.from_part, len(pieces)):
            yield Part(kind=item.kind, hash=item.hash, index=index, count=len(pieces), data=pieces[index])

    def _of_pack(self, _unit_id: str, item: Wanted) -> Iterator[Part]:
        index = item.from_part
        while found := self._shelf.part(item.kind, item.hash, index) if self._shelf else None:
            yield Part(kind=item.kind, hash=item.hash, index=found.index, count=found.count, data=found.data)
            index += 1
        if index == item.from_part:
            yield Part(kind=item.kind, hash=item.hash, missing=True)
