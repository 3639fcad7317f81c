"""Consent: what a form or a row says, what it allows, and whether it holds now."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from hub.core.csv_reading import Columns
from hub.core.errors import BadInput
from hub.core.roster import checked_serial, clean_text
from hub.core.roster_times import day_bounds, school_day

CONSENT_COLUMNS = Columns(("serial_number", "given_by"), ("reference", "given_on", "expires_on", "scope"))
MAX_GIVEN_BY = 200
MAX_REFERENCE = 200

Scope = Literal["recognition", "photos", "sweep"]
SCOPES: dict[Scope, str] = {
    "recognition": "a template is made of their face, and units recognise them",
    "photos": "the pictures they were enrolled with are kept, sealed",
    "sweep": "units that look around in a room, instead of at a door, recognise them too",
}
"""What somebody may agree to. Each needs a consent of its own kind; one sheet of paper may hold all of them."""
RECOGNITION: Scope = "recognition"
PHOTOS: Scope = "photos"
SWEEP: Scope = "sweep"

GRACE = timedelta(days=30)
"""Whoever's consent has lapsed leaves every gallery at once; their templates and photos are deleted after this."""


@dataclass(frozen=True, slots=True)
class ConsentFields:
    """Who agreed to what, where the paper is, from when until when (UTC)."""

    serial_number: str
    given_by: str
    reference: str
    given_at: datetime
    expires_at: datetime | None
    scope: tuple[Scope, ...] = (RECOGNITION,)


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
    scope: tuple[Scope, ...] = (RECOGNITION,)
    recorded_by: str = ""
    withdrawn_by: str = ""

    def state(self, now: datetime) -> str:
        """Return `active`, `withdrawn` or `expired`."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"

    @property
    def ended_at(self) -> datetime | None:
        """When it ends or ended; None while nothing ends it."""
        return min((at for at in (self.withdrawn_at, self.expires_at) if at is not None), default=None)

    def allows(self, scope: Scope, now: datetime) -> bool:
        """Whether it holds now and is about this."""
        return scope in self.scope and self.given_at <= now and self.state(now) == "active"

    def says(self, fields: ConsentFields) -> bool:
        """Whether this is the consent that a form describes, so that importing it twice changes nothing."""
        return (self.given_by, self.reference, self.expires_at, self.scope) == (
            fields.given_by,
            fields.reference,
            fields.expires_at,
            fields.scope,
        )


Lack = Literal["never asked", "not for recognition", "expired", "withdrawn"]


def lack(known: Iterable[Consent], now: datetime) -> Lack | None:
    """Return why nobody may recognise a student with these consents; None when somebody may."""
    known = list(known)
    if any(consent.allows(RECOGNITION, now) for consent in known):
        return None
    about = [consent for consent in known if RECOGNITION in consent.scope]
    if not about:
        return "not for recognition" if known else "never asked"
    # The word of whoever spoke last: a consent that ran out may have been renewed and taken back after that.
    newest = max(about, key=lambda consent: consent.given_at)
    return "withdrawn" if newest.withdrawn_at is not None else "expired"


def runs_out(known: Iterable[Consent], now: datetime) -> Consent | None:
    """Return the consent to be recognised that holds longest, if even that one has a last day."""
    holding = [consent for consent in known if consent.allows(RECOGNITION, now)]
    if not holding or any(consent.expires_at is None for consent in holding):
        return None
    return max(holding, key=lambda consent: consent.expires_at or now)


def lapsed_at(known: Iterable[Consent], scope: Scope, now: datetime) -> datetime | None:
    """Return since when none of these consents allows this; None while one has not ended, or where none ever did.

    One that was given later than now counts too: then the clock went back.
    """
    about = [consent for consent in known if scope in consent.scope]
    ends = [consent.ended_at for consent in about if consent.ended_at is not None and consent.ended_at <= now]
    return max(ends, default=None) if len(ends) == len(about) else None


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
    return ConsentFields(serial, given_by, reference, given_at, expires_at, checked_scope(cells.get("scope", "")))


def checked_scope(text: str) -> tuple[Scope, ...]:
    """Return what was agreed to, in the order of SCOPES: "all" is everything, nothing is recognition.

    Raises BadInput for a word that is none of them.
    """
    words = {word for word in re.split(r"[\s,;+]+", text.strip().lower()) if word}
    if words == {"all"}:
        return tuple(SCOPES)
    unknown = sorted(words - set(SCOPES))
    if unknown:
        raise BadInput(
            f"scope {', '.join(unknown)!r} is unknown: write {', '.join(SCOPES)} or all, with a ; between them"
        )
    return tuple(scope for scope in SCOPES if scope in words) or (RECOGNITION,)


def scope_text(scope: Iterable[Scope]) -> str:
    """Return a scope as it lies in the database."""
    return ",".join(scope)


def scope_of(text: str) -> tuple[Scope, ...]:
    """Return a scope on record; words of another version allow nothing here."""
    words = set(text.split(","))
    return tuple(scope for scope in SCOPES if scope in words)


def checked_reference(text: str) -> str:
    """Return where the paper is, which may be empty. Raises BadInput."""
    return clean_text(text, "reference", MAX_REFERENCE)
