"""The register and the students as the original system's tables had them. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from hub.core.roster import Student, cells_of

STUDENTS_HEADER = (
    "id",
    "serial_number",
    "name",
    "username",
    "email",
    "phone",
    "section",
    "joined_on",
    "left_on",
    "groups",
)
TABLE_HEADER = (
    "id",
    "student_id",
    "timestamp",
    "status",
    "method",
    "notes",
    "serial_number",
    "lesson",
    "rollcall_status",
    "timestamp_utc",
)
LINES_HEADER = ("date", "time", "name", "status", "method", "notes")
KNOWN_THERE = ("Present", "Late", "Absent")
"""The statuses that the original has. Any other leaves its column empty: nobody becomes Absent by being exported."""
CAME = ("Present", "Late")
_LONGEST_NAME_BYTES = 150


@dataclass(frozen=True, slots=True)
class Numbered:
    """A student with the number that the tables there know them by."""

    number: int
    student: Student

    @property
    def label(self) -> str:
        """`<serial>_<name>`."""
        return f"{self.student.fields.serial_number}_{self.student.fields.name}"

    def cells(self) -> list[str]:
        """Return the row of the table of students."""
        cells = {**cells_of(self.student.fields), "id": str(self.number)}
        return [cells[column] for column in STUDENTS_HEADER]


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the register."""

    timestamp: datetime
    status: str
    method: str
    notes: str
    lesson: str

    def table_cells(self, number: int, student: Numbered, zone: tzinfo) -> list[str]:
        """Return the row of the table of attendance; `timestamp` by the school's clock, as it was there."""
        return [
            str(number),
            str(student.number),
            f"{self.timestamp.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            self.status if self.status in KNOWN_THERE else "",
            self.method,
            self.notes,
            student.student.fields.serial_number,
            self.lesson,
            self.status,
            self.timestamp.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ") + "Z",
        ]

    def line_cells(self, student: Numbered, zone: tzinfo) -> list[str]:
        """Return the line of attendance.csv."""
        local = self.timestamp.astimezone(zone)
        return [f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}", student.label, self.status, self.method, self.notes]


def picture_name(student: Numbered, number: int, content: bytes) -> str:
    """Return what a portrait is called: `<serial>_<name>.png`, further ones with `_2`, `_3`."""
    ending = ".png" if content.startswith(b"\x89PNG") else ".jpg"
    stem = "".join(" " if one in '/\\:*?"<>|' or not one.isprintable() else one for one in student.label)
    while len(stem.encode()) > _LONGEST_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem.rstrip(' .')}{'' if number == 1 else f'_{number}'}{ending}"
