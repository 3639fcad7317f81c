"""A small generated school in a real database: the register is the oracle's, however its events arrive."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

import pytest
from sqlalchemy import select

from hub.adapters.attendance_store import mark_pairs
from hub.adapters.database import Database
from hub.adapters.schema import audit, dirty_students
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_adapters.places import an_address
from tests.hub_register.generated_school import ZONE, Size, an_id
from tests.hub_register.playing import Played, arrived, compared, digest, prepared, rebuilt, rules_used
from tests.hub_register.records import Register
from tests.hub_register.unit_lives import Parcel

pytestmark = pytest.mark.server
SMALLER = Size(students=20, sections=2, units=3, days=2, seed=3)
_A_MOMENT = timedelta(milliseconds=10)


@pytest.fixture(scope="module")
def played(migrated: EmptiedDatabase) -> Iterator[Played]:
    """The small school, when everything has happened."""
    migrated.empty()
    database = Database(an_address(migrated.at))
    school = prepared(database, Size())
    arrived(school)
    yield school
    database.close()


def test_the_register_is_the_oracles_row_for_row(played: Played) -> None:
    assert compared(played) == []
    used = rules_used(played.register())
    assert played.counts["rows"] > 800
    # What it is made of: no rule of the page is left out by chance.
    assert used.keys() >= {"seen", "seen_late", "not_seen", "not_able", "not_watched", "in_review", "may_have_stayed"}
    assert used.keys() >= {"held", "closed", "door_rule", "mark", "day"}
    assert used.keys() & {"seen_estimated", "seen_sometime"}
    assert any(row.left_early_at for row in played.register().rows.values())


def test_what_the_hub_dates_was_then(played: Played) -> None:
    events = [one for one in played.records().events if one.event in played.lives.truth]
    assert {one.within is None for one in events} == {True, False}
    for one in events:
        since, until = one.within or (one.at - _A_MOMENT, one.at + _A_MOMENT)
        assert since <= played.lives.truth[one.event] <= until


def test_rebuilt_from_the_records_it_is_the_same_byte_for_byte(played: Played) -> None:
    before = digest(played.register())
    rebuilt(played)
    assert digest(played.register()) == before
    assert played.counts["rebuilt rows"] == len(played.register().rows)


def test_a_late_event_changes_the_rows_of_its_student_and_day_alone(played: Played) -> None:
    before = played.register()
    place = min(one for one, row in before.rows.items() if row.rule == "closed" and row.unit_id is not None)
    lesson = next(one for one in played.school.lessons if one.lesson == before.rows[place].lesson_id)
    unit = before.rows[place].unit_id or ""
    seen = lesson.start + timedelta(minutes=2)
    played.hub.take([_late(played, unit, place[0], seen)])
    assert _asked_for(played) == {(place[0], seen.astimezone(ZONE).date())}
    played.hub.derive(played.school.now)
    after = played.register()
    assert _changed(before, after) == {place}
    assert (after.rows[place].status, after.rows[place].rule, after.rows[place].timestamp) == ("Present", "seen", seen)
    assert compared(played) == []
    [told] = _told(played)
    assert "event" in told


def test_a_parcel_that_was_lost_makes_certain_what_came_after_it(played: Played) -> None:
    lost = [one for one in played.lives.missing if one.unit in played.school.units]
    played.lives.missing.clear()
    before = played.register()
    played.hub.take(lost)
    asked = _asked_for(played)
    played.hub.derive(played.school.now)
    after = played.register()
    changed = _changed(before, after)
    assert changed
    assert {(student, after.rows[student, occasion].day) for student, occasion in changed} <= asked
    assert compared(played) == []


def test_in_another_order_and_in_pieces_with_deriving_in_between_the_rows_are_the_same(
    migrated: EmptiedDatabase,
) -> None:
    migrated.empty()
    database = Database(an_address(migrated.at))
    played = prepared(database, SMALLER)
    random = Random(4)  # noqa: S311 (a seeded test)
    played.hub.mark_everything()
    pieces = _in_pieces(random, played.lives.parcels)
    first, end = played.school.lessons[0].start, played.school.now
    nows = sorted(first + (end - first) * random.random() for _ in range(2))
    for number, now in enumerate([*nows, end]):
        played.hub.take(pieces[number::3], at_once=random.randrange(4, 15))
        played.hub.derive(now, most=random.choice([70, 400]))
    played.decide()
    _mark_candidates(played)
    played.hub.derive(end)
    assert compared(played) == []
    assert played.counts["rows"] > 120
    database.close()


def _in_pieces(random: Random, parcels: Sequence[Parcel]) -> list[Parcel]:
    pieces = []
    for one in parcels:
        cut = random.randrange(len(one.events))
        pieces += [Parcel(one.unit, some, one.received) for some in (one.events[:cut], one.events[cut:]) if some]
    random.shuffle(pieces)
    return pieces


def _mark_candidates(played: Played) -> None:
    asked = {
        (student, (one.at + early).astimezone(ZONE).date())
        for one in played.records().events
        if one.kind == "review"
        for student in one.candidates
        # Whoever comes early may come on the evening before.
        for early in (timedelta(0), timedelta(hours=3))
    }
    with played.database.transaction() as connection:
        mark_pairs(connection, asked)


def _late(played: Played, unit: str, student: str, at: datetime) -> Parcel:
    seq = max(one.seq for one in played.records().events if one.unit == unit) + 1
    event = {
        "kind": "seen",
        "event_id": an_id(99, seq),
        "seq": seq,
        "at": at.isoformat().replace("+00:00", "Z"),
        "boot_id": an_id(98, seq),
        "boottime_ns": 10**9,
        "clock": "synced",
        "student_id": student,
        "score": 0.9,
        "margin": 0.2,
        "samples": 3,
        "gallery_revision": 1,
        "pack_id": "dlib-1-0123456789ab",
    }
    return Parcel(unit, (event,), played.school.now)


def _asked_for(played: Played) -> set[tuple[str, object]]:
    with played.database.transaction() as connection:
        found = connection.execute(select(dirty_students.c.student_id, dirty_students.c.day))
        return {(row.student_id, row.day) for row in found}


def _told(played: Played) -> list[str]:
    with played.database.transaction() as connection:
        found = connection.execute(
            select(audit.c.detail).where(audit.c.action == "register.change").order_by(audit.c.seq.desc()).limit(1)
        )
        return [str(row.detail) for row in found]


def _changed(before: Register, after: Register) -> set[tuple[str, str]]:
    return {one for one in before.rows.keys() | after.rows.keys() if before.rows.get(one) != after.rows.get(one)}
