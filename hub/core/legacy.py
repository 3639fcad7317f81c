"""What the system this one follows kept, as it may be spelled there: which column means what. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hub.core.errors import BadInput

STUDENTS, ATTENDANCE = "students", "attendance"
MAX_STUDENTS = 50_000
MAX_ATTENDANCE = 5_000_000
LONGEST_CELL = 1_000
"""Characters of a cell that are looked at; a longer one is refused, not cut."""
LONGEST_ENCODING = 8_192
_MOST_EXAMPLES = 200

STUDENT_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "serial_number": (
        "serial_number",
        "serial",
        "serial_no",
        "serialnumber",
        "roll_number",
        "roll_no",
        "student_number",
        "student_no",
        "registration_number",
        "reg_no",
        "student_id",
    ),
    "id": ("id", "student_id"),
    "name": ("name", "full_name", "student_name"),
    "username": ("username", "user_name", "login"),
    "email": ("email", "e_mail", "email_address", "mail"),
    "phone": ("phone", "phone_number", "mobile", "telephone", "contact"),
    "section": ("section", "section_name", "class", "class_name"),
    "joined_on": ("joined_on",),
    "left_on": ("left_on",),
    "groups": ("groups",),
    "face_encoding": ("face_encoding", "encoding", "face_embedding", "embedding"),
}
"""What we want, and how it is called there; the first spelling that a table has counts, and each column once."""

ATTENDANCE_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "student_id": ("student_id",),
    "serial_number": ("serial_number", "serial", "serial_no", "serialnumber", "roll_number", "roll_no"),
    "name": ("name", "student_name", "full_name"),
    "timestamp_utc": ("timestamp_utc",),
    "timestamp": ("timestamp", "datetime", "date_time", "marked_at", "attended_at"),
    "date": ("date", "day", "attendance_date"),
    "time": ("time", "time_in", "attendance_time"),
    "rollcall_status": ("rollcall_status",),
    "status": ("status", "attendance_status"),
    "method": ("method", "marked_by_method"),
    "notes": ("notes", "note", "remarks", "comment"),
}
_WHO = ("student_id", "serial_number", "name")
_WHEN = ("timestamp_utc", "timestamp", "date")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row as it was found: what it says by our names, and where it is, for people."""

    where: str
    cells: Mapping[str, str]


class Source(Protocol):
    """A database or a folder of the original system. Read only; one instance belongs to one thread."""

    def tables(self) -> Sequence[str]:
        """Return what is there, by name; those that begin with `attendance` hold attendance."""
        ...

    def columns(self, table: str) -> Sequence[str]:
        """Return the names of a table's columns."""
        ...

    def rows(self, table: str, columns: Mapping[str, str]) -> Iterator[SourceRow]:
        """Yield the rows, one after the other, with the columns that are wanted: our names to those of the table.

        A cell that is longer than it may be comes one character too long. Raises BadInput, StoreUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Which column of a table means what, and which nobody looks at."""

    columns: Mapping[str, str]
    ignored: tuple[str, ...]


def students_columns(names: Sequence[str], table: str) -> Found:
    """Return what a table of students has. Raises BadInput when it cannot be one."""
    found = _find(names, STUDENT_SPELLINGS)
    for needed in ("serial_number", "name"):
        if needed not in found.columns:
            raise BadInput(
                f"{table} has no column for {needed}",
                hint=f"it has: {', '.join(names)[:300]}; known are: {', '.join(STUDENT_SPELLINGS[needed])}",
            )
    return found


def attendance_columns(names: Sequence[str], table: str) -> Found:
    """Return what a table of attendance has. Raises BadInput when it cannot be one."""
    found = _find(names, ATTENDANCE_SPELLINGS)
    for needed, what in ((_WHO, "who it was"), (_WHEN, "when it was")):
        if not any(name in found.columns for name in needed):
            known = ", ".join(spelling for name in needed for spelling in ATTENDANCE_SPELLINGS[name])
            raise BadInput(
                f"{table} has no column that says {what}", hint=f"it has: {', '.join(names)[:300]}; known are: {known}"
            )
    return found


def _find(names: Sequence[str], spellings: Mapping[str, tuple[str, ...]]) -> Found:
    there: dict[str, str] = {}
    for name in names:
        there.setdefault(_plain(name), name)
    columns: dict[str, str] = {}
    for wanted, spelled in spellings.items():
        for spelling in spelled:
            if spelling in there and there[spelling] not in columns.values():
                columns[wanted] = there[spelling]
                break
    return Found(columns, tuple(name for name in names if name not in columns.values()))


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def cell(row: SourceRow, name: str, longest: int = LONGEST_CELL) -> str:
    """Return what a row says, without spaces around it; "" where it says nothing. Raises BadInput."""
    text = row.cells.get(name, "")
    if len(text) > longest:
        raise BadInput(f"{name} has more than {longest} characters")
    return text.strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be taken over, where it stands and why."""

    kind: str
    where: str
    reason: str


@dataclass(slots=True)
class Problems:
    """Collects them: all are counted, the first are kept."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: list[Problem] = field(default_factory=list)

    def add(self, kind: str, where: str, reason: str) -> None:
        """Note one."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(Problem(kind, where, reason))

    def extend(self, others: Iterable[Problem]) -> None:
        """Note several."""
        for one in others:
            self.add(one.kind, one.where, one.reason)
