"""Gives a stopped unit a long past: events of days without a network, through its own store."""

from datetime import timedelta

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from protocol.events import Event, Left, Seen, Stamp
from protocol.identifiers import uuid7
from tests.faults.bench_unit import BenchUnit
from tests.faults.school import now_utc
from tests.faults.scripted_unit import Truth

_AT_ONCE = 500
_STUDENT = "0b6f5a52-0000-4000-8000-00000000000{}"
_BOOT = "0b6f5a52-0000-4000-8000-0000000000ff"


def fill(unit: BenchUnit, count: int, days: float = 7.0) -> None:
    """Write `count` events down on a unit that does not run, spread evenly over the last days."""
    truth = Truth(unit.truth)
    now = now_utc()
    file = UnitFile(unit.data_dir)
    try:
        journal = SqliteJournal(file)
        pairs = count // 2
        for start in range(0, pairs, _AT_ONCE // 2):
            some: list[Event] = []
            for number in range(start, min(pairs, start + _AT_ONCE // 2)):
                moment = now - timedelta(days=days) * (1 - number / pairs)
                stamp = Stamp(at=moment, boot_id=_BOOT, boottime_ns=1 + number * 1_000_000_000, clock="synced")
                some += _visit(stamp, number)
            truth.note(journal.append(some))
    finally:
        file.close()


def _visit(stamp: Stamp, number: int) -> list[Event]:
    milliseconds = int(stamp.at.timestamp() * 1000)
    ids = [str(uuid7(milliseconds, bytes([side]) + number.to_bytes(9, "big"))) for side in (1, 2)]
    student_id = _STUDENT.format(number % 10)
    seen = Seen(
        **stamp.model_dump(), event_id=ids[0], seq=1, student_id=student_id, score=0.9, margin=0.5, samples=1,
        gallery_revision=1, pack_id="bench",
    )  # fmt: skip
    left = Left(
        **stamp.model_dump(), event_id=ids[1], seq=1, interval_id=ids[0], student_id=student_id, dwell_s=1.0,
        cause="absence",
    )  # fmt: skip
    return [seen, left]
