"""What units write down, made from templates: the JSON, its hash and the parsed event without a parser.

The templates give exactly what the protocol's models give; a test compares them, and a sample of every run goes through
the models for real.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from protocol.base import canonical_bytes, sha256_hex
from protocol.events import Anchor, ClockQuality, Coverage, Event, Left, Mark, Seen, event_json
from tests.simulation.clocks import as_utc, built

PACK = "simulated-1"
Kind = Literal["seen", "left", "coverage", "mark", "other"]
_SECOND_US = 1_000_000


@lru_cache(maxsize=100_000)
def student_id(number: int) -> str:
    """Return the surrogate id of a simulated student."""
    return str(UUID(int=(0x57D << 64) + number, version=4))


@dataclass(slots=True, eq=False)
class Fact:
    """Something that happened in front of a unit, as it will be written down; `true_us` is what no unit knows."""

    kind: Kind
    event_id: str
    at_us: int
    boot_id: str
    boottime_ns: int
    clock: ClockQuality
    true_us: int
    student_id: str = ""
    interval_id: str = ""
    span_us: int = 0
    """Dwell of a `left`, length of a `coverage`."""
    raw: dict[str, Any] | None = None
    """The event itself, for one that is not made from a template: an anchor, or poison."""


def fact_of(event: Event, true_us: int) -> Fact:
    """Return a fact for an event that a core has made."""
    raw = event_json(event)
    return Fact("other", event.event_id, 0, event.boot_id, event.boottime_ns, event.clock, true_us, raw=raw)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An event at its place: as JSON object, as the text that is hashed and kept, and parsed."""

    body: dict[str, Any]
    text: bytes
    sha256: str
    event: Event | None
    """None: only the parser can tell."""


def prepare(fact: Fact, seq: int) -> Prepared:
    """Return a fact as the event number `seq` of its stream."""
    if fact.raw is not None:
        body = {**fact.raw, "seq": seq}
        raw = canonical_bytes(body)
        return Prepared(body, raw, sha256_hex(raw), None)
    body, text, event = _FORMS[fact.kind](fact, seq)
    content = text.encode()
    return Prepared(body, content, sha256_hex(content), event)


Form = tuple[dict[str, Any], str, Event]
"""An event as JSON object with sorted keys, as text, and parsed."""


def _seen(fact: Fact, seq: int) -> Form:
    moment = as_utc(fact.at_us)
    at = moment.isoformat()[:-6] + "Z"
    body = {
        "at": at,
        "boot_id": fact.boot_id,
        "boottime_ns": fact.boottime_ns,
        "clock": fact.clock,
        "event_id": fact.event_id,
        "gallery_revision": 1,
        "kind": "seen",
        "margin": 0.2,
        "pack_id": PACK,
        "samples": 3,
        "score": 0.9,
        "seq": seq,
        "student_id": fact.student_id,
    }
    text = (
        f'{{"at":"{at}","boot_id":"{fact.boot_id}","boottime_ns":{fact.boottime_ns},"clock":"{fact.clock}",'
        f'"event_id":"{fact.event_id}","gallery_revision":1,"kind":"seen","margin":0.2,"pack_id":"{PACK}",'
        f'"samples":3,"score":0.9,"seq":{seq},"student_id":"{fact.student_id}"}}'
    )
    return body, text, built(Seen, {**body, "at": moment, "lesson_id": None})


def _left(fact: Fact, seq: int) -> Form:
    moment, dwell_s = as_utc(fact.at_us), fact.span_us / _SECOND_US
    at = moment.isoformat()[:-6] + "Z"
    body = {
        "at": at,
        "boot_id": fact.boot_id,
        "boottime_ns": fact.boottime_ns,
        "cause": "absence",
        "clock": fact.clock,
        "dwell_s": dwell_s,
        "event_id": fact.event_id,
        "interval_id": fact.interval_id,
        "kind": "left",
        "seq": seq,
        "student_id": fact.student_id,
    }
    text = (
        f'{{"at":"{at}","boot_id":"{fact.boot_id}","boottime_ns":{fact.boottime_ns},"cause":"absence",'
        f'"clock":"{fact.clock}","dwell_s":{dwell_s!r},"event_id":"{fact.event_id}",'
        f'"interval_id":"{fact.interval_id}","kind":"left","seq":{seq},"student_id":"{fact.student_id}"}}'
    )
    return body, text, built(Left, {**body, "at": moment})


def _coverage(fact: Fact, seq: int) -> Form:
    moment, begin, watched_s = as_utc(fact.at_us), as_utc(fact.at_us - fact.span_us), fact.span_us / _SECOND_US
    at, since = moment.isoformat()[:-6] + "Z", begin.isoformat()[:-6] + "Z"
    body = {
        "at": at,
        "boot_id": fact.boot_id,
        "boottime_ns": fact.boottime_ns,
        "clock": fact.clock,
        "event_id": fact.event_id,
        "gallery_revision": 1,
        "kind": "coverage",
        "mode": "door",
        "pack_id": PACK,
        "seq": seq,
        "since": since,
        "students": 30,
        "tracks": 2,
        "unknown_faces": 0,
        "unusable_faces": 0,
        "watched_s": watched_s,
    }
    text = (
        f'{{"at":"{at}","boot_id":"{fact.boot_id}","boottime_ns":{fact.boottime_ns},"clock":"{fact.clock}",'
        f'"event_id":"{fact.event_id}","gallery_revision":1,"kind":"coverage","mode":"door","pack_id":"{PACK}",'
        f'"seq":{seq},"since":"{since}","students":30,"tracks":2,"unknown_faces":0,"unusable_faces":0,'
        f'"watched_s":{watched_s!r}}}'
    )
    return body, text, built(Coverage, {**body, "at": moment, "since": begin})


def _mark(fact: Fact, seq: int) -> Form:
    moment = as_utc(fact.at_us)
    at = moment.isoformat()[:-6] + "Z"
    body = {
        "at": at,
        "boot_id": fact.boot_id,
        "boottime_ns": fact.boottime_ns,
        "by": "T. Teacher",
        "clock": fact.clock,
        "event_id": fact.event_id,
        "kind": "mark",
        "note": "",
        "seq": seq,
        "status": "present",
        "student_id": fact.student_id,
    }
    text = (
        f'{{"at":"{at}","boot_id":"{fact.boot_id}","boottime_ns":{fact.boottime_ns},"by":"T. Teacher",'
        f'"clock":"{fact.clock}","event_id":"{fact.event_id}","kind":"mark","note":"","seq":{seq},'
        f'"status":"present","student_id":"{fact.student_id}"}}'
    )
    return body, text, built(Mark, {**body, "at": moment, "lesson_id": None})


_FORMS = {"seen": _seen, "left": _left, "coverage": _coverage, "mark": _mark}

POISON: tuple[dict[str, Any], ...] = (
    {"kind": "wave"},
    {"score": 7.0},
    {"boot_id": "not an id"},
    {"at": "yesterday"},
    {"boottime_ns": 2**61},
    {"score": None},
)
"""What makes an event unusable, each in its own way."""


def poisoned(fact: Fact, number: int) -> Fact:
    """Return the fact as a program with a defect would write it down."""
    raw = prepare(fact, 1).body | POISON[number % len(POISON)]
    return Fact("other", fact.event_id, fact.at_us, fact.boot_id, fact.boottime_ns, fact.clock, fact.true_us, raw=raw)


__all__ = ["PACK", "Anchor", "Fact", "Prepared", "fact_of", "poisoned", "prepare", "student_id"]
