"""Attendance as the original system kept it: who, when, and what became of them. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID, uuid5

from hub.core.attendance_facts import Method
from hub.core.enrolment_names import same_person
from hub.core.errors import BadInput
from hub.core.legacy import Found, SourceRow, cell
from hub.core.register_marks import Said
from hub.core.roster import checked_serial
from hub.core.roster_times import Clock, moment_on

MAX_NOTE = 500
NAMESPACE = UUID("5b1f6f0e-2c0d-5d0a-9a52-6d1e0c6f5a11")
"""Of the ids of marks that were taken over: the same student and moment is the same mark."""

_STATUS: Mapping[str, Said] = {
    "present": "present",
    "p": "present",
    "late": "late",
    "l": "late",
    "absent": "absent",
    "a": "absent",
    "excused": "excused",
}
_NOTHING = ("not seen", "not observed", "")
_FACE = re.compile(r"face|facial|auto|camera|webcam", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})[-/](\d{2})[-/](\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?", re.ASCII)
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Person:
    """A student whom attendance may be of; without an id, one that a dry run would add."""

    student_id: str | None
    serial_number: str
    name: str


@dataclass(slots=True)
class People:
    """Finds whom a row of attendance names."""

    by_serial: dict[str, Person] = field(default_factory=dict)
    serial_of_id: dict[str, str] = field(default_factory=dict)
    _by_name: dict[str, str | None] = field(default_factory=dict)

    def add(self, person: Person) -> None:
        """Add a student; of a name that two have nobody is meant."""
        self.by_serial[person.serial_number] = person
        key = _plain(person.name)
        known = self._by_name.setdefault(key, person.serial_number)
        if known != person.serial_number:
            self._by_name[key] = None

    def of(self, row: SourceRow) -> Person:
        """Return the student a row names: by serial number, by the id there, by `<serial>_<name>` or a name.

        Raises BadInput for nobody, or for somebody of another name.
        """
        name = cell(row, "name")
        serial = cell(row, "serial_number")
        if not serial and (source_id := cell(row, "student_id")):
            serial = self.serial_of_id.get(source_id, "")
            if not serial:
                raise BadInput(f"no student has the id {source_id[:40]!r} there")
        if serial:
            person = self.by_serial.get(checked_serial(serial))
            if person is None:
                raise BadInput(f"no student has serial number {serial}")
            return person
        return self._named(name)

    def _named(self, name: str) -> Person:
        serial, underscore, rest = name.partition("_")
        person = self.by_serial.get(serial.strip()) if underscore else None
        if person is not None:
            if not same_person(rest.replace("_", " "), person.name):
                raise BadInput(f"serial number {serial} is {person.name}, not {rest[:60]}")
            return person
        for text in (name, name.replace("_", " ")):
            known = self._by_name.get(_plain(text), "")
            if known is None:
                raise BadInput(f"more than one student is called {text[:60]}")
            if known:
                return self.by_serial[known]
        raise BadInput(f"nobody is called {name[:60]!r}" if name else "it names nobody")


@dataclass(frozen=True, slots=True)
class Saw:
    """What a row says of a student. `moment` is the day's beginning where the row names no time."""

    where: str
    person: Person
    moment: datetime
    day: date
    timed: bool
    status: Said
    method: Method
    note: str
    odd: Clock = ""
    """The clocks skip that time, or it happened twice."""
    plain: bool = False
    """A line that only says who was there: what else is known of that occasion is better."""

    @property
    def mark_id(self) -> str:
        """The same whenever and from wherever this is taken over: student and moment, to the second."""
        when = self.moment.replace(microsecond=0).isoformat() if self.timed else self.day.isoformat()
        return str(uuid5(NAMESPACE, f"{self.person.serial_number}|{when}"))


def read_attendance(row: SourceRow, found: Found, people: People, zone: tzinfo, school: tzinfo) -> Saw | None:
    """Return what a row says; None where it says nothing of anybody. Raises BadInput.

    `zone`: of times that name none; `school`: the zone of the register's days.
    """
    plain = "status" not in found.columns and "rollcall_status" not in found.columns
    status = "present" if plain else _status(row)
    if status is None:
        return None
    person = people.of(row)
    moment, timed, odd = _moment(row, zone)
    method: Method = "Face Recognition" if plain or _FACE.search(cell(row, "method")) else "Manual"
    day = moment.astimezone(school if timed else zone).date()
    return Saw(row.where, person, moment, day, timed, status, method, _note(row), odd, plain)


def _status(row: SourceRow) -> Said | None:
    word = (cell(row, "rollcall_status") or cell(row, "status")).casefold()
    if word in _NOTHING:
        return None
    if word not in _STATUS:
        raise BadInput(f"{word[:40]!r} is no status that is known")
    return _STATUS[word]


def _moment(row: SourceRow, zone: tzinfo) -> tuple[datetime, bool, Clock]:
    written = cell(row, "timestamp_utc") or cell(row, "timestamp")
    if not written:
        written = f"{cell(row, 'date')} {cell(row, 'time')}".strip()
    day_text, _, clock_text = written.replace("T", " ", 1).partition(" ")
    try:
        day_form = _DAY.fullmatch(day_text)
        if day_form is None:
            raise BadInput(f"{day_text[:40]!r} is no day: known are 2026-09-01 and 2026/09/01")
        day = date(*map(int, day_form.groups()))
        if not clock_text:
            return moment_on(day, time(), zone)[0], False, ""
        if offset := _OFFSET.search(clock_text):
            said = datetime.combine(day, _clock(clock_text[: offset.start()]))
            return said.replace(tzinfo=_zone_of(offset[1])).astimezone(UTC), True, ""
        moment, odd = moment_on(day, _clock(clock_text), zone)
    except (ValueError, OverflowError) as exc:
        raise BadInput(f"{written[:40]!r} is no moment that exists") from exc
    return moment, True, odd


def _clock(text: str) -> time:
    form = _TIME.fullmatch(text.strip())
    if form is None:
        raise BadInput(f"{text[:40]!r} is no time of day: known are 08:05, 08:05:30 and 08:05:30.25")
    return time(int(form[1]), int(form[2]), int(form[3] or 0), int((form[4] or "").ljust(6, "0")))


def _zone_of(offset: str) -> tzinfo:
    return datetime.strptime(offset.replace(":", "").replace("Z", "+0000"), "%z").tzinfo or UTC


def _note(row: SourceRow) -> str:
    text = row.cells.get("notes", "")[:MAX_NOTE]
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def spans(rows: Iterable[Saw], longest: timedelta) -> list[list[Saw]]:
    """Return rows in groups that each lie within a span of time, whatever order they came in."""
    groups: list[list[Saw]] = []
    for row in sorted(rows, key=lambda one: one.moment):
        if not groups or row.moment - groups[-1][0].moment > longest:
            groups.append([])
        groups[-1].append(row)
    return groups
