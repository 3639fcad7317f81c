"""Who may not be recognised, and whose consent ends soon: the lists that an office works through."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hub.adapters import consent_store, roster_store
from hub.core.errors import NotFound
from hub.core.roster_consent import Consent, Lack, lack, runs_out
from hub.core.roster_times import day_of
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class ConsentMissing:
    """A student whom nobody may recognise, and why; `section` None: in none. A teacher's mark counts the same."""

    section: str | None
    serial_number: str
    name: str
    why: Lack


@dataclass(frozen=True, slots=True)
class ConsentExpiring:
    """A student who leaves every gallery on a day unless somebody agrees again."""

    section: str | None
    serial_number: str
    name: str
    given_by: str
    reference: str
    expires_at: datetime


def list_missing(office: Office, *, section: str | None = None) -> list[ConsentMissing]:
    """Return who may not be recognised, by section and serial number: their path is the teacher's mark.

    Raises NotFound for an unknown section.
    """
    now = office.clock.now()
    found = []
    for (student_id, serial, name, their_section), known in _with_consents(office, section):
        why = lack(known.get(student_id, []), now)
        if why is not None:
            found.append(ConsentMissing(their_section, serial, name, why))
    return found


def list_expiring(office: Office, days: int, *, section: str | None = None) -> list[ConsentExpiring]:
    """Return whose last consent runs out within so many days, the first to run out first.

    Raises NotFound for an unknown section.
    """
    now = office.clock.now()
    found = []
    for (student_id, serial, name, their_section), known in _with_consents(office, section):
        last = runs_out(known.get(student_id, []), now)
        if last is not None and last.expires_at is not None and last.expires_at <= now + timedelta(days=days):
            found.append(ConsentExpiring(their_section, serial, name, last.given_by, last.reference, last.expires_at))
    return sorted(found, key=lambda one: (one.expires_at, one.section or "", one.serial_number))


def _with_consents(
    office: Office, section: str | None
) -> Iterator[tuple[tuple[str, str, str, str | None], dict[str, list[Consent]]]]:
    def work(
        connection: Connection,
    ) -> tuple[list[tuple[str, str, str, str | None]], dict[str, list[Consent]]]:
        if section is not None and section not in roster_store.section_ids(connection):
            raise NotFound(f"there is no section {section!r}", hint="rollcall-hub section list shows them")
        today = day_of(office.clock.now(), office.settings.zone)
        everybody = consent_store.students_by_section(connection, today, section)
        return everybody, consent_store.consents_of(connection, [student_id for student_id, *_ in everybody])

    everybody, known = office.database.run(work)
    return ((student, known) for student in everybody)
