"""Reads a school's records, and the register that the hub derived, from its database: plainly, row by row."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, select

from hub.adapters import schema as hub
from hub.core.reviews import key_of
from tests.hub_register.records import (
    AbsenceRule,
    Bounds,
    Closing,
    Event,
    Held,
    Lesson,
    Membership,
    OfficeMark,
    Place,
    Register,
    Row,
    RuleVersion,
    School,
    State,
)
from tests.hub_register.seen import Units

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _all(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table)))


def read_school(connection: Connection, zone: ZoneInfo, now: datetime) -> School:
    """Return what the register of a school is decided by."""
    members = [Membership(r.student_id, r.section_id, r.since, r.until) for r in _all(connection, hub.student_sections)]
    members += [Membership(r.student_id, r.group_id, r.since, r.until) for r in _all(connection, hub.student_groups)]
    undecided = School(
        zone=zone,
        now=now,
        students=tuple(sorted(r.id for r in _all(connection, hub.students))),
        rules=tuple(_rules(r) for r in _all(connection, hub.register_rules)),
        members=tuple(members),
        lessons=tuple(
            Lesson(r.id, r.room_id, r.section_id, r.starts_at, r.ends_at, r.group_id, r.cancelled_at is not None)
            for r in _all(connection, hub.lessons)
        ),
        places=tuple(Place(r.unit_id, r.since, r.room_id) for r in _all(connection, hub.unit_rooms)),
        closings=tuple(
            Closing(r.lesson_id, r.closed_at, r.reopened_at is not None) for r in _all(connection, hub.closings)
        ),
        absence=tuple(AbsenceRule(r.room_id, r.from_day, r.until_day) for r in _all(connection, hub.absence_rules)),
        marks=tuple(_mark(r) for r in _all(connection, hub.marks)),
        events=_events(connection),
        galleries=tuple(
            Held(r.unit_id, r.student_id, r.from_revision, r.until_revision)
            for r in _all(connection, hub.gallery_members)
        ),
    )
    return _with_decisions(connection, undecided)


def items(school: School) -> dict[str, tuple[str, frozenset[str]]]:
    """Return what a person is asked: place and candidates, by the key under which the hub keeps the decision."""
    units = Units(school)
    found = {}
    for one in school.events:
        if one.kind == "review":
            place = units.place(units.room(one.unit, one.at) or "", one.at)
            found[key_of(place, one.candidates)] = place, frozenset(one.candidates)
    return found


def read_register(connection: Connection) -> Register:
    """Return what the hub derived."""
    rows = [Row(**r._mapping) for r in _all(connection, hub.attendance)]
    states = {r.lesson_id: State(r.seen, r.unseen, r.held) for r in _all(connection, hub.lesson_states)}
    return Register({(row.student_id, row.occasion): row for row in rows}, states)


def _with_decisions(connection: Connection, school: School) -> School:
    keys = {r.review_key for r in _all(connection, hub.review_decisions) if r.undone_at is None}
    decided = frozenset(item for key, item in items(school).items() if key in keys)
    return School(**{name: getattr(school, name) for name in School.__dataclass_fields__} | {"decided": decided})


def _rules(row: Any) -> RuleVersion:
    sessions = tuple(
        (name, time.fromisoformat(since), time.fromisoformat(until)) for name, since, until in json.loads(row.sessions)
    )
    return RuleVersion(
        row.version,
        row.from_day,
        row.early_min,
        row.late_after_min,
        row.left_early_min,
        row.covered_share,
        row.held_share,
        sessions,
    )


def _mark(row: Any) -> OfficeMark:
    return OfficeMark(
        row.id,
        row.student_id,
        row.occasion,
        row.day,
        row.status,
        row.made_at,
        row.lesson_id,
        row.at,
        row.method,
        row.reason,
        row.note,
        row.undone_at is not None,
    )


def _events(connection: Connection) -> tuple[Event, ...]:
    boots = {(r.unit_id, r.boot_id, r.epoch): r for r in _all(connection, hub.undated_boots)}
    found = []
    for row in connection.execution_options(stream_results=True).execute(select(hub.events)):
        at, within = _when(row, boots)
        body = json.loads(row.body)
        since = None
        if row.kind == "coverage":
            # Of a time that nobody knows it lies where it claims to: it makes nobody Not seen anyway.
            at = row.at_corrected
            # By as much as the end of it was corrected.
            since = at - (datetime.fromisoformat(body["at"]) - datetime.fromisoformat(body["since"]))
        found.append(
            Event(
                row.event_id,
                row.unit_id,
                row.epoch,
                row.seq,
                row.kind,
                at,
                within,
                row.student_id,
                body.get("interval_id"),
                body.get("status", ""),
                body.get("lesson_id"),
                body.get("note", ""),
                tuple(one["student_id"] for one in body.get("candidates", ())),
                since,
                body.get("watched_s", 0.0),
                body.get("mode", "door"),
                body.get("gallery_revision", 0),
            )
        )
    return tuple(found)


def _when(row: Any, boots: Mapping[tuple[str, str, str], Any]) -> tuple[datetime, Bounds | None]:
    """Return when an event was; if nobody knows, a guess and between which moments it was."""
    if row.time_basis != "estimated":
        return row.at_corrected, None
    boot = boots[row.unit_id, row.boot_id, row.epoch]
    since_boot = timedelta(microseconds=row.boottime_ns // 1000)

    def moment(begin_us: int) -> datetime:
        return _EPOCH + timedelta(microseconds=begin_us) + since_boot

    at = row.at_claimed if boot.begin_us is None else moment(boot.begin_us)
    return at, (moment(boot.earliest_us), moment(boot.latest_us))
