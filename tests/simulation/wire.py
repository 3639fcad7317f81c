"""What travels: for speed the messages themselves, and every so often real bytes through the real codec.

The cores call `codec.encode` and `codec.decode`; while a simulation runs these names mean a `Wire`.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from types import ModuleType
from typing import Any

import hub.loops.ingest as hub_ingest
from hub.core.batches import Batch, EventRow, sort_batch
from protocol import codec, topics
from protocol.base import Envelope
from protocol.delivery import EventBatch
from protocol.topics import Address
from tests.simulation.facts import Prepared
from tests.simulation.parcel import Parcel


class Wire:
    """Encodes every `sample`-th message for real; 1: each of them."""

    def __init__(self, sample: int = 50) -> None:
        self.sample = sample
        self.messages = self.encoded = 0

    def encode(self, message: Envelope) -> Any:
        """Return the payload of a message. Raises TooLarge as the codec does, when it is one of the sample."""
        self.messages += 1
        if self.messages % self.sample:
            return Parcel(message)
        self.encoded += 1
        return codec.encode(message)

    @staticmethod
    def decode(address: Address, payload: Any) -> Envelope:
        """Return the message in a payload. Raises what the codec raises."""
        return codec.decode(address, payload) if isinstance(payload, bytes) else payload.message


class Reader:
    """`sort_batch`, which does not parse an event anew that a unit of this simulation has just made from a template.

    Every `sample`-th batch is read for real, and whatever is not exactly what was made: poison, anchors.
    """

    def __init__(self, prepared: Mapping[str, Prepared], sample: int) -> None:
        self._prepared = prepared
        self._sample = sample
        self.batches = self.read = 0

    def __call__(self, unit_id: str, batch: EventBatch, received_at: datetime) -> Batch:
        """Return the batch with each event understood or refused."""
        self.batches += 1
        rows = self._known(unit_id, batch) if self.batches % self._sample else None
        if rows is None:
            self.read += 1
            return sort_batch(unit_id, batch, received_at)
        return Batch(unit_id, batch.epoch, batch.batch_id, rows, (), received_at)

    def _known(self, unit_id: str, batch: EventBatch) -> tuple[EventRow, ...] | None:
        rows = []
        for raw in batch.events:
            made = self._prepared.get(raw.get("event_id", ""))
            if made is None or made.event is None or made.body != raw:
                return None
            rows.append(EventRow(unit_id, batch.epoch, made.event, made.text, made.sha256))
        return tuple(rows)


class KnownTopics:
    """`protocol.topics`, which does not take the same few topics apart again and again."""

    up = staticmethod(lru_cache(maxsize=None)(topics.up))
    down = staticmethod(lru_cache(maxsize=None)(topics.down))
    parse = staticmethod(lru_cache(maxsize=100_000)(topics.parse))


_USERS = ("edge.core.", "edge.loops.", "hub.core.", "hub.loops.")


@contextmanager
def carrying(wire: Wire, reader: Reader) -> Iterator[None]:
    """Let the cores and loops of both programs speak through `wire`, and the hub read with `reader`."""
    known = KnownTopics()
    changed: list[tuple[ModuleType, str, ModuleType]] = []
    for name, module in list(sys.modules.items()):
        for own, other in ((codec, wire), (topics, known)):
            used_as = own.__name__.rpartition(".")[2]
            if name.startswith(_USERS) and getattr(module, used_as, None) is own:
                vars(module)[used_as] = other
                changed.append((module, used_as, own))
    vars(hub_ingest)["sort_batch"] = reader
    try:
        yield
    finally:
        vars(hub_ingest)["sort_batch"] = sort_batch
        for module, used_as, own in changed:
            vars(module)[used_as] = own
