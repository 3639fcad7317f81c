"""The CSV copy comes back by itself: whatever is lacking is written again from the record, and nothing twice."""

import csv
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.adapters.csv_follower import CsvFollower
from edge.adapters.csv_journal import HEADER, CsvJournal
from edge.adapters.sqlite_file import SUSPECT_NAME, UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.sqlite_rows import body_hash
from edge.core.errors import StorageDamaged, StorageFailed, StorageFull
from protocol.delivery import SeqRange
from protocol.events import Event
from tests.edge_adapters.pieces import MORNING, ident, left, mark, seen
from tests.fakes import FakeClock

NAMES = {ident(7): "S7_Ann Example", ident(8): "S8_Bob Example"}
DAY = "2026-03-02"


class Office:
    def __init__(self, folder: Path, *, zone: str = "UTC", with_names: bool = True) -> None:
        self.folder = folder
        self.file = UnitFile(folder)
        self.clock = FakeClock()
        self.journal = SqliteJournal(self.file, self.clock)
        self.csv = CsvJournal(folder / "csv", zone, with_names=with_names)
        self.space = True
        self.follower = CsvFollower(self.file, self.csv, lambda: self.space)

    def record(self, *events: Event, names: dict[str, str] | None = None) -> None:
        """Write events down as the recorder does."""
        self.journal.append(events)
        self.catch_up(names)

    def catch_up(self, names: dict[str, str] | None = None) -> None:
        """Write all that the copy lacks."""
        while self.follower.copy_some(NAMES if names is None else names):
            pass

    def restart(self) -> "Office":
        """End without a word and begin again."""
        self.file.close()
        return Office(self.folder)

    @property
    def path(self) -> Path:
        return self.csv.file_of(DAY)

    def rows(self, day: str = DAY) -> list[list[str]]:
        with self.csv.file_of(day).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert rows[0] == list(HEADER)
        return rows[1:]

    def ids(self, day: str = DAY) -> list[str]:
        return [row[3] for row in self.rows(day)]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.file.close()


class TestCatchingUp:
    def test_a_line_that_a_crash_left_out_is_there_after_the_next_start(self, office: Office) -> None:
        office.record(seen(1))
        office.journal.append([seen(2), left(3, 1), mark(4)])
        after = office.restart()

        after.catch_up()
        assert after.ids() == [ident(1), ident(2), ident(4)]
        after.catch_up()
        assert after.ids() == [ident(1), ident(2), ident(4)]
        after.file.close()

    def test_the_first_event_after_a_start_brings_the_lacking_ones_along(self, office: Office) -> None:
        office.record(seen(1))
        office.journal.append([seen(2)])
        after = office.restart()
        after.record(seen(3))

        assert after.ids() == [ident(1), ident(2), ident(3)]
        after.file.close()

    def test_a_torn_last_line_is_replaced_by_the_whole_one(self, office: Office) -> None:
        office.record(seen(1), seen(2))
        raw = office.path.read_bytes()
        office.path.write_bytes(raw[:-25])
        after = office.restart()
        after.catch_up()

        assert after.path.read_bytes() == raw
        after.file.close()

    def test_a_last_line_that_a_person_left_without_a_line_break_stays(self, office: Office) -> None:
        office.record(seen(1))
        with office.path.open("a") as file:
            file.write("a remark by the teacher")
        after = office.restart()
        after.journal.append([seen(2)])
        after.catch_up()

        text = after.path.read_text()
        assert "a remark by the teacher\n" in text
        assert [row[3] for row in csv.reader(text.splitlines()) if len(row) == len(HEADER)][1:] == [ident(1), ident(2)]
        after.file.close()

    def test_a_day_file_that_was_deleted_on_purpose_does_not_come_back(self, office: Office) -> None:
        office.record(seen(1))
        office.follower.note()
        office.path.unlink()
        after = office.restart()
        after.record(seen(2, seconds=86_400))

        assert not after.path.exists()
        assert after.ids("2026-03-03") == [ident(2)]
        after.file.close()

    def test_a_copy_that_failed_is_completed_with_the_next_event(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_given: object) -> None:
            raise StorageFull("the disk is full")

        office.record(seen(1))
        with monkeypatch.context() as patch:
            patch.setattr(office.csv, "_write", full)
            with pytest.raises(StorageFull):
                office.record(seen(2))
        office.record(seen(3))

        assert office.ids() == [ident(1), ident(2), ident(3)]

    def test_without_space_for_copies_none_is_written_and_all_of_it_later(self, office: Office) -> None:
        office.record(seen(1))
        office.space = False
        for number in (2, 3):
            with pytest.raises(StorageFull, match="waits"):
                office.record(seen(number))
        assert office.ids() == [ident(1)]
        office.space = True
        office.record(seen(4))

        assert office.ids() == [ident(1), ident(2), ident(3), ident(4)]

    def test_what_was_deleted_before_it_was_copied_is_counted(self, office: Office) -> None:
        """A full disk gives up what the hub has; without a word, a day file would be taken for whole."""
        office.record(seen(1))
        office.journal.append([seen(number) for number in range(2, 7)])
        office.journal.delivered(office.journal.epoch, [SeqRange(first=1, last=3), SeqRange(first=5, last=5)])
        assert office.journal.prune_early() == 4
        office.catch_up()
        assert office.ids() == [ident(1), ident(4), ident(6)]
        assert office.follower.lost == 3

        office.journal.delivered(office.journal.epoch, [SeqRange(first=4, last=6)])
        assert office.journal.prune_early() == 2
        office.record(seen(7))
        assert office.follower.lost == 3

    def test_a_copy_that_fails_counts_what_it_misses_once(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_given: object) -> None:
            raise StorageFull("the disk is full")

        office.journal.append([seen(1), seen(2)])
        office.journal.delivered(office.journal.epoch, [SeqRange(first=1, last=1)])
        office.journal.prune_early()
        with monkeypatch.context() as patch:
            patch.setattr(office.csv, "_write", full)
            for _ in range(2):
                with pytest.raises(StorageFull):
                    office.catch_up()
        office.catch_up()

        assert office.ids() == [ident(2)]
        assert office.follower.lost == 1

    def test_how_far_the_copy_is_survives_and_never_runs_ahead(self, office: Office) -> None:
        office.record(seen(1))
        office.follower.note()
        office.space = False
        with pytest.raises(StorageFull):
            office.record(seen(2))
        office.follower.note()
        after = office.restart()

        assert after.follower._copied == 1
        after.catch_up()
        assert after.ids() == [ident(1), ident(2)]
        after.file.close()


class TestALongOutage:
    """A stick that was away for weeks: what it lacks comes back in portions, and each line of it is read once."""

    def test_each_call_writes_a_bounded_number_of_lines_and_goes_on_where_the_last_one_ended(
        self, office: Office
    ) -> None:
        office.journal.append([seen(number) for number in range(1, 1201)])

        counts = []
        while office.follower.copy_some(NAMES):
            counts.append(len(office.rows()))
        counts.append(len(office.rows()))

        assert counts == [500, 1000, 1200]
        assert office.ids() == [ident(number) for number in range(1, 1201)]

    def test_the_day_file_is_read_once_however_many_portions_it_takes(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[Path] = []
        really = office.csv._read

        def noting(path: Path) -> list[tuple[str, ...]]:
            read.append(path)
            return really(path)

        monkeypatch.setattr(office.csv, "_read", noting)
        office.journal.append([seen(number) for number in range(1, 2001)])
        after = office.restart()
        monkeypatch.setattr(after.csv, "_read", noting)
        after.catch_up()
        after.record(seen(2001))

        assert read == [after.path]
        assert len(after.ids()) == 2001
        after.file.close()

    def test_while_nothing_can_be_written_only_the_first_portion_is_tried(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[int] = []

        def gone(_path: Path, rows: list[tuple[str, ...]]) -> None:
            tried.append(len(rows))
            raise StorageFull("the stick is out")

        office.journal.append([seen(number) for number in range(1, 1201)])
        with monkeypatch.context() as patch:
            patch.setattr(office.csv, "_write", gone)
            for _ in range(3):
                with pytest.raises(StorageFull):
                    office.follower.copy_some(NAMES)
        office.catch_up()

        assert tried == [500, 500, 500]
        assert office.ids() == [ident(number) for number in range(1, 1201)]

    def test_a_portion_that_was_written_in_part_is_not_written_twice(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of two days in it, the first had its lines when the second failed."""
        office.record(seen(1))
        really, calls = office.csv._write, []

        def fails_second(path: Path, rows: list[tuple[str, ...]]) -> None:
            calls.append(path)
            if len(calls) == 2:
                raise StorageFull("no space left")
            really(path, rows)

        office.journal.append([seen(2), seen(3, seconds=86_400)])
        monkeypatch.setattr(office.csv, "_write", fails_second)
        with pytest.raises(StorageFull):
            office.catch_up()
        office.record(seen(4))

        assert office.ids() == [ident(1), ident(2), ident(4)]
        assert office.ids("2026-03-03") == [ident(3)]


TROUBLE = ["note", "restart", "tear", "rebuild", "full", "space"]


def after_trouble(office: Office, step: str, cut: int) -> Office:
    """Return the office after one of `TROUBLE`."""
    if step == "note":
        office.follower.note()
    elif step == "restart":
        return office.restart()
    elif step == "rebuild" and office.space:
        office.follower.rebuild(DAY, NAMES)
    elif step == "tear" and office.path.exists():
        # What was appended last had not reached the disk when the power went.
        rows = office.path.read_bytes().splitlines(keepends=True)
        if len(rows) > 1 and office.follower._noted < office.follower._copied:
            office.path.write_bytes(b"".join(rows)[: -min(cut, len(rows[-1]))])
            return office.restart()
    elif step in ("full", "space"):
        office.space = step == "space"
    return office


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.sampled_from(["record", "lose", *TROUBLE]), max_size=25), cut=st.integers(1, 150))
def test_after_any_trouble_every_event_is_in_the_copy_once(steps: list[str], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder))
        number = 0
        for step in steps:
            if step not in ("record", "lose"):
                office = after_trouble(office, step, cut)
                continue
            number += 1
            office.journal.append([seen(number, student=7 + number % 2)])
            if step == "lose":
                # Killed between the two.
                office = office.restart()
                continue
            try:
                office.catch_up()
            except StorageFull:
                assert not office.space
        office.space = True
        office.catch_up()
        if number:
            assert sorted(office.ids()) == [ident(n) for n in range(1, number + 1)]
            assert all(len(row) == len(HEADER) for row in office.rows())
        office.file.close()


class TestRebuilding:
    def test_a_file_that_is_gone_is_written_again_as_it_was(self, office: Office) -> None:
        office.record(seen(1, seconds=5), left(2, 1), mark(3), seen(4, student=8, seconds=9))
        raw = office.path.read_bytes()
        office.path.unlink()

        assert office.follower.rebuild(DAY, NAMES) == 3
        assert sorted(office.path.read_bytes().splitlines()) == sorted(raw.splitlines())
        assert [row[1] for row in office.rows()] == ["08:00:00", "08:00:05", "08:00:09"]

    def test_somebody_who_left_the_gallery_keeps_the_name_that_the_old_line_had(self, office: Office) -> None:
        office.record(seen(1), seen(2, student=8), seen(3, student=9))

        office.follower.rebuild(DAY, {ident(8): "S8_Bob Newname"})

        assert [row[2] for row in office.rows()] == ["S7_Ann Example", "S8_Bob Newname", ident(9)]

    def test_a_line_that_a_rebuild_wrote_before_the_copy_came_to_it_is_there_once(self, office: Office) -> None:
        office.record(seen(1))
        office.journal.append([seen(2)])
        office.follower.rebuild(DAY, NAMES)
        office.record(seen(3))

        assert office.ids() == [ident(1), ident(2), ident(3)]

    def test_on_a_full_disk_no_day_is_written_anew_from_the_reserve_of_the_record(self, office: Office) -> None:
        office.record(seen(1))
        office.space = False
        with pytest.raises(StorageFull, match="waits"):
            office.follower.rebuild(DAY, NAMES)

    def test_whoever_asks_for_a_day_while_a_write_hangs_is_told(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edge.adapters.csv_follower._LONGEST_WAIT_S", 0.0)
        with office.follower._alone(), pytest.raises(StorageFailed, match="do not get on"):
            office.follower.rebuild(DAY, NAMES)

    def test_a_name_is_not_brought_back_where_the_school_wants_none(self, tmp_path: Path) -> None:
        office = Office(tmp_path)
        office.record(seen(1))
        without = CsvJournal(tmp_path / "csv", "UTC", with_names=False)
        CsvFollower(office.file, without).rebuild(DAY, {})

        assert "Ann" not in office.path.read_text()
        office.file.close()

    def test_lines_of_events_that_the_record_has_deleted_stay(self, office: Office) -> None:
        office.record(seen(1, seconds=1), seen(2, seconds=2), seen(3, seconds=3))
        office.journal.delivered(office.journal.epoch, [SeqRange(first=2, last=2)])
        office.clock.advance(40 * 86_400)
        assert office.journal.prune_older(30) == 1

        assert office.follower.rebuild(DAY, NAMES) == 3
        assert office.ids() == [ident(1), ident(2), ident(3)]

    def test_what_is_no_line_of_ours_is_left_out(self, office: Office) -> None:
        office.record(seen(1))
        with office.path.open("ab") as file:
            file.write(b'2026-03-02,08:0\n\xff\xfe"""\n,,,,,,,\n2026-03-02,08:00:00,x,no id,,,,\n')
        office.follower.rebuild(DAY, NAMES)

        assert office.ids() == [ident(1)]

    def test_the_old_file_is_there_until_the_new_one_is_on_disk(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        office.record(seen(1))
        before = office.path.read_bytes()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("edge.adapters.csv_journal.os.fsync", full)
            with pytest.raises(StorageFull):
                office.follower.rebuild(DAY, NAMES)

        assert office.path.read_bytes() == before
        assert [path.name for path in office.path.parent.iterdir()] == [office.path.name]

    def test_days_are_those_of_the_school(self, tmp_path: Path) -> None:
        office = Office(tmp_path, zone="Asia/Kathmandu")
        late = datetime(2026, 3, 2, 18, 20, tzinfo=UTC)  # 00:05 of the third, there
        office.record(seen(1), seen(2, at=late))

        assert office.follower.days() == [DAY, "2026-03-03"]
        assert office.follower.rebuild(DAY, NAMES) == 1
        assert office.follower.rebuild("2026-03-03", NAMES) == 1
        assert (office.ids(), office.ids("2026-03-03")) == ([ident(1)], [ident(2)])
        office.file.close()

    def test_days_are_found_without_reading_every_event_and_only_where_somebody_was_marked(
        self, office: Office
    ) -> None:
        asked: list[str] = []
        office.record(*(seen(number, seconds=number) for number in range(1, 301)))
        office.record(left(301, 1, seconds=86_400), seen(302, seconds=5 * 86_400), seen(303, seconds=9 * 86_400))
        office.file.db.conn.set_trace_callback(asked.append)

        assert office.follower.days() == [DAY, "2026-03-07", "2026-03-11"]
        assert len(asked) == 4
        plan = office.file.db.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
        assert "SEARCH events USING INDEX events_at" in str(plan)
        assert "TEMP B-TREE" not in str(plan)

    @pytest.mark.parametrize("day", ["yesterday", "2026-02-30", ""])
    def test_what_is_no_day_is_refused(self, office: Office, day: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            office.follower.rebuild(day, NAMES)

    def test_a_record_without_anything_has_no_days(self, office: Office) -> None:
        assert office.follower.days() == []


@pytest.mark.parametrize("body", ["substr(body, 2)", "replace(body, '0.9312', '0.1312')"])
class TestADamagedEvent:
    """In the middle of a page, where SQLite's own check finds nothing."""

    def damaged(self, office: Office, body: str) -> Path:
        """Damage the second of three events; return what tells the next start of it."""
        office.journal.append([seen(1), seen(2), seen(3)])
        with office.file.writing() as db:
            assert db.execute(f"UPDATE events SET body = {body} WHERE seq = 2").rowcount == 1  # noqa: S608
        return office.folder / SUSPECT_NAME

    def test_is_said_to_the_next_start_and_never_copied(self, office: Office, body: str) -> None:
        """Without a word about it, every start would end in the same place."""
        suspect = self.damaged(office, body)
        with pytest.raises(StorageDamaged):
            office.catch_up()
        assert suspect.exists()
        assert not office.path.exists()

    def test_is_not_taken_for_a_day_that_is_none(self, office: Office, body: str) -> None:
        suspect = self.damaged(office, body)
        with pytest.raises(StorageDamaged):
            office.follower.rebuild(DAY, NAMES)
        assert suspect.exists()
        assert not office.path.exists()

    def test_is_not_moved_to_another_stream_as_if_it_were_whole(self, office: Office, body: str) -> None:
        suspect = self.damaged(office, body)
        before = office.journal.epoch
        office.journal.begin_epoch()
        with pytest.raises(StorageDamaged):
            office.journal.renumber(before, [1, 2, 3])
        assert suspect.exists()


def test_an_event_of_a_newer_version_does_not_stop_the_copy(office: Office) -> None:
    office.record(seen(1))
    body = '{"at":"2026-03-02T08:00:00Z","event_id":"x","kind":"blink","seq":2}'
    with office.file.writing() as db:
        db.execute(
            """INSERT INTO events (epoch, seq, event_id, kind, at, body, sha256)
               VALUES (?, 2, 'x', 'blink', ?, ?, ?)""",
            [office.journal.epoch, MORNING.isoformat(), body, body_hash(body.encode())],
        )
        db.execute("UPDATE streams SET last_seq = 2")
    office.record(seen(3))

    assert office.ids() == [ident(1), ident(3)]
