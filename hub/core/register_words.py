"""What the register's rules, causes and states are called where people read them."""

from datetime import datetime
from typing import Literal

State = Literal["to come", "running", "open", "held", "closed", "cancelled"]

RULES: dict[str, str] = {
    "seen": "seen in time",
    "seen_late": "first seen after the time allowed",
    "seen_estimated": "seen; the unit's clock was not set",
    "not_seen": "the camera watched and did not find the student",
    "not_able": "the camera watched, but could not have recognised the student",
    "not_watched": "too little of the lesson was watched",
    "in_review": "somebody was seen who may be the student; a person has to say",
    "seen_sometime": "seen, but nobody knows whether in this lesson",
    "may_have_stayed": "may have stayed in the room from the lesson before",
    "held": "so few were seen that a person has to look at the lesson",
    "closed": "not seen, and the lesson was closed",
    "door_rule": "not seen, in a room where that means absent",
    "mark": "a person said so",
    "day": "seen that day",
}
"""By the column `rule` of `attendance` (docs/register.md)."""

CAUSES: dict[str, str] = {
    "event": "a unit told of something",
    "redated": "a unit's clock was found wrong",
    "ended": "the lesson ended",
    "lesson": "the timetable changed",
    "member": "the section or group changed",
    "mark": "a person marked",
    "closing": "the lesson was closed or opened",
    "review": "a person said who somebody was",
    "rules": "the rules changed",
    "consent": "a consent changed",
    "held": "enough were seen, or too few",
    "rebuild": "the register was rebuilt",
}


def rule_in_words(rule: str | None) -> str:
    """Return why a row says what it says; a rule that this program does not know, as it is."""
    return RULES.get(rule or "", rule or "nothing is on record yet")


def cause_in_words(cause: str) -> str:
    """Return why a row was derived again."""
    return CAUSES.get(cause, cause or "unknown")


def lesson_state(
    starts_at: datetime, ends_at: datetime, now: datetime, *, closed: bool, held: bool, cancelled: bool = False
) -> State:
    """Return what is to be done with a lesson's register: `open` is one that is over and that nobody closed."""
    if cancelled:
        return "cancelled"
    if closed:
        return "closed"
    if now < starts_at:
        return "to come"
    if now < ends_at:
        return "running"
    return "held" if held else "open"
