"""Rooms whose units write Absent by themselves: only where closed lessons show that they miss nearly nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil, sqrt
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import absence_store, attendance_store, audit_log, lesson_finding, roster_store
from hub.adapters.absence_store import Counted, Switch
from hub.core.errors import Conflict, NotFound
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from hub.office.effective_days import check_effective
from recognition.evaluation.bounds import exact_interval

REQUIRED_RECALL = 0.99
_TWO_SIDED = 0.90
"""Its lower end is the one-sided bound with 95 %."""
_LOOK_BACK = timedelta(days=365)
_MANY = 50
_QUANTILE = 1.6448536
"""Of the normal distribution, one-sided with 95 %."""


@dataclass(frozen=True, slots=True)
class RoomRecall:
    """How reliable a room's units are, and whether they write Absent.

    Of `present` times that somebody was in a closed lesson and could have been seen, `found` times they were; `low`:
    with 95 % certainty it is no smaller share.
    """

    room: str
    lessons: int
    present: int
    found: int
    low: float
    more_needed: int
    """How many more times without a miss until it may be switched on; 0: it may be."""
    switch: Switch | None
    """Holds today or from a later day on."""

    @property
    def enough(self) -> bool:
        """Whether it may be switched on."""
        return self.low >= REQUIRED_RECALL


@dataclass(frozen=True, slots=True)
class Switched:
    """`new` is False when it was so already. `day`: since when it is on, or from when on it is off."""

    recall: RoomRecall
    day: date | None
    new: bool


def lower_bound(found: int, present: int) -> float:
    """Return the exact one-sided lower bound of a share with 95 %; 0 where nothing was counted."""
    return exact_interval(found, present, _TWO_SIDED).low


def more_needed(found: int, present: int) -> int:
    """Return how many more times somebody must be found without a miss until the bound is high enough."""

    def enough(more: int) -> bool:
        return lower_bound(found + more, present + more) >= REQUIRED_RECALL

    missed = present - found
    if missed > _MANY:
        # Far from enough: the upper bound of a Poisson count (Wilson and Hilferty) says it at once, and no less.
        count = missed + 1
        upper = count * (1 - 1 / (9 * count) + _QUANTILE / (3 * sqrt(count))) ** 3
        return max(1, ceil(upper / (1 - REQUIRED_RECALL)) - present)
    if enough(0):
        return 0
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def show_recall(office: Office, room: str | None = None) -> list[RoomRecall]:
    """Return the figures of one room, or of all, by name. Raises NotFound."""
    now = office.clock.now()

    def work(connection: Connection) -> list[RoomRecall]:
        ids = roster_store.room_ids(connection)
        chosen = {room: _room_id(connection, room)} if room is not None else ids
        found = absence_store.counted(connection, now - _LOOK_BACK, room_id=chosen[room] if room is not None else None)
        today = day_of(now, office.settings.zone)
        holding = {one.room_id: one for one in absence_store.switches(connection) if _holds(one, today)}
        return [_recall(name, found.get(key), holding.get(key)) for name, key in sorted(chosen.items())]

    return office.database.run(work, isolation="REPEATABLE READ")


def switch_on(office: Office, room: str, from_day: date | None = None, *, past_too: bool = False) -> Switched:
    """Let the units of a room write Absent, from a day on (default: today); an end that was planned is none any more.

    Raises NotFound, BadInput for a day years away, and Conflict while the closed lessons do not show a recall of at
    least 99 % and for a day that has passed unless `past_too`.
    """
    at, switch_id = office.clock.now(), str(uuid4())
    day = from_day or day_of(at, office.settings.zone)

    def work(connection: Connection) -> Switched:
        room_id = _locked(connection, room)
        recall, holding = _one(connection, office, room, room_id, at), _holding(connection, office, room_id, at)
        lasting = [one for one in holding if one.until_day is None]
        if any(one.id == switch_id for one in lasting):
            return Switched(recall, day, new=True)
        if lasting:
            return Switched(recall, lasting[-1].from_day, new=False)
        _check_day(connection, office, day, past_too=past_too)
        _check_enough(recall)
        _end(connection, holding, day)
        switch = Switch(switch_id, room_id, day, None, recall.low, recall.present, at, office.actor[:100])
        absence_store.switch_on(connection, switch)
        detail: dict[str, audit_log.Json] = {"from_day": day.isoformat(), "recall_low": recall.low}
        _tell(connection, office, at, "absence.on", room_id, {**detail, "present": recall.present})
        _register_follows(connection, office, room_id, day, at)
        return Switched(_one(connection, office, room, room_id, at), day, new=True)

    return office.database.run(work)


def switch_off(office: Office, room: str, from_day: date | None = None, *, past_too: bool = False) -> Switched:
    """Let nobody but people write Absent in a room, from a day on (default: today).

    Raises NotFound, BadInput, and Conflict for a day that has passed unless `past_too`.
    """
    at = office.clock.now()
    day = from_day or day_of(at, office.settings.zone)

    def work(connection: Connection) -> Switched:
        room_id = _locked(connection, room)
        holding = _holding(connection, office, room_id, at)
        if not _to_end(holding, day):
            until_days = [one.until_day for one in holding if one.until_day is not None]
            return Switched(_one(connection, office, room, room_id, at), max(until_days, default=None), new=False)
        _check_day(connection, office, day, past_too=past_too)
        _end(connection, holding, day)
        until = max(day, min(one.from_day for one in holding))
        _tell(connection, office, at, "absence.off", room_id, {"from_day": until.isoformat()})
        _register_follows(connection, office, room_id, day, at)
        return Switched(_one(connection, office, room, room_id, at), until, new=True)

    return office.database.run(work)


def _to_end(holding: Sequence[Switch], day: date) -> dict[str, date]:
    """Return which of these do not end by a day yet, each with that day or its own first."""
    ends = {one.id: max(day, one.from_day) for one in holding}
    return {one.id: ends[one.id] for one in holding if one.until_day is None or one.until_day > ends[one.id]}


def _end(connection: Connection, holding: Sequence[Switch], day: date) -> None:
    for switch_id, until in _to_end(holding, day).items():
        absence_store.switch_off(connection, switch_id, until)


def _check_day(connection: Connection, office: Office, day: date, *, past_too: bool) -> None:
    today = day_of(office.clock.now(), office.settings.zone)
    check_effective(connection, day, today)
    if day < today and not past_too:
        raise Conflict(
            f"{day} has passed: the register of this room's lessons since then would be derived anew",
            hint="say --past-too if that is meant, or name a day from today on",
        )


def _check_enough(recall: RoomRecall) -> None:
    if not recall.enough:
        missed = recall.present - recall.found
        raise Conflict(
            f"room {recall.room} is not reliable enough: of {recall.present} times that somebody was in a closed "
            f"lesson and could have been seen, {missed} were missed; that is a recall of at least {recall.low:.1%}, "
            f"and {REQUIRED_RECALL:.0%} is needed",
            hint=f"close more of its lessons: {recall.more_needed} more times without a miss would do",
        )


def _recall(room: str, counted: Counted | None, switch: Switch | None) -> RoomRecall:
    lessons, present, found = (counted.lessons, counted.present, counted.found) if counted else (0, 0, 0)
    low = lower_bound(found, present)
    return RoomRecall(room, lessons, present, found, low, more_needed(found, present), switch)


def _one(connection: Connection, office: Office, room: str, room_id: str, now: datetime) -> RoomRecall:
    counted = absence_store.counted(connection, now - _LOOK_BACK, room_id=room_id).get(room_id)
    holding = _holding(connection, office, room_id, now)
    return _recall(room, counted, holding[-1] if holding else None)


def _holding(connection: Connection, office: Office, room_id: str, now: datetime) -> list[Switch]:
    """Return what holds today or from a later day on, by day."""
    today = day_of(now, office.settings.zone)
    return [one for one in absence_store.switches(connection, room_id=room_id) if _holds(one, today)]


def _holds(switch: Switch, today: date) -> bool:
    return switch.until_day is None or switch.until_day > max(today, switch.from_day)


def _room_id(connection: Connection, room: str) -> str:
    found = roster_store.room_ids(connection).get(room)
    if found is None:
        raise NotFound(f"there is no room {room!r}", hint="rollcall-hub room list shows them")
    return found


def _locked(connection: Connection, room: str) -> str:
    room_id = _room_id(connection, room)
    roster_store.lock_rooms(connection, [room_id])
    return room_id


def _tell(
    connection: Connection, office: Office, at: datetime, action: str, room_id: str, detail: dict[str, audit_log.Json]
) -> None:
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=f"room:{room_id}", detail=detail)


def _register_follows(connection: Connection, office: Office, room_id: str, day: date, now: datetime) -> None:
    zone = office.settings.zone
    since, before = day_bounds(day, zone)[0], day_bounds(day_of(now, zone), zone)[1]
    if since >= before:
        return
    found = lesson_finding.beginning(connection, since, before, room_id=room_id)
    days = {one.lesson_id: day_of(one.starts_at, zone) for one in found}
    expected = lesson_finding.expected(connection, days)
    pairs = {(student_id, days[lesson_id]) for lesson_id, ids in expected.items() for student_id in ids}
    attendance_store.mark_pairs(connection, pairs, "rules")
