"""A damaged record: the unit starts, and what can be read is in the new file, once."""

import errno
import itertools
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.environment import PROJECT
from edge.adapters.ballast import Ballast
from edge.adapters.damaged_files import FOLDER_NAME, DamagedFiles, damaged_files
from edge.adapters.disk_reserves import DiskReserves
from edge.adapters.salvage import REPORT_NAME, damage_reports, open_record
from edge.adapters.sqlite_file import FILE_NAME, SUSPECT_NAME, UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.errors import StorageDamaged, StorageFull
from protocol.delivery import Rejection, SeqRange
from tests.edge_adapters import programs
from tests.edge_adapters.pieces import MORNING, gallery, hash_of, ident, left, mark, seen
from tests.edge_adapters.test_disk_reserves import strace
from tests.fakes import FakeClock

PAGE = 4096
TEMPLATES = tuple(bytes([n]) * 9_000 for n in range(1, 4))
"""Longer than a page: their rows go on elsewhere in the file."""
ASIDE = "2026-03-02T080000Z"
Rows = dict[str, tuple[str, int, str]]
"""Stream, seq and state of each event by its id."""


def rows_in(folder: Path) -> Rows:
    file = UnitFile(folder, read_only=True)
    try:
        with file.reading() as db:
            found = db.execute(
                """SELECT event_id, epoch, seq, CASE WHEN delivered_at IS NOT NULL THEN 'delivered'
                   WHEN number IS NOT NULL THEN 'dead' ELSE 'waiting' END
                   FROM events LEFT JOIN dead_letter USING (epoch, seq)"""
            ).fetchall()
    finally:
        file.close()
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: tuple(row[1:]) for row in found}


def make_record(folder: Path) -> None:
    """Write what a unit has after a while: two streams, everything in every state, a gallery."""
    file = UnitFile(folder)
    journal, store = SqliteJournal(file, FakeClock()), SqliteGallery(file)
    for _ in range(3):
        journal.next_session()
    for piece in (b"manifest", *TEMPLATES):
        store.stage(hash_of(piece), piece)
    store.swap(gallery(4, b"manifest", TEMPLATES))
    store.stage(hash_of(b"half fetched"), b"half fetched")
    old = journal.epoch
    journal.append([seen(number, seconds=number) for number in range(1, 121)])
    journal.delivered(old, [SeqRange(first=1, last=80)])
    journal.rejected(old, [Rejection(seq=90, code="invalid", detail="score")])
    journal.begin_epoch()
    journal.append([mark(number) for number in range(201, 301)])
    journal.append([left(301, 7), left(302, 8)])
    journal.delivered(journal.epoch, [SeqRange(first=1, last=30)])
    journal.renumber(old, [100, 101])
    journal.requeue(old, [SeqRange(first=5, last=5)])
    file.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    make_record(folder)
    return folder


@dataclass
class Damaged:
    folder: Path
    before: Rows

    @property
    def database(self) -> Path:
        return self.folder / FILE_NAME

    @property
    def log(self) -> Path:
        return self.folder / f"{FILE_NAME}-wal"

    days: int = 0

    def open(self) -> UnitFile:
        return open_record(self.folder, MORNING + timedelta(days=self.days))

    def opened(self) -> Rows:
        """Open and close it as a unit does at its start; return what is there now."""
        self.open().close()
        return rows_in(self.folder)


@pytest.fixture
def record(template: Path, tmp_path: Path) -> Damaged:
    shutil.copytree(template, tmp_path / "unit")
    return Damaged(tmp_path / "unit", rows_in(template))


def overwrite(path: Path, at: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(raw)


def pages_with(path: Path, text: bytes) -> list[int]:
    raw = path.read_bytes()
    return [at for at in range(0, len(raw), PAGE) if text in raw[at : at + PAGE]]


def test_a_sound_record_is_opened_as_it_is(record: Damaged) -> None:
    assert record.opened() == record.before
    assert damage_reports(record.folder) == []
    assert not (record.folder / FOLDER_NAME).exists()


class TestWhatIsSaved:
    """A page in the middle is gone: everything else goes on as it was."""

    @pytest.fixture
    def saved(self, record: Damaged) -> Damaged:
        self.page = pages_with(record.database, ident(40).encode())[0]
        overwrite(record.database, self.page, b"\xff" * PAGE)
        record.open().close()
        return record

    def test_every_event_on_another_page_is_there_with_its_place_and_its_state(self, saved: Damaged) -> None:
        after = rows_in(saved.folder)

        assert ident(40) not in after
        assert len(after) > 150
        assert {event_id: saved.before[event_id] for event_id in after} == after

    def test_a_new_stream_begins_and_the_earlier_ones_go_on_being_delivered(self, saved: Damaged) -> None:
        before = list(dict.fromkeys(epoch for epoch, _seq, _state in saved.before.values()))
        file = saved.open()
        journal = SqliteJournal(file)

        assert journal.epochs()[:-1] == before
        assert journal.epoch not in before
        assert [event.seq for event in journal.append([seen(999)])] == [1]
        assert (
            journal.waiting().events == 1 + sum(state == "waiting" for *_, state in rows_in(saved.folder).values()) - 1
        )
        file.close()

    def test_dead_letters_open_intervals_gallery_and_the_count_of_starts_go_on(self, saved: Damaged) -> None:
        file = saved.open()
        journal, store = SqliteJournal(file), SqliteGallery(file)

        assert [(letter.seq, letter.code, letter.detail) for letter in journal.dead_letters()] == [
            (90, "invalid", "score")
        ]
        still_open = {interval.interval_id for interval in journal.open_intervals()}
        assert {ident(7), ident(8)} & still_open == set()
        assert ident(100) in still_open
        assert journal.next_session() == 4
        head = store.in_use()
        assert head is not None
        assert head.revision == 4
        assert [store.staged(hash_of(piece)) for piece in TEMPLATES] == list(TEMPLATES)
        assert store.drop_staged() == 1
        assert store.has([hash_of(piece) for piece in TEMPLATES]) == {hash_of(piece) for piece in TEMPLATES}
        file.close()

    def test_the_damaged_files_are_kept_for_a_person_and_nobody_else(self, saved: Damaged) -> None:
        aside = saved.folder / FOLDER_NAME / ASIDE

        assert (aside / FILE_NAME).read_bytes()[self.page : self.page + PAGE] == b"\xff" * PAGE
        assert stat.S_IMODE(aside.stat().st_mode) == 0o700
        assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o700

    def test_the_report_counts_what_was_saved(self, saved: Damaged) -> None:
        (report,) = damage_reports(saved.folder)
        after = rows_in(saved.folder)

        assert report.events == len(after)
        assert report.waiting == sum(state == "waiting" for *_, state in after.values())
        assert report.dead_letters == 1
        assert report.gallery
        assert f"{report.events} events were saved" in report.sentence

    def test_the_next_start_begins_nothing_anew(self, saved: Damaged) -> None:
        first = rows_in(saved.folder)

        assert saved.opened() == first
        assert len(damage_reports(saved.folder)) == 1

    def test_a_second_damage_on_the_same_day_is_kept_beside_the_first(self, saved: Damaged) -> None:
        overwrite(saved.database, PAGE * 2, b"\xff" * PAGE)
        saved.open().close()

        assert len(damage_reports(saved.folder)) == 2

    def test_the_kept_copy_holds_no_template_any_more_once_somebody_is_erased(self, saved: Damaged) -> None:
        """P6: the receipt for an erasure must be true of this copy too."""
        aside = saved.folder / FOLDER_NAME / ASIDE
        assert TEMPLATES[0][:500] in (aside / FILE_NAME).read_bytes()
        file = saved.open()
        store = SqliteGallery(file)
        store.stage(hash_of(b"manifest 5"), b"manifest 5")
        store.swap(gallery(5, b"manifest 5", TEMPLATES[1:]))
        assert store.remains() == "damaged files are being erased"
        erase_all(store)
        assert store.remains() == ""
        file.close()

        assert [path.name for path in aside.iterdir()] == [REPORT_NAME]
        (report,) = damage_reports(saved.folder)
        assert "the damaged file was erased since" in report.sentence


def erase_all(store: SqliteGallery) -> int:
    """Do what the disk's thread does; return in how many steps."""
    return sum(1 for _ in iter(store.erase_damaged, False))


class TestErasingTheDamagedFiles:
    """P6: a receipt for an erasure must be true of the damaged files too, whatever happens meanwhile."""

    @pytest.fixture
    def saved(self, record: Damaged) -> Damaged:
        overwrite(record.database, pages_with(record.database, ident(40).encode())[0], b"\xff" * PAGE)
        record.open().close()
        return record

    def aside(self, saved: Damaged) -> Path:
        return saved.folder / FOLDER_NAME / ASIDE / FILE_NAME

    def leaves_behind(self, saved: Damaged) -> None:
        """Delete somebody and end before the damaged files are erased."""
        file = saved.open()
        SqliteGallery(file).drop([hash_of(TEMPLATES[0])])
        file.close()

    def test_whoever_deletes_and_whoever_asks_never_waits_for_damaged_files_to_be_overwritten(
        self, saved: Damaged
    ) -> None:
        """Both do it on threads that must go on: recognition's, and the one that talks with the hub."""
        before = self.aside(saved).read_bytes()
        file = saved.open()
        store = SqliteGallery(file)
        reserves = DiskReserves(file, SqliteJournal(file), store, Ballast(saved.folder, 0))
        store.drop([hash_of(TEMPLATES[0])])
        reserves.drop_staged()
        reserves.write_back()

        assert store.remains() == "damaged files are being erased"
        assert self.aside(saved).read_bytes() == before
        while reserves.erase_damaged():
            pass
        assert store.remains() == ""
        assert not self.aside(saved).exists()
        file.close()

    def test_nothing_is_erased_while_nothing_is_due(self, saved: Damaged) -> None:
        file = saved.open()
        assert not SqliteGallery(file).erase_damaged()
        assert self.aside(saved).exists()
        file.close()

    def test_what_a_kill_left_over_is_erased_after_the_next_start(self, saved: Damaged) -> None:
        self.leaves_behind(saved)
        assert TEMPLATES[0][:500] in self.aside(saved).read_bytes()

        file = saved.open()
        store = SqliteGallery(file)
        erase_all(store)
        assert store.remains() == ""
        assert not self.aside(saved).exists()
        file.close()

    def test_what_was_left_over_is_known_to_the_next_record_when_this_one_is_damaged_too(self, saved: Damaged) -> None:
        self.leaves_behind(saved)
        overwrite(saved.database, pages_with(saved.database, ident(50).encode())[0], b"\xff" * PAGE)

        file = saved.open()
        assert len(damage_reports(saved.folder)) == 2
        store = SqliteGallery(file)
        assert store.remains()
        erase_all(store)
        assert store.remains() == ""
        assert list((saved.folder / FOLDER_NAME).glob(f"*/{FILE_NAME}")) == []
        file.close()

    def test_a_record_that_lost_the_note_of_what_is_due_is_taken_to_have_had_one(self, record: Damaged) -> None:
        """Rather nothing to look into than a template that had to go."""
        note = pages_with(record.database, b"copied_up_to")
        for page in note:
            overwrite(record.database, page, b"\xff" * PAGE)
        file = record.open()
        store = SqliteGallery(file)

        assert note
        assert store.remains()
        erase_all(store)
        assert store.remains() == ""
        assert damaged_files(record.folder) == []
        assert "was erased since" in damage_reports(record.folder)[0].sentence
        file.close()

    def test_with_a_gallery_that_is_lost_nobody_is_said_to_be_erased_whose_template_the_damaged_file_holds(
        self, record: Damaged
    ) -> None:
        """The new record never held it, so nothing is deleted when the hub sends a gallery without this person."""
        (page,) = pages_with(record.database, hash_of(b"manifest").encode() + b"manifest")
        overwrite(record.database, page, b"\xff" * PAGE)
        file = record.open()
        store = SqliteGallery(file)
        assert store.in_use() is None
        assert SqliteJournal(file).next_session() == 4
        gone = next(piece for piece in TEMPLATES if not store.has([hash_of(piece)]))
        assert gone[:500] in self.aside(record).read_bytes()

        others = tuple(piece for piece in TEMPLATES if piece != gone)
        for piece in (b"manifest 5", *others):
            store.stage(hash_of(piece), piece)
        store.swap(gallery(5, b"manifest 5", others))
        assert store.remains()
        erase_all(store)
        assert store.remains() == ""
        assert not self.aside(record).exists()
        file.close()

    def test_a_file_that_cannot_be_overwritten_is_told_until_a_person_has_deleted_it(
        self, saved: Damaged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[int] = []

        def broken(descriptor: int) -> None:
            tried.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        file = saved.open()
        store = SqliteGallery(file)
        monkeypatch.setattr("edge.adapters.damaged_files.os.fsync", broken)
        store.drop([hash_of(TEMPLATES[0])])
        erase_all(store)

        once = len(tried)
        for _ in range(3):
            assert not store.erase_damaged()
            assert "cannot be overwritten" in store.remains()
        assert len(tried) == once > 0, "a failing card is written to each second"
        store.try_erasing_again()
        erase_all(store)
        assert len(tried) == 2 * once
        file.close()
        file = saved.open()
        store = SqliteGallery(file)
        erase_all(store)
        assert f"{FOLDER_NAME}/{ASIDE}/{FILE_NAME}" in store.remains()
        for path in damaged_files(saved.folder):
            path.unlink()
        assert store.remains() == ""
        file.close()

    def test_a_file_is_overwritten_in_its_own_size_since_a_full_disk_has_no_space_for_more(
        self, saved: Damaged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = [path.stat().st_size for path in damaged_files(saved.folder)]
        sizes: list[int] = []
        real = os.fsync

        def noting(descriptor: int) -> None:
            sizes.append(os.fstat(descriptor).st_size)
            assert os.pread(descriptor, 1 << 30, 0).strip(b"\0") == b""
            real(descriptor)

        monkeypatch.setattr("edge.adapters.damaged_files.os.fsync", noting)
        damaged = DamagedFiles(saved.folder)
        while damaged.erase_some():
            pass

        assert sizes == [size for size in before if size]
        assert damaged_files(saved.folder) == []

    def test_a_large_file_is_erased_a_part_at_a_time(self, saved: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge.adapters.damaged_files._STEP_BYTES", 9000)
        file = saved.open()
        store = SqliteGallery(file)
        store.drop([hash_of(TEMPLATES[0])])
        sizes = []
        while said := store.remains():
            assert said == "damaged files are being erased"
            sizes.append(sum(path.stat().st_size for path in damaged_files(saved.folder)))
            assert store.erase_damaged()

        assert len(sizes) > 3
        assert all(0 < before - after <= 9000 for before, after in itertools.pairwise(sizes)), sizes
        assert not store.erase_damaged()
        assert not self.aside(saved).exists()
        file.close()

    def test_a_file_that_somebody_deletes_by_hand_just_now_is_no_trouble(
        self, saved: Damaged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = damaged_files(saved.folder)

        def gone_after(_folder: Path) -> list[Path]:
            for path in files:
                path.unlink(missing_ok=True)
            return files

        damaged = DamagedFiles(saved.folder)
        with monkeypatch.context() as patch:
            patch.setattr("edge.adapters.damaged_files.damaged_files", gone_after)
            assert not damaged.erase_some()
            assert "cannot be overwritten" not in damaged.left()
        assert damaged.left() == ""

    def test_a_new_record_that_was_not_finished_is_overwritten_before_it_is_thrown_away(
        self, record: Damaged, tmp_path: Path
    ) -> None:
        """It holds every template that could be read; another name of the file shows what is on the disk."""
        building = record.folder / FOLDER_NAME / ASIDE / "building"
        building.mkdir(parents=True)
        shutil.copy(record.database, building / FILE_NAME)
        os.link(building / FILE_NAME, tmp_path / "other name")
        record.open().close()

        assert not building.parent.exists()
        assert (tmp_path / "other name").read_bytes() == b""

    def test_a_new_record_that_found_no_space_is_overwritten_before_it_is_thrown_away(
        self, record: Damaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        overwrite(record.database, 0, b"\xff" * PAGE)

        def full(file: UnitFile) -> bool:
            os.link(file.path, tmp_path / "other name")
            return False

        monkeypatch.setattr(UnitFile, "write_back", full)
        with pytest.raises(StorageFull):
            record.open()

        assert (tmp_path / "other name").read_bytes() == b""

    def test_a_new_record_that_cannot_be_overwritten_is_thrown_away_all_the_same(
        self, record: Damaged, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        building = record.folder / FOLDER_NAME / ASIDE / "building"
        building.mkdir(parents=True)
        shutil.copy(record.database, building / FILE_NAME)

        def broken(_path: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr("edge.adapters.salvage.erase_file", broken)
        assert record.opened() == record.before
        assert not building.parent.exists()
        assert "cannot be overwritten" in caplog.text


def nothing_left(record: Damaged) -> None:
    record.database.write_bytes(b"")


def zeros(record: Damaged) -> None:
    record.database.write_bytes(bytes(record.database.stat().st_size))


def no_database(record: Damaged) -> None:
    record.database.write_bytes(b"this is no database" * 5000)


def no_first_page(record: Damaged) -> None:
    overwrite(record.database, 0, b"\xff" * PAGE)


def another_first_byte(record: Damaged) -> None:
    overwrite(record.database, 0, b"X")


def cut_in_half(record: Damaged) -> None:
    with record.database.open("r+b") as file:
        file.truncate(record.database.stat().st_size // 2 + 100)


def said_to_be_read_only(record: Damaged) -> None:
    overwrite(record.database, 18, b"\x09\x01")


def no_table_names(record: Damaged) -> None:
    with sqlite3.connect(record.database) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_schema WHERE name IN ('streams', 'outbox')")
    db.close()


def wrong_counts(record: Damaged) -> None:
    with sqlite3.connect(record.database) as db:
        db.execute("UPDATE streams SET waiting = 1")
    db.close()


@pytest.mark.parametrize(
    ("damage", "all_saved"),
    [
        (nothing_left, False),
        (zeros, False),
        (no_database, False),
        (no_first_page, True),
        (another_first_byte, True),
        (cut_in_half, False),
        (said_to_be_read_only, True),
        (no_table_names, True),
        (wrong_counts, True),
    ],
)
def test_whatever_happened_to_the_file_the_unit_starts_and_records(
    record: Damaged, damage: Callable[[Damaged], None], all_saved: bool
) -> None:
    damage(record)
    file = record.open()
    assert SqliteJournal(file).append([seen(999)])[0].event_id == ident(999)
    file.close()

    after = rows_in(record.folder)
    del after[ident(999)]
    assert after.items() <= record.before.items()
    if all_saved:
        assert after == record.before


def test_an_event_that_was_altered_inside_is_found_when_it_is_read_and_left_out_at_the_next_start(
    record: Damaged,
) -> None:
    """No check of SQLite's sees this; sent as it is, the hub would quarantine it."""
    raw = record.database.read_bytes()
    body = raw.rindex(b'"kind":"seen"', 0, raw.index(ident(110).encode() + b"seen2026") + 900)
    overwrite(record.database, body + 9, b"Seen")
    file = record.open()
    with pytest.raises(StorageDamaged) as caught:
        SqliteJournal(file).undelivered(0, None, 1000, 10**9)
    file.close()
    assert "restart" in caught.value.hint
    assert (record.folder / SUSPECT_NAME).exists()

    after = record.opened()

    assert len(after) == len(record.before) - 1
    assert not (record.folder / SUSPECT_NAME).exists()
    file = record.open()
    assert len(SqliteJournal(file).undelivered(0, None, 1000, 10**9)) > 0
    file.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from tests.edge_adapters.pieces import seen

journal = SqliteJournal(UnitFile(Path(sys.argv[1])))
for number in range(1, 61):
    journal.append([seen(number, seconds=number)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    program = programs.start(KILLED, folder)
    program.communicate(timeout=60)
    assert program.returncode == -9
    return folder


class TestLog:
    """The log holds what was committed since the last checkpoint; SQLite drops its end without a word."""

    @pytest.fixture
    def killed(self, killed_template: Path, tmp_path: Path) -> Damaged:
        for name in ("unit", "copy"):
            shutil.copytree(killed_template, tmp_path / name)
        before = rows_in(tmp_path / "copy")
        assert len(before) == 60
        return Damaged(tmp_path / "unit", before)

    def test_a_sound_log_is_read_and_nothing_begins_anew(self, killed: Damaged) -> None:
        assert killed.opened() == killed.before
        assert damage_reports(killed.folder) == []

    def test_what_is_behind_a_bad_place_in_the_log_is_saved(self, killed: Damaged) -> None:
        overwrite(killed.log, killed.log.stat().st_size // 2, b"\xff" * 100)

        after = killed.opened()

        assert len(damage_reports(killed.folder)) == 1
        assert after == killed.before

    def test_a_log_that_lost_its_end_is_noticed(self, killed: Damaged) -> None:
        with killed.log.open("r+b") as file:
            file.truncate(killed.log.stat().st_size // 2)

        after = killed.opened()

        (report,) = damage_reports(killed.folder)
        assert "its log had" in report.reason
        assert 0 < len(after) < 60
        assert after.items() <= killed.before.items()

    def test_a_log_without_its_beginning_still_gives_its_events(self, killed: Damaged) -> None:
        overwrite(killed.log, 0, b"\xff" * 32)

        assert killed.opened() == killed.before

    def test_a_log_without_its_file_still_gives_its_events(self, killed: Damaged) -> None:
        killed.database.unlink()

        assert killed.opened().keys() == killed.before.keys()

    def test_a_last_commit_that_a_power_cut_tore_is_no_damage(self, killed: Damaged) -> None:
        """It never returned, so nobody was promised anything; its seq is given out again."""
        (killed.folder / f"{FILE_NAME}-shm").unlink()
        size = killed.log.stat().st_size
        overwrite(killed.log, size - 2000, bytes(2000))

        after = killed.opened()

        assert damage_reports(killed.folder) == []
        assert len(after) == 59


def events_on_sound_images(before: bytes, after: bytes) -> set[str]:
    """Return the events that are on a page image in the log that is as it was."""
    found: set[str] = set()
    for at, events in events_on_images(before).items():
        image = slice(at, at + PAGE)
        if at < len(after) and after[image] == before[image]:
            found |= events
    return found


@cache
def events_on_images(log: bytes) -> dict[int, set[str]]:
    """Return which events are on each page image of the log, by where it begins."""
    needles = {ident(number): ident(number).encode() + b"seen" for number in range(1, 61)}
    return {
        at: {event_id for event_id, needle in needles.items() if needle in log[at : at + PAGE]}
        for at in range(32 + 24, len(log), 24 + PAGE)
    }


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    damage=st.lists(st.tuples(st.floats(0, 0.9999), st.sampled_from([1, 30, 4096, 20_000])), max_size=4),
    cut=st.none() | st.floats(0.0, 1.0),
)
def test_after_any_damage_to_the_log_every_event_on_a_sound_page_is_there_once(
    killed_template: Path, damage: list[tuple[float, int]], cut: float | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        record = Damaged(Path(place) / "unit", {})
        shutil.copytree(killed_template, record.folder)
        raw = record.log.read_bytes()
        for where, length in damage:
            at = int(where * len(raw))
            overwrite(record.log, at, b"\xa5" * min(length, len(raw) - at))
        if cut is not None:
            with record.log.open("r+b") as file:
                file.truncate(int(cut * len(raw)))
        expected = events_on_sound_images(raw, record.log.read_bytes())

        after = record.opened()

        # Where nothing is reported, the last commit was torn, as a power cut does: it had not returned.
        not_promised = set() if damage_reports(record.folder) else {ident(60)}
        assert set(after) >= expected - not_promised
        assert set(after) <= {ident(number) for number in range(1, 61)}


DIES_AT_EVERY_STEP = """
import json, os, shutil, signal, sys
from pathlib import Path
from edge.adapters import salvage
from tests.edge_adapters.pieces import MORNING
from tests.edge_adapters.test_salvage import rows_in

damaged, place = Path(sys.argv[1]), Path(sys.argv[2])

def rescue_and_die(folder, left):
    def counting(real):
        def wrapper(*arguments, **named):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)
        return wrapper
    for name in ("rename", "mkdir", "unlink", "write_text"):
        setattr(Path, name, counting(getattr(Path, name)))
    os.fsync = counting(os.fsync)
    salvage.shutil.rmtree = counting(shutil.rmtree)
    salvage.open_record(folder, MORNING).close()
    os._exit(0)

step, killed = 0, True
while killed:
    folder = place / str(step)
    shutil.copytree(damaged, folder)
    child = os.fork()
    if child == 0:
        rescue_and_die(folder, step)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    salvage.open_record(folder, MORNING).close()
    left_over = [str(path) for path in folder.glob("damaged/*/*/unit.db")]
    print(json.dumps({
        "killed": killed, "rows": rows_in(folder), "reports": len(salvage.damage_reports(folder)), "left": left_over,
    }))
    step += 1
"""


def test_a_kill_at_any_step_of_the_rescue_loses_nothing(record: Damaged, tmp_path: Path) -> None:
    overwrite(record.database, 0, b"\xff" * PAGE)

    told = programs.finished(programs.start(DIES_AT_EVERY_STEP, record.folder, tmp_path / "copies")).splitlines()

    assert len(told) > 8
    for step, line in enumerate(told):
        said = json.loads(line)
        assert said["killed"] == (step < len(told) - 1)
        assert {key: tuple(row) for key, row in said["rows"].items()} == record.before, f"killed at step {step}"
        assert (said["reports"], said["left"]) == (1, [])


def test_a_full_disk_gives_its_reserve_for_the_rescue(record: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    ballast = Ballast(record.folder, 5 << 20)
    ballast.hold()
    overwrite(record.database, 0, b"\xff" * PAGE)
    real = UnitFile.write_back

    def full_unless_released(file: UnitFile) -> bool:
        return not ballast.held and real(file)

    monkeypatch.setattr(UnitFile, "write_back", full_unless_released)

    assert record.opened() == record.before
    assert len(damage_reports(record.folder)) == 1


def test_a_new_record_that_finds_no_space_for_its_log_does_not_take_the_place_of_the_damaged_one(
    record: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log would be deleted, and everything in it lost."""
    overwrite(record.database, 0, b"\xff" * PAGE)
    before = record.database.read_bytes()
    monkeypatch.setattr(UnitFile, "write_back", lambda _file: False)

    with pytest.raises(StorageFull, match="too full to save it") as caught:
        record.open()

    assert "free" in caught.value.hint
    assert record.database.read_bytes() == before
    assert list((record.folder / FOLDER_NAME).iterdir()) == []
    monkeypatch.undo()
    assert record.opened() == record.before


NO_ROOM = """
import json, sys
from pathlib import Path
from edge.adapters.ballast import Ballast
from edge.adapters.salvage import damage_reports, open_record
from edge.core.errors import StorageFull
from tests.edge_adapters.pieces import MORNING
from tests.edge_adapters.test_salvage import PAGE, make_record, overwrite, rows_in

folder = Path(sys.argv[1])
make_record(folder)
before = rows_in(folder)
ballast = Ballast(folder, 1024 * 1024)
ballast.hold()
hog = folder / "hog"

def damaged_on_a_full_disk():
    overwrite(folder / "unit.db", 0, b"\\xff" * PAGE)
    with hog.open("ab", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass

def opened():
    try:
        open_record(folder, MORNING).close()
    except StorageFull as exc:
        return [str(exc).partition(" is ")[2], exc.hint]
    return rows_in(folder) == before

damaged_on_a_full_disk()
first = [opened(), ballast.held]
damaged_on_a_full_disk()
second, left = opened(), [path.name for path in folder.glob("damaged/*/*") if path.is_dir()]
hog.unlink()
third = opened()
print(json.dumps({"first": first, "second": second, "left": left, "third": third}))
"""


@pytest.mark.machine
def test_on_a_disk_that_is_really_full_the_reserve_saves_the_record_or_it_is_said_what_to_do(tmp_path: Path) -> None:
    said = json.loads(programs.on_a_small_disk(NO_ROOM, tmp_path / "disk", 3 * 1024))

    assert said["first"] == [True, False]
    assert said["second"][0] == "damaged, and the disk is too full to save it into a new file"
    assert said["second"][1].startswith("free ")
    assert (said["left"], said["third"]) == ([], True)


def damage_again(record: Damaged, times: int) -> list[Path]:
    """Damage the record again and again; return the folders in which it was set aside, oldest first."""
    for _ in range(times):
        overwrite(record.database, 0, b"\xff" * PAGE)
        record.open().close()
        record.days += 1
    return sorted((record.folder / FOLDER_NAME).iterdir())


class TestFewAreKept:
    """A card that damages one file damages more."""

    def test_the_oldest_are_deleted_when_there_are_many_and_that_is_said(
        self, record: Damaged, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = damage_again(record, 5)
        assert len(first) == 5
        assert "was deleted" not in caplog.text
        second = damage_again(record, 2)

        assert len(second) == 5
        assert first[2:] == second[:3]
        assert caplog.text.count("an older damaged record was deleted") == 2
        assert rows_in(record.folder) == record.before

    def test_the_newest_is_kept_though_the_clock_was_behind_when_it_was_damaged(self, record: Damaged) -> None:
        """A unit whose clock has no battery starts in 1970: the newest damage has the oldest name."""
        before = damage_again(record, 5)
        record.days = -20_000
        newest = {*damage_again(record, 1)} - {*before}

        assert len(newest) == 1
        reports = damage_reports(record.folder)
        assert [report.at[:4] for report in reports] == ["2026"] * 4 + ["1971"]
        assert [Path(report.folder) for report in reports[:4]] == before[1:]
        # Also the next start, with the clock set, knows which was the last.
        record.days = 5
        assert newest < {*damage_again(record, 3)}

    def test_together_they_take_no_more_than_so_much(self, record: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge.adapters.salvage._KEPT_BYTES_AT_MOST", 3 * record.database.stat().st_size)

        assert 1 <= len(damage_again(record, 4)) <= 3

    def test_what_the_disk_could_not_read_is_kept_longest(self, record: Damaged) -> None:
        first = damage_again(record, 1)[0]
        report = json.loads((first / REPORT_NAME).read_text())
        (first / REPORT_NAME).write_text(json.dumps(report | {"unreadable_pages": 3}))
        places = damage_again(record, 6)

        assert first in places
        assert len(places) == 5

    def test_on_a_full_disk_older_ones_make_room_for_the_record(
        self, record: Damaged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places = damage_again(record, 3)
        real = UnitFile.write_back
        monkeypatch.setattr(UnitFile, "write_back", lambda file: not places[0].exists() and real(file))

        assert damage_again(record, 1)[:-1] == places[1:]
        assert rows_in(record.folder) == record.before

    def test_one_that_cannot_be_deleted_is_left_and_said(
        self, record: Damaged, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_path: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr("edge.adapters.salvage.erase_file", broken)

        assert len(damage_again(record, 6)) == 6
        assert "cannot be deleted" in caplog.text


class TestUnreadablePlaces:
    """A card that wears out answers EIO for some of its places."""

    @staticmethod
    def unreadable(monkeypatch: pytest.MonkeyPatch, bad: range) -> None:
        real = os.pread

        def pread(descriptor: int, count: int, at: int) -> bytes:
            if at < bad.stop and at + count > bad.start:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor, count, at)

        sound = UnitFile._check

        def check(file: UnitFile, connection: sqlite3.Connection) -> None:
            if damage_reports(file.path.parent):
                return sound(file, connection)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error

        monkeypatch.setattr("edge.adapters.sqlite_pages.os.pread", pread)
        monkeypatch.setattr(UnitFile, "_check", check)

    def test_what_is_elsewhere_is_saved_and_the_places_are_counted(
        self, record: Damaged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = pages_with(record.database, ident(40).encode() + b"seen")[0]
        with monkeypatch.context() as patch:
            self.unreadable(patch, range(page + 100, page + 600))
            record.open().close()

        after = rows_in(record.folder)
        (report,) = damage_reports(record.folder)
        assert ident(40) not in after
        assert len(after) > 150
        assert after.items() <= record.before.items()
        assert report.unreadable_pages == 1
        assert "places the disk cannot read: 1;" in report.sentence

    @pytest.mark.parametrize("bad", [range(100), range(1 << 24)])
    def test_without_its_beginning_or_with_nothing_at_all_the_unit_still_starts(
        self, record: Damaged, monkeypatch: pytest.MonkeyPatch, bad: range
    ) -> None:
        with monkeypatch.context() as patch:
            self.unreadable(patch, bad)
            record.open().close()

        assert rows_in(record.folder).items() <= record.before.items()
        assert damage_reports(record.folder)[0].unreadable_pages > 0

    def test_a_log_that_cannot_be_read_is_damage_too(self, record: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
        record.log.write_bytes(b"x" * 9000)

        def unreadable(_database: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr("edge.adapters.sqlite_file.WalBefore", unreadable)
            with pytest.raises(StorageDamaged, match="cannot read its log"):
                UnitFile(record.folder)

    @pytest.mark.machine
    def test_a_disk_that_really_answers_so_does_not_keep_the_unit_from_starting(self, record: Damaged) -> None:
        done = subprocess.run(
            [
                strace(), "-f", "-qq", "-o", "/dev/null", "-P", str(record.database),
                "-e", "inject=pread64:error=EIO:when=4+", sys.executable, "-c", OPENS, str(record.folder),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=programs.TIMEOUT_S,
            check=False,
        )  # fmt: skip
        if "ptrace" in done.stderr:
            pytest.skip("processes may not be traced here")

        # The new file, under the same name, cannot be read there either: the next start finds it.
        assert record.opened().items() <= record.before.items()
        (report,) = damage_reports(record.folder)
        assert report.unreadable_pages > 0


OPENS = """
import sys
from pathlib import Path
from edge.adapters.salvage import open_record
from tests.edge_adapters.pieces import MORNING

open_record(Path(sys.argv[1]), MORNING).close()
"""


def intact(folder: Path, template: Path, before: Rows) -> Rows:
    """Return the events all of whose bytes are on pages that are as they were."""
    old, new = (template / FILE_NAME).read_bytes(), (folder / FILE_NAME).read_bytes()
    changed = {at for at in range(0, len(old), PAGE) if old[at : at + PAGE] != new[at : at + PAGE]}
    pages = pages_of_events(template, tuple(before))
    return {event_id: row for event_id, row in before.items() if pages[event_id] not in changed}


@cache
def pages_of_events(template: Path, event_ids: tuple[str, ...]) -> dict[str, int]:
    """Return where in the file the page of each event begins; the template never changes."""
    pages = {}
    for event_id in event_ids:
        # The row of the event itself holds its id and its kind side by side.
        (pages[event_id],) = (
            at
            for kind in (b"seen", b"left", b"mark")
            for at in pages_with(template / FILE_NAME, event_id.encode() + kind)
        )
    return pages


def runs(folder: Path, start: int) -> bool:
    """Start a unit and let it do what every unit does; return False when it found its record damaged."""
    file = open_record(folder, MORNING)
    try:
        journal = SqliteJournal(file)
        journal.open_intervals()
        journal.next_session()
        SqliteGallery(file).in_use()
        journal.append([seen(999 + start)])
        journal.waiting()
        queue = journal.undelivered(0, None, 10_000, 10**9)
        while more := journal.undelivered(queue[-1].place, None, 10_000, 10**9):
            queue += more
        journal.dead_letters()
    except StorageDamaged:
        return False
    finally:
        file.close()
    return True


DAMAGE = st.lists(
    st.tuples(
        st.floats(0, 0.9999),
        st.sampled_from([1, 2, 8, 100, 512, 4096, 9000]),
        st.sampled_from([b"\x00", b"\xff", b"\x0d", b"7"]),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(damage=DAMAGE, cut=st.none() | st.floats(0, 1))
def test_after_any_damage_every_event_on_a_sound_page_is_there_once(
    template: Path, damage: list[tuple[float, int, bytes]], cut: float | None
) -> None:
    before = rows_in(template)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "unit"
        shutil.copytree(template, folder)
        size = (folder / FILE_NAME).stat().st_size
        for where, length, byte in damage:
            overwrite(folder / FILE_NAME, int(where * size), byte * min(length, size - int(where * size)))
        if cut is not None:
            with (folder / FILE_NAME).open("r+b") as file:
                file.truncate(int(cut * size))
        expected = intact(folder, template, before)

        starts = 1
        while not runs(folder, starts):
            # What only shows when it is read ends the program; the next start knows.
            starts += 1
            assert starts <= 2
        after, reported = rows_in(folder), bool(damage_reports(folder))

        assert after.keys() >= expected.keys()
        for event_id, (epoch, seq, state) in expected.items():
            if state in ("delivered", "dead"):
                assert after[event_id][2] in (state, "waiting")
            else:
                assert after[event_id][2] == state
            if reported and after[event_id][:2] != (epoch, seq):
                # Only where another event claims its place.
                assert after[event_id][2] == "waiting"
