"""Sections: students who are taught together; and groups, parts of a section that are taught apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, group_store, roster_store
from hub.adapters.group_store import GroupLine
from hub.adapters.roster_store import SectionLine
from hub.core.errors import Conflict, NotFound
from hub.core.roster import checked_group, checked_section
from hub.core.roster_times import day_of
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class Section:
    """A section on record."""

    section_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group on record."""

    group_id: str
    section: str
    name: str


def add_section(office: Office, name: str) -> Section:
    """Add a section. Raises BadInput for a name that cannot be used, Conflict when it exists."""
    section = Section(str(uuid4()), checked_section(name))

    def work(connection: Connection) -> None:
        known = roster_store.section_ids(connection).get(section.name)
        if known == section.section_id:
            return  # the commit whose answer was lost
        if known is not None:
            raise Conflict(f"there is a section {section.name!r} already", hint="rollcall-hub section list shows them")
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


def create_groups(connection: Connection, office: Office, named: Mapping[tuple[str, str], str]) -> None:
    """Add groups, given as (section, name) to id, with their entries in the audit log, in the caller's transaction."""
    sections, at = roster_store.section_ids(connection), office.clock.now()
    for (section, name), group_id in named.items():
        group_store.insert_group(connection, group_id, sections[section], name)
        audit_log.record(
            connection,
            at=at,
            actor=office.actor,
            action="section.group_add",
            subject=f"section:{sections[section]}",
            detail={"group_id": group_id},
            object_=f"group:{group_id}",
        )


def rename_section(office: Office, name: str, new_name: str) -> Section:
    """Call a section something else; everything else of it stays. A name it has already changes nothing.

    Raises BadInput for a name that cannot be used, NotFound, Conflict when another section is called so.
    """
    wanted = checked_section(new_name)

    def work(connection: Connection) -> Section:
        known = roster_store.section_ids(connection)
        if name not in known and wanted in renamed and known.get(wanted) == renamed[wanted]:
            return Section(renamed[wanted], wanted)  # the commit whose answer was lost
        section_id = need_section(connection, name)
        if known.get(wanted, section_id) != section_id:
            raise Conflict(f"there is a section {wanted!r} already", hint="rollcall-hub section list shows them")
        if wanted != name:
            renamed[wanted] = section_id
            roster_store.rename_section(connection, section_id, wanted)
            at, subject = office.clock.now(), f"section:{section_id}"
            detail = {"before": name, "after": wanted}
            audit_log.record(
                connection, at=at, actor=office.actor, action="section.rename", subject=subject, detail=detail
            )
        return Section(section_id, wanted)

    renamed: dict[str, str] = {}
    return office.database.run(work)


def list_sections(office: Office) -> list[SectionLine]:
    """Return all sections by name."""
    today = day_of(office.clock.now(), office.settings.zone)
    return office.database.run(lambda connection: roster_store.list_sections(connection, today))


def add_group(office: Office, section: str, name: str) -> Group:
    """Add a group to a section. Raises BadInput, NotFound for the section, Conflict when it has one of this name."""
    group = Group(str(uuid4()), section, checked_group(name))

    def work(connection: Connection) -> None:
        need_section(connection, section)
        known = group_store.group_ids(connection).get((section, group.name))
        if known == group.group_id:
            return  # the commit whose answer was lost
        if known is not None:
            hint = f'rollcall-hub section groups "{section}" shows them'
            raise Conflict(f"section {section!r} has a group {group.name!r} already", hint=hint)
        create_groups(connection, office, {(section, group.name): group.group_id})

    office.database.run(work)
    return group


def list_groups(office: Office, section: str) -> list[GroupLine]:
    """Return the groups of a section by name, with who is in them. Raises NotFound."""
    return office.database.run(
        lambda connection: group_store.list_groups(connection, need_section(connection, section))
    )


def need_section(connection: Connection, name: str, *, may_be_new: bool = False) -> str:
    """Return the id of a section. Raises NotFound; for one that may be new with the command that adds it."""
    section_id = roster_store.section_ids(connection).get(name)
    if section_id is None:
        adding = f'; add it: rollcall-hub section add "{name}"' if may_be_new else ""
        raise NotFound(f"there is no section {name!r}", hint=f"rollcall-hub section list shows them{adding}")
    return section_id
