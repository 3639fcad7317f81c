"""How a unit is, in words a person at the school understands, and never better than what is known."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from protocol.status import Status

State = Literal["ok", "problem", "silent", "new", "revoked"]

SILENT_AFTER = timedelta(minutes=5)
"""A unit says how it is far more often than this; longer silence is a problem whatever it said last."""


@dataclass(frozen=True, slots=True)
class UnitHeard:
    """What the hub has on record of a unit."""

    status: Status | None
    status_at: datetime | None
    spoke_at: datetime | None
    """When it last said hello or sent events."""
    revoked: bool
    gallery_current: bool
    gallery_problem: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A unit's condition: a word for scripts, a sentence for people."""

    state: State
    text: str
    last_heard_at: datetime | None


def condition(heard: UnitHeard, now: datetime) -> Condition:
    """Return how the unit is. A `lost` status is the broker's word and not the unit's: it is no sign of life."""
    alive = heard.status is not None and heard.status.state != "lost"
    moments = [moment for moment in (heard.spoke_at, heard.status_at if alive else None) if moment is not None]
    last = max(moments, default=None)
    if heard.revoked:
        return Condition("revoked", "revoked", last)
    if last is None:
        return Condition("new", "never heard of yet", None)
    state, words = _state(heard, now - last)
    return Condition(state, "; ".join(words + _waiting(heard.status)), last)


def _state(heard: UnitHeard, silence: timedelta) -> tuple[State, list[str]]:
    status = heard.status
    if status is not None and status.state == "lost":
        return "silent", [f"connection lost, last heard {_ago(silence)}"]
    if status is not None and status.state == "stopped":
        return "silent", [f"stopped by a person or a restart {_ago(silence)}"]
    if silence > SILENT_AFTER:
        return "silent", [f"silent, last heard {_ago(silence)}"]
    problems = [problem.text for problem in status.problems] if status is not None else []
    if heard.gallery_problem:
        problems.append(f"did not take the gallery ({heard.gallery_problem})")
    if status is None:
        problems.append("has not said how it is")
    if problems or (status is not None and status.state == "degraded"):
        return "problem", problems or ["works with a problem it did not name"]
    return "ok", ["watching" if heard.gallery_current else "watching; a new gallery is on its way"]


def _waiting(status: Status | None) -> list[str]:
    if status is None or not status.waiting_events:
        return []
    return [f"{status.waiting_events} event{'s' if status.waiting_events > 1 else ''} waiting to be sent"]


def _ago(silence: timedelta) -> str:
    minutes = max(0, int(silence.total_seconds() // 60))
    if minutes < 1:
        return "less than a minute ago"
    if minutes < 120:
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"
