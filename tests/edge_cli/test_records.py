"""`events` and `export`: what was written down, listed and written out again, without touching it."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.adapters.csv_journal import HEADER, CsvJournal
from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.sqlite_rows import body_hash
from protocol.delivery import Rejection, SeqRange
from protocol.events import event_json
from tests.edge_adapters.pieces import ident, left, mark, seen
from tests.edge_cli.units import UnitFolder

NAMES = {ident(7): "S7_Ann Example", ident(8): "S8_김민준 = \n +1"}


@pytest.fixture(scope="module")
def long_record(tmp_path_factory: pytest.TempPathFactory) -> UnitFolder:
    """A unit that has more on record than a pipe holds; only read."""
    unit = UnitFolder(tmp_path_factory.mktemp("unit"))
    unit.record(*(seen(number) for number in range(1, 2000)))
    return unit


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines()))


class TestEvents:
    def test_the_newest_are_listed_with_how_far_they_got(self, unit: UnitFolder) -> None:
        unit.record(seen(1), seen(2), left(3, 1))
        file = UnitFile(unit.data)
        journal = SqliteJournal(file)
        journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])
        journal.rejected(journal.epoch, [Rejection(seq=2, code="invalid")])
        file.close()
        result = unit.run("events")

        assert result.exit_code == 0
        assert [line.split()[-2] for line in result.stdout.splitlines() if "2026-03-02" in line] == [
            "delivered",
            "refused",
            "waiting",
        ]
        assert "3 events" in result.stdout
        assert ident(7) in result.stdout

    def test_as_json_they_are_the_stored_events(self, unit: UnitFolder) -> None:
        stored = unit.record(seen(1), left(2, 1))

        assert json.loads(unit.run("events", "--json").stdout) == [
            {**event_json(event), "delivery": "waiting"} for event in stored
        ]

    def test_the_limit_keeps_the_newest(self, unit: UnitFolder) -> None:
        unit.record(*(seen(number) for number in range(1, 9)))

        assert [event["seq"] for event in json.loads(unit.run("events", "--json", "--limit", 3).stdout)] == [6, 7, 8]

    def test_kind_and_day_choose(self, unit: UnitFolder) -> None:
        midnight = datetime(2026, 3, 3, tzinfo=UTC)
        unit.record(seen(1), left(2, 1), seen(3, at=midnight), seen(4, at=midnight, seconds=-0.001), mark(5))

        def chosen(*arguments: str) -> list[int]:
            return [event["seq"] for event in json.loads(unit.run("events", "--json", *arguments).stdout)]

        assert chosen("--kind", "seen") == [1, 3, 4]
        assert chosen("--kind", "seen", "--kind", "mark") == [1, 3, 4, 5]
        assert chosen("--day", "2026-03-02") == [1, 2, 4, 5]
        assert chosen("--day", "2026-03-03") == [3]
        assert chosen("--day", "2026-03-04") == []

    @pytest.mark.parametrize("day", ["20260302", "2026-W10-1"])
    def test_another_way_to_write_a_day_finds_the_same(self, unit: UnitFolder, day: str) -> None:
        """Python reads it as a day; it must not silently find nothing."""
        unit.record(seen(1))

        assert len(json.loads(unit.run("events", "--json", "--day", day).stdout)) == 1

    @pytest.mark.parametrize("command", [["events"], ["export", "-"]])
    @pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "9999-12-31", ""])
    def test_what_is_no_day_is_refused_with_an_example(self, unit: UnitFolder, command: list[str], day: str) -> None:
        unit.record(seen(1))
        result = unit.run(*command, "--day", day)

        assert result.exit_code == 2
        assert "is no day" in result.stderr
        assert "2026-09-01" in result.stderr

    def test_an_unknown_kind_is_refused_with_those_there_are(self, unit: UnitFolder) -> None:
        unit.record(seen(1))
        result = unit.run("events", "--kind", "sen")

        assert result.exit_code == 2
        assert "coverage" in result.stderr

    def test_the_keys_are_not_needed_to_list_what_holds_no_names(self, unit: UnitFolder) -> None:
        """The person who looks need not be the unit's user."""
        unit.record(seen(1))
        unit.give_gallery()
        (unit.folder / "data.key").unlink()

        assert unit.run("events").exit_code == 0
        assert unit.run("export", "-", "--format", "json").exit_code == 0

    def test_a_unit_that_never_ran_says_so(self, unit: UnitFolder) -> None:
        result = unit.run("events")

        assert result.exit_code == 1
        assert "problem:" in result.stderr
        assert "fix:" in result.stderr
        assert not unit.data.exists()

    def test_what_looks_like_markup_is_shown_as_it_is(self, unit: UnitFolder) -> None:
        """A folder may be called anything; brackets once made the program fail instead of telling what is wrong."""
        unit.changes["storage.data_dir"] = "data[/red][bold]"
        result = unit.run("events")

        assert result.exit_code == 1
        assert "data[/red][bold]" in result.stderr


class TestExport:
    def appended(self, unit: UnitFolder, zone: str, *, with_names: bool = True) -> dict[str, str]:
        """Write events down as the running unit does, to both; return the daily files."""
        evening = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
        events = unit.record(
            *(seen(number, student=7 + number % 3, at=evening, seconds=600 * number) for number in range(1, 20)),
            left(90, 1),
            mark(91),
        )
        unit.give_gallery(NAMES)
        journal = CsvJournal(unit.folder / "daily", zone, with_names=with_names)
        for event in events:
            journal.append([event], NAMES)
        return {path.name[11:21]: path.read_text(encoding="utf-8") for path in (unit.folder / "daily").iterdir()}

    @pytest.mark.parametrize("with_names", [True, False])
    def test_it_writes_the_same_lines_that_the_unit_wrote_at_the_time(self, unit: UnitFolder, with_names: bool) -> None:
        daily = self.appended(unit, "Europe/Berlin", with_names=with_names)
        unit.changes |= {"storage.time_zone": "Europe/Berlin", "storage.csv_names": with_names}
        result = unit.run("export", unit.folder / "all.csv")

        assert result.exit_code == 0, result.output
        exported = rows((unit.folder / "all.csv").read_text(encoding="utf-8"))
        assert exported[0] == list(HEADER)
        assert sorted(exported[1:]) == sorted(row for text in daily.values() for row in rows(text)[1:])

    def test_a_day_is_the_file_of_that_day_also_far_from_greenwich(self, unit: UnitFolder) -> None:
        """A lost daily file can be made again, and is then the same to the byte."""
        daily = self.appended(unit, "Asia/Tokyo")
        unit.changes["storage.time_zone"] = "Asia/Tokyo"

        assert len(daily) >= 1
        for day, text in daily.items():
            result = unit.run("export", "-", "--day", day)
            assert result.stdout == text

    def test_without_a_gallery_the_surrogate_ids_are_written(self, unit: UnitFolder) -> None:
        unit.record(seen(1))
        result = unit.run("export", "-")

        assert rows(result.stdout)[1][2] == ident(7)

    def test_a_gallery_that_cannot_be_opened_costs_the_names_and_says_so(self, unit: UnitFolder) -> None:
        unit.record(seen(1))
        unit.give_gallery()
        (unit.folder / "data.key").write_bytes(bytes(32))
        result = unit.run("export", "-")

        assert result.exit_code == 0
        assert rows(result.stdout)[1][2] == ident(7)
        assert "without names" in result.stderr

    def test_json_holds_every_event_a_line_each(self, unit: UnitFolder) -> None:
        stored = unit.record(seen(1), left(2, 1), mark(3))
        unit.run("export", unit.folder / "all.jsonl", "--format", "json")

        lines = (unit.folder / "all.jsonl").read_text().splitlines()
        assert [json.loads(line)["event_id"] for line in lines] == [event.event_id for event in stored]

    def test_an_event_of_a_newer_version_is_in_the_json_and_does_not_spoil_the_csv(self, unit: UnitFolder) -> None:
        unit.record(seen(1), seen(2))
        file = UnitFile(unit.data)
        with file.writing() as db:
            body = '{"kind":"hologram","seq":1}'
            values = [body, body_hash(body.encode())]
            db.execute("UPDATE events SET body = ?, sha256 = ?, kind = 'hologram' WHERE seq = 1", values)
        file.close()

        assert [row[3] for row in rows(unit.run("export", "-").stdout)[1:]] == [ident(2)]
        assert "hologram" in unit.run("export", "-", "--format", "json").stdout
        assert "hologram" in unit.run("events").stdout

    def test_the_file_is_for_its_owner_only_and_replaces_an_old_one(self, unit: UnitFolder) -> None:
        unit.record(seen(1))
        target = unit.folder / "out.csv"
        target.write_text("old")
        target.chmod(0o644)
        result = unit.run("export", target)

        assert "1 lines written" in result.stdout
        assert len(rows(target.read_text())) == 2
        assert target.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in unit.folder.glob("*.part")] == []

    @pytest.mark.parametrize("target", ["/", ".", "gone/out.csv", "edge.toml/out.csv", "camera"])
    def test_a_target_that_cannot_be_written_is_refused_with_a_remedy(
        self, unit: UnitFolder, target: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(unit.folder)
        unit.record(seen(1))
        result = unit.run("export", target)

        assert result.exit_code == 2
        assert "problem:" in result.stderr
        assert "fix:" in result.stderr

    def test_a_full_disk_leaves_the_old_file(self, long_record: UnitFolder) -> None:
        target = long_record.folder / "out.csv"
        target.write_text("old")
        program = long_record.start("ulimit -f 64; $EDGE export out.csv -c $CONFIG")
        _out, errors = program.communicate(timeout=60)

        assert program.returncode == 2
        assert "cannot be written" in errors
        assert "Traceback" not in errors
        assert target.read_text() == "old"
        assert list(long_record.folder.glob("*.part")) == []

    def test_a_wrong_format_is_refused_with_those_there_are(self, unit: UnitFolder) -> None:
        unit.record(seen(1))
        result = unit.run("export", "-", "--format", "xlsx")

        assert result.exit_code == 2
        assert "csv and json" in result.stderr

    def test_names_of_any_script_go_through_a_pipe_whatever_the_language_of_the_terminal(
        self, unit: UnitFolder
    ) -> None:
        unit.record(seen(1, student=8))
        unit.give_gallery({ident(8): "S8_김민준"})
        program = unit.start("$EDGE export - -c $CONFIG | cat", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
        out, errors = program.communicate(timeout=60)

        assert program.returncode == 0, errors
        assert "S8_김민준" in out


class TestBesideARunningUnit:
    def test_both_work_while_the_unit_holds_its_folder(self, unit: UnitFolder, tmp_path: Path) -> None:
        with DataFolderLock(unit.data):
            file = UnitFile(unit.data)
            journal = SqliteJournal(file)
            journal.append([seen(1)])
            with file.writing() as db:
                db.execute("UPDATE streams SET last_seq = last_seq")
                results = [unit.run("events", "--json"), unit.run("export", tmp_path / "out.csv")]
            journal.append([seen(2)])
            file.close()

        assert [result.exit_code for result in results] == [0, 0]
        assert len(json.loads(results[0].stdout)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "$EDGE events -c $CONFIG --limit 1000 | head -n 1",
        "$EDGE events -c $CONFIG --json | head -c 10",
        "$EDGE export - -c $CONFIG | head -n 1",
        "$EDGE export - --format json -c $CONFIG | head -n 1",
        "$EDGE events -c $CONFIG --limit 1 | true",
    ],
)
def test_a_reader_who_has_seen_enough_is_no_failure(long_record: UnitFolder, command: str) -> None:
    """`events | head`: no traceback, exit code 0."""
    program = long_record.start(command)
    _out, errors = program.communicate(timeout=60)

    assert errors == ""
    assert program.returncode == 0


@pytest.mark.parametrize("arguments", [["run"], ["check"], ["events"], ["export"], []])
def test_every_command_explains_itself(unit: UnitFolder, arguments: Sequence[str]) -> None:
    result = unit.run(*arguments, "--help") if arguments else unit.run("events", "--help")

    assert result.exit_code == 0
    assert "--config" in result.stdout
    assert "Usage" in result.stdout
