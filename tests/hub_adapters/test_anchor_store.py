"""Dating on a real MariaDB: batch by batch and in any order it arrives at what the whole stream says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, text

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
    marked = school.database.run(
        lambda connection: anchor_store.rewrite(
            connection, [Verdict(batch, new=list(batch.rows)) for batch in batches], ZONE
        )
    )
    assert (dates_on_record(school), school.rows(boot_clocks), school.rows(undated_boots)) == before
    assert marked == set()


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


def cost_of_dating(store: MySqlEventStore, monkeypatch: pytest.MonkeyPatch, batches: list[Batch]) -> list[int]:
    """How many rows the server read for the dating of each of these batches, taken one after another."""
    costs = []
    real = anchor_store.rewrite

    def counted(connection: Connection, *arguments: Any) -> set[tuple[str, date]]:
        before = rows_read(connection)
        pairs = real(connection, *arguments)
        costs.append(rows_read(connection) - before)
        return pairs

    with monkeypatch.context() as patched:
        patched.setattr(anchor_store, "rewrite", counted)
        for batch in batches:
            store.take([batch])
    return costs


def rows_read(connection: Connection) -> int:
    return sum(int(row[1]) for row in connection.execute(text("show session status like 'Handler_read%'")))


def unsynced_batches(number: int, size: int = 10, **changed: Any) -> list[Batch]:
    """What a unit whose clock is never set sends as it happens, in one boot."""
    batches = []
    for first in range(1, number * size, size):
        seqs = range(first, first + size)
        sent = [
            an_event(seq, at=moment(seq * SECOND), clock="unsynced", boottime_ns=seq * 10**9, **changed) for seq in seqs
        ]
        batches.append(a_batch(sent, number=first, at=utc(6) + timedelta(seconds=first + size)))
    return batches


def test_the_events_of_a_clock_that_is_never_set_cost_no_more_the_longer_it_lasts(
    store: MySqlEventStore, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = unsynced_batches(40)
    costs = cost_of_dating(store, monkeypatch, batches)
    assert max(costs[20:]) <= max(costs[2:10])
    readings = [
        Reading(
            row.epoch,
            row.event.seq,
            row.event.boot_id,
            row.event.boottime_ns,
            micros(row.event.at),
            "unsynced",
            micros(batch.received_at),
        )
        for batch in batches
        for row in batch.rows
    ]
    assert dates_on_record(school) == date_all(readings, ADDED)


def test_a_clock_that_is_never_set_in_an_unsteady_network_reads_old_events_again_only_when_more_is_known(
    store: MySqlEventStore, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [
        replace(batch, received_at=batch.received_at + timedelta(seconds=number % 7))
        for number, batch in enumerate(unsynced_batches(40), start=1)
    ]
    costs = cost_of_dating(store, monkeypatch, batches)
    # From the seventh on, which came through at once, nothing is known better than before.
    assert max(costs[20:]) <= max(costs[8:14])
    assert len({row["time_basis"] for row in school.rows(events)}) == 1


def test_one_boot_more_without_a_time_does_not_cost_reading_the_events_of_all_others(
    store: MySqlEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, batches = 20, []
    for number in range(30):
        seqs = range(number * size + 1, number * size + size + 1)
        boot_id = an_id(900 + number)
        sent = [
            an_event(seq, at=moment(seq * SECOND), clock="unsynced", boot_id=boot_id, boottime_ns=seq % size * 10**9)
            for seq in seqs
        ]
        batches.append(a_batch(sent, number=number + 1, at=utc(6) + timedelta(hours=number)))
    costs = cost_of_dating(store, monkeypatch, batches)
    # What is summed up of each boot is read, and a few rows around it.
    assert costs[-1] - costs[9] <= 4 * (len(costs) - 10)


def test_many_anchors_of_one_boot_in_a_batch_cost_as_many_queries_as_two(
    store: MySqlEventStore, school: School
) -> None:
    asked = []
    for number, size in enumerate((2, 80)):
        unit_id = school.unit(an_id(600 + number), label=f"door-{number}")
        # Far from each other, so that each has a stretch of its own.
        sent = [
            an_anchor(seq, utc(6) + timedelta(hours=seq, seconds=3 * seq), seq * 3600 * 10**9, unit=number)
            for seq in range(1, size + 1)
        ]
        with statements_of(school.database) as said:
            store.take([a_batch(sent, unit_id=unit_id, at=utc(6, day=20))])
        asked.append(len(said))
    assert asked[0] == asked[1]


def test_an_event_across_many_anchors_known_before_costs_one_change(store: MySqlEventStore, school: School) -> None:
    hours = range(1, 9)
    anchors = [an_anchor(seq, utc(6) + timedelta(hours=seq, seconds=3 * seq), seq * 3600 * 10**9) for seq in hours]
    store.take([a_batch(anchors, at=utc(6, day=20))])
    lost = [an_event(10 + seq, at=moment(0), clock="unsynced", boottime_ns=seq * 3600 * 10**9 + 10**9) for seq in hours]
    with statements_of(school.database) as said:
        store.take([a_batch(lost, number=2, at=utc(6, day=20))])
    assert sum(one.lstrip().lower().startswith("update events") for one in said) == 1
    assert [row["at_corrected"] for row in school.rows(events) if row["seq"] > 10] == [
        utc(6) + timedelta(hours=seq, seconds=3 * seq + 1) for seq in hours
    ]


def test_two_streams_of_one_boot_that_arrive_at_the_same_moment_are_dated_by_each_other(
    store: MySqlEventStore, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_dated, may_commit = threading.Event(), threading.Event()
    real = anchor_store.rewrite

    def slow(*arguments: Any) -> set[tuple[str, date]]:
        pairs = real(*arguments)
        if threading.current_thread().name == "slow":
            has_dated.set()
            may_commit.wait(20)
        return pairs

    monkeypatch.setattr(anchor_store, "rewrite", slow)
    second = Database(school.database.address)
    anchored = a_batch([an_anchor(1, utc(7), 100 * 10**9, at=utc(7))], at=utc(8))
    lost = an_event(1, at=moment(0), clock="unsynced", boottime_ns=40 * 10**9, event_id=an_id(77))
    first = threading.Thread(target=store.take, args=([anchored],), name="slow")
    other = threading.Thread(
        target=MySqlEventStore(second, ZONE).take, args=([a_batch([lost], epoch=SECOND_EPOCH, at=utc(8))],)
    )
    first.start()
    assert has_dated.wait(20)
    other.start()
    other.join(1)
    may_commit.set()
    first.join(20)
    other.join(20)
    second.close()
    row = next(row for row in school.rows(events) if row["epoch"] == SECOND_EPOCH)
    assert (row["at_corrected"], row["time_basis"]) == (utc(7) - timedelta(seconds=60), "anchor")


def test_bounds_that_change_mark_every_day_of_a_lesson_in_between(store: MySqlEventStore, school: School) -> None:
    student = school.student(1)
    for day in (1, 2, 3, 8):
        school.lesson(utc(6, day=day))
    lost = an_event(5, at=moment(0), clock="unsynced", boot_id=an_id(31), boottime_ns=60 * 10**9, student_id=student)
    store.take([a_batch([an_event(4, at=utc(5)), lost], at=utc(12, day=5))])

    def marked() -> set[int]:
        days = {row["day"].day for row in school.rows(dirty_students) if row["student_id"] == student}
        with school.database.transaction() as connection:
            connection.execute(delete(dirty_students))
        return days

    assert marked() >= {1, 2, 3}
    after = an_event(6, at=utc(7, day=2), boot_id=an_id(32), boottime_ns=3600 * 10**9)
    store.take([a_batch([after], number=2, at=utc(14, day=5))])
    assert marked() == {1, 2, 3}


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
