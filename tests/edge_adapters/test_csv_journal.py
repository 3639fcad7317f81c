"""The daily CSV files: a copy that a person, a spreadsheet and the original system's scripts can read."""

import csv
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge.adapters.csv_journal import HEADER, CsvJournal, csv_row
from edge.core.errors import StorageFailed, StorageFull
from protocol.events import Event
from tests.edge_adapters import programs
from tests.edge_adapters.pieces import ident, left, mark, seen

NAMES = {ident(7): "S7_Ann Example", ident(8): "S8_Bob Example"}
DAY = "attendance-2026-03-02.csv"


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def journal(folder: Path, *, zone: str = "UTC", with_names: bool = True) -> CsvJournal:
    return CsvJournal(folder, zone, with_names=with_names)


def name_cell(name: str) -> str:
    row = csv_row(seen(1), {ident(7): name}, ZoneInfo("UTC"), with_names=True)
    assert row is not None
    return row[2]


def test_a_line_begins_with_date_time_and_name_as_in_the_original_system(tmp_path: Path) -> None:
    journal(tmp_path).append([seen(1, seconds=5)], NAMES)

    assert rows(tmp_path / DAY) == [
        ["date", "time", "name", "event_id", "lesson", "method", "score", "clock"],
        ["2026-03-02", "08:00:05", "S7_Ann Example", ident(1), "", "Face Recognition", "0.9312", "synced"],
    ]


def test_the_header_is_written_once_also_over_restarts(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        journal(tmp_path).append([seen(number)], NAMES)

    assert [row[3] for row in rows(tmp_path / DAY)] == ["event_id", ident(1), ident(2), ident(3)]


def test_only_what_marks_somebody_becomes_a_line(tmp_path: Path) -> None:
    journal(tmp_path).append([seen(1), left(2, 1), mark(3)], NAMES)

    assert [(row[3], row[5]) for row in rows(tmp_path / DAY)[1:]] == [
        (ident(1), "Face Recognition"),
        (ident(3), "Manual"),
    ]


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    journal(tmp_path / "csv").append([left(2, 1)], NAMES)

    assert not (tmp_path / "csv").exists()


def test_without_names_only_the_serial_number_is_written(tmp_path: Path) -> None:
    journal(tmp_path, with_names=False).append([seen(1), mark(2, student=8)], NAMES)

    text = (tmp_path / DAY).read_text()
    assert [row[2] for row in rows(tmp_path / DAY)[1:]] == ["S7", "S8"]
    assert "Ann" not in text
    assert "Bob" not in text


def test_somebody_who_left_the_gallery_is_written_with_the_surrogate_id(tmp_path: Path) -> None:
    journal(tmp_path).append([seen(1, student=99)], NAMES)

    assert rows(tmp_path / DAY)[1][2] == ident(99)


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "＝1+1", "＠x"]
)
def test_no_name_is_a_formula_to_a_spreadsheet(name: str) -> None:
    """Whoever may enrol a student must not be able to run something on the office's computer."""
    cell = name_cell(name)

    assert cell.startswith("'") or cell.strip()[0] not in "=+-@＝＋－＠"
    assert cell.lstrip("'").strip().endswith(name.strip())


def test_an_ordinary_name_with_such_a_character_inside_is_left_alone() -> None:
    assert name_cell("S1_Anne-Marie O'Neill = A+") == "S1_Anne-Marie O'Neill = A+"


@pytest.mark.parametrize("name", ["S1_Zoë Ångström", "S1_김민준", "S1_महेश", "S1_محمد", "S1_😀", 'S1_"Q, R"'])
def test_a_name_in_any_script_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    journal(tmp_path).append([seen(1)], {ident(7): name})

    assert rows(tmp_path / DAY)[1][2] == name


@pytest.mark.parametrize("inside", ["\n", "\r", "\r\n", "\u2028", "\x0b", "\x1b", "\x00"])
def test_one_event_is_one_line_whatever_the_name_holds(tmp_path: Path, inside: str) -> None:
    """A line break in a name would begin a line of its own, with a formula or a made-up attendance in it."""
    journal(tmp_path).append([seen(1)], {ident(7): f"S1_Ann{inside}=HYPERLINK(1)"})

    assert len((tmp_path / DAY).read_text().splitlines()) == 2
    assert len(rows(tmp_path / DAY)) == 2
    assert rows(tmp_path / DAY)[1][2] == "S1_Ann =HYPERLINK(1)"


class TestDays:
    """A file is a day of the school, not of Greenwich."""

    def test_the_day_ends_at_local_midnight(self, tmp_path: Path) -> None:
        evening = datetime(2026, 3, 2, 22, 59, tzinfo=UTC)  # 23:59 in Berlin
        journal(tmp_path, zone="Europe/Berlin").append([seen(1, at=evening), seen(2, seconds=120, at=evening)], NAMES)

        assert rows(tmp_path / DAY)[1][:2] == ["2026-03-02", "23:59:00"]
        assert rows(tmp_path / "attendance-2026-03-03.csv")[1][:2] == ["2026-03-03", "00:01:00"]

    @pytest.mark.parametrize(
        ("at", "local"),
        [
            (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "01:59:00"),
            (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "03:00:00"),
            (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:30:00"),
            (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "02:30:00"),
        ],
    )
    def test_summer_time_begins_and_ends_as_the_clock_on_the_wall_does(
        self, tmp_path: Path, at: datetime, local: str
    ) -> None:
        journal(tmp_path, zone="Europe/Berlin").append([seen(1, at=at)], NAMES)

        assert rows(tmp_path / f"attendance-{at:%Y-%m-%d}.csv")[1][:2] == [f"{at:%Y-%m-%d}", local]


class TestPrivacy:
    def test_the_folder_is_0700_and_a_file_0600_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            journal(tmp_path / "csv").append([seen(1)], NAMES)
        finally:
            os.umask(before)

        assert stat.S_IMODE((tmp_path / "csv").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "csv" / DAY).stat().st_mode) == 0o600


class TestDisk:
    def test_a_full_disk_is_told_apart_from_a_broken_one(self, tmp_path: Path) -> None:
        (tmp_path / DAY).symlink_to("/dev/full")

        with pytest.raises(StorageFull, match=DAY) as caught:
            journal(tmp_path).append([seen(1)], NAMES)

        assert caught.value.hint

    def test_a_folder_that_is_a_file_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "csv").touch()

        with pytest.raises(StorageFailed, match="cannot be written") as caught:
            journal(tmp_path / "csv").append([seen(1)], NAMES)

        assert str(tmp_path / "csv") in str(caught.value)
        assert "storage.csv_dir" in caught.value.hint

    def test_a_line_torn_by_a_power_cut_spoils_no_other(self, tmp_path: Path) -> None:
        journal(tmp_path).append([seen(1)], NAMES)
        with (tmp_path / DAY).open("a") as file:
            file.write("2026-03-02,08:0")
        journal(tmp_path).append([seen(2)], NAMES)

        assert [row[3] for row in rows(tmp_path / DAY) if len(row) == len(HEADER)] == ["event_id", ident(1), ident(2)]

    def test_a_disk_that_fills_up_in_the_middle_leaves_no_half_line(self, tmp_path: Path) -> None:
        """write(2) may take a part and say so only by a number; the rest must not be lost in silence."""
        said = json.loads(programs.on_a_small_disk(FILLS_THE_DISK, tmp_path / "disk", 64))

        assert said["error"] == "StorageFull"
        assert said["bad_rows"] == 0
        assert said["last_byte"] == "\n"
        assert said["written_afterwards"] == 1


FILLS_THE_DISK = """
import csv, json, sys
from pathlib import Path
from edge.adapters.csv_journal import HEADER, CsvJournal
from edge.core.errors import StorageFull
from tests.edge_adapters.pieces import ident, seen

folder = Path(sys.argv[1])
journal = CsvJournal(folder, "UTC", with_names=True)
number, error = 0, ""
while not error:
    try:
        journal.append([seen(number := number + 1) for _ in range(7)], {ident(7): "S7_" + "A" * 150})
    except StorageFull as exc:
        error = type(exc).__name__
path = folder / "attendance-2026-03-02.csv"
rows = list(csv.reader(path.open()))
content = path.read_text()
path.write_text(content[: len(content) // 2].rsplit("\\n", 1)[0] + "\\n")
journal.append([seen(10**6)], {ident(7): "S7_Ann"})
print(json.dumps({
    "error": error,
    "bad_rows": sum(len(row) != len(HEADER) for row in rows),
    "last_byte": content[-1],
    "written_afterwards": sum(row[3] == ident(10**6) for row in csv.reader(path.open())),
}))
"""


def test_many_events_of_several_days_land_each_in_its_file(tmp_path: Path) -> None:
    events: list[Event] = [seen(number, seconds=86_400 * (number % 3)) for number in range(1, 31)]
    journal(tmp_path).append(events, NAMES)

    assert {path.name: len(rows(path)) for path in tmp_path.iterdir()} == {
        "attendance-2026-03-02.csv": 11,
        "attendance-2026-03-03.csv": 11,
        "attendance-2026-03-04.csv": 11,
    }
