"""Consent: what a form or a row says, and whether it holds now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from hub.core.csv_reading import Columns
from hub.core.errors import BadInput
from hub.core.roster import checked_serial, clean_text
from hub.core.roster_times import day_bounds, school_day

CONSENT_COLUMNS = Columns(("serial_number", "given_by"), ("reference", "given_on", "expires_on"))
MAX_GIVEN_BY = 200
MAX_REFERENCE = 200


@dataclass(frozen=True, slots=True)
class ConsentFields:
    """Who agreed, where the paper is, from when until when (UTC)."""

    serial_number: str
    given_by: str
    reference: str
    given_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent on record."""

    consent_id: str
    student_id: str
    serial_number: str
    name: str
    given_at: datetime
    given_by: str
    reference: str
    expires_at: datetime | None
    withdrawn_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return `active`, `withdrawn` or `expired`."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"

    def says(self, fields: ConsentFields) -> bool:
        """Whether this is the consent that a form describes, so that importing it twice changes nothing."""
        return (self.given_by, self.reference, self.expires_at) == (
            fields.given_by,
            fields.reference,
            fields.expires_at,
        )


def withdrawn_for_good(known: Iterable[Consent]) -> bool:
    """Whether a consent was withdrawn and none was given after that: a withdrawal ends all there are."""
    known = list(known)
    return bool(known) and all(consent.withdrawn_at is not None for consent in known)


def consent_fields(cells: Mapping[str, str], zone: tzinfo, now: datetime) -> ConsentFields:
    """Return what a row or a form says about a consent; without `given_on` it is given now. Raises BadInput."""
    serial = checked_serial(cells.get("serial_number", ""))
    given_by = clean_text(cells.get("given_by", ""), "given_by", MAX_GIVEN_BY)
    if not given_by:
        raise BadInput("given_by is empty: write who agreed (a parent, or the student)")
    reference = checked_reference(cells.get("reference", ""))
    given_at, expires_at = now, None
    if given_on := cells.get("given_on", "").strip():
        given_at = day_bounds(school_day(given_on), zone)[0]
        if given_at > now:
            raise BadInput(f"given_on {given_on} is in the future")
    if expires_on := cells.get("expires_on", "").strip():
        # A consent until a day includes that day.
        expires_at = day_bounds(school_day(expires_on), zone)[1]
        if expires_at <= now + timedelta(minutes=1):
            raise BadInput(f"expires_on {expires_on} is over: nothing would be allowed by it")
    return ConsentFields(serial, given_by, reference, given_at, expires_at)


def checked_reference(text: str) -> str:
    """Return where the paper is, which may be empty. Raises BadInput."""
    return clean_text(text, "reference", MAX_REFERENCE)
