"""The conversation with the hub: greet, send what waits, take receipts, follow the gallery, tell how we are."""

import logging
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from edge.core.delivery import DeliveryWindow
from edge.core.errors import StorageFull, UplinkUnavailable
from edge.core.frame import NS_PER_S
from edge.core.news import Arrived, Connected, Disconnected, News, Refused
from edge.core.ports import Clock, Journal, Uplink, Waiting
from edge.core.presence import UNNUMBERED
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from protocol import codec, topics
from protocol.base import Envelope
from protocol.content import Head, Part, Want
from protocol.delivery import Hello, Receipt, Welcome
from protocol.errors import ProtocolError
from protocol.events import Anchor
from protocol.status import Status

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 1.0
_ANCHOR_STEP_S = 2.0
_ANCHOR_ERROR_MS = 100
_ANCHOR_AGE_S = 5.0
"""An older answer says too little of what time it is now."""
_TWIN_FADES_S = 600.0


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What the unit tells the hub of itself."""

    site: str
    unit_id: str
    software: str
    pack_id: str
    session: int


@dataclass(slots=True)
class _Progress:
    last_receipt_at: datetime | None = None
    status_due_s: float = float("-inf")
    status_changes: int = -1
    welcomed: bool = False
    hello_due_s: float = float("-inf")
    hello_sent_s: float | None = None
    """When the first hello was sent that has no answer yet."""
    ask_time: bool = False
    asked_time: bool = False
    """On this connection a welcome came too late to tell the time, and was asked for once more."""
    anchored_s: float | None = None
    twin_until_s: float = float("inf")


@dataclass(slots=True)
class DeliveryLoop:
    """One thread calls `step`; the record and the gallery are reached through ports that serialise."""

    facts: UnitFacts
    journal: Journal
    recorder: Recorder
    keeper: GalleryKeeper
    uplink: Uplink
    news: "queue.Queue[News]"
    clock: Clock
    health: Health
    window: DeliveryWindow
    live: Callable[[], dict[str, float]]
    """Returns `frames_per_s` and `disk_free_bytes` of now."""
    status_every_s: float = 30.0
    _now: _Progress = field(default_factory=_Progress)

    def step(self, timeout_s: float = _LONGEST_WAIT_S) -> None:
        """Wait for news up to `timeout_s`, then do what is due.

        Raises StorageFailed when the disk is broken. A full disk is reported, and what failed is tried again: receipts
        and gallery pieces come once more.
        """
        with self._bearing_trouble():
            self._take_all(timeout_s)
        # Each by itself: a gallery that finds no space must not keep records and status from going out.
        for send in (self._greet_if_due, self._follow_gallery, self._send_events, self._send_status):
            if self.uplink.connected:
                with self._bearing_trouble():
                    send(self.clock.monotonic_s())

    @contextmanager
    def _bearing_trouble(self) -> Iterator[None]:
        try:
            yield
        except UplinkUnavailable:
            # Nothing is lost: what was not sent is still due.
            log.debug("connection broke while sending")
        except StorageFull as exc:
            self.health.failed("disk_full", exc)

    def _take_all(self, timeout_s: float) -> None:
        try:
            self._take(self.news.get(timeout=timeout_s) if timeout_s > 0 else self.news.get_nowait())
            while True:
                self._take(self.news.get_nowait())
        except queue.Empty:
            pass

    def goodbye(self) -> None:
        """Say that the unit stops on purpose, so that the will is not published."""
        if self.uplink.connected:
            try:
                self._publish_status("stopped", self._look_at_losses())
            except UplinkUnavailable:
                log.debug("no goodbye: not connected")

    @property
    def all_delivered(self) -> bool:
        """True when the hub has taken everything that was written down."""
        last, delivered = self.journal.positions()
        return last == delivered

    def _take(self, news: News) -> None:
        match news:
            case Connected():
                self.health.fine("broker_lost")
                self.health.fine("broker_refuses")
                self.window.reset()
                self._greet_anew()
                self._now.ask_time = self._now.asked_time = False
                self._now.status_due_s = float("-inf")
            case Disconnected(reason, twin):
                self.health.problem("broker_lost", reason)
                if twin:
                    self._now.twin_until_s = self.clock.monotonic_s() + _TWIN_FADES_S
                    self.health.problem("twin_unit", reason)
            case Refused(reason):
                self.health.problem("broker_refuses", reason)
            case Arrived(topic, payload):
                self._arrived(topic, payload)

    def _arrived(self, topic: str, payload: bytes) -> None:
        try:
            address = topics.parse(topic)
            if (address.site, address.unit_id) != (self.facts.site, self.facts.unit_id):
                return
            message = codec.decode(address, payload)
        except ProtocolError as exc:
            # Without content: a hostile or newer hub must not fill the log with names.
            log.warning("message ignored reason=%s", exc)
            return
        self._answer(message)

    def _answer(self, message: Envelope) -> None:
        match message:
            case Welcome():
                self._welcomed(message)
            case Receipt():
                self._receipt(message)
            case Head():
                self._tell(self.keeper.on_head(message))
            case Part():
                self._tell(self.keeper.on_part(message))
            case _:
                log.info("message of a kind that units do not read")

    def _welcomed(self, welcome: Welcome) -> None:
        if welcome.epoch != self.journal.epoch:
            return
        self.health.fine("hub_silent")
        if self._now.welcomed:
            # The answer to an earlier hello: what is under way since the first answer stays under way.
            self.window.limits = welcome.limits
        else:
            self._now.welcomed = True
            self.window.reset(welcome.limits)
        self._learn_time(welcome.server_time)

    def _learn_time(self, server_time: datetime) -> None:
        if self._now.hello_sent_s is None:
            return
        # The hub said it somewhere between our first unanswered hello and now: that is how wrong it may be.
        age_s = self.clock.monotonic_s() - self._now.hello_sent_s
        self._now.hello_sent_s, self._now.hello_due_s = None, float("-inf")
        if age_s <= _ANCHOR_AGE_S:
            self._anchor(server_time, age_s)
        elif not self._now.asked_time:
            # The hub was away and is back: now it says at once what time it is. Once, should it always be slow.
            self._now.ask_time = self._now.asked_time = True

    def _anchor(self, server_time: datetime, age_s: float) -> None:
        """Write down what time the hub says it is, where that tells something new."""
        now = self.clock.stamp()
        apart_s = abs((server_time - now.at).total_seconds())
        if apart_s < _ANCHOR_STEP_S:
            self.health.fine("clock_wrong")
            if now.clock == "synced":
                return
        else:
            self.health.problem("clock_wrong", f"this unit's clock and the hub's are {apart_s:.0f} s apart: check NTP")
        # The hub's time at the start of this boot: what an anchor says, whatever the wall clock does.
        boot_s = server_time.timestamp() - now.boottime_ns / NS_PER_S
        if self._now.anchored_s is not None and abs(boot_s - self._now.anchored_s) < _ANCHOR_STEP_S:
            return
        self._now.anchored_s = boot_s
        self.recorder.record(
            [
                Anchor(
                    **now.model_dump(),
                    event_id=self.clock.new_id(),
                    seq=UNNUMBERED,
                    utc=server_time,
                    source="welcome",
                    error_ms=round(age_s * 1000) + _ANCHOR_ERROR_MS,
                )
            ],
            # For what a full disk held back until now.
            self.keeper.known.names,
        )

    def _receipt(self, receipt: Receipt) -> None:
        if not self.window.answered(receipt, self.clock.monotonic_s()):
            if receipt.result == "busy":
                self.health.problem("hub_busy", "the hub takes no records now; they wait here and are sent again")
            return
        self.health.fine("hub_busy")
        self._now.last_receipt_at = self.clock.stamp().at
        self.journal.delivered([*receipt.accepted, *receipt.duplicate])
        if self.journal.rejected(receipt.rejected):
            self._now.status_due_s = float("-inf")

    def _tell(self, message: Envelope | None) -> None:
        if message is not None:
            self._send("applied", message)

    def _greet_anew(self) -> None:
        self._now.welcomed = False
        self._now.hello_sent_s = None
        self._now.hello_due_s = float("-inf")

    def _greet_if_due(self, now_s: float) -> None:
        if self._now.welcomed and self.window.unanswered:
            # It had welcomed us and is gone: say so, and notice when it is back.
            self._greet_anew()
        if self._now.ask_time or (not self._now.welcomed and now_s >= self._now.hello_due_s):
            self._now.ask_time = False
            self._greet(now_s)

    def _follow_gallery(self, now_s: float) -> None:
        message = self.keeper.next_want(now_s) or self.keeper.finish_if_complete()
        if message:
            self._send("want" if isinstance(message, Want) else "applied", message)

    def _send_events(self, now_s: float) -> None:
        if self._now.welcomed:
            for batch in self.window.due(now_s, self.journal.undelivered):
                self._send("events", batch)

    def _send_status(self, now_s: float) -> None:
        if now_s >= self._now.twin_until_s:
            self._now.twin_until_s = float("inf")
            self.health.fine("twin_unit")
        if now_s >= self._now.status_due_s or self._now.status_changes != self.health.changes:
            waiting = self._look_at_losses()
            self._now.status_due_s = now_s + self.status_every_s
            self._now.status_changes = self.health.changes
            self._publish_status("degraded" if self.health.problems() else "watching", waiting)

    def _greet(self, now_s: float) -> None:
        if self._now.hello_due_s > float("-inf"):
            self.health.problem("hub_silent", "connected to the broker, but no hub answers: is it running?")
        self._now.hello_due_s = now_s + 10.0
        if self._now.hello_sent_s is None:
            self._now.hello_sent_s = now_s
        last, delivered = self.journal.positions()
        stamp = self.clock.stamp()
        hello = Hello(
            epoch=self.journal.epoch,
            boot_id=stamp.boot_id,
            last_seq=last,
            delivered_seq=delivered,
            gallery_revision=self.keeper.known.revision,
            pack_id=self.facts.pack_id,
            software=self.facts.software,
            clock=stamp.clock,
            at=stamp.at,
        )
        self._send("hello", hello)

    def _publish_status(self, state: Literal["watching", "degraded", "stopped"], waiting: Waiting) -> None:
        now = self.clock.stamp()
        live = self.live()
        age_s = max(0.0, (now.at - waiting.oldest_at).total_seconds()) if waiting.oldest_at else None
        status = Status(
            state=state,
            session=self.facts.session,
            epoch=self.journal.epoch,
            at=now.at,
            waiting_events=waiting.events,
            oldest_waiting_s=age_s,
            last_receipt_at=self._now.last_receipt_at,
            dead_letters=waiting.dead_letters,
            gallery_revision=self.keeper.known.revision,
            pack_id=self.facts.pack_id,
            students=self.keeper.known.gallery.size,
            frames_per_s=live.get("frames_per_s"),
            disk_free_bytes=int(live.get("disk_free_bytes", 0)),
            clock=now.clock,
            software=self.facts.software,
            problems=self.health.problems(),
        )
        self._send("status", status, retain=True)

    def _look_at_losses(self) -> Waiting:
        """Say what is refused or lost for as long as it is, also after a restart; return what waits."""
        waiting = self.journal.waiting()
        if waiting.dead_letters:
            text = f"the hub refused {waiting.dead_letters} records; they are kept on the unit"
            self.health.problem("dead_letters", text)
        else:
            self.health.fine("dead_letters")
        if self.recorder.lost:
            self.health.problem(
                "events_lost", f"{self.recorder.lost} records were lost: the disk was full for too long"
            )
        return waiting

    def _send(self, channel: str, message: Envelope, *, retain: bool = False) -> None:
        address = topics.up(self.facts.site, self.facts.unit_id, channel)
        self.uplink.publish(address, codec.encode(message), retain=retain)
