"""One person with two numbers: which of them to keep."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Numbered:
    """One of two numbers that may stand for one person."""

    serial_number: str
    at_school: bool
    """Has not left."""
    section: str | None
    pictures: int
    first_enrolled: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """Which number to keep and why, in words that go after "because"."""

    keep: str
    forget: str
    because: str


def which_keeps(one: Numbered, other: Numbered) -> Keeping:
    """Say which of two numbers of one person should stay: the one that the school works with."""
    if one.at_school != other.at_school:
        return _keeping(one if one.at_school else other, one, other, "the other one left the school")
    if (one.section is None) != (other.section is None):
        return _keeping(one if one.section is not None else other, one, other, "the other one is in no section")
    if one.pictures != other.pictures:
        better = one if one.pictures > other.pictures else other
        return _keeping(better, one, other, "it has more pictures")
    if one.first_enrolled and other.first_enrolled and one.first_enrolled != other.first_enrolled:
        earlier = one if one.first_enrolled < other.first_enrolled else other
        return _keeping(earlier, one, other, "it was enrolled first")
    smaller = min(one, other, key=lambda number: (len(number.serial_number), number.serial_number))
    return _keeping(smaller, one, other, "it comes first, and nothing else tells them apart")


def _keeping(keep: Numbered, one: Numbered, other: Numbered, because: str) -> Keeping:
    forget = other if keep is one else one
    return Keeping(keep.serial_number, forget.serial_number, because)
