"""The daily audit: what a database lost behind everybody's back is found, sent again and taken again."""

import pytest
from sqlalchemy import delete

from hub.adapters import audit_store
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.schema import dirty_students, epochs, events, quarantine
from hub.core.ingest import Batch
from protocol.delivery import Audit, RangeDigest, SeqRange, xor64
from tests.hub_adapters.school import ZONE, School
from tests.hub_core.builders import EPOCH, UNIT, a_batch, an_event, an_id

pytestmark = pytest.mark.server
SEQS = range(1, 41)


@pytest.fixture
def store(school: School) -> MySqlEventStore:
    school.unit()
    return MySqlEventStore(school.database, ZONE)


def the_batch(seqs: range = SEQS) -> Batch:
    return a_batch([an_event(seq) for seq in seqs])


def digest(first: int, last: int) -> RangeDigest:
    """What the unit says of a range."""
    rows = [row for row in the_batch().rows if first <= row.event.seq <= last]
    return RangeDigest(first=first, last=last, count=len(rows), xor64=xor64(row.sha256 for row in rows))


def an_audit(*digests: RangeDigest) -> Audit:
    return Audit(epoch=EPOCH, audit_id=an_id(1), digests=digests)


ALL = an_audit(*(digest(first, first + 9) for first in (1, 11, 21, 31)))


def differing(school: School, audit: Audit) -> tuple[SeqRange, ...]:
    answer = MySqlEventStore(school.database, ZONE).audit(UNIT, audit)
    assert answer is not None
    return answer.differing


def lose(school: School, *seqs: int) -> None:
    """A failover: rows are gone, the mark of the stream is where it was."""
    with school.database.transaction() as connection:
        connection.execute(delete(events).where(events.c.seq.in_(seqs)))
        connection.execute(delete(dirty_students))


def test_what_is_on_record_on_both_sides_does_not_differ(store: MySqlEventStore, school: School) -> None:
    store.take([the_batch()])
    assert differing(school, ALL) == ()


def test_a_range_that_lost_one_event_or_all_is_named(store: MySqlEventStore, school: School) -> None:
    store.take([the_batch()])
    lose(school, 13, *range(31, 41))
    assert differing(school, ALL) == (SeqRange(first=11, last=20), SeqRange(first=31, last=40))


def test_as_many_events_but_other_ones_differ(store: MySqlEventStore, school: School) -> None:
    store.take([the_batch()])
    other = RangeDigest(first=1, last=10, count=10, xor64="0" * 16)
    assert differing(school, an_audit(other)) == (SeqRange(first=1, last=10),)


def test_what_the_unit_holds_nothing_of_and_what_is_too_long_is_not_compared(
    store: MySqlEventStore, school: School
) -> None:
    store.take([the_batch()])
    empty = RangeDigest(first=1, last=10, count=0, xor64="0" * 16)
    long = RangeDigest(first=1, last=audit_store.MOST_SEQS + 1, count=3, xor64="0" * 16)
    assert differing(school, an_audit(empty, long)) == ()


def test_ranges_beyond_one_query_are_all_compared(store: MySqlEventStore, school: School) -> None:
    store.take([the_batch()])
    lose(school, 7)
    many = [digest(seq, seq) for seq in SEQS] * 5
    assert differing(school, an_audit(*many)) == (SeqRange(first=7, last=7),) * 5


def test_however_much_a_unit_asks_each_query_and_all_of_them_are_bounded() -> None:
    widest = [digest_of(first, 10_000) for first in range(1, 5_000_000, 10_000)]
    slices = audit_store.slices(an_audit(*widest))
    assert max(sum(one.last - one.first + 1 for one in some) for some in slices) <= 20_000
    assert sum(one.last - one.first + 1 for some in slices for one in some) == 1_000_000
    usual = [digest_of(first, 1000) for first in range(1, 500_000, 1000)]
    assert [one for some in audit_store.slices(an_audit(*usual)) for one in some] == usual


def digest_of(first: int, seqs: int) -> RangeDigest:
    return RangeDigest(first=first, last=first + seqs - 1, count=1, xor64="0" * 16)


def test_another_stream_has_nothing_of_this_one(store: MySqlEventStore, school: School) -> None:
    store.take([the_batch()])
    audit = Audit(epoch="00000000000000bb", audit_id=an_id(1), digests=(digest(1, 10),))
    assert differing(school, audit) == (SeqRange(first=1, last=10),)


def test_lost_events_that_are_sent_again_below_the_mark_are_taken_and_marked(
    store: MySqlEventStore, school: School
) -> None:
    store.take([the_batch()])
    before = {row["event_id"]: row["payload_sha256"] for row in school.rows(events)}
    lose(school, *range(11, 16))
    answer = store.audit(UNIT, ALL)
    assert answer is not None
    assert answer.differing == (SeqRange(first=11, last=20),)
    [taken] = store.take([the_batch(range(11, 21))])
    assert taken.receipt is not None
    assert taken.receipt.accepted == (SeqRange(first=11, last=15),)
    assert taken.receipt.duplicate == (SeqRange(first=16, last=20),)
    assert {row["event_id"]: row["payload_sha256"] for row in school.rows(events)} == before
    assert [row["high_water"] for row in school.rows(epochs)] == [40]
    assert len(school.rows(dirty_students)) == 5
    assert school.rows(quarantine) == []
    assert differing(school, ALL) == ()


def test_an_audit_of_a_unit_nobody_knows_has_no_answer(store: MySqlEventStore) -> None:
    assert store.audit(an_id(404), ALL) is None
