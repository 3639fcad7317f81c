"""The register: one day of it for people, for a file, for scripts."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from hub.adapters import audit_log, register_store, roster_store
from hub.core.csv_writing import csv_bytes
from hub.core.errors import NotFound
from hub.core.register_sheet import Sheet, build_sheet
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from hub.office.occasions import Finder


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """The register of a day as a CSV file."""

    sheet: Sheet
    content: bytes


def today(office: Office) -> date:
    """Return the school's present day."""
    return day_of(office.clock.now(), office.settings.zone)


def read_register(office: Office, day: date, *, section: str | None = None, room: str | None = None) -> Sheet:
    """Return the register of a day. Raises NotFound for an unknown section or room."""
    # One snapshot: a lesson and its marks must come from the same moment.
    return office.database.run(
        lambda connection: _sheet(connection, office, day, section=section, room=room), isolation="REPEATABLE READ"
    )


def export_register(
    office: Office, day: date, *, section: str | None = None, room: str | None = None, bom: bool = False
) -> RegisterFile:
    """Return the register of a day as a file, and write in the audit log that it was taken away.

    Raises NotFound for an unknown section or room.
    """

    def work(connection: Connection) -> Sheet:
        sheet = _sheet(connection, office, day, section=section, room=room)
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="register.export",
            subject=f"register:{day.isoformat()}",
            detail={"students": len(sheet.students), "section": section, "room": room},
        )
        return sheet

    sheet = office.database.run(work, isolation="REPEATABLE READ")
    header, lines = sheet.table()
    return RegisterFile(sheet, csv_bytes(header, lines, bom=bom))


def _sheet(connection: Connection, office: Office, day: date, *, section: str | None, room: str | None) -> Sheet:
    zone = office.settings.zone
    if section is not None and section not in roster_store.section_ids(connection):
        raise NotFound(f"there is no section {section!r}", hint="rollcall-hub section list shows them")
    if room is not None and room not in roster_store.room_ids(connection):
        raise NotFound(f"there is no room {room!r}", hint="rollcall-hub room list shows them")
    now = office.clock.now()
    records = register_store.read_day(connection, day, day_bounds(day, zone), now)
    parts = [session.name for session in Finder(connection, office, now).rules(day).sessions]
    sheet = build_sheet(records, day=day, zone=zone, now=now, parts=parts)
    return sheet if section is None and room is None else sheet.narrowed(section=section, room=room)
