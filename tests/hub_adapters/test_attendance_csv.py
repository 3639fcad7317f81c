"""The CSV copy of marks: one writes at a time, and nothing is left of a writer who was ended."""

import fcntl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.adapters.attendance_csv import HEADER, AttendanceCsv, CsvMark
from hub.core.errors import BadInput

MARK = CsvMark("s", datetime(2026, 9, 1, 8, tzinfo=UTC), "1_Ada", "m", "", "Manual", "Late", "", "t")


def test_lines_are_read_only_while_nobody_else_writes(tmp_path: Path) -> None:
    csv_file = AttendanceCsv(tmp_path / "new" / "marks.csv", UTC)
    held = []

    def lines() -> list[CsvMark]:
        with (tmp_path / "new" / ".marks.csv.lock").open("rb") as beside, pytest.raises(BlockingIOError):
            fcntl.flock(beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(csv_file.path.exists())
        return [MARK]

    csv_file.append(lines)
    csv_file.append(lines)
    assert (csv_file.rebuild(lines), held) == (1, [False, True, True])
    assert csv_file.path.read_text().splitlines() == [",".join(HEADER), "2026-09-01,08:00:00,1_Ada,m,,Manual,Late,,t"]


def test_writing_anew_deletes_what_a_writer_left_who_was_ended(tmp_path: Path) -> None:
    csv_file = AttendanceCsv(tmp_path / "[marks].csv", UTC)
    left, other = tmp_path / ".[marks].csv.0123abcd", tmp_path / ".[marks].csv.saved"
    csv_file.append(lambda: [MARK])
    for path in (left, other):
        path.write_text("1_Ada")
    csv_file.rebuild(list)
    assert (left.exists(), other.exists()) == (False, True)
    # Also where it was ended before there ever was a file.
    csv_file.path.unlink()
    left.write_text("1_Ada")
    assert csv_file.rebuild(list, if_there=True) == 0
    assert (left.exists(), csv_file.path.exists()) == (False, False)


def test_a_file_that_nobody_made_needs_no_folder(tmp_path: Path) -> None:
    assert AttendanceCsv(tmp_path / "none" / "marks.csv", UTC).rebuild(list, if_there=True) == 0
    assert not (tmp_path / "none").exists()
    (tmp_path / "none").write_text("")
    with pytest.raises(BadInput, match="is no folder"):
        AttendanceCsv(tmp_path / "none" / "marks.csv", UTC).append(lambda: [MARK])
