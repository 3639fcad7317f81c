"""What a student, a section, a group and a room may be called."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from hub.core.csv_reading import Columns
from hub.core.errors import BadInput
from hub.core.roster_times import school_day

STUDENT_COLUMNS = Columns(
    ("serial_number", "name", "username", "email", "phone", "section"), ("joined_on", "left_on", "groups")
)
GROUP_MARK = ";"
"""Stands between the names of groups in a cell."""

MAX_SERIAL = 40
MAX_NAME = 200
MAX_USERNAME = 100
MAX_EMAIL = 254
MAX_PHONE = 40
MAX_SHORT_NAME = 100
_MIN_PHONE_DIGITS = 3

# Joiners shape letters in Persian and in the scripts of India; every other invisible character only deceives.
_JOINERS = "\u200c\u200d"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StudentFields:
    """What people know of a student; None where the school keeps nothing."""

    serial_number: str
    name: str
    username: str | None = None
    email: str | None = None
    phone: str | None = None
    section: str | None = None
    joined_on: date | None = None
    left_on: date | None = None
    """The first and the last day at the school."""
    groups: tuple[str, ...] = ()
    """Parts of the section, by name."""


@dataclass(frozen=True, slots=True)
class Student:
    """A student on record: the random surrogate id by which everything else knows them, and the fields."""

    student_id: str
    fields: StudentFields
    erased: bool = False
    """Nothing of it names the person any more."""


def clean_text(text: str, what: str, limit: int) -> str:
    """Return the text in composed form with single spaces, or "".

    Raises BadInput for control and invisible characters and for a text longer than `limit` characters.
    """
    for character in text:
        category = unicodedata.category(character)
        if category in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS:
            raise BadInput(f"the {what} contains a character that cannot be seen (U+{ord(character):04X})")
    cleaned = " ".join(unicodedata.normalize("NFC", text).split())
    if len(cleaned) > limit:
        raise BadInput(f"the {what} has {len(cleaned)} characters, at most {limit} are kept")
    return cleaned


def checked_serial(text: str) -> str:
    """Return a serial number as it is kept: every character counts, "007" is not "7".

    Letters and digits of any script, "-" and "."; no "_", which ends the serial number in `<serial>_<name>`.
    Raises BadInput.
    """
    serial = clean_text(text, "serial number", MAX_SERIAL)
    if not serial:
        raise BadInput("the serial number is empty")
    if not all(unicodedata.category(character)[0] in "LMN" or character in "-." for character in serial):
        raise BadInput(f"the serial number {serial!r} may have letters, digits, '-' and '.' only")
    if unicodedata.category(serial[0])[0] not in "LN":
        raise BadInput(f"the serial number {serial!r} must begin with a letter or a digit")
    return serial


def checked_name(text: str) -> str:
    """Return a person's name in any script. Raises BadInput."""
    return _needed(text, "name", MAX_NAME)


def checked_section(text: str) -> str:
    """Return a section's name. Raises BadInput."""
    return _needed(text, "section", MAX_SHORT_NAME)


def checked_group(text: str) -> str:
    """Return the name of a group, a part of a section. Raises BadInput."""
    name = _needed(text, "group", MAX_SHORT_NAME)
    if GROUP_MARK in name:
        raise BadInput(f"the group {name!r} has a {GROUP_MARK!r}, which stands between groups in a list")
    return name


def checked_room(text: str) -> str:
    """Return a room's name. Raises BadInput."""
    return _needed(text, "room", MAX_SHORT_NAME)


def student_fields(cells: Mapping[str, str]) -> StudentFields:
    """Return what a row or a form says about a student. Raises BadInput with everything that is wrong with it."""
    problems: list[str] = []

    def checked(check: Callable[[str], T], column: str) -> T | None:
        try:
            return check(cells.get(column, ""))
        except BadInput as exc:
            problems.append(str(exc))
            return None

    fields = StudentFields(
        serial_number=checked(checked_serial, "serial_number") or "",
        name=checked(checked_name, "name") or "",
        username=checked(_username, "username") or None,
        email=checked(_email, "email") or None,
        phone=checked(_phone, "phone") or None,
        section=checked(lambda text: clean_text(text, "section", MAX_SHORT_NAME), "section") or None,
        joined_on=checked(_day("joined_on"), "joined_on"),
        left_on=checked(_day("left_on"), "left_on"),
        groups=checked(_groups, "groups") or (),
    )
    if problems := problems or contradictions(fields):
        raise BadInput("; ".join(problems))
    return fields


def cells_of(fields: StudentFields) -> dict[str, str]:
    """Return a student as the row of a file that `student_fields` reads."""
    return {
        "serial_number": fields.serial_number,
        "name": fields.name,
        "username": fields.username or "",
        "email": fields.email or "",
        "phone": fields.phone or "",
        "section": fields.section or "",
        "joined_on": fields.joined_on.isoformat() if fields.joined_on else "",
        "left_on": fields.left_on.isoformat() if fields.left_on else "",
        "groups": GROUP_MARK.join(fields.groups),
    }


def contradictions(fields: StudentFields) -> list[str]:
    """Return what of a student's fields does not go together."""
    found = []
    if fields.groups and fields.section is None:
        found.append(f"groups ({', '.join(fields.groups)}) but no section: a group is a part of a section")
    if fields.joined_on is not None and fields.left_on is not None and fields.left_on < fields.joined_on:
        found.append(f"left_on {fields.left_on} is before joined_on {fields.joined_on}")
    return found


def _needed(text: str, what: str, limit: int) -> str:
    cleaned = clean_text(text, what, limit)
    if not cleaned:
        raise BadInput(f"the {what} is empty")
    return cleaned


def _day(column: str) -> Callable[[str], date | None]:
    def check(text: str) -> date | None:
        try:
            return school_day(text) if text.strip() else None
        except BadInput as exc:
            raise BadInput(f"{column}: {exc}") from exc

    return check


def _groups(text: str) -> tuple[str, ...]:
    return tuple(sorted({checked_group(name) for name in text.split(GROUP_MARK) if name.strip()}))


def _username(text: str) -> str:
    username = clean_text(text, "username", MAX_USERNAME)
    if " " in username:
        raise BadInput(f"the username {username!r} contains a space")
    return username


def _email(text: str) -> str:
    email = clean_text(text, "email", MAX_EMAIL)
    if not email:
        return ""
    local, _, domain = email.rpartition("@")
    # Whether mail arrives is for the mail server; this finds cells that slipped into the wrong column.
    if not local or "@" in local or "." not in domain.strip(".") or " " in email:
        raise BadInput(f"{email!r} is not an email address")
    return email


def _phone(text: str) -> str:
    phone = clean_text(text, "phone", MAX_PHONE)
    digits = sum(character.isdigit() for character in phone)
    if phone and digits < _MIN_PHONE_DIGITS:
        raise BadInput(f"{phone!r} is not a phone number")
    return phone
