"""Faults of the unit's disk: power cuts, failing syncs, no space, damage, read-only."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from deploy.own_process import ServerFailed, wait_until
from tests.faults import records
from tests.faults.bench import Bench, settled
from tests.faults.bench_unit import BenchUnit
from tests.faults.catalogue import CannotRun, Catalogue, Outcome, judged
from tests.faults.forgetful_disk import forgetful, move_data, unit_on_forgetful_disk
from tests.faults.galleries import enrol_one_more, galleries_agree
from tests.faults.school import School

FAULTS = Catalogue()
_FIFTY_ROWS = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = " + sys.argv[2])
connection.execute("CREATE TABLE t (x)")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
for number in range(50):
    connection.execute("INSERT INTO t VALUES (?)", (number,))
os._exit(0)
"""
_LAZYFS = "with our own forgetful file system: LazyFS is in no package registry that is reached here"


def _need_mounts(bench: Bench) -> None:
    if not bench.alone:
        raise CannotRun("needs to mount file systems: run as root where `unshare --mount` is allowed")


@FAULTS.fault(9, "power cut at random moments (what was not synced is gone)")
def power_cut(bench: Bench) -> Outcome:
    _need_mounts(bench)
    cuts = bench.fewer(25, 5)
    wrong = prove_the_disk(bench)
    with bench.school() as school, unit_on_forgetful_disk(school.unit) as disk:
        unit = school.unit
        unit.begin()
        unit.wait_for(1)
        for number in range(cuts):
            unit.wait_for(bench.chance.randint(1, 6))
            bench.pause(bench.chance.random() * 0.5)
            if number % 3 == 0:
                # Also while nothing is acknowledged.
                school.hub_signal(signal.SIGSTOP)
                unit.wait_for(3)
            unit.program.kill()
            disk.tell("cut")
            school.hub_signal(signal.SIGCONT)
            unit.begin()
        return settled(school, cuts, _LAZYFS, wrong=[*wrong, *_csv_problems(unit)])


def prove_the_disk(bench: Bench) -> list[str]:
    """Show that the disk forgets: WAL with synchronous=NORMAL loses rows there, FULL none, an unsynced file is gone."""
    wrong = []
    with bench.folder() as folder, forgetful(folder / "disk") as disk:
        kept = {mode: _rows_after_cut(disk.folder, mode, disk.tell) for mode in ("NORMAL", "FULL")}
        if kept["NORMAL"] >= 50:
            wrong.append("the forgetful disk forgets nothing: synchronous=NORMAL lost no row")
        if kept["FULL"] != 50:
            wrong.append(f"synchronous=FULL kept {kept['FULL']} of 50 rows")
        for name, synced in (("plain.csv", False), ("synced.csv", True)):
            _write_lines(disk.folder / name, synced=synced)
        disk.tell("cut")
        if (disk.folder / "plain.csv").exists() and (disk.folder / "plain.csv").stat().st_size:
            wrong.append("a file that was never synced is still there")
        if not (disk.folder / "synced.csv").read_text():
            wrong.append("a file that was synced is gone")
    return wrong


def _rows_after_cut(folder: Path, mode: str, tell: Callable[[str], None]) -> int:
    path = folder / f"{mode}.db"
    subprocess.run([sys.executable, "-c", _FIFTY_ROWS, str(path), mode], check=True, timeout=30)
    tell("cut")
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def _write_lines(path: Path, *, synced: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, b"line\n" * 100)
    if synced:
        os.fsync(descriptor)
    os.close(descriptor)
    if synced:
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _csv_problems(unit: BenchUnit) -> list[str]:
    """Write the CSV files anew; return what they lack."""
    unit.program.stop()
    unit.command("csv", "rebuild", "--all", allowed=(0, 1, 2))
    lines = "".join(path.read_text(encoding="utf-8") for path in sorted((unit.data_dir / "csv").glob("*.csv")))
    seen = [line.split()[0] for line in records.read_lines(unit.truth) if line.split()[1] == "seen"]
    missing = [event_id for event_id in seen if event_id not in lines]
    return [f"{len(missing)} of {len(seen)} lines are missing in the CSV files after `csv rebuild`"] if missing else []


@FAULTS.fault(10, "power cut while a gallery is swapped in")
def power_cut_in_a_swap(bench: Bench) -> Outcome:
    _need_mounts(bench)
    points = ("edge_before_swap", "edge_inside_swap", "edge_after_swap")
    wrong, runs = [], 0
    with bench.school() as school, unit_on_forgetful_disk(school.unit) as disk:
        unit = school.unit
        unit.begin()
        unit.wait_for(1)
        for _ in range(bench.fewer(3, 1)):
            for point in points:
                runs += 1
                unit.program.stop()
                enrol_one_more(school)
                unit.begin("--crash", f"{point}:1")
                if unit.program.wait_for_end(30) is None:
                    wrong.append(f"the unit did not come to {point}")
                unit.program.kill()
                disk.tell("cut")
                unit.begin()
                if "gallery_unusable" in unit.program.words() or "students=0" in unit.program.words():
                    wrong.append(f"after a power cut at {point} there is no usable gallery")
                if not wait_until(lambda: galleries_agree(school), 30):
                    wrong.append(f"after {point} the unit does not get the new gallery")
        return settled(school, runs, wrong=wrong)


@FAULTS.fault(11, "fsync fails, once and always: no false commit, the program ends and starts again")
def failing_sync(bench: Bench) -> Outcome:
    if shutil.which("strace") is None:
        raise CannotRun("needs strace: apt-get install strace (`make faults` does it)")
    wrong, runs = [], 0
    with bench.school() as school:
        unit = school.unit
        unit.begin()
        unit.wait_for(2)
        for when in ("4", "9", "4+")[: bench.fewer(3, 2)]:
            runs += 1
            unit.program.stop()
            paths = [str(unit.data_dir / name) for name in ("unit.db", "unit.db-wal")]
            unit.program.wrapper = [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", paths[0], "-P", paths[1],
                "-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:error=EIO:when={when}",
            ]  # fmt: skip
            unit.program.extra = []
            unit.program.launch()
            code = unit.program.wait_for_end(40)
            words = unit.program.words()
            unit.program.kill()
            unit.program.wrapper = []
            if code is None:
                wrong.append(f"the unit goes on although fsync failed ({when})")
            elif code == 0 or code < 0:
                wrong.append(f"the unit ended with {code} when fsync failed ({when}): {words[-200:]}")
            unit.begin()
            if not unit.wait_for(2):
                wrong.append("after the restart nothing is written down")
        return settled(school, runs, wrong=wrong)


@contextmanager
def small_disk(unit: BenchUnit, size_kb: int) -> Iterator[Path]:
    """Let a unit that has not run yet keep its data on a file system of this size."""
    place = unit.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=700", "none", str(place)], check=True)
    move_data(unit, place / "data")
    try:
        yield place
    finally:
        unit.program.kill()
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@FAULTS.fault(12, "no space left: watching goes on, it is said, everything is delivered afterwards")
def disk_full(bench: Bench) -> Outcome:
    _need_mounts(bench)
    full_s = bench.fewer(40, 15)
    wrong = []
    with bench.school() as school:
        unit = school.unit
        with small_disk(unit, 64 * 1024) as place:
            unit.begin()
            unit.wait_for(5)
            filler = place / "filler"
            with filler.open("wb") as file:
                try:
                    while True:
                        file.write(bytes(65536))
                        file.flush()
                except OSError:
                    pass
            coverage = _kinds(school, "coverage")
            bench.pause(full_s)
            problems = [problem["code"] for problem in school.statuses()[unit.label]["problems"]]
            if not unit.program.running:
                wrong.append(f"the unit ended on a full disk: {unit.program.words()[-300:]}")
            unit.program.kill()
            unit.program.launch()
            if not wait_until(lambda: unit.program.ready or not unit.program.running, 20) or not unit.program.running:
                wrong.append(f"the unit does not start on a full disk: {unit.program.words()[-300:]}")
            bench.pause(3)
            if not any(code.startswith("disk") for code in problems):
                wrong.append(f"a full disk is not said in the status ({problems})")
            filler.unlink()
            unit.program.launch()
            if not unit.wait_for(10, 60):
                wrong.append("after space was made nothing is written down")
            if not wait_until(lambda: _kinds(school, "coverage") > coverage + full_s // 10, 30):
                wrong.append("the time of the full disk is not covered")
            return settled(school, more=f"problems {problems}", wrong=wrong)


def _kinds(school: School, kind: str) -> int:
    return int(str(school.query(f"SELECT COUNT(*) FROM events WHERE kind = '{kind}'")[0][0]))  # noqa: S608


@FAULTS.fault(13, "damaged database file: kept aside, rows saved, a new stream, said")
def damaged_file(bench: Bench) -> Outcome:
    wrong = []
    with bench.school() as school:
        unit = school.unit
        unit.begin()
        unit.wait_for(30, 90)
        wait_until(lambda: unit.waiting() < 3, 20)
        school.hub_signal(signal.SIGSTOP)
        unit.wait_for(30, 90)
        unit.program.stop()
        school.hub_signal(signal.SIGCONT)
        damage(unit.data_dir / "unit.db", bench)
        unit.replaced = True
        try:
            unit.begin()
        except ServerFailed as exc:
            wrong.append(f"the unit does not start with a damaged file: {exc}")
        if not unit.program.running or not unit.wait_for(3, 30):
            wrong.append(f"with a damaged file nothing is written down: {unit.program.words()[-300:]}")
            return judged(wrong, "")
        problems = [problem["code"] for problem in school.statuses()[unit.label]["problems"]]
        wait_until(lambda: unit.waiting() < 3, 30)
        unfinished, verdict = school.settle(galleries=False)
        hub = {event.event_id for event in school.hub_record().events}
        lost = [line for line in records.read_lines(unit.truth) if line.split()[0] not in hub]
        # One page of the file holds a handful of events; all others must be saved.
        if len(lost) > 12:
            wrong.append(f"{len(lost)} events are lost with one damaged page")
        wrong += [problem for problem in verdict.problems if "nowhere" not in problem]
        kept = [path.name for path in unit.data_dir.iterdir() if "unit.db" in path.name and path.name != "unit.db"]
        more = f"{len(lost)} events lost with the damaged page, kept aside: {kept}, problems {problems}"
        return judged([*wrong, *unfinished], f"{verdict.committed} committed; {more}")


def damage(path: Path, bench: Bench) -> None:
    """Overwrite the head of one page in the middle of the file: quick_check finds it."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        page = 4096 * (size // 4096 * 2 // 3)
        file.seek(page)
        file.write(bytes(bench.chance.randrange(256) for _ in range(200)))


@FAULTS.fault(14, "the disk turns read-only: watching goes on, it is said")
def read_only(bench: Bench) -> Outcome:
    _need_mounts(bench)
    away_s = bench.fewer(30, 12)
    wrong = []
    with bench.school() as school, unit_on_forgetful_disk(school.unit) as disk:
        unit = school.unit
        unit.begin()
        unit.wait_for(5)
        with disk.read_only(unit.data_dir):
            bench.pause(away_s)
            problems = [problem["code"] for problem in school.statuses()[unit.label]["problems"]]
            if not unit.program.running:
                wrong.append(f"the unit ended: {unit.program.words()[-300:]}")
            if not problems:
                wrong.append("a read-only disk is not said in the status")
        unit.program.launch()
        if not unit.wait_for(5, 60):
            wrong.append("after the disk takes writes again nothing is written down")
        return settled(school, more=f"problems {problems}", wrong=wrong)
