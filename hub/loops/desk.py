"""The desk: what units say besides events. Each message is handled by itself, and answered when it is on record."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hub.core.ingest import Heard
from hub.core.ports import Clock, EventStore
from hub.loops.ingest_state import IngestState
from protocol.base import Envelope
from protocol.content import Applied
from protocol.delivery import Audit, Hello, Limits, Welcome
from protocol.status import Status

LOG = logging.getLogger("rollcall.hub.ingest")
Greeted = Callable[[str], None]
Answering = Callable[[str, str, Envelope], None]
"""Takes a unit, a channel and what to say on it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Handles hello, status, applied and audit. One thread."""

    store: EventStore
    clock: Clock
    state: IngestState
    answer: Answering
    on_greeted: Greeted
    limits: Callable[[], Limits]

    def handle(self, heard: Heard) -> bool:
        """Do what a message asks for and answer it; False for a unit that is unknown or revoked."""
        message = heard.message
        if isinstance(message, Hello):
            return self._greet(heard.unit_id, message, heard.received_at)
        if isinstance(message, Status):
            return self.store.keep_status(heard.unit_id, message, _heard_at(heard, message))
        if isinstance(message, Applied):
            if message.problem is not None:
                LOG.warning("gallery not applied unit=%s reason=%s", heard.unit_id, message.problem)
            return self.store.confirm_gallery(heard.unit_id, message, heard.received_at)
        if isinstance(message, Audit):
            return self._compare(heard.unit_id, message)
        return True

    def _compare(self, unit_id: str, audit: Audit) -> bool:
        answer = self.store.audit(unit_id, audit)
        if answer is None:
            return False
        if answer.differing:
            LOG.error(
                "the record differs from what the unit holds receipts for; it sends again unit=%s epoch=%s ranges=%d",
                unit_id,
                audit.epoch,
                len(answer.differing),
            )
        self.answer(unit_id, "audit", answer)
        return True

    def _greet(self, unit_id: str, hello: Hello, at: datetime) -> bool:
        greeting = self.store.greet(unit_id, hello, at)
        if greeting is None:
            return False
        if greeting.too_many_streams:
            self.state.too_many_streams(unit_id)
            return True
        if greeting.clone_suspected:
            LOG.error("two units speak as one; was a card copied? unit=%s epoch=%s", unit_id, hello.epoch)
        if hello.delivered_seq > greeting.high_water:
            LOG.error(
                "the database lacks events it had confirmed; was it restored? unit=%s epoch=%s confirmed=%d has=%d",
                unit_id,
                hello.epoch,
                hello.delivered_seq,
                greeting.high_water,
            )
        welcome = Welcome(
            epoch=hello.epoch,
            high_water=greeting.high_water,
            server_time=self.clock.now(),
            limits=self.limits(),
            hello_id=hello.hello_id,
        )
        self.answer(unit_id, "welcome", welcome)
        self.on_greeted(unit_id)
        return True


def _heard_at(heard: Heard, status: Status) -> datetime:
    """Return when a status was true: a retained one may be weeks old, whatever the moment it reached us."""
    if heard.retained and status.at is not None:
        return min(status.at, heard.received_at)
    return heard.received_at
