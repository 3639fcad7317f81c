"""A disk that is full, read-only or broken, for real: what is written down stays, and the unit knows which it is."""

import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.environment import PROJECT
from edge.adapters.ballast import BALLAST_NAME, Ballast
from edge.adapters.disk_reserves import DiskReserves
from edge.adapters.sqlite_file import UnitFile, explain
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.errors import StorageFailed, StorageFull, StorageReadOnly
from edge.loops.health import Health
from edge.loops.storage import StorageKeeper, StorageLimits
from tests.edge_adapters import programs
from tests.edge_adapters.pieces import seen
from tests.fakes import FakeClock

MIB = 1024 * 1024


class TestBallast:
    def test_it_really_takes_the_space_and_gives_it_back(self, tmp_path: Path) -> None:
        ballast = Ballast(tmp_path, 5 * MIB)
        assert not ballast.held
        assert ballast.hold()
        path = tmp_path / BALLAST_NAME
        assert path.stat().st_blocks * 512 >= 5 * MIB
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (ballast.held, ballast.hold()) == (True, True)
        assert ballast.release()
        assert not path.exists()
        assert not ballast.release()

    def test_one_that_was_smaller_before_grows_and_a_larger_one_shrinks(self, tmp_path: Path) -> None:
        Ballast(tmp_path, 5 * MIB).hold()
        assert not Ballast(tmp_path, 6 * MIB).held
        assert Ballast(tmp_path, 6 * MIB).hold()
        assert (tmp_path / BALLAST_NAME).stat().st_size == 6 * MIB

    def test_a_file_with_a_hole_is_no_reserve(self, tmp_path: Path) -> None:
        with (tmp_path / BALLAST_NAME).open("wb") as file:
            file.truncate(5 * MIB)

        assert not Ballast(tmp_path, 5 * MIB).held

    def test_none_is_wanted(self, tmp_path: Path) -> None:
        ballast = Ballast(tmp_path, 0)

        assert ballast.hold()
        assert not ballast.release()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
    def test_a_file_system_that_cannot_reserve_is_done_without(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        def unknown(_descriptor: int, _start: int, _size: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", unknown)
        assert not Ballast(tmp_path, 5 * MIB).hold()
        assert list(tmp_path.iterdir()) == []

    def test_a_unit_whose_file_system_cannot_reserve_is_not_full_for_ever_and_says_so_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def unknown(_descriptor: int, _start: int, _size: int) -> None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

        monkeypatch.setattr(os, "posix_fallocate", unknown)
        file = UnitFile(tmp_path)
        journal, gallery = SqliteJournal(file), SqliteGallery(file)
        reserves = DiskReserves(file, journal, gallery, Ballast(tmp_path, 1 * MIB))
        storage = StorageKeeper(reserves, Health(), FakeClock(), StorageLimits(1, 30))
        for _ in range(3):
            storage.look()

        assert (storage.disk_state(), storage.copies) == ("ok", True)
        assert caplog.text.count("the unit runs without storage.ballast_mb") == 1
        file.close()

    def test_the_file_can_be_read_too_since_the_c_library_reserves_that_way_where_the_system_cannot(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def by_hand(descriptor: int, start: int, size: int) -> None:
            os.pread(descriptor, 1, start)
            os.pwrite(descriptor, bytes(size), start)

        monkeypatch.setattr(os, "posix_fallocate", by_hand)
        assert Ballast(tmp_path, 1 * MIB).hold()

    def test_without_space_nothing_half_is_left(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_descriptor: int, _start: int, _size: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)

        assert not Ballast(tmp_path, 5 * MIB).hold()
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_fails_otherwise_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StorageFailed):
            Ballast(tmp_path / "missing", 5 * MIB).hold()


STARTS_FULL = """
import json, sys
from pathlib import Path
from edge.adapters.ballast import Ballast
from edge.adapters.salvage import open_record
from edge.adapters.sqlite_journal import SqliteJournal
from tests.edge_adapters.pieces import MORNING, seen

folder = Path(sys.argv[1])
file = open_record(folder, MORNING)
SqliteJournal(file).append([seen(1)])
file.close()
Ballast(folder, 1024 * 1024).hold()
with (folder / "hog").open("wb", buffering=0) as out:
    try:
        while True:
            out.write(bytes(4096))
    except OSError:
        pass
file = open_record(folder, MORNING)
journal = SqliteJournal(file)
stored = [journal.append([seen(number)])[0].seq for number in range(2, 12)]
print(json.dumps({"stored": stored, "ballast": Ballast(folder, 1024 * 1024).held}))
"""


@pytest.mark.machine
def test_a_unit_that_starts_on_a_full_disk_records_with_the_space_of_its_reserve(tmp_path: Path) -> None:
    said = json.loads(programs.on_a_small_disk(STARTS_FULL, tmp_path / "disk", 4 * 1024))

    assert said == {"stored": list(range(2, 12)), "ballast": False}


RUNS_FULL = """
import json, sys
from pathlib import Path
from edge.adapters.csv_follower import CsvFollower
from edge.adapters.csv_journal import CsvJournal
from edge.adapters.ballast import Ballast
from edge.adapters.disk_reserves import DiskReserves
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.loops.copying import CopyKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from edge.loops.storage import StorageKeeper, StorageLimits
from protocol.delivery import SeqRange
from tests.edge_adapters.pieces import hash_of, seen
from tests.fakes import FakeClock

folder = Path(sys.argv[1])
file = UnitFile(folder)
clock, health = FakeClock(), Health()
journal, gallery = SqliteJournal(file, clock), SqliteGallery(file)
reserves = DiskReserves(file, journal, gallery, Ballast(folder, 5 * 1024 * 1024))
storage = StorageKeeper(reserves, health, clock, StorageLimits(6_000_000, 30))
csv = CsvFollower(file, CsvJournal(folder / "csv", "UTC", with_names=True), lambda: storage.copies)
copying = CopyKeeper(csv, dict, health, clock)
recorder = Recorder(journal, copying, health, storage, clock.monotonic_s)

def codes():
    return sorted(problem.code for problem in health.problems())

number = 0
def record(count=1):
    global number
    for _ in range(count):
        clock.advance(6)
        number += 1
        recorder.record([seen(number)], {})
        copying.look()

storage.look()
seen_states = [storage.disk_state()]
record(50)
journal.delivered(journal.epoch, [SeqRange(first=1, last=50)])
gallery.stage(hash_of(b"x" * 60_000), b"x" * 60_000)
hog = folder / "hog"
with hog.open("wb", buffering=0) as out:
    try:
        while True:
            out.write(bytes(65536))
    except OSError:
        pass
lines_before = len((folder / "csv" / "attendance-2026-03-02.csv").read_text().splitlines())
for _ in range(4000):
    record()
    if not seen_states or seen_states[-1] != storage.disk_state():
        seen_states.append(storage.disk_state())
    if recorder.held >= 20:
        break
full = {"codes": codes(), "stored": len(list(journal.history())), "held": recorder.held, "number": number}
full["waiting"] = journal.waiting().events
full["lines"] = len((folder / "csv" / "attendance-2026-03-02.csv").read_text().splitlines()) - lines_before
full["readable"] = len(journal.undelivered(0, None, 10**6, 10**9))
hog.unlink()
record()
storage.look()
record()
copying.finish()
after = {"codes": codes(), "state": storage.disk_state(), "held": recorder.held, "lost": recorder.lost}
after["waiting"] = journal.waiting().events
lines = (folder / "csv" / "attendance-2026-03-02.csv").read_text().splitlines()
after["lines"], after["different"] = len(lines), len(set(lines))
after["ballast"] = (folder / "ballast").exists()
file.close()
again = UnitFile(folder)
after["reopened"] = SqliteJournal(again).waiting().events
print(json.dumps({"states": seen_states, "full": full, "after": after, "number": number}))
"""


@pytest.mark.machine
def test_a_unit_whose_disk_runs_full_gives_up_everything_else_before_an_event(tmp_path: Path) -> None:
    said = json.loads(programs.on_a_small_disk(RUNS_FULL, tmp_path / "disk", 32 * 1024))

    assert said["states"][0] == "ok"
    assert "full" in said["states"]
    full, after = said["full"], said["after"]
    assert full["codes"] == ["csv_failed", "disk_full"]
    # The reserve took a thousand and more; what the hub had already made room for some; nothing that waits was dropped.
    assert full["waiting"] > 1000
    assert full["waiting"] + full["held"] == full["number"] - 50
    assert full["readable"] == full["waiting"]
    assert full["held"] >= 20
    assert full["lines"] < 50
    assert after["codes"] == []
    assert (after["state"], after["held"], after["lost"], after["ballast"]) == ("ok", 0, 0, True)
    assert after["waiting"] == after["reopened"] == said["number"] - 50
    # The CSV copy is complete again, each line once, and the header.
    assert after["lines"] == after["different"] == said["number"] + 1


class TestReadOnly:
    """A card that fails is mounted read-only by the kernel while everything runs."""

    def test_a_sync_that_failed_stays_a_failure_when_the_kernel_made_the_disk_read_only_because_of_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Held back and tried again, records would be reported as stored that may be lost."""

        def refused(*_arguments: object) -> int:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr("edge.adapters.sqlite_file.os.open", refused)
        for code in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            assert type(explain(error, tmp_path / "unit.db")) is StorageFailed

    def test_a_disk_that_has_no_room_for_another_file_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_arguments: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("edge.adapters.sqlite_file.os.open", refused)
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        assert type(explain(error, tmp_path / "unit.db")) is StorageFull

    def test_any_error_on_a_disk_that_became_read_only_is_told_apart_from_a_broken_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_arguments: object) -> int:
            raise OSError(30, "Read-only file system")

        for code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            error = sqlite3.OperationalError("x")
            error.sqlite_errorcode = code
            assert type(explain(error, tmp_path / "unit.db")) is StorageFailed
            with monkeypatch.context() as patch:
                patch.setattr("edge.adapters.sqlite_file.os.open", refused)
                found = explain(error, tmp_path / "unit.db")
            assert isinstance(found, StorageReadOnly)
            assert isinstance(found, StorageFull)
            assert found.hint

    @pytest.mark.machine
    def test_a_remount_while_the_unit_runs_holds_events_back_and_loses_none(self, tmp_path: Path) -> None:
        program = subprocess.Popen(
            [sys.executable, "-c", BECOMES_READ_ONLY, str(tmp_path)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        # From now on, whatever writes there fails as on a disk that was mounted anew, read-only.
        paths = [argument for name in ("", "unit.db", "unit.db-wal") for argument in ("-P", str(tmp_path / name))]
        tracer = subprocess.Popen(
            [strace(), "-p", str(program.pid), "-o", "/dev/null", *paths, "-e", "inject=pwrite64,openat:error=EROFS"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        output, _ = program.communicate("go\n", timeout=programs.TIMEOUT_S)
        tracer.communicate(timeout=programs.TIMEOUT_S)
        if "attached" not in attached:
            pytest.skip("processes may not be traced here")

        assert json.loads(output) == {"problems": ["disk_read_only"], "held": 2, "stored": 3}
        file = UnitFile(tmp_path)
        assert SqliteJournal(file).waiting().events == 3
        file.close()


BECOMES_READ_ONLY = """
import json, os, sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from tests.edge_adapters.pieces import seen
from tests.fakes import MemoryCsv

journal, health = SqliteJournal(UnitFile(Path(sys.argv[1]))), Health()
recorder = Recorder(journal, MemoryCsv(), health)
for number in (1, 2, 3):
    recorder.record([seen(number)], {})
print("ready", flush=True)
sys.stdin.readline()
for number in (4, 5):
    recorder.record([seen(number)], {})
problems = [problem.code for problem in health.problems()]
print(json.dumps({"problems": problems, "held": recorder.held, "stored": journal.waiting().events}), flush=True)
os._exit(0)
"""


def strace() -> str:
    """Return the program that makes system calls fail; skip without it."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed: failing system calls cannot be made")
    return path


FSYNC_FAILS = """
import json, os, sys
from pathlib import Path
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.errors import StorageFailed, StorageFull
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from tests.edge_adapters.pieces import seen
from tests.fakes import MemoryCsv

journal = SqliteJournal(UnitFile(Path(sys.argv[1])))
recorder = Recorder(journal, MemoryCsv(), Health())
stored, error = [], ""
for number in range(1, 200):
    try:
        stored += [event.seq for event in recorder.record([seen(number)], {})]
    except StorageFailed as exc:
        error = type(exc).__name__
        break
print(json.dumps({"stored": stored, "error": error}))
sys.stdout.flush()
os._exit(1)
"""


@pytest.mark.machine
def test_a_disk_that_cannot_say_that_it_wrote_ends_the_program_and_nothing_reported_is_missing(tmp_path: Path) -> None:
    """After a failed fsync nobody knows what is on the disk: trying again would report what may not be there."""
    inject = "inject=fsync,fdatasync:error=EIO:when=25+"
    done = subprocess.run(
        [strace(), "-f", "-qq", "-o", "/dev/null", "-e", inject, sys.executable, "-c", FSYNC_FAILS, str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=programs.TIMEOUT_S,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("processes may not be traced here")
    said = json.loads(done.stdout)

    assert said["error"] == "StorageFailed"
    file = UnitFile(tmp_path)
    journal = SqliteJournal(file)
    there = {event.seq for event in journal.undelivered(0, None, 1000, 10**9)}
    assert set(said["stored"]) <= there
    assert len(said["stored"]) > 2
    assert [event.seq for event in journal.append([seen(999)])] == [max(there) + 1]
    file.close()
