"""Dating on a real MariaDB: batch by batch and in any order it arrives at what the whole stream says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, select, text, update

from hub.adapters import anchor_store, undated_telling
from hub.adapters.database import Database
from hub.adapters.event_dates import ESTIMATE, of_undated_boot, when
from hub.adapters.event_rows import insert_events
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.schema import attendance, boot_clocks, dirty_students, events, undated_boots
from hub.core.dating import micros, moment
from hub.core.dating_bounds import DRIFT_PPM
from hub.core.dating_stream import Dated, Reading, date_all
from hub.core.ingest import Batch, Verdict
from tests.hub_adapters.arrivals import SECOND_EPOCH, arrivals
from tests.hub_adapters.school import ZONE, School, utc
from tests.hub_core.builders import EPOCH, a_batch, a_coverage, a_student, an_anchor, an_event, an_id
from tests.hub_core.lives import ADDED, DAY, SECOND, T0

pytestmark = pytest.mark.server


@pytest.fixture
def store(school: School) -> MySqlEventStore:
    school.unit()
    return MySqlEventStore(school.database, ZONE)


def dates_on_record(school: School) -> dict[tuple[str, int], Dated]:
    """When every event was, as whoever derives the register reads it."""
    with school.database.transaction() as connection:
        rows = connection.execute(select(events, *ESTIMATE).outerjoin(undated_boots, of_undated_boot())).all()
    found = {}
    for row in rows:
        at, within = when(row)
        bounds = () if within is None else (micros(within[0]), micros(within[1]))
        found[row.epoch, row.seq] = Dated(micros(at), row.time_basis, *bounds)
    return found


def tell_the_register(school: School) -> None:
    """Mark what depends on estimates that have changed, as whoever derives the register does when nothing waits."""
    while undated_telling.tell_one(school.database, ZONE):
        pass


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
    """How many rows the server read, changed or marked to date each of these batches, taken one after another."""
    costs = []
    real = anchor_store.rewrite

    def counted(connection: Connection, *arguments: Any) -> set[tuple[str, date]]:
        before = rows_touched(connection)
        pairs = real(connection, *arguments)
        costs.append(rows_touched(connection) - before + len(pairs))
        return pairs

    with monkeypatch.context() as patched:
        patched.setattr(anchor_store, "rewrite", counted)
        for batch in batches:
            store.take([batch])
    return costs


def rows_touched(connection: Connection) -> int:
    wanted = "show session status where variable_name regexp '^Handler_(read|update|write|delete)'"
    return sum(int(row[1]) for row in connection.execute(text(wanted)))


def readings_of(batch: Batch) -> list[Reading]:
    """What a batch without anchors says of time."""
    return [
        Reading(
            row.epoch,
            row.event.seq,
            row.event.boot_id,
            row.event.boottime_ns,
            micros(row.event.at),
            row.event.clock,
            micros(batch.received_at),
        )
        for row in batch.rows
    ]


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
    readings = [one for batch in batches for one in readings_of(batch)]
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


def backlog_of_a_term(claims: str) -> list[Batch]:
    """What a unit recorded offline in one boot of 40 days, an event every six hours, and sent all at once then."""
    random = Random(1)  # noqa: S311
    batches = []
    for first in range(2, 162, 4):
        sent = []
        for seq in range(first, first + 4):
            boot_us = seq * 6 * 3600 * SECOND
            begins_us = {"never set": 0, "ahead": T0 + 3650 * DAY, "restless": T0 - DAY + random.randrange(DAY)}[claims]
            claimed = moment(begins_us + boot_us)
            event_of: dict[str, Any] = {
                "clock": "unsynced",
                "boottime_ns": boot_us * 1000,
                "student_id": a_student(seq % 7 + 1),
            }
            sent.append(an_event(seq, at=claimed, boot_id=an_id(31), **event_of))
        batches.append(a_batch(sent, number=first, at=utc(6) + timedelta(days=60)))
    return batches


@pytest.mark.parametrize("claims", ["never set", "ahead", "restless"])
@pytest.mark.parametrize("later", ["nothing later", "something certain later"])
def test_a_backlog_of_a_boot_without_a_time_costs_no_more_per_batch_the_longer_it_is(
    store: MySqlEventStore, school: School, monkeypatch: pytest.MonkeyPatch, claims: str, later: str
) -> None:
    for number in range(1, 8):
        school.student(number)
    for day in range(0, 60, 3):
        school.lesson(utc(6) + timedelta(days=day))
    certain = [an_event(1, at=utc(6) - timedelta(hours=1), boot_id=an_id(30))]
    if later == "something certain later":
        certain.append(an_event(500, at=utc(6) + timedelta(days=59), boot_id=an_id(32), boottime_ns=3600 * 10**9))
    first = a_batch(certain, number=900, at=utc(6) + timedelta(days=60))
    store.take([first])
    batches = backlog_of_a_term(claims)
    costs = cost_of_dating(store, monkeypatch, batches)
    # Marks are among them: what is possible gets less meanwhile.
    assert max(costs[20:]) <= max(costs[2:10])
    readings = [one for batch in [first, *batches] for one in readings_of(batch)]
    assert dates_on_record(school) == date_all(readings, ADDED)


def test_a_boot_of_which_an_older_program_dated_some_events_only_is_dated_by_what_is_known_of_it(
    store: MySqlEventStore, school: School
) -> None:
    lost = an_event(1, at=moment(0), clock="unsynced", boottime_ns=10 * 10**9, boot_id=an_id(31))
    known = an_event(2, at=utc(5), boottime_ns=20 * 10**9, boot_id=an_id(31))
    hopeless = an_event(3, at=moment(0), clock="unsynced", boottime_ns=20 * 10**9, boot_id=an_id(32))
    batches = [a_batch([lost, known, hopeless])]
    store.take(batches)
    # As versions 0003 and 0004 left what the very first program took.
    for statement in (
        "delete from boot_clocks",
        "delete from undated_boots",
        "update events set at_corrected = at_claimed, time_basis = 'claimed'",
        "update events set time_basis = 'estimated', at_earliest = '2026-08-01', at_latest = received_at"
        " where clock = 'unsynced'",
        "insert into undated_boots (unit_id, boot_id, epoch, first_seq, last_seq) select unit_id, boot_id, epoch,"
        " min(seq), max(seq) from events where time_basis = 'estimated' group by unit_id, boot_id, epoch",
    ):
        with school.database.transaction() as connection:
            connection.execute(text(statement))
    elsewhere = an_event(1, at=utc(9), boot_id=an_id(33), event_id=an_id(77))
    batches.append(a_batch([elsewhere], epoch=SECOND_EPOCH, number=2, at=utc(10)))
    store.take(batches[1:])
    assert dates_on_record(school) == date_all([one for batch in batches for one in readings_of(batch)], ADDED)
    assert {row["boot_id"] for row in school.rows(undated_boots)} == {an_id(32)}


def test_what_an_older_program_added_to_a_boot_since_it_was_summed_up_counts(
    store: MySqlEventStore, school: School
) -> None:
    batches = backlog_of_a_term("never set")[:3]
    batches[1] = replace(batches[1], received_at=batches[1].received_at - timedelta(days=5))
    store.take(batches[:1])

    def take_as_0003(connection: Connection) -> None:
        insert_events(connection, ((row, batches[1].received_at) for row in batches[1].rows))
        connection.execute(update(undated_boots).values(last_seq=batches[1].rows[-1].event.seq))

    school.database.run(take_as_0003)
    store.take(batches[2:])
    assert dates_on_record(school) == date_all([one for batch in batches for one in readings_of(batch)], ADDED)


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
        tell_the_register(school)
        days = {row["day"].day for row in school.rows(dirty_students) if row["student_id"] == student}
        with school.database.transaction() as connection:
            connection.execute(delete(dirty_students))
        return days

    assert marked() == {1, 2, 3}
    assert marked() == set()
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
    for day in (1, 4):
        school.lesson(utc(6, day=day))
    lost = an_event(5, at="1970-01-01T00:01:00Z", clock="unsynced", boot_id=an_id(31), boottime_ns=60 * 10**9)
    store.take([a_batch([lost | {"student_id": student}], at=utc(12, day=5))])
    tell_the_register(school)

    def date_of_it() -> Dated:
        return dates_on_record(school)[EPOCH, 5]

    first = date_of_it()
    doubt = 60 * DRIFT_PPM
    assert (first.earliest_us, first.latest_us) == (ADDED - doubt, micros(utc(12, day=5)) + doubt)
    with school.database.transaction() as connection:
        connection.execute(delete(dirty_students))
    before = an_event(4, at=utc(9, day=2), boottime_ns=10**9)
    store.take([a_batch([before], number=2, at=utc(13, day=5))])
    tell_the_register(school)
    second = date_of_it()
    assert (second.at_us, second.basis) == (micros(utc(9, 1, day=2)), "estimated")
    assert second.earliest_us == micros(utc(9, 1, day=2)) - doubt
    days = {row["day"].isoformat() for row in school.rows(dirty_students) if row["student_id"] == student}
    assert days >= {"2026-09-01", "2026-09-04"}
    after = an_event(6, at=utc(7, day=3), boot_id=an_id(32), boottime_ns=3600 * 10**9)
    store.take([a_batch([after], number=3, at=utc(14, day=5))])
    assert date_of_it().latest_us == micros(utc(6, day=3)) + doubt


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
    bounds = {seq: date.latest_us for (_, seq), date in dates_on_record(school).items()}
    doubt = 20 * DRIFT_PPM
    assert bounds == {1: micros(utc(8)) + doubt, 2: micros(utc(8)) + 10 * SECOND + doubt}
    assert school.rows(attendance) == []
