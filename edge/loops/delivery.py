"""Drives the conversation with the hub: news in, actions carried out; the gallery is followed beside it."""

import logging
import queue
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import assert_never

from edge.core.actions import (
    Action,
    BeginEpoch,
    Clear,
    Delivered,
    Moment,
    Raise,
    Record,
    Rejected,
    Renumber,
    Requeue,
    Retry,
    Send,
)
from edge.core.conversation import Conversation
from edge.core.errors import StorageFull, UplinkUnavailable
from edge.core.news import Accepted, Arrived, Connected, Disconnected, Hindered, News, Refused
from edge.core.ports import Clock, Journal, Uplink
from edge.core.telling import UnitFacts
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder, Storage
from edge.loops.storage import NoReserves
from protocol import codec, topics
from protocol.content import Applied, Head, Part, Want
from protocol.errors import ProtocolError

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 1.0


@dataclass(slots=True)
class DeliveryLoop:
    """One thread calls `step`; the record and the gallery are reached through ports that serialise."""

    conversation: Conversation
    journal: Journal
    recorder: Recorder
    keeper: GalleryKeeper
    uplink: Uplink
    news: "queue.Queue[News]"
    clock: Clock
    health: Health
    on_new_epoch: Callable[[str], None] = lambda _epoch: None
    """Called after another stream was begun: the will names the stream."""
    storage: Storage | None = None
    """What can be done about a full disk; None: it is only reported."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many messages of each kind could not be understood."""
    _storage: Storage = field(init=False)
    _said: Applied | None = None
    """What the hub was told of the gallery last."""
    _owed: Applied | None = None
    """What it is still to hear of it: the broker refused that, or would."""

    def __post_init__(self) -> None:
        """Report a full disk where nothing else can be done about it."""
        self._storage = self.storage or NoReserves(self.health)

    def step(self, timeout_s: float = _LONGEST_WAIT_S) -> None:
        """Wait for news up to `timeout_s`, then do what is due.

        Raises StorageFailed when the disk is broken. A full disk is reported, and what failed is tried again: receipts
        and gallery pieces come once more.
        """
        self._take_all(timeout_s)
        self._follow_gallery()
        # Each by itself: what finds no space must not keep the status from going out, or nobody learns of it.
        self._do(self.conversation.tick)
        self._do(self.conversation.losses)
        self._do(self.conversation.status)

    def goodbye(self) -> None:
        """Say that the unit stops on purpose, so that the will is not published."""
        for kind, count in self.ignored.items():
            log.info("messages ignored kind=%s count=%d", kind, count)
        self._do(lambda now: self.conversation.losses(now, always=True))
        self._do(self.conversation.goodbye)

    @property
    def all_delivered(self) -> bool:
        """True when the hub has taken everything that was written down."""
        return self.conversation.all_delivered

    def _take_all(self, timeout_s: float) -> None:
        try:
            self._take(self.news.get(timeout=timeout_s) if timeout_s > 0 else self.news.get_nowait())
            while True:
                self._take(self.news.get_nowait())
        except queue.Empty:
            pass

    def _take(self, news: News) -> None:
        talk = self.conversation
        match news:
            case Connected(most_bytes):
                self._do(lambda now: talk.connected(now, most_bytes))
            case Disconnected(reason, twin):
                self._do(lambda now: talk.disconnected(now, reason, twin=twin))
            case Hindered(reason):
                self._do(lambda now: talk.hindered(now, reason))
            case Refused(reason, channel):
                self._do(lambda now: talk.refused(now, reason, channel))
                if channel == "applied":
                    self._owed = self._owed or self._said
            case Accepted(channel):
                self._do(lambda now: talk.accepted(now, channel))
            case Arrived(topic, payload):
                self._arrived(topic, payload)
            case _:
                assert_never(news)

    def _arrived(self, topic: str, payload: bytes) -> None:
        channel = ""
        try:
            address = topics.parse(topic)
            if (address.site, address.unit_id) != (self._facts.site, self._facts.unit_id):
                return
            channel = f" {address.channel}"
            message = codec.decode(address, payload)
        except ProtocolError as exc:
            self._ignore(f"{type(exc).__name__}{channel}", exc)
            return
        match message:
            case Head():
                with self._bearing_trouble():
                    self._tell(self.keeper.on_head(message))
            case Part():
                with self._bearing_trouble():
                    self._tell(self.keeper.on_part(message))
            case _:
                self._do(lambda now: self.conversation.heard(message, now))

    def _ignore(self, kind: str, exc: ProtocolError) -> None:
        self.ignored[kind] += 1
        if self.ignored[kind] == 1:
            # Once, and without content: a hostile or newer hub must not fill the log, least of all with names.
            log.warning("message ignored reason=%s; others of its kind are only counted", exc)

    def _follow_gallery(self) -> None:
        if not self.uplink.connected:
            return
        with self._bearing_trouble():
            self._tell(self._owed)
            if self._is_held_back("want"):
                return
            message = self.keeper.next_want(self.clock.monotonic_s()) or self.keeper.finish_if_complete()
            if isinstance(message, Want):
                self._send(Send("want", message))
            else:
                self._tell(message)

    def _tell(self, applied: Applied | None) -> None:
        if applied is None:
            return
        self._owed = applied if self._is_held_back("applied") else None
        if self._owed is None:
            self._said = applied
            self._send(Send("applied", applied))

    def _is_held_back(self, channel: str) -> bool:
        return self.conversation.holds_back(channel, self.clock.monotonic_s())

    # ---- carrying out ----------------------------------------------------------------------------------------------

    def _do(self, ask: Callable[[Moment], Iterable[Action]]) -> None:
        with self._bearing_trouble():
            for action in ask(self._now()):
                # Each by itself: a batch that cannot be sent is no reason not to note a receipt.
                with self._bearing_trouble():
                    self._try(action)

    def _now(self) -> Moment:
        return Moment(self.clock.monotonic_s(), self.clock.stamp())

    def _try(self, action: Action) -> None:
        try:
            try:
                self._carry_out(action)
            except StorageFull as exc:
                if not self._storage.make_room(exc):
                    raise
                self._carry_out(action)
        except StorageFull:
            self.conversation.not_done(action, self._now())

    def _carry_out(self, action: Action) -> None:  # noqa: C901 (one line for each kind of action)
        match action:
            case Send():
                self._send(action)
            case Delivered(epoch, ranges):
                self.journal.delivered(epoch, ranges)
            case Rejected(epoch, rejections):
                self.journal.rejected(epoch, rejections)
            case Requeue(epoch, ranges):
                log.warning("records put back into the queue epoch=%s", epoch)
                self.journal.requeue(epoch, ranges)
            case Retry(letters):
                self.journal.retry(letters)
            case BeginEpoch(instead_of):
                self._begin_epoch(instead_of)
            case Renumber(epoch, seqs):
                if epoch != self.journal.epoch:
                    self.journal.renumber(epoch, seqs)
            case Record(event):
                # With the names for what a full disk held back until now.
                self.recorder.record([event], self.keeper.known.names)
            case Raise(code, text):
                self.health.problem(code, text)
            case Clear(code):
                self.health.fine(code)
            case _:
                assert_never(action)

    def _begin_epoch(self, instead_of: str) -> None:
        if self.journal.epoch == instead_of:
            epoch = self.journal.begin_epoch()
            log.warning("new stream epoch=%s instead_of=%s", epoch, instead_of)
            self.on_new_epoch(epoch)

    def _send(self, send: Send) -> None:
        address = topics.up(self._facts.site, self._facts.unit_id, send.channel)
        self.uplink.publish(address, codec.encode(send.message), retain=send.retain)

    @contextmanager
    def _bearing_trouble(self) -> Iterator[None]:
        try:
            yield
        except UplinkUnavailable:
            # Nothing is lost: what was not sent is still due.
            log.debug("connection broke while sending")
        except StorageFull as exc:
            self._storage.make_room(exc)

    @property
    def _facts(self) -> UnitFacts:
        return self.conversation.facts
