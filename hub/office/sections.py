"""Sections: groups of students who are taught together."""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, roster_store
from hub.adapters.roster_store import SectionLine
from hub.core.errors import Conflict
from hub.core.roster import checked_section
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class Section:
    """A section on record."""

    section_id: str
    name: str


def add_section(office: Office, name: str) -> Section:
    """Add a section. Raises BadInput for a name that cannot be used, Conflict when it exists."""
    section = Section(str(uuid4()), checked_section(name))

    def work(connection: Connection) -> None:
        known = roster_store.section_ids(connection).get(section.name)
        if known == section.section_id:
            return  # the commit whose answer was lost
        if known is not None:
            raise Conflict(f"there is a section {section.name!r} already")
        create_sections(connection, office, {section.name: section.section_id})

    office.database.run(work)
    return section


def create_sections(connection: Connection, office: Office, named: dict[str, str]) -> None:
    """Add sections, given as name to id, with their entries in the audit log, in the caller's transaction."""
    roster_store.insert_sections(connection, named)
    at = office.clock.now()
    for section_id in named.values():
        subject = f"section:{section_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="section.add", subject=subject, detail={})


def list_sections(office: Office) -> list[SectionLine]:
    """Return all sections by name."""
    return office.database.run(roster_store.list_sections)
