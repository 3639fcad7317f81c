"""Dating on a real MariaDB: batch by batch and in any order it arrives at what the whole stream says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event

from hub.adapters import anchor_store
from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.schema import attendance, boot_clocks, dirty_students, events, undated_boots
from hub.core.dating import micros, moment
from hub.core.dating_stream import Dated, Reading, date_all
from hub.core.ingest import Batch, Verdict
from tests.hub_adapters.school import ZONE, School, utc
from tests.hub_core.builders import a_batch, a_coverage, an_anchor, an_event, an_id
from tests.hub_core.lives import ADDED, DAY, SECOND, a_life

pytestmark = pytest.mark.server
SECOND_EPOCH = "00000000000000bb"


@pytest.fixture
def store(school: School) -> MySqlEventStore:
    school.unit()
    return MySqlEventStore(school.database, ZONE)


def as_event(one: Reading) -> dict[str, Any]:
    """What a unit writes down for a reading."""
    at = moment(one.claimed_us)
    changed: dict[str, Any] = {"at": at, "boot_id": one.boot_id, "boottime_ns": one.boottime_ns, "clock": one.clock}
    number = one.seq + (10_000 if one.epoch == SECOND_EPOCH else 0)
    if one.anchor_us is not None:
        made = an_anchor(one.seq, moment(one.anchor_us), error_ms=one.anchor_error_us // 1000, **changed)
    elif one.seq % 3 == 0:
        made = a_coverage(one.seq, at, at, **changed)
    else:
        made = an_event(one.seq, **changed)
    return made | {"event_id": an_id(500_000 + number)}


def arrivals(seed: int) -> tuple[list[Reading], list[Batch]]:
    """A unit's life in one or two streams, and the batches in which it reaches the hub, in any order."""
    random = Random(seed)  # noqa: S311 (a seeded test)
    life, _ = a_life(seed, random.randrange(2, 6))
    split = random.choice([len(life), random.randrange(len(life))])
    life = [*life[:split], *(replace(one, epoch=SECOND_EPOCH, seq=one.seq - split) for one in life[split:])]
    received = max(one.received_us for one in life)
    batches: list[Batch] = []
    readings: list[Reading] = []
    while life:
        size = random.randrange(1, 7)
        some = [one for one in life[:size] if one.epoch == life[0].epoch]
        life = life[len(some) :]
        some = [replace(one, received_us=received + random.randrange(DAY)) for one in some[:1]] + some[1:]
        some = [replace(one, received_us=some[0].received_us) for one in some]
        readings += some
        at = moment(some[0].received_us)
        batches.append(a_batch([as_event(one) for one in some], epoch=some[0].epoch, number=len(batches) + 1, at=at))
    random.shuffle(batches)
    return readings, batches


def dates_on_record(school: School) -> dict[tuple[str, int], Dated]:
    def us(value: Any) -> int | None:
        return None if value is None else micros(value)

    return {
        (row["epoch"], row["seq"]): Dated(
            micros(row["at_corrected"]), row["time_basis"], us(row["at_earliest"]), us(row["at_latest"])
        )
        for row in school.rows(events)
    }


@pytest.mark.parametrize("seed", range(25))
def test_any_order_of_arrival_ends_with_the_dates_of_the_whole_stream(
    store: MySqlEventStore, school: School, seed: int
) -> None:
    readings, batches = arrivals(seed)
    random = Random(seed)  # noqa: S311
    while batches:
        together = random.randrange(1, 4)
        store.take(batches[:together])
        batches = batches[together:]
    assert dates_on_record(school) == date_all(readings, ADDED)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dating_again_changes_and_marks_nothing(store: MySqlEventStore, school: School, seed: int) -> None:
    _, batches = arrivals(seed)
    for batch in batches:
        store.take([batch])
    before = dates_on_record(school), school.rows(boot_clocks), school.rows(undated_boots)
    with school.database.transaction() as connection:
        connection.execute(delete(dirty_students))
    school.database.run(
        lambda connection: anchor_store.rewrite(
            connection, [Verdict(batch, new=list(batch.rows)) for batch in batches], ZONE
        )
    )
    assert (dates_on_record(school), school.rows(boot_clocks), school.rows(undated_boots)) == before
    assert school.rows(dirty_students) == []


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """Every statement that goes to the database."""
    said: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    yield said
    event.remove(database._engine, "before_cursor_execute", note)


def test_events_whose_clock_was_set_cost_two_look_ups_for_all_of_them(store: MySqlEventStore, school: School) -> None:
    store.take([a_batch([an_anchor(1, utc(6), 10**9, at=utc(6))])])
    later = a_batch([an_event(seq, boottime_ns=seq * 10**9, at=utc(6) + timedelta(seconds=seq - 1)) for seq in (2, 3)])
    verdict = Verdict(later, new=list(later.rows))
    with statements_of(school.database) as said:
        school.database.run(lambda connection: anchor_store.rewrite(connection, [verdict], ZONE))
    asked = [one for one in said if "boot" in one]
    assert len(asked) == 2
    assert all(one.lstrip().lower().startswith("select") for one in asked)


def test_an_event_that_arrives_after_the_anchor_it_contradicts_is_dated_by_it(
    store: MySqlEventStore, school: School
) -> None:
    store.take([a_batch([an_anchor(2, utc(7), 100 * 10**9, at=utc(7))])])
    wrong = an_event(1, at=utc(7) + timedelta(days=3650), boottime_ns=40 * 10**9)
    store.take([a_batch([wrong], number=2, at=utc(8))])
    row = next(row for row in school.rows(events) if row["seq"] == 1)
    assert (row["at_corrected"], row["time_basis"]) == (utc(7) - timedelta(seconds=60), "anchor")


def test_a_neighbour_that_arrives_later_narrows_the_bounds_and_marks_the_old_and_the_new_days(
    store: MySqlEventStore, school: School
) -> None:
    student = school.student(1)
    lost = an_event(5, at="1970-01-01T00:01:00Z", clock="unsynced", boot_id=an_id(31), boottime_ns=60 * 10**9)
    store.take([a_batch([lost | {"student_id": student}], at=utc(12, day=5))])
    first = school.rows(events)[0]
    assert (first["at_earliest"], first["at_latest"]) == (utc(6) - timedelta(days=100), utc(12, day=5))
    with school.database.transaction() as connection:
        connection.execute(delete(dirty_students))
    before = an_event(4, at=utc(9, day=2), boottime_ns=10**9)
    store.take([a_batch([before], number=2, at=utc(13, day=5))])
    row = next(row for row in school.rows(events) if row["seq"] == 5)
    assert (row["at_corrected"], row["time_basis"]) == (utc(9, 1, day=2), "estimated")
    assert row["at_earliest"] == utc(9, 1, day=2)
    days = {row["day"].isoformat() for row in school.rows(dirty_students) if row["student_id"] == student}
    assert days >= {"2026-09-02", first["at_corrected"].astimezone(ZONE).date().isoformat()}
    after = an_event(6, at=utc(7, day=3), boot_id=an_id(32), boottime_ns=3600 * 10**9)
    store.take([a_batch([after], number=3, at=utc(14, day=5))])
    row = next(row for row in school.rows(events) if row["seq"] == 5)
    assert row["at_latest"] == utc(6, day=3)


def test_an_anchor_of_a_hostile_unit_cannot_break_the_arithmetic(store: MySqlEventStore, school: School) -> None:
    far = an_anchor(1, utc(6), 2**61 - 1, at=utc(6))
    near = an_anchor(2, utc(7), 0, at=utc(7))
    lost = an_event(3, at="1970-01-01T00:00:10Z", clock="unsynced", boottime_ns=2**60)
    [taken] = store.take([a_batch([far, near, lost])])
    assert taken.receipt is not None
    assert len(school.rows(events)) == 3


def test_a_clock_that_was_set_while_watching_marks_no_lessons_of_half_a_century(
    store: MySqlEventStore, school: School
) -> None:
    school.student(1)
    school.lesson(utc(6) - timedelta(days=10))
    watch = a_coverage(1, moment(60 * SECOND), utc(6), watched_s=300.0, clock="synced")
    store.take([a_batch([watch], at=utc(7))])
    assert school.rows(dirty_students) == []


def test_old_events_of_an_undated_boot_are_estimated_too_when_more_of_it_arrives(
    store: MySqlEventStore, school: School
) -> None:
    lost = an_event(1, at="1970-01-01T00:00:10Z", clock="unsynced", boottime_ns=10 * 10**9)
    store.take([a_batch([lost], at=utc(8))])

    def forget(connection: Connection) -> None:
        connection.execute(delete(undated_boots))

    school.database.run(forget)
    more = an_event(2, at="1970-01-01T00:00:20Z", clock="unsynced", boottime_ns=20 * 10**9)
    store.take([a_batch([more], number=2, at=utc(9))])
    assert [row["at_latest"] for row in school.rows(events)] == [utc(8), utc(8) + timedelta(seconds=10)]
    assert school.rows(attendance) == []
