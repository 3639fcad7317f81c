"""How a unit is, in words a person at the school understands, and never better than what is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from protocol.status import Status

State = Literal["ok", "problem", "silent", "new", "revoked"]

SILENT_AFTER = timedelta(minutes=5)
"""A unit says how it is far more often than this; longer silence is a problem whatever it said last."""

STUCK_AFTER = timedelta(minutes=5)
"""For so long the hub may take nothing of what waits: a connection alone proves nothing."""

BEHIND_AFTER = timedelta(minutes=15)
"""For so long a unit may have an older gallery than it should."""

CLONED_FOR = timedelta(hours=1)
"""For so long after two units last spoke as one it is said: then one of them is gone."""

HOT_C = 80.0
"""Processors of such computers slow down a little above."""

_LONGEST_SAID_S = 10 * 365 * 86_400.0
"""A unit may say any number; a span of time cannot hold all of them."""

DROPPED_FOR = timedelta(days=1)
"""For so long after something found no room in quarantine it is said, and for as long as something waits there."""

_TIMELY = timedelta(seconds=5)
_LONG_WAIT_S = 15 * 60.0
_POWER = ("under_voltage",)


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
    gallery_since: datetime | None = None
    """Since when the gallery that it should have is ready for it."""
    cloned_at: datetime | None = None
    """When two units last spoke as this one."""
    quarantined: int = 0
    """Its events and messages that wait for a person's decision."""
    dropped: int = 0
    """How often something of it was refused and found no room in quarantine."""
    dropped_at: datetime | None = None
    """When that was last."""
    hub_software: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: a word for scripts, and what it is and what to do for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A unit's condition: a word for scripts, a sentence for people."""

    state: State
    text: str
    last_heard_at: datetime | None
    troubles: tuple[Trouble, ...] = ()

    @property
    def needs_somebody(self) -> bool:
        """Whether a person should look at it."""
        return self.state in {"problem", "silent"} or bool(self.troubles)


def condition(heard: UnitHeard, now: datetime) -> Condition:
    """Return how the unit is. A `lost` status is the broker's word and not the unit's: it is no sign of life."""
    alive = heard.status is not None and heard.status.state != "lost"
    moments = [moment for moment in (heard.spoke_at, heard.status_at if alive else None) if moment is not None]
    last = max(moments, default=None)
    if heard.revoked:
        return Condition("revoked", "revoked", last)
    on_record = list(_on_record(heard, now))
    if last is None:
        text = "; ".join(["never heard of yet", *(one.text for one in on_record)])
        return Condition("new", text, None, tuple(on_record))
    silence = _silence(heard, now - last)
    if silence is not None:
        troubles = (silence, *on_record)
        words = [one.text for one in troubles]
        return Condition("silent", "; ".join(words + _waiting(heard.status)), last, troubles)
    troubles = (*_said(heard, now), *on_record)
    stuck = any(one.code == "stuck" for one in troubles)
    words = [one.text for one in troubles]
    if not words:
        words = ["watching" if heard.gallery_current else "watching; a new gallery is on its way"]
    if not stuck:
        words += _waiting(heard.status)
    return Condition("problem" if troubles else "ok", "; ".join(words), last, troubles)


def _silence(heard: UnitHeard, silence: timedelta) -> Trouble | None:
    status = heard.status
    if status is not None and not _spoke_since(heard):
        if status.state == "lost":
            return Trouble("lost", f"connection lost, last heard {_ago(silence)}")
        if status.state == "stopped":
            return Trouble("stopped", f"stopped by a person or a restart {_ago(silence)}")
    if silence > SILENT_AFTER:
        return Trouble("silent", f"silent, last heard {_ago(silence)}")
    return None


def _spoke_since(heard: UnitHeard) -> bool:
    """Tell whether a unit that is said to be gone has spoken since."""
    if heard.status is None or heard.status_at is None or heard.spoke_at is None:
        return False
    return heard.spoke_at > heard.status_at + _TIMELY


# ---- what the unit says --------------------------------------------------------------------------------------------


def _said(heard: UnitHeard, now: datetime) -> Iterator[Trouble]:
    status = heard.status
    if status is None:
        yield Trouble("no_status", "has not said how it is")
        return
    if status.state in {"lost", "stopped"}:
        # It speaks: what it said of itself before it was gone is not how it is now.
        yield Trouble("no_status", "speaks again, but has not said yet how it is")
        return
    found = [
        *(Trouble(problem.code, problem.text) for problem in status.problems),
        *_delivery(status, heard.status_at or now),
        *_machine(status),
    ]
    yield from found
    if status.state == "degraded" and not found:
        yield Trouble("degraded", "works with a problem it did not name")
    if status.state not in {"watching", "degraded"}:
        # A newer unit's word (`protocol.status`): shown as it is, and never taken for well.
        yield Trouble(
            "state_unknown", f"says that it is {status.state!r}, which this hub does not know: update the hub"
        )


def _delivery(status: Status, status_at: datetime) -> Iterator[Trouble]:
    stuck_s = _stuck_s(status, status_at)
    if stuck_s is not None:
        events = _count(status.waiting_events or 0, "event")
        length = _for(timedelta(seconds=min(stuck_s, _LONGEST_SAID_S)))
        yield Trouble(
            "stuck",
            f"connected, but nothing has arrived for {length} while {events} wait"
            f"{'' if (status.waiting_events or 0) > 1 else 's'}: if all units say this, check the hub"
            " (rollcall-hub db check), else restart the unit",
        )
    if status.held_events:
        yield Trouble(
            "held",
            f"{_count(status.held_events, 'event')} only in memory, lost if it is switched off: its disk takes nothing",
        )


def _stuck_s(status: Status, status_at: datetime) -> float | None:
    """Return for how long the hub has taken nothing of what waits, when that is too long."""
    if not status.waiting_events:
        return None
    if status.progress_s is not None:
        return status.progress_s if status.progress_s > STUCK_AFTER.total_seconds() else None
    # A unit of an older version does not measure it.
    long = status.oldest_waiting_s is not None and status.oldest_waiting_s > _LONG_WAIT_S
    received = status.last_receipt_at
    if not long or (received is not None and status_at - received <= timedelta(seconds=_LONG_WAIT_S)):
        return None
    return status.oldest_waiting_s


def _machine(status: Status) -> Iterator[Trouble]:
    said = {problem.code for problem in status.problems}
    disk = {
        "low": "its disk is nearly full: make room, or give it a larger card",
        "full": "its disk is full: make room, or give it a larger card",
        "read_only": "its disk takes nothing any more: the card is probably worn out, replace it",
    }
    if status.disk in disk and not any(code.startswith(("disk", "storage")) for code in said):
        yield Trouble(f"disk_{status.disk}", disk[status.disk])
    elif status.disk not in (None, "ok", *disk):
        yield Trouble("disk", f"says of its disk {status.disk!r}, which this hub does not know: update the hub")
    if status.temperature_c is not None and status.temperature_c >= HOT_C and "too_warm" not in said:
        yield Trouble("hot", f"too hot ({status.temperature_c:.0f} °C): give it air or shade")
    slowed = [word for word in status.throttled or () if word not in said]
    if any(word in _POWER for word in slowed):
        yield Trouble("under_voltage", "gets too little power: use the power supply that belongs to it")
    elif slowed:
        yield Trouble("throttled", f"slowed down ({', '.join(slowed)}): give it air, check its power supply")
    if status.clock == "unsynced" and not any(code.startswith("clock") for code in said):
        yield Trouble("clock", "its clock is not set; times are corrected later. Check that it reaches a time server")


# ---- what the hub knows --------------------------------------------------------------------------------------------


def _on_record(heard: UnitHeard, now: datetime) -> Iterator[Trouble]:
    if heard.cloned_at is not None and now - heard.cloned_at < CLONED_FOR:
        yield Trouble(
            "cloned",
            "two units speak as this one, its card was probably copied: take one off the network, and give it an"
            " identity of its own (rollcall-hub unit add)",
        )
    if heard.gallery_problem:
        yield Trouble("gallery_refused", f"did not take the gallery ({heard.gallery_problem})")
    elif not heard.gallery_current and heard.gallery_since is not None and now - heard.gallery_since > BEHIND_AFTER:
        behind = _for(now - heard.gallery_since)
        yield Trouble("gallery_behind", f"has waited {behind} for its gallery: try rollcall-hub gallery push")
    if heard.quarantined:
        waits = "waits" if heard.quarantined == 1 else "wait"
        yield Trouble(
            "quarantined",
            f"{_count(heard.quarantined, 'message')} {waits} for your decision: rollcall-hub quarantine list",
        )
    if heard.dropped_at is not None and (heard.quarantined or now - heard.dropped_at < DROPPED_FOR):
        yield Trouble(
            "quarantine_full",
            f"{_count(heard.dropped, 'refused message')} found no room in quarantine and remained with the unit alone:"
            " decide about what waits there, then send again at the unit (rollcall-edge dead-letters retry)",
        )
    theirs = heard.status.software if heard.status is not None else None
    if theirs is not None and heard.hub_software is not None and theirs != heard.hub_software:
        yield Trouble("software", f"runs version {theirs}, the hub {heard.hub_software}: update the older one")


def _waiting(status: Status | None) -> list[str]:
    if status is None or not status.waiting_events:
        return []
    return [f"{_count(status.waiting_events, 'event')} waiting to be sent"]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"


def _ago(silence: timedelta) -> str:
    if silence < timedelta(minutes=1):
        return "less than a minute ago"
    return f"{_for(silence)} ago"


def _for(length: timedelta) -> str:
    minutes = max(0, int(length.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
