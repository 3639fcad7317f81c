"""The simulated disk keeps the promises of the journal as the other fakes do, and survives what a disk survives."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import StorageFull
from protocol.base import canonical_bytes, sha256_hex
from protocol.delivery import Rejection, SeqRange
from protocol.events import event_json, parse_event
from tests.builders import seen
from tests.fakes import FakeClock, MemoryJournal
from tests.simulation.clocks import UnitClock
from tests.simulation.disk import Disk, Killed
from tests.simulation.disk_journal import DiskJournal
from tests.simulation.facts import Fact, prepare, student_id
from tests.simulation.scheduler import Scheduler

KINDS = ("seen", "left", "coverage", "mark")


def a_disk() -> Disk:
    return Disk(Scheduler().random("disk"))


def a_journal(disk: Disk) -> DiskJournal:
    clock = UnitClock(Scheduler(), Scheduler().random("clock"))
    clock.boot()
    clock.sync()
    return DiskJournal(disk, clock, lambda: 0, lambda _: None, lambda _: None)


def a_fact(number: int, kind: Any = "seen") -> Fact:
    return Fact(
        kind,
        f"00000000-0000-7000-8000-{number:012x}",
        1_760_000_000_000_000 + number * 1_000_001,
        "22222222-2222-4222-8222-222222222222",
        number * 10**9,
        "synced",
        0,
        student_id=student_id(number),
        interval_id=f"00000000-0000-7000-8000-{number + 1:012x}",
        span_us=90_500_000,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_gives_what_the_protocols_models_give(kind: str) -> None:
    prepared = prepare(a_fact(7, kind), 3)
    event = parse_event(prepared.body)
    assert prepared.text == canonical_bytes(prepared.body)
    assert prepared.sha256 == sha256_hex(prepared.text)
    assert prepared.event == event
    assert canonical_bytes(event_json(event) | {"lesson_id": None}) == canonical_bytes(
        prepared.body | {"lesson_id": None}
    )


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "delivered", "rejected", "requeue", "epoch", "renumber", "retry", "fetch"]),
        st.integers(1, 12),
        st.integers(0, 6),
    ),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(_STEPS)
def test_it_does_what_the_journal_in_memory_does(steps: list[tuple[str, int, int]]) -> None:
    """Two journals, one written for clearness and one for speed, are told the same and must say the same."""
    slow, fast = MemoryJournal(clock=FakeClock()), a_journal(a_disk())
    names = {slow.epoch: fast.epoch}
    count = 0
    for step, first, more in steps:
        span = [SeqRange(first=first, last=first + more)]
        old = next(iter(names))
        pair = (old, names[old])
        if step == "append":
            events = [seen(event=count + n) for n in range(1, more + 1)]
            count += more
            assert [one.seq for one in slow.append(events)] == [one.seq for one in fast.append(events)]
        elif step == "delivered":
            assert slow.delivered(pair[0], span) == fast.delivered(pair[1], span)
        elif step == "rejected":
            no = [Rejection(seq=first, code="invalid")]
            assert slow.rejected(pair[0], no) == fast.rejected(pair[1], no)
        elif step == "requeue":
            assert slow.requeue(pair[0], span) == fast.requeue(pair[1], span)
        elif step == "epoch" and len(names) < 3:
            slow_name = slow.begin_epoch()
            names[slow_name] = fast.begin_epoch()
        elif step == "renumber" and len(names) > 1:
            seqs = list(range(first, first + more + 1))
            assert slow.renumber(pair[0], seqs) == fast.renumber(pair[1], seqs)
        elif step == "retry":
            assert slow.retry(None) == fast.retry(None)
        assert _view(slow, names) == _view(fast, {name: name for name in names.values()}), step


def _view(journal: MemoryJournal | DiskJournal, names: dict[str, str]) -> Any:
    """What a journal says, with epochs by their order."""
    number = {name: at for at, name in enumerate(names)}
    waiting = journal.waiting()
    return (
        [(one.place, number[one.epoch], one.body) for one in journal.undelivered(2, None, 5, 2000)],
        [(one.place, number[one.epoch], one.body) for one in journal.undelivered(0, 6, 50, 10_000)],
        journal.last_place(),
        journal.positions(),
        journal.kept_seq(),
        sorted(number[name] for name in journal.epochs()),
        [journal.digests(name, 4, 3) for name in names],
        sorted((number[one.epoch], one.seq, one.code) for one in journal.dead_letters()),
        (waiting.events, waiting.dead_letters),
    )


def test_what_was_committed_survives_and_what_was_not_never_was() -> None:
    disk = a_disk()
    journal = a_journal(disk)
    journal.write([a_fact(1)])

    def die(moment: str) -> None:
        if moment == "before append":
            raise Killed

    journal.crash = die
    with pytest.raises(Killed):
        journal.write([a_fact(2)])
    assert [one.body["event_id"] for one in a_journal(disk).undelivered(0, None, 10, 10**6)] == [a_fact(1).event_id]


def test_a_commit_may_succeed_and_the_program_die_before_it_hears_of_it() -> None:
    disk = a_disk()
    journal = a_journal(disk)

    def die(moment: str) -> None:
        if moment == "after append":
            raise Killed

    journal.crash = die
    with pytest.raises(Killed):
        journal.write([a_fact(1)])
    assert a_journal(disk).positions() == (1, 0)


def test_a_full_disk_takes_nothing_and_keeps_everything() -> None:
    disk = a_disk()
    journal = a_journal(disk)
    journal.write([a_fact(1)])
    disk.full = True
    with pytest.raises(StorageFull):
        journal.write([a_fact(2)])
    assert journal.waiting().events == 1


def test_a_copied_card_goes_its_own_way() -> None:
    disk = a_disk()
    journal = a_journal(disk)
    journal.write([a_fact(1), a_fact(2)])
    journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])
    twin = a_journal(disk.copy())
    journal.delivered(journal.epoch, [SeqRange(first=2, last=2)])
    assert (journal.waiting().events, twin.waiting().events) == (0, 1)
    assert twin.epoch == journal.epoch
    twin.prune(twin._clock.stamp().at + timedelta(days=60))
    assert twin.kept_seq() == 2
    assert journal.kept_seq() == 1
