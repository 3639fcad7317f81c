"""What must be true at the end of the demonstration, and what is wrong when it is not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found: at the unit, and in the hub's database."""

    expected: frozenset[str]
    """Serial numbers of the enrolled people who are in the clip."""
    present: Sequence[str]
    """Serial numbers that the database has as Present or Late, once for each row."""
    local: Sequence[Mapping[str, Any]]
    """The unit's events, as `rollcall-edge events --json` prints them."""
    stored: Sequence[str]
    """Event ids in the database, as hexadecimal digits."""
    offline: tuple[datetime, datetime]
    """When there was no broker."""
    strangers: int
    """How many strangers are in the clip."""


def faults(evidence: Evidence) -> list[str]:
    """Return a sentence for everything that is not as it should be; an empty list is a success."""
    return [*_marks(evidence), *_strangers(evidence), *_delivery(evidence)]


def _marks(evidence: Evidence) -> list[str]:
    times = Counter(evidence.present)
    wrong = [f"{serial} is not present in the register" for serial in sorted(evidence.expected - set(times))]
    wrong += [f"{serial} is present {count} times" for serial, count in sorted(times.items()) if count != 1]
    wrong += [f"{serial} is present and was not there" for serial in sorted(set(times) - evidence.expected)]
    return wrong


def _strangers(evidence: Evidence) -> list[str]:
    seen = {event["student_id"] for event in evidence.local if event["kind"] == "seen"}
    unknown = sum(event["unknown_faces"] for event in evidence.local if event["kind"] == "coverage")
    wrong = []
    if len(seen) > len(evidence.expected):
        wrong.append(f"the unit saw {len(seen)} students, {len(evidence.expected)} were there")
    if unknown < evidence.strangers:
        wrong.append(f"{evidence.strangers} strangers walked through, {unknown} faces were unknown")
    return wrong


def _delivery(evidence: Evidence) -> list[str]:
    local = {UUID(event["event_id"]).hex for event in evidence.local}
    times = Counter(evidence.stored)
    wrong = []
    waiting = sum(event["delivery"] == "waiting" for event in evidence.local)
    if waiting:
        wrong.append(f"{waiting} events still wait on the unit")
    if refused := sum(event["delivery"] == "refused" for event in evidence.local):
        wrong.append(f"the hub refused {refused} events")
    if missing := local - set(times):
        wrong.append(f"{len(missing)} of {len(local)} events are not in the database")
    if twice := [event_id for event_id, count in times.items() if count > 1]:
        wrong.append(f"{len(twice)} events are in the database more than once")
    if not any(evidence.offline[0] <= _moment(event) <= evidence.offline[1] for event in evidence.local):
        wrong.append("nothing was written down while the broker was away, so nothing was shown")
    return wrong


def _moment(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])
