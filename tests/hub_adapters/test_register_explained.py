# ruff: noqa: S608 (rows made up here)
"""The queries of the register find their rows by an index, in a database with rows of half a year."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from hub.adapters import register_days, register_deriving, register_facts, register_rebuild
from hub.adapters.attendance_store import Watched, attended_within, covered
from hub.adapters.database import Database
from hub.core.attendance_facts import Rules, SchoolDays
from tests.hub_adapters.explaining import full_scans, statements
from tests.hub_adapters.school import ROOM, ZONE, School, utc
from tests.hub_core.builders import UNIT

pytestmark = pytest.mark.server
RULES = Rules(early=timedelta(minutes=10), late_after=timedelta(minutes=10), covered_share=0.9)
DAYS = SchoolDays(ZONE)
NOW = utc(12, day=20)
DAY = utc(6, day=20).date()
TABLES = {
    "events",
    "attendance",
    "lessons",
    "marks",
    "student_sections",
    "student_groups",
    "dirty_students",
    "gallery_members",
    "closings",
    "lesson_states",
    "review_decisions",
    "students",
}
"""Those that grow; the others have some rows for each room, unit or decision of a year."""

SIX_THOUSAND = (
    "with digits (d) as (select 0"
    + "".join(f" union all select {digit}" for digit in range(1, 10))
    + "), numbers (n) as (select 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d"
    " from digits a, digits b, digits c, digits e where e.d < 6)"
)
STUDENT = "unhex(lpad(hex(1 + n % 600), 32, '0'))"
LESSON = "unhex(lpad(hex(10000 + n % 3000), 32, '0'))"
OWN = "unhex(lpad(hex(20000 + n), 32, '0'))"
DAY_OF = "'2026-04-01' + interval n div 30 day"
AT = "timestamp('2026-04-01 06:00:00') + interval n div 30 day + interval n % 5 hour"
BODY = (
    "elt(1 + n % 4, '{}', '{\"interval_id\": \"\"}', '{}',"
    ' \'{"candidates": [{"student_id": "00000000-0000-0000-0000-000000000001"}]}\')'
)
FILLED = {
    "sections": "select distinct unhex(lpad(hex(1 + n % 40), 32, 'a')), concat('s', n % 40) from numbers",
    "students (id, serial_number, name, created_at)": f"select {STUDENT}, n, 'N', now() from numbers where n <= 600",
    "student_sections (student_id, since, section_id)": (
        f"select {STUDENT}, '1970-01-01', unhex(lpad(hex(1 + n % 40), 32, 'a')) from numbers where n <= 600"
    ),
    "section_groups": (
        "select distinct unhex(lpad(hex(1 + n % 40), 32, 'b')), unhex(lpad(hex(1 + n % 40), 32, 'a')), 'A' from numbers"
    ),
    "student_groups (student_id, group_id, since)": (
        f"select {STUDENT}, unhex(lpad(hex(1 + n % 40), 32, 'b')), '1970-01-01' from numbers where n <= 600"
    ),
    "lessons (id, room_id, section_id, label, starts_at, ends_at)": (
        f"select {LESSON}, :room, unhex(lpad(hex(1 + n % 40), 32, 'a')), '', {AT} + interval n second,"
        f" {AT} + interval 45 minute + interval n second from numbers where n <= 3000"
    ),
    "events (event_id, unit_id, epoch, seq, kind, student_id, at_claimed, at_corrected, received_at, clock, boot_id,"
    " boottime_ns, body, payload_sha256)": (
        f"select {OWN}, :unit, 'a', n, elt(1 + n % 4, 'seen', 'left', 'anchor', 'review'),"
        f" if(n % 4 < 2, {STUDENT}, null), {AT}, {AT}, {AT}, 'synced', :unit, n, {BODY},"
        " repeat('x', 32) from numbers"
    ),
    "attendance (student_id, occasion, lesson_id, day, timestamp, status, method, notes, rule)": (
        f"select {STUDENT}, concat('lesson:', n), {LESSON}, {DAY_OF}, now(), 'Present', 'Manual', '',"
        " 'mark' from numbers"
    ),
    "marks (id, student_id, occasion, lesson_id, day, status, made_at, made_by)": (
        f"select {OWN}, {STUDENT}, 'x', {LESSON}, {DAY_OF}, 'present', now(), 'x' from numbers"
    ),
    "dirty_students (student_id, day, mark)": (
        f"select {STUDENT}, '2026-01-01' + interval n div 600 day, 1 from numbers"
    ),
    "closings (id, lesson_id, closed_at, closed_by)": f"select {OWN}, {LESSON}, now(), 'x' from numbers where n < 3000",
    "lesson_states": f"select {LESSON}, 1, 1, false from numbers where n <= 3000",
    "review_decisions (id, review_key, outcome, decided_at, decided_by)": (
        f"select {OWN}, sha2(n, 256), 'rejected', now(), 'x' from numbers"
    ),
    "gallery_members (unit_id, student_id, from_revision)": (
        f"select :unit, {STUDENT}, n from numbers where n <= 3000"
    ),
}


@pytest.fixture
def full(hub_database: Database) -> Database:
    school = School(hub_database)
    school.unit()
    ids = {":unit": UNIT, ":room": ROOM}
    with hub_database.transaction() as connection:
        for table, rows in FILLED.items():
            text = f"insert into {table} {SIX_THOUSAND} {rows}"
            for name, value in ids.items():
                text = text.replace(name, f"x'{value.replace('-', '')}'")
            connection.exec_driver_sql(text)
        for table in TABLES:
            connection.exec_driver_sql(f"analyze table {table}").all()
    return hub_database


def some(count: int) -> list[str]:
    """The first students, as the rows name them."""
    return [f"00000000-0000-0000-0000-{number:012x}" for number in range(1, count + 1)]


def derive_what_is_marked(connection: Connection) -> None:
    marks = register_deriving.MySqlRegisterStore(Database.__new__(Database), DAYS, RULES)._marked(connection, NOW, 50)
    register_deriving._take_away(connection, marks)


def put_a_day(connection: Connection, count: int) -> None:
    holds = register_days.in_force(connection, DAYS, RULES)
    derived = register_days.derive(connection, DAY, some(count), holds, NOW)
    register_days.put(connection, DAY, derived, {}, holds, NOW)


def collect(connection: Connection, count: int) -> None:
    register_facts.collect(connection, DAY, some(count), DAYS, lambda _: RULES)


WORK: dict[str, Callable[[Connection], object]] = {
    "one student's day": partial(put_a_day, count=1),
    "many students' day": partial(put_a_day, count=60),
    "days touched": lambda one: register_facts.days_touched(one, DAY, some(60), DAYS),
    "what is marked": derive_what_is_marked,
    "lessons that ended": lambda one: register_deriving.mark_ended(one, NOW, DAYS),
    "what was watched": lambda one: covered(one, [Watched(UNIT, NOW - timedelta(hours=5), NOW, NOW)], ZONE),
    "where an estimate reaches": lambda one: attended_within(one, {some(1)[0]: (NOW - timedelta(hours=5), NOW)}, ZONE),
    "the end of a day": lambda one: register_rebuild.finish_day(one, DAY, DAYS, RULES, NOW),
}


def test_the_register_is_derived_by_indexes_and_in_as_many_queries_for_many_students_as_for_one(
    full: Database,
) -> None:
    scans = {name: full_scans(full, work, TABLES) for name, work in WORK.items()}
    assert {name: found for name, found in scans.items() if found} == {}
    sent = [len(statements(full, partial(collect, count=count))) for count in (1, 60)]
    assert sent[0] == sent[1] < 20
