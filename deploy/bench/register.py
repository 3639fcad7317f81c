"""The register of a large school: a section's day, a student's term, and the whole term derived again from the records.

On a database server of our own, in one process. Beside each, in the same run, a bare SELECT of the same rows.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import mysql.connector
from sqlalchemy import Connection, select

from deploy.bench.contest import Contest
from deploy.bench.figures import quiet_median
from deploy.bench.register_school import Term, an_id, section_name, write_term
from deploy.database_server import Database as ServerDatabase
from deploy.own_process import ServerFailed, ServerMissing
from deploy.private_servers import PrivateMariaDb
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.key_files import HubKeys
from hub.adapters.migrations import migrate
from hub.adapters.schema import attendance
from hub.office.context import Office
from hub.office.rebuild import Rebuilt, rebuild
from hub.office.register import read_register
from hub.settings import HubSettings, RecognitionSettings

BARE = "bare SELECT of the same rows"
_MARIADB = ("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M")


@dataclass(frozen=True, slots=True)
class _Standing:
    """A clock that stands still when the term is over."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        return time.monotonic()


def measure_register(contest: Contest) -> None:
    """Derive a term, and read of it what people read every day."""
    term = Term(contest.effort.register_students, contest.effort.register_days)
    try:
        with (
            PrivateMariaDb(contest.scratch / "register" / "mariadb", options=_MARIADB) as server,
            _school(server) as (at, database),
        ):
            contest.say(f"register: a term of {term.days} days of {term.students} students is written")
            events = write_term(database, term)
            contest.report.add("register: events of the term", events, "events")
            _measure(contest, at, _office(database, term, contest.pack), term)
    except (ServerMissing, ServerFailed) as exc:
        contest.report.missing("register", str(exc))


@contextmanager
def _school(server: PrivateMariaDb) -> Iterator[tuple[ServerDatabase, Database]]:
    made = server.create_database()
    database = Database(DatabaseAddress(made.host, made.port, made.name, made.user, made.password))
    try:
        database.run(migrate)
        yield made, database
    finally:
        database.close()


def _office(database: Database, term: Term, pack: Path) -> Office:
    settings = HubSettings(site="bench", time_zone="Europe/Berlin", recognition=RecognitionSettings(pack_dir=pack))
    keys = HubKeys(Path("hub.key"), Path("hub_signing.key"))
    return Office(settings, database, keys, _Standing(term.over), "bench")


def _measure(contest: Contest, at: ServerDatabase, office: Office, term: Term) -> None:
    report, repeats = contest.report, contest.effort.register_repeats
    for what in ("derived for the first time", "rebuilt"):
        contest.say(f"register: the term is {what}")
        told, seconds = _rebuilt(office)
        _, bare_ms = _bare(at, "1 = 1", ())
        name = f"register of a term, {what} ({told.rows} rows, {told.differing} written)"
        report.compare_rate(name, told.rows / seconds, (BARE, told.rows / bare_ms * 1000), unit="rows/s")
        report.add(f"{name}: time", seconds, "s")
    day = term.school_days[len(term.school_days) // 2]
    contest.say("register: one section and day, one student and term")
    shown = read_register(office, day, section=section_name(0))
    ids = [UUID(an_id(1, number)).bytes for number in range(0, term.students, term.sections)]
    where = f"day = %s and student_id in ({', '.join(['%s'] * len(ids))})"
    rows, bare_ms = _best(lambda: _bare(at, where, (day, *ids)), repeats)
    ours_ms = _ms(lambda: read_register(office, day, section=section_name(0)), repeats)
    report.compare(
        f"register of one section and day ({len(shown.students)} students, {rows} rows)", ours_ms, (BARE, bare_ms)
    )
    student = an_id(1, 0)
    rows, bare_ms = _best(lambda: _bare(at, "student_id = %s", (UUID(student).bytes,)), repeats)
    ours_ms = _ms(lambda: read_student(office, student, term.school_days[0], term.school_days[-1]), repeats)
    report.compare(f"register of one student and term ({rows} rows)", ours_ms, (BARE, bare_ms))


def read_student(office: Office, student_id: str, first: date, last: date) -> list[dict[str, Any]]:
    """Return a student's rows from one day to another."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        theirs = (attendance.c.student_id == student_id, attendance.c.day >= first, attendance.c.day <= last)
        found = connection.execute(select(attendance).where(*theirs).order_by(attendance.c.timestamp))
        return [dict(row) for row in found.mappings()]

    return office.database.run(work)


def _rebuilt(office: Office) -> tuple[Rebuilt, float]:
    begun_s = time.perf_counter()
    told = rebuild(office, anew=True)
    return told, time.perf_counter() - begun_s


def _ms(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun_s) * 1000)
    return quiet_median(times)


def _best(work: Callable[[], tuple[int, float]], repeats: int) -> tuple[int, float]:
    found = [work() for _ in range(repeats)]
    return found[0][0], quiet_median([one for _, one in found])


def _bare(at: ServerDatabase, where: str, values: tuple[Any, ...]) -> tuple[int, float]:
    """Read rows of the register with nothing around it; return how many there were, and the milliseconds."""
    connection = mysql.connector.connect(
        host=at.host,
        port=at.port,
        user=at.user,
        password=at.password,
        database=at.name,
        charset="utf8mb4",
        collation="utf8mb4_unicode_ci",
    )
    try:
        cursor = connection.cursor()
        begun_s = time.perf_counter()
        cursor.execute(f"SELECT * FROM attendance WHERE {where}", values)  # noqa: S608 (conditions of this module)
        rows = len(cursor.fetchall())
        return rows, (time.perf_counter() - begun_s) * 1000
    finally:
        connection.close()
