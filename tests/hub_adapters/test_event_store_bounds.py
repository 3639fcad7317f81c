"""The event store on a real MariaDB: no unit costs more than its share, and waits alone for what it breaks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from mysql.connector import errors
from sqlalchemy import Connection, event, insert, select, update

from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.mysql_errors import TransactionLost, translate
from hub.adapters.schema import dirty_students, epochs, events, galleries, gallery_members, quarantine, units
from hub.adapters.stream_marks import MOST_NEW_A_DAY
from hub.core.errors import StoreBusy, StoreUnavailable
from hub.core.ingest import Arrival, Batch, Unusable
from protocol.content import Applied
from protocol.delivery import Hello
from protocol.status import Status
from tests.hub_adapters.school import ZONE, School
from tests.hub_core.builders import (
    BOOT,
    EPOCH,
    PACK,
    START,
    UNIT,
    a_batch,
    a_coverage,
    a_student,
    an_anchor,
    an_event,
    an_id,
)

pytestmark = pytest.mark.server


@pytest.fixture
def store(school: School) -> MySqlEventStore:
    school.unit()
    return MySqlEventStore(school.database, ZONE)


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """Every statement that goes to the database through a cursor."""
    said: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement.lower())

    event.listen(database._engine, "before_cursor_execute", note)
    yield said
    event.remove(database._engine, "before_cursor_execute", note)


# ---- streams -------------------------------------------------------------------------------------------------------


def a_hello(epoch: str) -> Hello:
    return Hello(
        epoch=epoch,
        boot_id=BOOT,
        last_seq=0,
        delivered_seq=0,
        gallery_revision=0,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=START,
    )


def an_epoch(number: int) -> str:
    return f"{number:016x}"


def test_a_unit_begins_only_so_many_streams_a_day_by_saying_hello(store: MySqlEventStore, school: School) -> None:
    for number in range(MOST_NEW_A_DAY + 20):
        store.greet(UNIT, a_hello(an_epoch(number)), START + timedelta(seconds=number))
    assert len(school.rows(epochs)) == MOST_NEW_A_DAY
    later = START + timedelta(hours=2)
    over, known = (store.greet(UNIT, a_hello(an_epoch(number)), later) for number in (900, 3))
    assert over is not None
    assert over.too_many_streams
    assert known is not None
    assert not known.too_many_streams
    tomorrow = store.greet(UNIT, a_hello(an_epoch(901)), START + timedelta(hours=25))
    assert tomorrow is not None
    assert not tomorrow.too_many_streams


def test_a_unit_begins_only_so_many_streams_a_day_by_sending_and_other_units_are_taken(
    store: MySqlEventStore, school: School
) -> None:
    other = school.unit(an_id(600), label="door-13")
    batches = [
        a_batch([an_event(1, event_id=an_id(5000 + number))], epoch=an_epoch(number), number=number)
        for number in range(MOST_NEW_A_DAY + 5)
    ]
    taken = store.take([*batches, a_batch([an_event(1)], unit_id=other)])
    assert [one.too_many_streams for one in taken] == [False] * MOST_NEW_A_DAY + [True] * 5 + [False]
    assert [one.receipt.result for one in taken[-6:] if one.receipt] == ["busy"] * 5 + ["taken"]
    assert len(school.rows(events)) == MOST_NEW_A_DAY + 1
    [more] = store.take([a_batch([an_event(2)], epoch=an_epoch(0), number=999)])
    assert not more.too_many_streams


# ---- what one batch costs ------------------------------------------------------------------------------------------


def test_gaps_between_events_cost_no_query_each(store: MySqlEventStore, school: School) -> None:
    scattered = [an_event(seq) for seq in range(1, 200, 2)]
    store.take([a_batch(scattered)])
    with statements_of(school.database) as said:
        [again] = store.take([a_batch(scattered, number=2)])
    assert again.receipt is not None
    assert len(again.receipt.duplicate) == 100
    assert sum("payload_sha256" in one for one in said) <= 3


def test_what_is_to_be_derived_again_is_marked_once_and_last(
    store: MySqlEventStore, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two transactions that mark the same students in several goes would wait for each other in a circle."""
    students = [school.student(number) for number in (1, 2, 3)]
    school.lesson(START)
    store.take([a_batch([a_coverage(3, START, START + timedelta(hours=1))], at=START + timedelta(hours=2))])
    before = school.rows(dirty_students)
    marked: list[list[str]] = []
    monkeypatch.setattr(
        "hub.adapters.event_store.mark_caused", lambda _, pairs: marked.append(sorted(one for one, _ in pairs))
    )
    lost = an_event(1, at="1970-01-01T00:00:10Z", clock="unsynced", boottime_ns=10 * 10**9)
    anchor = an_anchor(2, START, 100 * 10**9, at=START)
    store.take([a_batch([lost, anchor], number=2, at=START + timedelta(hours=2))])
    assert len(marked) == 1
    assert {*students, lost["student_id"]} <= set(marked[0])
    assert school.rows(dirty_students) == before


# ---- what the database does not take -------------------------------------------------------------------------------


def test_a_lock_that_nobody_lets_go_of_is_for_its_own_unit_to_wait_for(store: MySqlEventStore, school: School) -> None:
    other = school.unit(an_id(600), label="door-13")
    store.take([a_batch([an_event(1)])])
    impatient = Database(replace(school.database.address, read_timeout_s=3))
    with school.database.transaction() as holding:
        holding.execute(select(epochs).where(epochs.c.epoch == EPOCH).with_for_update())
        begun_s = time.monotonic()
        with pytest.raises(StoreBusy):
            MySqlEventStore(impatient, ZONE).take([a_batch([an_event(2)])])
        assert time.monotonic() - begun_s < 30
        [taken] = store.take([a_batch([an_event(1)], unit_id=other)])
    assert taken.receipt is not None
    impatient.close()
    [taken] = store.take([a_batch([an_event(2)])])
    assert taken.receipt is not None
    assert taken.receipt.accepted


@pytest.fixture
def impatient(school: School) -> Iterator[Database]:
    """Another process, which waits two seconds for a lock."""
    opened = Database(replace(school.database.address, read_timeout_s=3))
    yield opened
    opened.close()


@contextmanager
def under_way(store: MySqlEventStore, school: School, batch: Batch) -> Iterator[None]:
    """A transaction that has taken a batch and does not come to its end."""
    with school.database.transaction() as connection:
        store._take(connection, [batch], reading=False)
        yield


def test_what_a_unit_says_besides_events_and_its_gallery_do_not_wait_for_its_events(
    store: MySqlEventStore, school: School, impatient: Database
) -> None:
    student = school.student(1)
    other = MySqlEventStore(impatient, ZONE)
    status = Status(state="watching", session=1, epoch=EPOCH, at=START)
    members = [{"unit_id": UNIT, "student_id": student, "from_revision": 1}]
    with under_way(store, school, a_batch([an_event(1)])):
        assert other.keep_status(UNIT, status, START)
        assert other.greet(UNIT, a_hello(an_epoch(5)), START) is not None
        impatient.run(lambda one: one.execute(insert(gallery_members), members))


def test_two_streams_of_one_unit_are_taken_one_after_the_other(
    store: MySqlEventStore, school: School, impatient: Database
) -> None:
    """What one tells about the times in the other is not seen before it is committed."""
    later = a_batch([an_event(1, event_id=an_id(5001))], epoch=an_epoch(5))
    other = MySqlEventStore(impatient, ZONE)
    with under_way(store, school, a_batch([an_event(1)])), pytest.raises(StoreBusy):
        other.take([later])
    [taken] = other.take([later])
    assert taken.receipt is not None


def test_units_do_not_wait_for_a_unit_that_is_not_among_them(
    store: MySqlEventStore, school: School, impatient: Database
) -> None:
    others = [school.unit(an_id(600 + number), label=f"door-{100 + number}") for number in range(9)]
    first, second = (
        [
            a_batch([an_event(seq, event_id=an_id(6000 + 10 * seq + at), student_id=a_student(at))], unit_id=one)
            for at, one in enumerate(others)
        ]
        for seq in (1, 2)
    )
    store.take([a_batch([an_event(1)]), *first])
    with under_way(store, school, a_batch([an_event(2, student_id=a_student(20))])):
        taken = MySqlEventStore(impatient, ZONE).take(second)
    assert all(one.receipt is not None and one.receipt.accepted for one in taken)


def test_a_lock_is_waited_for_once_and_not_again_and_again(
    store: MySqlEventStore, school: School, impatient: Database
) -> None:
    with under_way(store, school, a_batch([an_event(1)])), pytest.raises(StoreBusy):
        MySqlEventStore(impatient, ZONE).take([a_batch([an_event(2)])])
    assert impatient.repeated == 0


def test_an_error_that_nobody_expected_is_told_without_what_was_sent(
    store: MySqlEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection, _: object) -> None:
        connection.exec_driver_sql("insert into events 'Ada Lovelace'")

    monkeypatch.setattr("hub.adapters.event_store.insert_events", fail)
    with pytest.raises(StoreBusy, match=r"nobody expected: 1\d\d\d") as caught:
        store.take([a_batch([an_event(1)])])
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("errno", "others_go_on"), [(1205, True), (1213, True), (3024, True), (1030, True), (2013, False), (1040, False)]
)
def test_only_a_connection_that_fails_is_everybodys_trouble(errno: int, *, others_go_on: bool) -> None:
    meaning = translate(errors.OperationalError("no", errno=errno), "here")
    assert isinstance(meaning, StoreUnavailable)
    assert isinstance(meaning, StoreBusy) is others_go_on
    assert isinstance(meaning, TransactionLost) is (errno in (1205, 1213, 2013))


# ---- units that are not ours ---------------------------------------------------------------------------------------


def test_nothing_of_a_revoked_unit_is_kept_not_even_its_garbage(store: MySqlEventStore, school: School) -> None:
    with school.database.transaction() as connection:
        connection.execute(update(units).values(revoked_at=START))
    garbage = Unusable("invalid", "not JSON", Arrival("x", b"{", START), UNIT)
    assert store.quarantine([garbage]) == 0
    assert store.greet(UNIT, a_hello(EPOCH), START) is None
    [taken] = store.take([a_batch([an_event(1)])])
    assert taken.receipt is None
    assert school.rows(quarantine) == school.rows(epochs) == school.rows(events) == []


# ---- galleries -----------------------------------------------------------------------------------------------------


def applied(store: MySqlEventStore, revision: int, after_s: float, **changed: object) -> None:
    message = Applied.model_validate({"revision": revision, "at": START, "students": revision, **changed})
    assert store.confirm_gallery(UNIT, message, START + timedelta(seconds=after_s))


def on_record(school: School) -> tuple[int, int, str | None]:
    [row] = school.rows(galleries)
    return row["confirmed_revision"], row["confirmed_students"], row["problem"]


def test_what_a_unit_said_before_does_not_set_its_gallery_back(store: MySqlEventStore, school: School) -> None:
    with school.database.transaction() as connection:
        connection.execute(update(galleries).values(revision=9))
    applied(store, 5, 0)
    applied(store, 4, 0.2, problem="disk_full")
    assert on_record(school) == (5, 5, None)
    applied(store, 5, 1, problem="corrupt")
    assert on_record(school) == (5, 5, "corrupt")


def test_a_unit_that_lost_its_gallery_is_believed(store: MySqlEventStore, school: School) -> None:
    with school.database.transaction() as connection:
        connection.execute(update(galleries).values(revision=9))
    applied(store, 5, 0)
    applied(store, 0, 300)
    assert on_record(school) == (0, 0, None)
