"""The event store on a real MariaDB: every event once, receipts only for what is on record."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.quarantine_store import MOST_UNUSABLE
from hub.adapters.schema import dirty_students, epochs, events, quarantine, undated_boots, unit_status
from hub.core.dating import micros
from hub.core.errors import StoreUnavailable
from hub.core.ingest import Arrival, Batch, Unusable
from protocol.content import Applied
from protocol.delivery import Audit, AuditAnswer, Hello, RangeDigest, SeqRange, xor64
from protocol.events import event_sha256
from protocol.status import Status
from tests.hub_adapters.school import ZONE, School, utc
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


def test_a_batch_is_on_record_with_its_exact_text_and_times(store: MySqlEventStore, school: School) -> None:
    event = an_event(1, note="žluťoučký 😀 ' \\ %s")
    [taken] = store.take([a_batch([event])])
    assert taken.receipt is not None
    assert taken.receipt.accepted == (SeqRange(first=1, last=1),)
    assert taken.receipt.high_water == 1
    [row] = school.rows(events)
    assert row["event_id"] == event["event_id"]
    assert row["student_id"] == event["student_id"]
    assert row["at_claimed"] == row["at_corrected"] == START + timedelta(seconds=1)
    assert "žluťoučký 😀 ' \\\\ %s" in row["body"]
    assert (row["clock"], row["boot_id"], row["boottime_ns"]) == ("synced", BOOT, 10**9)


def test_the_same_batch_again_is_a_duplicate_and_adds_nothing(store: MySqlEventStore, school: School) -> None:
    batch = a_batch([an_event(seq) for seq in (1, 2, 3)])
    store.take([batch])
    [again] = store.take([batch])
    assert again.receipt is not None
    assert again.receipt.duplicate == (SeqRange(first=1, last=3),)
    assert again.receipt.accepted == ()
    assert again.receipt.high_water == 3
    assert len(school.rows(events)) == 3


def test_a_batch_that_is_partly_on_record_is_answered_for_each_part(store: MySqlEventStore) -> None:
    store.take([a_batch([an_event(1), an_event(2)])])
    [taken] = store.take([a_batch([an_event(seq) for seq in (1, 2, 3, 4)], number=2)])
    assert taken.receipt is not None
    assert taken.receipt.duplicate == (SeqRange(first=1, last=2),)
    assert taken.receipt.accepted == (SeqRange(first=3, last=4),)


def test_one_poison_event_does_not_hold_back_the_others(store: MySqlEventStore, school: School) -> None:
    poison = an_event(2, score=7)
    [taken] = store.take([a_batch([an_event(1), poison, an_event(3)])])
    assert taken.receipt is not None
    assert taken.receipt.accepted == (SeqRange(first=1, last=1), SeqRange(first=3, last=3))
    assert [(one.seq, one.code) for one in taken.receipt.rejected] == [(2, "invalid")]
    assert taken.receipt.high_water == 3
    [row] = school.rows(quarantine)
    assert (row["seq"], row["code"]) == (2, "invalid")
    store.take([a_batch([poison], number=2)])
    assert len(school.rows(quarantine)) == 1


@pytest.mark.parametrize(
    "other",
    [an_event(1, score=0.5), an_event(2, event_id=an_event(1)["event_id"])],
    ids=["same id, other body", "same id, other place"],
)
def test_an_event_that_contradicts_the_record_is_rejected_kept_and_counted(
    store: MySqlEventStore, school: School, other: dict[str, object]
) -> None:
    store.take([a_batch([an_event(1)])])
    [taken] = store.take([a_batch([other], number=2)])
    assert taken.conflicts == 1
    assert taken.receipt is not None
    assert [one.code for one in taken.receipt.rejected] == ["conflict"]
    assert len(school.rows(events)) == 1
    assert [row["code"] for row in school.rows(quarantine)] == ["conflict"]


def test_an_event_whose_place_is_taken_is_told_so_and_nothing_of_it_is_kept(
    store: MySqlEventStore, school: School
) -> None:
    store.take([a_batch([an_event(1), an_event(2)])])
    other = an_event(2, event_id=an_id(77))
    [taken] = store.take([a_batch([other, an_event(3)], number=2)])
    assert taken.receipt is not None
    assert [(one.seq, one.code) for one in taken.receipt.rejected] == [(2, "seq_taken")]
    assert taken.receipt.accepted == (SeqRange(first=3, last=3),)
    assert (taken.receipt.high_water, taken.misplaced, taken.conflicts, taken.refused) == (3, 1, 0, 0)
    assert school.rows(quarantine) == []
    [again] = store.take([a_batch([other | {"seq": 1}], epoch="00000000000000bb", number=3)])
    assert again.receipt is not None
    assert again.receipt.accepted == (SeqRange(first=1, last=1),)


def test_a_late_copy_of_an_event_that_was_numbered_anew_leaves_nothing_to_decide_and_no_gap(
    store: MySqlEventStore, school: School
) -> None:
    store.take([a_batch([an_event(1, event_id=an_id(77))], epoch="00000000000000bb")])
    ghost = a_batch([an_event(1, event_id=an_id(77)) | {"seq": 2}], number=2)
    for _ in range(2):
        [taken] = store.take([ghost])
        assert taken.receipt is not None
        assert [(one.seq, one.code) for one in taken.receipt.rejected] == [(2, "moved")]
        assert (taken.conflicts, taken.refused, taken.moved) == (0, 0, 1)
    [row] = school.rows(quarantine)
    assert (row["code"], row["outcome"], row["resolved_by"]) == ("moved", "duplicate", "the hub")
    assert row["resolved_at"] is not None
    [taken] = store.take([a_batch([an_event(1)], number=3)])
    assert taken.receipt is not None
    assert taken.receipt.high_water == 2
    assert len(school.rows(events)) == 2


def test_an_event_that_was_refused_and_comes_again_in_order_settles_its_row_in_quarantine(
    store: MySqlEventStore, school: School
) -> None:
    store.take([a_batch([an_event(1), an_event(2, score=9)])])
    [waiting] = school.rows(quarantine)
    assert waiting["resolved_at"] is None
    store.take([a_batch([an_event(2)], number=2)])
    [row] = school.rows(quarantine)
    assert row["outcome"] == "taken"


def test_a_gap_is_closed_also_where_an_older_program_did_not_note_what_waits(
    store: MySqlEventStore, school: School
) -> None:
    store.take([a_batch([an_event(1), an_event(3), an_event(4)])])
    with school.database.transaction() as connection:
        connection.execute(epochs.update().values(highest_seq=None))
    [taken] = store.take([a_batch([an_event(2)], number=2)])
    assert taken.receipt is not None
    assert taken.receipt.high_water == 4
    assert [(row["high_water"], row["highest_seq"]) for row in school.rows(epochs)] == [(4, 4)]


def test_an_audit_names_the_ranges_whose_events_the_database_lost(store: MySqlEventStore, school: School) -> None:
    sent = [an_event(seq) for seq in range(1, 7)]
    store.take([a_batch(sent)])
    digests = tuple(
        RangeDigest(
            first=first, last=first + 2, count=3, xor64=xor64(event_sha256(one) for one in sent[first - 1 :][:3])
        )
        for first in (1, 4)
    )
    audit = Audit(epoch=EPOCH, audit_id=an_id(3), digests=digests)
    assert store.audit(UNIT, audit) == AuditAnswer(epoch=EPOCH, audit_id=an_id(3), differing=())
    with school.database.transaction() as connection:
        connection.execute(events.delete().where(events.c.seq == 5))
    answer = store.audit(UNIT, audit)
    assert answer is not None
    assert answer.differing == (SeqRange(first=4, last=6),)
    [taken] = store.take([a_batch(sent[3:], number=2)])
    assert taken.receipt is not None
    assert taken.receipt.accepted == (SeqRange(first=5, last=5),)
    assert taken.receipt.high_water == 6
    assert store.audit(an_id(404), audit) is None


@pytest.mark.usefixtures("store")
def test_two_processes_that_take_the_same_streams_at_once_lose_and_repeat_nothing(school: School) -> None:
    others = [school.unit(an_id(600 + number), label=f"door-{number}") for number in range(4)]
    sent = [
        a_batch([an_event(seq, unit=unit) for seq in range(first, first + 20)], unit_id=unit_id, number=first)
        for first in range(1, 200, 20)
        for unit, unit_id in enumerate([UNIT, *others])
    ]
    second = Database(school.database.address)

    def take(database: Database, batches: list[Batch]) -> None:
        own = MySqlEventStore(database, ZONE)
        for at in range(0, len(batches), 7):
            own.take(batches[at : at + 7])

    with ThreadPoolExecutor(3) as threads:
        # Backwards too, and some twice: what one has, the other finds.
        work = [(school.database, sent[:30]), (second, sent[::-1]), (second, sent[20:])]
        for done in [threads.submit(take, database, batches) for database, batches in work]:
            done.result()
    second.close()
    assert len(school.rows(events)) == 5 * 200
    assert {row["high_water"] for row in school.rows(epochs)} == {200}


def test_a_new_epoch_begins_again_at_one(store: MySqlEventStore) -> None:
    store.take([a_batch([an_event(1)])])
    [taken] = store.take([a_batch([an_event(1, event_id=an_id(9))], epoch="00000000000000bb")])
    assert taken.receipt is not None
    assert taken.receipt.accepted == (SeqRange(first=1, last=1),)


def test_the_high_water_mark_waits_for_a_gap_and_then_passes_all_that_waited(store: MySqlEventStore) -> None:
    first = store.take([a_batch([an_event(1), an_event(4), an_event(6, score=9)])])[0].receipt
    then = store.take([a_batch([an_event(5)], number=2)])[0].receipt
    last = store.take([a_batch([an_event(2), an_event(3)], number=3)])[0].receipt
    assert first is not None
    assert then is not None
    assert last is not None
    assert (first.high_water, then.high_water, last.high_water) == (1, 1, 6)


def test_an_unknown_or_revoked_unit_gets_no_receipt_and_leaves_nothing(store: MySqlEventStore, school: School) -> None:
    stranger = an_id(404)
    known, unknown = store.take([a_batch([an_event(1)]), a_batch([an_event(1, unit=5)], unit_id=stranger)])
    assert known.receipt is not None
    assert unknown.receipt is None
    assert {row["unit_id"] for row in school.rows(events)} == {UNIT}
    assert {row["unit_id"] for row in school.rows(epochs)} == {UNIT}


def test_an_event_about_somebody_the_hub_does_not_know_is_taken(store: MySqlEventStore, school: School) -> None:
    [taken] = store.take([a_batch([an_event(1, student_id=an_id(123456))])])
    assert taken.receipt is not None
    assert taken.receipt.accepted
    assert len(school.rows(dirty_students)) == 1


def test_events_mark_their_student_on_the_local_day(store: MySqlEventStore, school: School) -> None:
    # 22:30 UTC on the first is half past midnight on the second in Berlin.
    store.take([a_batch([an_event(1, at=utc(22, 30))])])
    [row] = school.rows(dirty_students)
    assert row["day"].isoformat() == "2026-09-02"


def test_coverage_marks_the_students_of_lessons_that_are_over(store: MySqlEventStore, school: School) -> None:
    student = school.student(1)
    school.lesson(utc(6))
    school.lesson(utc(8))
    store.take([a_batch([a_coverage(1, utc(6), utc(6, 50))], at=utc(7))])
    assert [row["student_id"] for row in school.rows(dirty_students)] == [student]


def test_an_event_no_table_can_hold_is_rejected_and_does_not_block_its_batch(
    store: MySqlEventStore, school: School
) -> None:
    huge = an_event(2, more="x" * 61_000)
    early = an_event(3, at="0004-01-01T00:00:00Z")
    [taken] = store.take([a_batch([an_event(1), huge, early, an_event(4)])])
    assert taken.receipt is not None
    assert [(one.seq, one.code) for one in taken.receipt.rejected] == [(2, "too_large"), (3, "invalid")]
    assert taken.receipt.high_water == 4
    assert len(school.rows(events)) == 2


def test_events_of_a_clock_that_was_never_set_are_dated_when_the_anchor_comes(
    store: MySqlEventStore, school: School
) -> None:
    lost = an_event(1, at="1970-01-01T00:00:10Z", clock="unsynced", boottime_ns=10 * 10**9)
    late = an_event(3, at="1970-01-01T00:00:20Z", clock="unsynced", boottime_ns=20 * 10**9)
    right = an_event(4, at=utc(7) - timedelta(seconds=4), boottime_ns=95 * 10**9)
    wrong = an_event(5, at=utc(9), boottime_ns=96 * 10**9)
    store.take([a_batch([lost])])
    store.take([a_batch([an_anchor(2, utc(7), 100 * 10**9, at=utc(7)), late, right, wrong], number=2)])
    corrected = {row["seq"]: row["at_corrected"] for row in school.rows(events)}
    assert corrected[1] == utc(7) - timedelta(seconds=90)
    assert corrected[3] == utc(7) - timedelta(seconds=80)
    assert corrected[4] == utc(7) - timedelta(seconds=4)
    assert corrected[5] == utc(7) - timedelta(seconds=4)
    assert {row["day"].isoformat() for row in school.rows(dirty_students)} >= {"1970-01-01", "2026-09-01"}


def test_another_boot_is_not_dated_by_an_anchor(store: MySqlEventStore, school: School) -> None:
    lost = an_event(1, at="1970-01-01T00:00:10Z", clock="unsynced", boot_id=an_id(31))
    store.take([a_batch([lost, an_anchor(2, utc(7), 100 * 10**9)])])
    first = next(row for row in school.rows(events) if row["seq"] == 1)
    assert first["time_basis"] == "estimated"
    [boot] = school.rows(undated_boots)
    assert boot["latest_us"] + first["boottime_ns"] // 1000 <= micros(utc(7) - timedelta(seconds=98))


def a_hello(epoch: str = EPOCH, boot_id: str = BOOT) -> Hello:
    return Hello(
        epoch=epoch,
        boot_id=boot_id,
        last_seq=0,
        delivered_seq=0,
        gallery_revision=0,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=START,
    )


def test_hello_is_answered_with_what_the_database_really_has(store: MySqlEventStore) -> None:
    store.take([a_batch([an_event(1), an_event(2)])])
    greeting = store.greet(UNIT, a_hello(), START)
    assert greeting is not None
    assert greeting.high_water == 2
    assert not greeting.clone_suspected
    assert store.greet(an_id(404), a_hello(), START) is None


def test_a_card_that_was_copied_is_noticed(store: MySqlEventStore) -> None:
    store.greet(UNIT, a_hello(), START)
    other = store.greet(UNIT, a_hello("00000000000000bb", an_id(55)), START + timedelta(seconds=10))
    again = store.greet(UNIT, a_hello(), START + timedelta(seconds=70))
    assert other is not None
    assert again is not None
    assert not other.clone_suspected
    assert again.clone_suspected


def a_status(state: str, session: int, epoch: str = EPOCH) -> Status:
    return Status.model_validate({"state": state, "session": session, "epoch": epoch})


def test_a_will_of_an_older_connection_does_not_replace_the_status(store: MySqlEventStore, school: School) -> None:
    for state, session in (("watching", 1), ("watching", 2), ("lost", 1)):
        assert store.keep_status(UNIT, a_status(state, session), START)
    assert [row["state"] for row in school.rows(unit_status)] == ["watching"]
    store.keep_status(UNIT, a_status("lost", 2), START)
    assert [row["state"] for row in school.rows(unit_status)] == ["lost"]


def test_messages_of_strangers_change_nothing(store: MySqlEventStore, school: School) -> None:
    applied = Applied(revision=1, at=START)
    assert not store.keep_status(an_id(404), a_status("watching", 1), START)
    assert not store.confirm_gallery(an_id(404), applied, START)
    assert school.rows(unit_status) == []


def test_messages_that_cannot_be_used_are_kept_up_to_a_bound(store: MySqlEventStore, school: School) -> None:
    garbage = [
        Unusable("invalid", "not JSON", Arrival("rollcall/1/x/up", b"\xff%d" % number, START))
        for number in range(MOST_UNUSABLE + 5)
    ]
    assert store.quarantine(garbage) == MOST_UNUSABLE
    assert store.quarantine(garbage) == 0
    assert len(school.rows(quarantine)) == MOST_UNUSABLE


def test_a_database_that_is_away_takes_nothing(school: School) -> None:
    away = Database(replace(school.database.address, port=1))
    with pytest.raises(StoreUnavailable):
        MySqlEventStore(away, ZONE).take([a_batch([an_event(1)])])
    away.close()


def test_students_of_other_units_are_separate_streams(store: MySqlEventStore, school: School) -> None:
    second = school.unit(an_id(600), label="door-13")
    batches = [
        a_batch([an_event(seq, unit=unit) for seq in (1, 2)], unit_id=unit_id)
        for unit, unit_id in ((0, UNIT), (1, second))
    ]
    taken = store.take(batches)
    assert [one.receipt.high_water for one in taken if one.receipt] == [2, 2]
    assert a_student(1) in {row["student_id"] for row in school.rows(events)}
