"""The unit's database file: durable, private, one writer, and errors that say what to do."""

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_file import FILE_NAME, UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_history import written_after
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.sqlite_library import Database
from edge.core.errors import AnotherDaemon, StorageDamaged, StorageFailed, StorageFull
from protocol.delivery import Rejection, SeqRange
from tests.edge_adapters import programs
from tests.edge_adapters.pieces import MORNING, gallery, hash_of, ident, mark, seen


@pytest.fixture
def file(tmp_path: Path) -> Iterator[UnitFile]:
    opened = UnitFile(tmp_path / "unit")
    yield opened
    opened.close()


def pragma(file: UnitFile, name: str) -> object:
    with file.reading() as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def flip(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as damaged:
        damaged.seek(start)
        damaged.write(b"\xff" * length)


class TestDurability:
    """With less than this, a power cut takes what COMMIT promised."""

    def test_it_keeps_a_wal_and_waits_for_the_disk_at_each_commit(self, file: UnitFile) -> None:
        assert pragma(file, "journal_mode") == "wal"
        assert pragma(file, "synchronous") == 2  # FULL
        assert pragma(file, "foreign_keys") == 1
        assert pragma(file, "secure_delete") == 1

    def test_a_stream_whose_commit_a_full_disk_refuses_has_not_begun(
        self, file: UnitFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a log, a full disk says so only at the commit: the unit must not go on in a stream that is not there."""
        journal, writing = SqliteJournal(file), file.writing
        before = journal.epoch

        @contextmanager
        def refusing() -> Iterator[Database]:
            with writing() as db:
                yield db
                raise StorageFull("the disk is full")

        monkeypatch.setattr(file, "writing", refusing)
        with pytest.raises(StorageFull):
            journal.begin_epoch()
        monkeypatch.undo()
        assert journal.epoch == before
        assert [event.seq for event in journal.append([seen(1)]) + journal.append([seen(2)])] == [1, 2]
        assert journal.begin_epoch() == journal.epoch != before
        assert [event.seq for event in journal.append([seen(3)])] == [1]

    def test_seqs_sessions_epoch_and_open_intervals_go_on_after_reopening(self, tmp_path: Path) -> None:
        first = UnitFile(tmp_path)
        journal = SqliteJournal(first)
        journal.append([seen(1), seen(2, student=8)])
        journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])
        epoch, session = journal.epoch, journal.next_session()
        first.close()

        second = UnitFile(tmp_path)
        journal = SqliteJournal(second)

        assert (journal.epoch, journal.next_session()) == (epoch, session + 1)
        assert journal.positions() == (2, 1)
        assert [interval.student_id for interval in journal.open_intervals()] == [ident(7), ident(8)]
        assert [event.seq for event in journal.append([seen(3)])] == [3]
        second.close()

    def test_seqs_are_not_used_again_when_the_newest_events_are_delivered(self, tmp_path: Path) -> None:
        first = UnitFile(tmp_path)
        journal = SqliteJournal(first)
        journal.append([seen(1)])
        journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])
        first.close()

        second = UnitFile(tmp_path)
        assert [event.seq for event in SqliteJournal(second).append([seen(2)])] == [2]
        second.close()

    def test_a_new_file_is_a_new_epoch(self, tmp_path: Path) -> None:
        """Otherwise seq 1 of a replaced card would be taken for seq 1 of the old one."""
        files = [UnitFile(tmp_path / name) for name in "ab"]
        epochs = {SqliteJournal(file).epoch for file in files}
        for file in files:
            file.close()

        assert len(epochs) == 2

    def test_the_gallery_is_in_use_after_reopening(self, tmp_path: Path) -> None:
        first = UnitFile(tmp_path)
        store = SqliteGallery(first)
        store.stage(hash_of(b"m"), b"m")
        store.stage(hash_of(b"half fetched"), b"half fetched")
        new = gallery(3, b"m", ())
        store.swap(new)
        store.stage(hash_of(b"next"), b"next")
        first.close()

        second = UnitFile(tmp_path)
        store = SqliteGallery(second)
        head = store.signed_head()

        assert store.in_use() == new.head
        assert head is not None
        assert head.to_bytes() == new.signed_head
        assert store.staged(hash_of(b"next")) == b"next"
        second.close()


APPENDS = """
import sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from tests.edge_adapters.pieces import left, seen

journal = SqliteJournal(UnitFile(Path(sys.argv[1])))
number = int(sys.argv[2])
while True:
    stored = journal.append([seen(number), left(number + 1, number), seen(number + 2)])
    number += 3
    for event in stored:
        print(event.seq, event.event_id, flush=True)
"""


def test_what_was_reported_as_stored_is_there_after_kill_9(tmp_path: Path) -> None:
    """Three kills in a row: every event that append returned is there with its seq, and no seq is missing."""
    reported: dict[int, str] = {}
    for round_ in range(3):
        program = programs.start(APPENDS, tmp_path, 1_000_000 * (round_ + 1))
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(30 + 7 * round_)]
        program.kill()
        # Not communicate(): it would lose what readline had read ahead, and begin in the middle of a line.
        rest = program.stdout.read()
        errors = program.communicate(timeout=30)[1]
        # The last line may be torn: only whole ones were reported.
        whole = [line for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith("\n")]
        assert whole, errors
        for line in whole:
            seq, event_id = line.split()
            reported[int(seq)] = event_id

    file = UnitFile(tmp_path)
    rows = {body["seq"]: body["event_id"] for body, _state in SqliteJournal(file).history()}
    last, _delivered = SqliteJournal(file).positions()
    file.close()

    assert reported.items() <= rows.items()
    assert sorted(rows) == list(range(1, last + 1))
    assert last % 3 == 0, "an append was stored in part"


OPENS = """
import sys
from pathlib import Path
from edge.adapters import sqlite_file, sqlite_schema

class Killed(BaseException):
    pass

import os, signal
def dies(count):
    os.kill(os.getpid(), signal.SIGKILL)
sqlite_schema.secrets.token_hex = dies
sqlite_file.UnitFile(Path(sys.argv[1]))
"""


def test_a_kill_while_the_tables_are_made_does_not_spoil_the_next_start(tmp_path: Path) -> None:
    """All tables were made, the epoch not yet written."""
    program = programs.start(OPENS, tmp_path)
    program.communicate(timeout=30)
    assert program.returncode == -9
    assert (tmp_path / FILE_NAME).exists()

    file = UnitFile(tmp_path)
    assert [event.seq for event in SqliteJournal(file).append([seen(1)])] == [1]
    file.close()


def test_an_empty_file_left_by_a_power_cut_becomes_a_new_record(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()

    file = UnitFile(tmp_path)
    assert SqliteJournal(file).positions() == (0, 0)
    file.close()


class TestPrivacy:
    """Nobody but the unit's user reads the record."""

    def test_the_folder_is_0700_and_the_files_0600_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            file = UnitFile(tmp_path / "unit")
            SqliteJournal(file).append([seen(1)])
            modes = {path.name: mode_of(path) for path in (tmp_path / "unit").iterdir()}
        finally:
            os.umask(before)
        file.close()

        assert mode_of(tmp_path / "unit") == 0o700
        assert modes == {"unit.db": 0o600, "unit.db-wal": 0o600, "unit.db-shm": 0o600}

    def test_the_file_is_never_readable_by_others_not_even_while_it_is_made(self, tmp_path: Path) -> None:
        """A file of another mode that was there before (copied by hand) is closed to others too."""
        (tmp_path / FILE_NAME).touch(mode=0o644)

        file = UnitFile(tmp_path)
        assert mode_of(tmp_path / FILE_NAME) == 0o600
        file.close()


class TestErasure:
    """P6: a removed template must not be found on the disk, encrypted or not."""

    SECRET = b"sealed template of a student who left" * 200

    def leftovers(self, folder: Path) -> list[str]:
        return [path.name for path in folder.iterdir() if b"template of a student who left" in path.read_bytes()]

    def test_a_removed_template_is_in_no_file_after_the_swap(self, tmp_path: Path) -> None:
        file = UnitFile(tmp_path)
        store = SqliteGallery(file)
        for piece in (b"manifest 1", self.SECRET):
            store.stage(hash_of(piece), piece)
        store.swap(gallery(1, b"manifest 1", (self.SECRET,)))
        assert self.leftovers(tmp_path)

        store.stage(hash_of(b"manifest 2"), b"manifest 2")
        store.swap(gallery(2, b"manifest 2", ()))

        assert self.leftovers(tmp_path) == []
        file.close()

    def test_a_reader_in_the_middle_of_reading_only_delays_the_erasure(self, tmp_path: Path) -> None:
        """`rollcall-edge export` holds an old state of the file: the next write after it ends erases what is left."""
        file = UnitFile(tmp_path)
        store = SqliteGallery(file)
        for piece in (b"manifest 1", self.SECRET):
            store.stage(hash_of(piece), piece)
        store.swap(gallery(1, b"manifest 1", (self.SECRET,)))
        file.db.execute("PRAGMA busy_timeout = 50")
        reader = sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM content").fetchone()

        store.stage(hash_of(b"manifest 2"), b"manifest 2")
        store.swap(gallery(2, b"manifest 2", ()))
        reader.execute("COMMIT")
        reader.close()
        SqliteJournal(file).append([seen(1)])

        assert self.leftovers(tmp_path) == []
        file.close()

    def test_it_is_told_for_as_long_as_a_deleted_template_can_be_read_in_the_log(self, tmp_path: Path) -> None:
        file = UnitFile(tmp_path)
        store = self.with_secret(file)
        assert store.remains() == ""
        reader = sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM content").fetchone()
        store.drop([hash_of(self.SECRET)])

        assert "end what reads the record" in store.remains()
        assert self.leftovers(tmp_path)
        reader.execute("COMMIT")
        reader.close()
        assert store.remains() == ""
        assert self.leftovers(tmp_path) == []
        file.close()

    def test_a_log_that_is_only_not_written_back_is_not_taken_for_an_erasure_that_waits(self, file: UnitFile) -> None:
        store = SqliteGallery(file)
        reader = sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM content").fetchone()
        SqliteJournal(file).append([seen(1)])

        assert not file.write_back()
        assert store.remains() == ""
        reader.close()
        assert file.write_back()

    def test_a_full_disk_only_delays_the_erasure(self, tmp_path: Path) -> None:
        file = UnitFile(tmp_path)
        store = self.with_secret(file)
        real = refuse_checkpoints(file, sqlite3.SQLITE_FULL)

        store.drop([hash_of(self.SECRET)])
        SqliteJournal(file).append([seen(1)])
        assert store.remains()

        file.db.conn = real
        assert store.remains() == ""
        assert self.leftovers(tmp_path) == []
        file.close()

    @pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE])
    def test_a_disk_that_fails_while_the_log_is_emptied_ends_the_program(self, tmp_path: Path, code: int) -> None:
        """EIO is no full disk: what is on it, nobody knows, least of all whether somebody was erased."""
        file = UnitFile(tmp_path)
        store = self.with_secret(file)
        real = refuse_checkpoints(file, code)

        for work in (lambda: store.drop([hash_of(self.SECRET)]), lambda: SqliteJournal(file).append([seen(1)])):
            with pytest.raises(StorageFailed) as caught:
                work()
            assert not isinstance(caught.value, StorageFull)
        file.db.conn = real
        file.close()

    def with_secret(self, file: UnitFile) -> SqliteGallery:
        store = SqliteGallery(file)
        for piece in (b"manifest 1", self.SECRET):
            store.stage(hash_of(piece), piece)
        store.swap(gallery(1, b"manifest 1", (self.SECRET,)))
        return store

    def test_a_kill_between_swap_and_erasure_is_made_good_at_the_next_start(self, tmp_path: Path) -> None:
        program = programs.start(SWAPS_AND_DIES, tmp_path)
        program.communicate(timeout=30)
        assert program.returncode == -9
        assert self.leftovers(tmp_path)

        file = UnitFile(tmp_path)
        SqliteJournal(file).append([seen(1)])

        assert self.leftovers(tmp_path) == []
        file.close()


class NoCheckpoints:
    """A connection whose checkpoints fail."""

    def __init__(self, real: sqlite3.Connection, code: int) -> None:
        self._real = real
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if "checkpoint" in statement:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self._code
            raise error
        return self._real.execute(statement, *values)


def refuse_checkpoints(file: UnitFile, code: int) -> sqlite3.Connection:
    """Make each checkpoint fail with this error; return the connection to put back."""
    real = file.db.conn
    file.db.conn = NoCheckpoints(real, code)  # type: ignore[assignment]
    return real


SWAPS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from tests.edge_adapters.pieces import gallery, hash_of
from tests.edge_adapters.test_sqlite_file import TestErasure

file = UnitFile(Path(sys.argv[1]))
store = SqliteGallery(file)
for piece in (b"manifest 1", b"manifest 2", TestErasure.SECRET):
    store.stage(hash_of(piece), piece)
store.swap(gallery(1, b"manifest 1", (TestErasure.SECRET,)))
def dies(statement):
    if "checkpoint" in statement:
        os.kill(os.getpid(), signal.SIGKILL)
store.stage(hash_of(b"manifest 2"), b"manifest 2")
file.db.conn.set_trace_callback(dies)
store.swap(gallery(2, b"manifest 2", ()))
"""


class TestReaders:
    """Commands read beside the running unit."""

    def test_reading_needs_a_file_and_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(StorageFailed, match=r"there is no unit\.db") as caught:
            UnitFile(tmp_path, read_only=True)

        assert "storage.data_dir" in caught.value.hint
        assert list(tmp_path.iterdir()) == []

    def test_a_reader_sees_what_is_committed_while_the_unit_writes(self, file: UnitFile) -> None:
        journal = SqliteJournal(file)
        journal.append([seen(1)])
        reader = UnitFile(file.path.parent, read_only=True)
        with file.writing() as db:
            db.execute("DELETE FROM outbox")
            assert SqliteJournal(reader).waiting().events == 1
        assert SqliteJournal(reader).waiting().events == 0
        journal.append([seen(2)])
        assert SqliteJournal(reader).positions() == (2, 1)
        reader.close()

    def test_a_reader_cannot_write(self, file: UnitFile) -> None:
        reader = UnitFile(file.path.parent, read_only=True)

        with pytest.raises(StorageFailed):
            SqliteJournal(reader).next_session()
        reader.close()

    def test_reading_the_record_of_a_unit_at_rest_does_not_change_it(self, tmp_path: Path) -> None:
        writer = UnitFile(tmp_path)
        SqliteJournal(writer).append([seen(1)])
        writer.close()
        before = (tmp_path / FILE_NAME).read_bytes()

        reader = UnitFile(tmp_path, read_only=True)
        assert SqliteJournal(reader).positions() == (1, 0)
        reader.close()

        assert (tmp_path / FILE_NAME).read_bytes() == before

    def test_reading_after_a_kill_leaves_the_file_and_its_wal_as_they_were(self, tmp_path: Path) -> None:
        program = programs.start(APPENDS, tmp_path, 1)
        assert program.stdout is not None
        program.stdout.readline()
        program.kill()
        program.communicate(timeout=30)
        names = [FILE_NAME, f"{FILE_NAME}-wal"]
        before = [(tmp_path / name).read_bytes() for name in names]

        reader = UnitFile(tmp_path, read_only=True)
        assert SqliteJournal(reader).positions()[0] > 0
        reader.close()

        assert [(tmp_path / name).read_bytes() for name in names] == before


class TestBrokenDisks:
    """What a person can do is said; a full disk is told apart from a broken one."""

    def test_a_file_that_is_no_database_is_refused_with_a_remedy(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)

        with pytest.raises(StorageFailed, match=r"unit\.db") as caught:
            UnitFile(tmp_path)

        assert isinstance(caught.value, StorageDamaged)
        assert "saves what can be read" in caught.value.hint

    def test_a_damaged_page_is_found_at_the_start(self, tmp_path: Path) -> None:
        file = UnitFile(tmp_path)
        journal = SqliteJournal(file)
        journal.append([seen(number) for number in range(1, 200)])
        file.close()
        path = tmp_path / FILE_NAME
        flip(path, path.stat().st_size // 2, 8192)

        with pytest.raises(StorageFailed) as caught:
            UnitFile(tmp_path)

        assert isinstance(caught.value, StorageDamaged)
        assert "saves what can be read" in caught.value.hint

    def test_a_damaged_page_is_found_by_a_check_beside_the_unit(self, tmp_path: Path) -> None:
        file = UnitFile(tmp_path)
        SqliteJournal(file).append([seen(number) for number in range(1, 200)])
        file.close()
        path = tmp_path / FILE_NAME
        flip(path, path.stat().st_size // 2, 8192)
        reader = UnitFile(tmp_path, read_only=True)

        with pytest.raises(StorageFailed, match=r"damaged|malformed"):
            reader.check_for_damage()
        reader.close()

    def test_a_record_without_its_tables_is_an_error_of_ours(self, tmp_path: Path) -> None:
        sqlite3.connect(tmp_path / FILE_NAME).close()
        reader = UnitFile(tmp_path, read_only=True)

        with pytest.raises(StorageFailed):
            SqliteJournal(reader)
        reader.close()

    def test_a_folder_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "unit").touch()

        with pytest.raises(StorageFailed, match="cannot be used"):
            UnitFile(tmp_path / "unit")

    def test_using_a_closed_file_is_an_error_of_ours(self, tmp_path: Path) -> None:
        """A thread that is late to stop must not die of an AttributeError that hides what happened."""
        file = UnitFile(tmp_path)
        journal = SqliteJournal(file)
        file.close()

        with pytest.raises(StorageFailed):
            journal.positions()
        with pytest.raises(StorageFailed):
            journal.append([seen(1)])

    def test_another_program_that_holds_the_file_is_not_taken_for_damage(self, file: UnitFile) -> None:
        other = sqlite3.connect(file.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        file.db.execute("PRAGMA busy_timeout = 20")

        with pytest.raises(StorageFailed, match="locked") as caught:
            SqliteJournal(file).append([seen(1)])

        other.execute("ROLLBACK")
        other.close()
        assert "another program" in caught.value.hint
        assert not isinstance(caught.value, StorageDamaged)
        assert [event.seq for event in SqliteJournal(file).append([seen(1)])] == [1]

    def test_a_unit_starts_although_a_full_disk_cannot_remember_the_start(
        self, file: UnitFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = SqliteJournal(file)
        assert journal.next_session() == 1

        def full() -> NoReturn:
            raise StorageFull("the disk is full")

        monkeypatch.setattr(file, "writing", full)

        assert [journal.next_session(), journal.next_session()] == [2, 2]
        monkeypatch.undo()
        assert [journal.next_session(), journal.next_session()] == [2, 3]

    def test_a_unit_does_not_start_on_a_broken_disk(self, file: UnitFile, monkeypatch: pytest.MonkeyPatch) -> None:
        journal = SqliteJournal(file)

        def broken() -> NoReturn:
            raise StorageFailed("the disk does not answer")

        monkeypatch.setattr(file, "writing", broken)

        with pytest.raises(StorageFailed):
            journal.next_session()

    def test_a_full_file_is_usable_again_when_there_is_space(self, file: UnitFile) -> None:
        journal = SqliteJournal(file)
        journal.append([seen(999)])
        pages = pragma(file, "page_count")
        with file.reading() as db:
            db.execute(f"PRAGMA max_page_count = {pages}").fetchall()

        with pytest.raises(StorageFull) as caught:
            journal.append([seen(number) for number in range(1, 200)])
        stored = journal.positions()[0]
        with file.reading() as db:
            db.execute("PRAGMA max_page_count = 1000000").fetchall()

        assert caught.value.hint
        assert [event.seq for event in journal.append([seen(1000)])] == [stored + 1]
        assert [event.seq for event in journal.undelivered(0, None, 1000, 10**9)] == list(range(1, stored + 2))


FILLS_THE_DISK = """
import json, os, sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.core.errors import StorageFull
from protocol.delivery import SeqRange
from tests.edge_adapters.pieces import seen, hash_of

folder = Path(sys.argv[1])
file = UnitFile(folder)
journal, store = SqliteJournal(file), SqliteGallery(file)
ballast = folder / "ballast"
with ballast.open("wb") as out:
    out.write(bytes(300_000))
stored, number, full = 0, 0, ""
while not full:
    number += 1
    try:
        stored = journal.append([seen(number)])[0].seq
    except StorageFull as exc:
        full = exc.hint
also = []
for action in (lambda: journal.append([seen(900_000)]), lambda: store.stage(hash_of(b"x"), b"x" * 100_000)):
    try:
        action()
    except StorageFull:
        also.append("full")
readable = len(journal.undelivered(0, None, 10**6, 10**9))
ballast.unlink()
after = journal.append([seen(1_000_000)])[0].seq
delivered = journal.delivered(journal.epoch, [SeqRange(first=1, last=after)])
file.close()
again = UnitFile(folder)
print(json.dumps({
    "stored": stored, "hint": full, "also": also, "readable": readable, "after": after, "delivered": delivered,
    "reopened": SqliteJournal(again).positions(),
}))
"""


def test_a_disk_that_is_really_full_loses_nothing_and_works_again_afterwards(tmp_path: Path) -> None:
    said = json.loads(programs.on_a_small_disk(FILLS_THE_DISK, tmp_path / "disk", 1024))

    assert said["stored"] > 10
    assert said["hint"]
    assert said["also"] == ["full", "full"]
    assert said["readable"] == said["stored"]
    assert said["after"] == said["stored"] + 1
    assert said["delivered"] == said["after"]
    assert said["reopened"] == [said["after"], said["after"]]


class TestOneDaemon:
    """Two on one folder would give the same seq to different events."""

    def test_a_second_one_on_the_folder_is_refused(self, tmp_path: Path) -> None:
        with (
            DataFolderLock(tmp_path),
            pytest.raises(AnotherDaemon, match="already runs") as caught,
            DataFolderLock(tmp_path),
        ):
            pass

        assert "stop it first" in caught.value.hint

    def test_the_folder_is_free_again_after_an_orderly_end(self, tmp_path: Path) -> None:
        for _ in range(2):
            with DataFolderLock(tmp_path / "unit"):
                assert mode_of(tmp_path / "unit") == 0o700
                assert mode_of(tmp_path / "unit" / "unit.lock") == 0o600

    def test_the_folder_is_free_again_after_a_kill(self, tmp_path: Path) -> None:
        program = programs.start(
            "import sys, time; from pathlib import Path; from edge.adapters.single_instance import DataFolderLock\n"
            "with DataFolderLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)",
            tmp_path,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        with pytest.raises(AnotherDaemon), DataFolderLock(tmp_path):
            pass
        program.kill()
        program.communicate(timeout=30)

        with DataFolderLock(tmp_path):
            pass

    def test_an_unusable_folder_is_refused_with_a_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "unit").touch()

        with pytest.raises(StorageFailed, match="cannot be used") as caught, DataFolderLock(tmp_path / "unit"):
            pass

        assert "storage.data_dir" in caught.value.hint


class TestAHundredThousandEvents:
    """P2: half a term without a network, and the queue is still read by its index."""

    @pytest.fixture
    def plans(self, file: UnitFile) -> list[str]:
        """The query plans of everything that is asked while events come and go, and of the export of a day."""
        asked: list[str] = []
        file.db.conn.set_trace_callback(asked.append)
        journal = SqliteJournal(file)
        epoch = journal.epoch
        journal.append([seen(number) for number in range(1, 9)])
        journal.undelivered(1, None, 100, 65536)
        journal.last_place()
        journal.positions()
        journal.waiting()
        journal.delivered(epoch, [SeqRange(first=1, last=4)])
        journal.rejected(epoch, [Rejection(seq=5, code="invalid")])
        journal.requeue(epoch, [SeqRange(first=2, last=2)])
        journal.retry(None)
        journal.digests(epoch, 4, 500)
        journal.kept_seq()
        journal.epochs()
        journal.last_delivery_at()
        journal.prune(MORNING)
        journal.begin_epoch()
        journal.renumber(epoch, [6, 7])
        journal.keep_open(journal.open_intervals())
        list(journal.history(since=MORNING, until=MORNING + timedelta(days=1)))
        written_after(file, 1)
        file.db.conn.set_trace_callback(None)
        plans = []
        for statement in asked:
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
                with file.reading() as db:
                    plans += [f"{row[3]}: {statement}" for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        return plans

    def test_nothing_reads_the_events_from_end_to_end(self, plans: list[str]) -> None:
        assert plans
        assert [plan for plan in plans if plan.startswith(("SCAN events", "SCAN outbox"))] == []

    def test_the_queue_is_read_in_the_order_of_its_key_without_sorting(self, plans: list[str]) -> None:
        queue = [plan for plan in plans if "WHERE place > 1 AND place <=" in plan]

        assert any(plan.startswith("SEARCH outbox USING INTEGER PRIMARY KEY") for plan in queue)
        assert any(plan.startswith("SEARCH events USING INDEX") for plan in queue)
        assert [plan for plan in queue if "TEMP B-TREE" in plan] == []

    def test_writing_down_and_asking_cost_the_same_however_much_waits(self, file: UnitFile) -> None:
        """Counted in the steps of SQLite's machine, which do not depend on what else the computer does."""
        journal = SqliteJournal(file)
        steps = 0

        def counted() -> int:
            nonlocal steps
            steps += 1
            return 0

        def cost(work: Callable[[], object]) -> int:
            nonlocal steps
            steps = 0
            file.db.conn.set_progress_handler(counted, 1)
            work()
            file.db.conn.set_progress_handler(None, 0)
            return steps

        def costs(number: int) -> dict[str, int]:
            return {
                "append": cost(lambda: journal.append([seen(number, student=number)])),
                "waiting": cost(journal.waiting),
                "positions": cost(journal.positions),
                "undelivered": cost(lambda: journal.undelivered(journal.last_place() - 1, None, 100, 65536)),
            }

        journal.append([mark(1)])
        few = costs(2)
        journal.append([mark(number) for number in range(100, 20_100)])
        many = costs(3)

        # A deeper tree may cost a step or two, reading along the queue would cost thousands.
        assert {name: many[name] <= few[name] + 20 for name in few} == dict.fromkeys(few, True), (few, many)

    def test_they_are_all_there_and_come_in_order(self, file: UnitFile) -> None:
        journal = SqliteJournal(file)
        body = '{"at":"2026-03-02T08:00:00Z","kind":"seen"}'
        sha256, epoch = bytes.fromhex(hash_of(body.encode())), journal.epoch
        with file.writing() as db:
            db.conn.executemany(
                """INSERT INTO events (epoch, seq, event_id, kind, at, body, sha256)
                   VALUES (?, ?, ?, 'seen', ?, ?, ?)""",
                (
                    (epoch, seq, ident(seq), (MORNING + timedelta(seconds=seq)).isoformat(), body, sha256)
                    for seq in range(1, 100_001)
                ),
            )
            db.execute("INSERT INTO outbox (epoch, seq) SELECT epoch, seq FROM events ORDER BY seq")
            db.execute("UPDATE streams SET last_seq = 100000")

        assert journal.append([seen(100_001)])[0].seq == 100_001
        assert journal.waiting().events == 100_001
        assert journal.undelivered(100_000, None, 100, 65536)[0].seq == 100_001
        assert len(journal.undelivered(0, None, 100, 10**6)) == 100
        assert journal.delivered(journal.epoch, [SeqRange(first=1, last=100_000)]) == 100_000
        assert journal.positions() == (100_001, 100_000)
