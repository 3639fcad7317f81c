"""Who is in which group of a section, and from when on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Connection

from hub.adapters import audit_log, group_store, membership, roster_store
from hub.core.errors import Conflict, NotFound
from hub.core.roster import Student
from hub.core.roster_plan import StudentChange, no_group
from hub.office import memberships
from hub.office.context import Office
from hub.office.memberships import Said
from hub.office.sections import need_section

Way = Literal["exactly", "add", "remove"]
"""Exactly these are in it and nobody else; these as well; these no longer."""


@dataclass(frozen=True, slots=True)
class GroupSet:
    """Who came into a group and who left it, by serial number, and who is in it now."""

    section: str
    group: str
    came: tuple[str, ...]
    left: tuple[str, ...]
    members: tuple[str, ...]
    corrected: tuple[str, ...] = ()
    """Who is or is not in it as before, but was or was not in the past, from the day on that was said."""


def set_group(
    office: Office,
    section: str,
    group: str,
    serial_numbers: Sequence[str],
    *,
    way: Way = "exactly",
    from_day: date | None = None,
) -> GroupSet:
    """Say who is in a group, from the midnight of `from_day` on, or from now; other groups stay as they are.

    The past from that day on becomes what is said, too: whoever was in it and left since, or came later. Saying it
    again changes nothing. Raises NotFound for a section, group or student, Conflict for a student of another
    section, BadInput for a day far away.
    """
    at = office.clock.now()
    since = memberships.moment_of(office, from_day, at)
    done: list[GroupSet] = []

    def work(connection: Connection) -> GroupSet:
        section_id = need_section(connection, section)
        group_id = group_store.group_ids(connection).get((section, group))
        if group_id is None:
            raise NotFound(no_group(section, group), hint=f'see: rollcall-hub section groups "{section}"')
        group_store.lock_groups(connection, section_id)
        concerned = _students(connection, section, serial_numbers)
        named = set(concerned)
        lines = group_store.list_groups(connection, section_id)
        inside = {serial for line in lines if line.group_id == group_id for serial in line.serial_numbers}
        wanted = _wanted(inside, named, way)
        if way == "exactly":
            concerned |= _once(connection, membership.members_after(connection, group_id, since))
        said = Said(only_group=group_id)
        asked = [_with_group(one, group, inside=serial in wanted) for serial, one in sorted(concerned.items())]
        changes = memberships.moving(connection, office, asked, since, said)
        if not changes and done:
            return done[0]  # the commit whose answer was lost
        if changes:
            memberships.follow(connection, office, at, changes, since, said)
        for change in changes:
            audit_log.record(
                connection,
                at=at,
                actor=office.actor,
                action="student.group",
                subject=f"student:{change.before.student_id}",
                detail={"group_id": group_id, "in": group in change.after.groups, "since": since.isoformat()},
                object_=f"group:{group_id}",
            )
        moved = {change.before.fields.serial_number for change in changes}
        came, left, corrected = moved & wanted - inside, moved & inside - wanted, moved - (inside ^ wanted)
        sets = (tuple(sorted(one)) for one in (came, left, wanted, corrected))
        done[:] = [GroupSet(section, group, *sets)]
        return done[0]

    return office.database.run(work)


def _once(connection: Connection, student_ids: Collection[str]) -> dict[str, Student]:
    found = roster_store.students_by_id(connection, student_ids).values()
    return {one.fields.serial_number: one for one in found if not one.erased}


def _wanted(inside: set[str], named: set[str], way: Way) -> set[str]:
    if way == "add":
        return inside | named
    return inside - named if way == "remove" else named


def _students(connection: Connection, section: str, serial_numbers: Sequence[str]) -> dict[str, Student]:
    found = roster_store.find_students(connection, serial_numbers)
    if missing := sorted(set(serial_numbers) - found.keys()):
        raise NotFound(f"there is no student with serial number {', '.join(missing)}")
    if elsewhere := sorted(serial for serial, one in found.items() if one.fields.section != section):
        raise Conflict(
            f"not in section {section!r}: {', '.join(elsewhere)}",
            hint="a group is a part of its section: move them with `rollcall-hub student change --section` first",
        )
    return found


def _with_group(student: Student, group: str, *, inside: bool) -> StudentChange:
    others = [name for name in student.fields.groups if name != group]
    return memberships.changed_groups(student, [*others, group] if inside else others)
