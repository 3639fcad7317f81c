"""Derives some students' register of one day: from the records to the rows, with what depends on these."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters import register_changes, register_facts, register_rows, register_states, rules_store
from hub.adapters.attendance_store import Pair
from hub.adapters.register_rows import Difference
from hub.adapters.schema import hub_facts
from hub.core.attendance import entries
from hub.core.attendance_facts import Entry, Rules, SchoolDays, StudentsDay, rules_on
from hub.core.retention import FROZEN_UNTIL

DERIVING = "register.deriving"


def frozen_until(connection: Connection) -> date:
    """Return the first local day that may still be derived: of days before it retention deleted the events."""
    said = connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FROZEN_UNTIL)).scalar()
    return date.fromisoformat(said) if said else date.min


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for everybody while a transaction derives: the school's days, and the rules of each."""

    days: SchoolDays
    rules_of: Callable[[date], Rules]


def in_force(connection: Connection, days: SchoolDays, initial: Rules) -> InForce:
    """Return what holds now; `initial` are the rules before any were made."""
    return InForce(days, partial(rules_on, known=rules_store.known(connection), before=initial))


def lock(connection: Connection, now: datetime) -> None:
    """Let no other process derive until this transaction ends: it might write what it read before our commit."""
    row = select(hub_facts.c.name).where(hub_facts.c.name == DERIVING).with_for_update()
    if connection.execute(row).first() is None:
        nothing = insert(hub_facts).values(name=DERIVING, value="", changed_at=now)
        connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))


@dataclass(frozen=True, slots=True)
class Derived:
    """What the rows of some students' day should be, and where they differ."""

    facts: Mapping[str, StudentsDay]
    entries: Mapping[str, Sequence[Entry]]
    differences: Sequence[Difference]

    @property
    def rows(self) -> int:
        """How many rows there should be."""
        return sum(len(found) for found in self.entries.values())

    def lessons(self, day: date) -> set[str]:
        """Return the lessons of that day which these students are expected in, or a row was of."""
        rows = [row for one in self.differences for row in (one.before, one.after) if row is not None]
        expected = {one.lesson_id for facts in self.facts.values() for one in facts.lessons if one.day == day}
        return expected | {row["lesson_id"] for row in rows if row["lesson_id"] is not None}

    def closed(self) -> set[str]:
        """Return the lessons of these students whose register a teacher called right."""
        return {
            one.lesson_id
            for facts in self.facts.values()
            for one in (*facts.lessons, *facts.guest_lessons)
            if one.closed_at is not None
        }


def derive(connection: Connection, day: date, student_ids: Sequence[str], holds: InForce, now: datetime) -> Derived:
    """Derive a day of these students and compare it with the rows; nothing is written."""
    facts = register_facts.collect(connection, day, student_ids, holds.days, holds.rules_of)
    rules = holds.rules_of(day)
    derived = {student_id: entries(one, rules, now) for student_id, one in facts.items()}
    return Derived(facts, derived, register_rows.compare(connection, day, derived))


def put(
    connection: Connection, day: date, derived: Derived, causes: Mapping[str, str], holds: InForce, now: datetime
) -> set[Pair]:
    """Write what differs, tell the audit log, count the lessons; return what is to be derived again because of that.

    `causes`: why each student was derived.
    """
    register_rows.write(connection, derived.differences)
    again = register_states.settle(connection, derived.lessons(day), holds.days, holds.rules_of, now)
    changed = {one.place: one for one in derived.differences}
    if any((student_id, day) in again for student_id in derived.facts):
        # What came of it is held, or no longer: nobody should see, nor read in the audit log, what was in between.
        final = derive(connection, day, sorted(derived.facts), holds, now)
        register_rows.write(connection, final.differences)
        for one in final.differences:
            first = changed.get(one.place, one)
            changed[one.place] = replace(one, before=first.before)
    register_changes.record(connection, changed.values(), causes, derived.closed(), now)
    return again
