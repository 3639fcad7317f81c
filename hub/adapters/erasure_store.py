"""Taking a student's face, and if need be the name, out of the database; and which units have done the same."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from hub.adapters import erased_notes, look_alike_store, photo_store
from hub.adapters.retention_runs import fact, note_fact
from hub.adapters.schema import (
    attendance,
    epochs,
    erasures,
    galleries,
    gallery_members,
    hub_facts,
    marks,
    student_groups,
    student_margins,
    student_sections,
    students,
    templates,
    unit_status,
    units,
)
from hub.adapters.unit_store import status_of
from hub.core.fleet import UnitHeard, condition

ERASED_NAME = "Erased student"
ERASE = "student.erase"
"""The action of the audit log."""
_ERASED = "erased:"
_ROWS_AT_ONCE = 500
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class FacesDeleted:
    """What was deleted of what students are recognised by."""

    templates: int = 0
    photos: int = 0


@dataclass(frozen=True, slots=True)
class StudentRow:
    """Who is to be erased, or was. `section` is the section's id."""

    student_id: str
    serial_number: str
    name: str
    left_on: date | None
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnitLine:
    """A student and a unit that has, or had, their template or their name.

    `asked_at` None: the template is in the unit's gallery, and no newer gallery was made yet.
    """

    student_id: str
    unit_id: str
    label: str
    revoked_at: datetime | None
    asked_at: datetime | None
    confirmed_at: datetime | None


# ---- deleting ------------------------------------------------------------------------------------------------------


def delete_faces(connection: Connection, student_ids: Collection[str]) -> FacesDeleted:
    """Delete these students' templates of every pack, photos, look-alike pairs and margins.

    The caller holds `look_alike_store.lock`, and sees to audit and galleries.
    """
    return FacesDeleted(delete_templates(connection, student_ids), photo_store.delete_of(connection, student_ids))


def delete_templates(connection: Connection, student_ids: Collection[str]) -> int:
    """Delete these students' templates of every pack, look-alike pairs and margins; return how many templates.

    The caller holds `look_alike_store.lock`, and sees to audit and galleries.
    """
    wanted = sorted(set(student_ids))
    if not wanted:
        return 0
    gone = connection.execute(delete(templates).where(templates.c.student_id.in_(wanted))).rowcount
    for student_id in wanted:
        look_alike_store.forget(connection, student_id)
    connection.execute(delete(student_margins).where(student_margins.c.student_id.in_(wanted)))
    return int(gone)


def find(connection: Connection, named: str, *, lock: bool = False) -> StudentRow | None:
    """Return the student with this id or serial number; with `lock`, held until the transaction ends."""
    columns = (students.c.id, students.c.serial_number, students.c.name, students.c.left_on, students.c.erased_at)
    statement = select(*columns).where(
        students.c.id == named.lower() if _ID.fullmatch(named) else students.c.serial_number == named
    )
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else StudentRow(row.id, row.serial_number, row.name, row.left_on, row.erased_at)


def counts(connection: Connection, student_id: str) -> FacesDeleted:
    """Return what of a student's face is on record."""
    theirs = select(func.count()).select_from(templates).where(templates.c.student_id == student_id)
    return FacesDeleted(connection.execute(theirs).scalar_one(), photo_store.count(connection, student_id))


def pseudonymise(connection: Connection, student: StudentRow, serial_number: str, at: datetime, today: date) -> None:
    """Leave a number that stands for nobody: no name, no ways to reach them, no words that somebody wrote of them."""
    ended = today if student.left_on is None else min(student.left_on, today)
    connection.execute(
        update(students)
        .where(students.c.id == student.student_id)
        .values(
            serial_number=serial_number,
            name=ERASED_NAME,
            username=None,
            email=None,
            phone=None,
            section_id=None,
            left_on=ended,
            erased_at=at,
        )
    )
    for table in (student_sections, student_groups):
        connection.execute(
            update(table)
            .where(table.c.student_id == student.student_id, or_(table.c.until.is_(None), table.c.until > at))
            .values(until=func.greatest(table.c.since, at))
        )


def blank_notes(connection: Connection, student_id: str) -> list[date]:
    """Delete what people wrote in a student's marks, here and at units; return the days whose register showed it."""
    shown = (attendance.c.student_id == student_id, attendance.c.rule == "mark", attendance.c.notes != "")
    days = list(connection.execute(select(attendance.c.day).distinct().where(*shown)).scalars())
    connection.execute(update(attendance).where(*shown).values(notes=""))
    # A reason is meant to be a word, but it is one that somebody wrote.
    connection.execute(update(marks).where(marks.c.student_id == student_id).values(note="", reason=""))
    erased_notes.delete_of(connection, student_id)
    return sorted(days)


def drop_lists_of_revoked(connection: Connection) -> None:
    """Delete the lists of names that were last made for units that are revoked: no newer one replaces them."""
    revoked = select(units.c.id).where(units.c.revoked_at.is_not(None))
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id.in_(revoked), galleries.c.manifest.is_not(None))
        .values(head=None, manifest=None, manifest_hash=None)
    )


def note_erased(connection: Connection, student_id: str, at: datetime) -> None:
    """Note that a student was erased: it stays known when retention has deleted the entry of the audit log."""
    note_fact(connection, _erased_name(student_id), at.isoformat(), at)


def erased_before(connection: Connection, student_id: str) -> datetime | None:
    """Return when a student was last erased, also where the record was kept."""
    value = fact(connection, _erased_name(student_id))
    return None if value is None else datetime.fromisoformat(value)


def _erased_name(student_id: str) -> str:
    return f"{_ERASED}{student_id}"


# ---- receipts ------------------------------------------------------------------------------------------------------


def lines_of(connection: Connection, student_ids: Iterable[str]) -> list[UnitLine]:
    """Return the units that have or had these students, by label: whom each was told to delete, and what it said."""
    found: list[UnitLine] = []
    wanted = sorted(set(student_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        found += _lines(connection, wanted[start : start + _ROWS_AT_ONCE])
    return sorted(found, key=lambda line: (line.student_id, line.label))


def _lines(connection: Connection, student_ids: Collection[str]) -> Iterable[UnitLine]:
    holding = select(
        gallery_members.c.student_id,
        gallery_members.c.unit_id,
        units.c.label,
        units.c.revoked_at,
        bindparam("asked_at", None).label("asked_at"),
        bindparam("confirmed_at", None).label("confirmed_at"),
    ).join(units, units.c.id == gallery_members.c.unit_id)
    holding = holding.where(gallery_members.c.student_id.in_(student_ids), gallery_members.c.until_revision.is_(None))
    told = select(
        erasures.c.student_id,
        erasures.c.unit_id,
        units.c.label,
        units.c.revoked_at,
        erasures.c.asked_at,
        erasures.c.confirmed_at,
    ).join(units, units.c.id == erasures.c.unit_id)
    told = told.where(erasures.c.student_id.in_(student_ids))
    by_unit = {(row.student_id, row.unit_id): row for row in connection.execute(told)}
    # What it holds now outweighs what it deleted before.
    by_unit |= {(row.student_id, row.unit_id): row for row in connection.execute(holding)}
    for row in by_unit.values():
        yield UnitLine(row.student_id, row.unit_id, row.label, row.revoked_at, row.asked_at, row.confirmed_at)


def with_open_receipts(connection: Connection) -> set[str]:
    """Return the students whom a unit was told to delete and did not confirm."""
    waiting = select(erasures.c.student_id).distinct().where(erasures.c.confirmed_at.is_(None))
    return set(connection.execute(waiting).scalars())


def with_any_receipt(connection: Connection) -> set[str]:
    """Return the students whom any unit was ever told to delete."""
    return set(connection.execute(select(erasures.c.student_id).distinct()).scalars())


def erased_students(connection: Connection) -> dict[str, datetime]:
    """Return when each student was last erased, also those whose record was kept."""
    statement = select(hub_facts.c.name, hub_facts.c.value).where(hub_facts.c.name.startswith(_ERASED))
    return {row.name.removeprefix(_ERASED): datetime.fromisoformat(row.value) for row in connection.execute(statement)}


def named(connection: Connection, student_ids: Iterable[str]) -> dict[str, StudentRow]:
    """Return these students by id."""
    wanted = sorted(set(student_ids))
    found: dict[str, StudentRow] = {}
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = select(students).where(students.c.id.in_(wanted[start : start + _ROWS_AT_ONCE]))
        for row in connection.execute(part):
            found[row.id] = StudentRow(row.id, row.serial_number, row.name, row.left_on, row.erased_at)
    return found


def silent_since(connection: Connection, unit_ids: Collection[str], now: datetime) -> dict[str, datetime | None]:
    """Return since when those of these units that cannot be reached said nothing; None: it was never heard of."""
    if not unit_ids:
        return {}
    wanted = sorted(unit_ids)
    spoke = {
        row.unit_id: row.at
        for row in connection.execute(
            select(epochs.c.unit_id, func.max(epochs.c.last_heard_at).label("at"))
            .where(epochs.c.unit_id.in_(wanted))
            .group_by(epochs.c.unit_id)
        )
    }
    said = {
        row.unit_id: row
        for row in connection.execute(
            select(unit_status.c.unit_id, unit_status.c.body, unit_status.c.received_at).where(
                unit_status.c.unit_id.in_(wanted)
            )
        )
    }
    found: dict[str, datetime | None] = {}
    for unit_id in wanted:
        row = said.get(unit_id)
        heard = UnitHeard(
            status=None if row is None else status_of(row.body),
            status_at=None if row is None else row.received_at,
            spoke_at=spoke.get(unit_id),
            revoked=False,
            gallery_current=True,
            gallery_problem=None,
        )
        how = condition(heard, now)
        if how.state in {"silent", "new"}:
            found[unit_id] = how.last_heard_at
    return found


def made_before(connection: Connection) -> list[datetime]:
    """Return when the galleries were made that `serve` has to make anew."""
    outdated = (
        select(galleries.c.prepared_at)
        .join(units, units.c.id == galleries.c.unit_id)
        .where(units.c.revoked_at.is_(None), galleries.c.prepared_revision < galleries.c.revision)
    )
    return [at for at in connection.execute(outdated).scalars() if at is not None]
