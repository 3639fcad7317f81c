"""How the page of a lesson reads."""

from collections import Counter
from datetime import tzinfo
from typing import Any

from hub.cli import console, naming
from hub.cli.console import Column
from hub.core.register_words import cause_in_words, rule_in_words
from hub.office.lesson_pages import LessonPage, PageLine, StatusChange

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("status", "Status"),
    Column("from", "At"),
    Column("method", "Method"),
    Column("why", "Why"),
    Column("notes", "Notes"),
)
CHANGE_COLUMNS = (
    Column("when", "Changed"),
    *COLUMNS[:2],
    Column("before", "Was"),
    Column("after", "Is"),
    Column("why", "Because"),
)
_CAME = {"Present", "Late"}
_STATES = {
    "to come": "It has not begun.",
    "running": "It runs now.",
    "open": "Open: it is over, and nobody has closed it (rollcall-hub close).",
    "held": "Held: so few were seen that a person has to look at it. Was the class there? Mark all, or close it.",
    "cancelled": "It was cancelled: nobody is expected.",
}


def counts(page: LessonPage) -> str:
    """Return how often each status occurs, in words."""
    counted = Counter(line.status for line in page.lines if line.status)
    return ", ".join(f"{status} {count}" for status, count in counted.most_common()) or "nobody is expected"


def closed_by(page: LessonPage, zone: tzinfo) -> str:
    """Return who closed the lesson and when, as a sentence; "" where nobody did."""
    if page.closing is None:
        return ""
    return f"Closed by {page.closing.closed_by}, {page.closing.closed_at.astimezone(zone):%Y-%m-%d %H:%M}."


def show(page: LessonPage, zone: tzinfo) -> None:
    """Print the page."""
    console.say(f"{page.lesson.described(zone)}  ({page.lesson.lesson_id})")
    console.say(closed_by(page, zone) or _STATES.get(page.state, page.state))
    if page.counted is not None:
        seen, unseen = page.counted.seen, page.counted.unseen
        console.say(f"Seen {seen} of {seen + unseen} whom a camera could have seen.")
    console.emit([_row(line, zone) for line in page.lines], COLUMNS, as_json=False, empty="Nobody is expected.")
    if page.lines:
        console.say(counts(page))
    if page.changes:
        console.say("Changed after it was closed:")
        console.emit([_change(one, zone) for one in page.changes], CHANGE_COLUMNS, as_json=False)
    elif page.closing is not None:
        console.say("Nothing has changed since.")
    naming.say_waiting(page.waiting)


def as_json(page: LessonPage, zone: tzinfo) -> dict[str, Any]:
    """Return the page for scripts."""
    return {
        **naming.lesson_json(page.lesson, zone),
        "state": page.state,
        "closings": [
            {
                "closed_at": naming.iso(one.closed_at, zone),
                "closed_by": one.closed_by,
                "reopened_at": naming.iso(one.reopened_at, zone),
                "reopened_by": one.reopened_by,
            }
            for one in page.closings
        ],
        "seen": page.counted.seen if page.counted else None,
        "unseen": page.counted.unseen if page.counted else None,
        "waiting": page.waiting,
        "students": [_row(line, zone) for line in page.lines],
        "changes_after_closing": [_change(one, zone) for one in page.changes],
    }


def _row(line: PageLine, zone: tzinfo) -> dict[str, Any]:
    mark = line.mark
    row: dict[str, Any] = {
        "serial_number": line.student.serial_number,
        "name": line.student.name,
        "status": line.status or None,
        "expected": line.expected,
        "why": rule_in_words(mark.rule if mark else None),
    }
    if mark is not None:
        row |= {
            # Of whoever was not found it is only when the lesson began.
            "from": naming.clock(mark.at, zone) if mark.status in _CAME else None,
            "at": naming.iso(mark.at, zone),
            "left_early_at": naming.iso(mark.left_early_at, zone),
            "method": mark.method,
            "rule": mark.rule,
            "machine_status": mark.machine_status,
            "machine_rule": mark.machine_rule,
            "notes": mark.notes,
        }
    return row


def _change(one: StatusChange, zone: tzinfo) -> dict[str, Any]:
    return {
        "serial_number": one.student.serial_number,
        "name": one.student.name,
        "when": f"{one.change.at.astimezone(zone):%Y-%m-%d %H:%M}",
        "at": naming.iso(one.change.at, zone),
        "before": one.change.before,
        "after": one.change.after,
        "rule": one.change.rule,
        "cause": one.change.cause,
        "why": cause_in_words(one.change.cause),
    }
