"""A file that an earlier version made goes on as it was: every event, and how far it got."""

import json
import sqlite3
from pathlib import Path

import pytest

from edge.adapters.sqlite_file import FILE_NAME, UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_history import written_after
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_schema import MIGRATIONS
from edge.core.errors import StorageFailed
from protocol.base import canonical_bytes
from protocol.delivery import RangeDigest, SeqRange, xor64
from protocol.events import event_json, event_sha256
from tests.edge_adapters.pieces import MORNING, gallery, hash_of, ident, seen
from tests.fakes import FakeClock

EPOCH = "00112233445566ff"
WAITING, DEAD = (3, 5, 6), (2,)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A file as version 0.1 made it: six events, of which one was refused, three wait and two are delivered."""
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    db = Database(connection, execute_plugins=False)
    MIGRATIONS.apply(db, stop_before="0002_several_streams")
    db.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", [EPOCH])
    db.execute("UPDATE meta SET value = '7' WHERE name = 'last_seq'")
    db.execute("INSERT INTO meta VALUES ('session', '41')")
    for seq in range(1, 7):
        event = seen(seq, seconds=seq).model_copy(update={"seq": seq})
        body = canonical_bytes(event_json(event)).decode()
        db.execute("INSERT INTO events VALUES (?, ?, 'seen', ?, ?)", [seq, ident(seq), event.at.isoformat(), body])
    for seq in WAITING:
        db.execute("INSERT INTO outbox VALUES (?)", [seq])
    for seq in DEAD:
        db.execute("INSERT INTO dead_letter VALUES (?, 'invalid', 'score', '2026-03-02 08:00:00')", [seq])
    new = gallery(3, b"manifest", ())
    db.execute("INSERT INTO content VALUES (?, ?)", [hash_of(b"manifest"), b"manifest"])
    db.execute("INSERT INTO gallery VALUES (1, 3, ?, ?, NULL)", [new.signed_head, hash_of(b"manifest")])
    connection.close()
    return tmp_path


def test_it_delivers_on_where_it_was(before: Path) -> None:
    file = UnitFile(before)
    journal = SqliteJournal(file, FakeClock())

    assert journal.epoch == EPOCH
    assert [event.seq for event in journal.undelivered(0, None, 100, 10**6)] == list(WAITING)
    assert (journal.waiting().events, journal.waiting().dead_letters) == (3, 1)
    assert journal.positions() == (7, 2)
    assert [(letter.seq, letter.code, letter.refused_at) for letter in journal.dead_letters()] == [
        (2, "invalid", MORNING)
    ]
    assert journal.next_session() == 42
    assert journal.delivered(EPOCH, [SeqRange(first=3, last=3)]) == 1
    assert [event.seq for event in journal.append([seen(100)])] == [8]
    file.close()


def test_what_was_delivered_is_audited_and_can_be_sent_again(before: Path) -> None:
    file = UnitFile(before)
    journal = SqliteJournal(file, FakeClock())
    journal.delivered(EPOCH, [SeqRange(first=1, last=6)])

    delivered = [seen(seq, seconds=seq).model_copy(update={"seq": seq}) for seq in (1, 3, 4, 5, 6)]
    hashes = xor64(event_sha256(event_json(event)) for event in delivered)
    assert journal.digests(EPOCH, 6, 10) == [RangeDigest(first=1, last=6, count=5, xor64=hashes)]
    assert journal.requeue(EPOCH, [SeqRange(first=1, last=6)]) == 5
    file.close()


def test_what_was_delivered_before_is_kept_for_as_long_as_from_now_on(before: Path) -> None:
    file = UnitFile(before)
    clock = FakeClock()
    journal = SqliteJournal(file, clock)

    assert journal.prune(clock.at) == 0
    clock.advance(1)
    assert journal.prune(clock.at) == 2
    file.close()


def test_the_gallery_stays_in_use_and_is_not_taken_for_a_half_transfer(before: Path) -> None:
    file = UnitFile(before)
    store = SqliteGallery(file)

    assert store.drop_staged() == 0
    head = store.in_use()
    assert head is not None
    assert head.revision == 3
    file.close()


def test_the_csv_copy_is_taken_to_be_complete(before: Path) -> None:
    file = UnitFile(before)
    with file.reading() as db:
        copied = int(db.execute("SELECT value FROM meta WHERE name = 'copied_up_to'").fetchone()[0])

    assert written_after(file, copied) == []
    file.close()


def test_a_command_beside_a_unit_that_still_runs_the_earlier_version_says_so(before: Path) -> None:
    with pytest.raises(StorageFailed, match="earlier version") as caught:
        UnitFile(before, read_only=True)

    assert "start the unit" in caught.value.hint


def test_a_start_that_is_broken_off_leaves_the_earlier_file(before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all: the hundredth row fails as a full disk would make it."""
    raw = json.dumps({"at": "2026-03-02T08:00:00Z"})
    with sqlite3.connect(before / FILE_NAME) as db:
        db.execute("INSERT INTO events VALUES (7, 'x', 'seen', '2026', ?)", [raw])
    db.close()

    def broken(_hash: bytes) -> str:
        raise MemoryError

    monkeypatch.setattr("edge.adapters.sqlite_schema.hashlib.sha256", broken)
    with pytest.raises((StorageFailed, MemoryError)):
        UnitFile(before)
    monkeypatch.undo()

    file = UnitFile(before)
    assert SqliteJournal(file).waiting().events == 3
    file.close()
