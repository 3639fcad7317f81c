"""Looking into the audit log, verifying its chain, taking a copy of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from hub.adapters import audit_chain_store, audit_log, csv_files, line_files, roster_store
from hub.adapters.audit_chain_store import AuditFilter, Ends
from hub.core.audit_chain import START, ChainCheck, ChainEntry, Link, Problem
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster_times import day_bounds, school_day, school_time
from hub.office.context import Office

MOST_LISTED = 10_000
MOST_PROBLEMS = 50
_AT_ONCE = 2000
_FORMAT = "rollcall audit 1"
_STUDENT = "student:"
KINDS = (
    "absence", "audit", "calibrate", "consent", "db", "enrol", "export", "gallery", "holiday", "import", "keys",
    "lesson", "lookalike", "mark", "quarantine", "register", "report", "retention", "review", "room", "rules",
    "section", "student", "term", "timetable", "unit",
)  # fmt: skip
"""The first words of actions."""

Progress = Callable[[int, int], None]
"""Told how many entries are done, and of how many."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An entry for people: with the names of those it is about, as they are now."""

    seq: int | None
    at: datetime
    actor: str
    action: str
    subject: str
    object_: str
    detail: Any
    about: str
    """Serial numbers and names of the students whom `subject` and `object_` name."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying the chain found."""

    entries: int
    newest: Link
    forgotten: int
    """The number of the last entry that retention deleted; 0: none."""
    problems: tuple[Problem, ...]
    """The first of them, at most MOST_PROBLEMS."""
    all_problems: int

    @property
    def intact(self) -> bool:
        """Nothing is other than it was written."""
        return not self.all_problems


def entries(  # noqa: PLR0913 (each narrows what is listed)
    office: Office,
    *,
    student: str | None = None,
    lesson: str | None = None,
    action: str = "",
    actor: str = "",
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
) -> list[AuditLine]:
    """Return the newest entries, newest first: about a student (serial number), a lesson (id), by action and actor.

    `action` is a whole action (`student.add`) or its first word (`student`). `since` and `until` are days or moments
    of the school; a day given as `until` is included. Raises BadInput, NotFound.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise BadInput(f"the limit is a number from 1 to {MOST_LISTED}")
    zone = office.settings.zone
    first = None if since is None else _moment(since, zone, "--since", end=False)
    last = None if until is None else _moment(until, zone, "--until", end=True)
    if first is not None and last is not None and last <= first:
        raise BadInput(f"--until {until} is before --since {since}")
    lesson_id = None if lesson is None else _lesson_id(lesson)

    def work(connection: Connection) -> list[AuditLine]:
        about = [] if lesson_id is None else [f"lesson:{lesson_id}"]
        if student is not None:
            about.append(f"{_STUDENT}{_student_id(connection, student)}")
        wanted = AuditFilter(tuple(about), action, actor, first, last)
        found = audit_chain_store.newest(connection, wanted, limit)
        if not found and action and not _may_be(connection, action):
            words = ", ".join(KINDS)
            raise BadInput(f"no action is called {action!r}", hint=f"one is mark.set, say; the first words: {words}")
        names = _names(connection, [entry for _, entry in found])
        return [_line(seq, entry, names) for seq, entry in found]

    return office.database.run(work)


def _student_id(connection: Connection, serial_number: str) -> str:
    found = roster_store.find_students(connection, [serial_number]).get(serial_number)
    if found is None:
        raise NotFound(f"there is no student with serial number {serial_number}", hint="see: rollcall-hub student list")
    return found.student_id


def _may_be(connection: Connection, action: str) -> bool:
    """Tell whether there are such actions, or were with another version of this program."""
    return action.split(".")[0] in KINDS or bool(audit_chain_store.newest(connection, AuditFilter(action=action), 1))


def _lesson_id(text: str) -> str:
    try:
        return str(UUID(text.strip().lower().removeprefix("lesson:")))
    except ValueError as exc:
        raise BadInput(f"{text[:60]!r} is not a lesson's id", hint="rollcall-hub lesson list --json says them") from exc


def _moment(text: str, zone: tzinfo, what: str, *, end: bool) -> datetime:
    if "T" in text or " " in text.strip():
        return school_time(text, zone, what)
    try:
        return day_bounds(school_day(text), zone)[1 if end else 0]
    except (BadInput, OverflowError) as exc:
        hint = "write it like 2026-09-01 or 2026-09-01T08:00"
        raise BadInput(f"{what} {text.strip()[:40]!r} is neither a day nor a time", hint=hint) from exc


def _names(connection: Connection, found: list[ChainEntry]) -> dict[str, str]:
    ids = {
        about.removeprefix(_STUDENT)
        for entry in found
        for about in (entry.subject, entry.object_)
        if about.startswith(_STUDENT)
    }
    known = roster_store.students_by_id(connection, sorted(ids))
    return {
        f"{_STUDENT}{student_id}": f"{student.fields.serial_number} {student.fields.name}"
        for student_id, student in known.items()
    }


def _line(seq: int | None, entry: ChainEntry, names: dict[str, str]) -> AuditLine:
    about = ", ".join(names[one] for one in (entry.subject, entry.object_) if one in names)
    return AuditLine(
        seq, entry.at, entry.actor, entry.action, entry.subject, entry.object_, _detail(entry.detail), about
    )


def _detail(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Edited by somebody: shown as it is, and found by `verify`.
        return text


def verify(office: Office, *, expect: Link | None = None, progress: Progress | None = None) -> Verified:
    """Look at every entry, some thousand at a time, and return what is not as it was written.

    `expect` is a place in the chain that was written down outside of this computer: with it, even a chain that was
    computed anew is found. What is appended meanwhile is not looked at.
    """
    while True:
        ends = _ends(office)
        verified = _verify(office, ends, expect, progress)
        # Retention deleted entries meanwhile: what was missed was no edit.
        if _ends(office).forgotten == ends.forgotten:
            return verified


def _ends(office: Office) -> Ends:
    # Of one state: what is appended meanwhile would stand behind the end that was read before it.
    return office.database.run(audit_chain_store.ends, isolation="REPEATABLE READ")


def _verify(office: Office, ends: Ends, expect: Link | None, progress: Progress | None) -> Verified:
    head, forgotten = ends.head, ends.forgotten or START
    check = ChainCheck(forgotten)
    problems: list[Problem] = []
    kept_word, told = expect is None or expect == forgotten, 0
    for seq, hash_, entry in _numbered(office, forgotten.seq, None if head is None else head.seq):
        problems += check.look_at(seq, hash_, entry)
        kept_word = kept_word or expect == check.last
        if entry.action == audit_log.FORGET:
            told = _forgotten_by(entry)
        if progress is not None and head is not None and check.entries % _AT_ONCE == 0:
            progress(seq - forgotten.seq, head.seq - forgotten.seq)
    if head is not None:
        problems += check.end(head)
    # Where entries are missing, the one that says what was deleted may be among them.
    if told != forgotten.seq and all(one.kind == "edited" for one in problems):
        by_the_log = f"those up to {told}" if told else "none"
        message = f"entries up to {forgotten.seq} are gone, and by the log itself retention deleted {by_the_log}"
        problems.append(Problem(None, None, "missing", message))
    problems += _about_ends(ends)
    if expect is not None and not kept_word:
        problems.append(_other_than_written_down(expect, forgotten))
    return Verified(check.entries, head or check.last, forgotten.seq, tuple(problems[:MOST_PROBLEMS]), len(problems))


def _forgotten_by(entry: ChainEntry) -> int:
    """Return up to which number an entry says that older ones were deleted; 0 for one that was edited."""
    detail = _detail(entry.detail)
    up_to = detail.get("up_to") if isinstance(detail, dict) else None
    return up_to if isinstance(up_to, int) else 0


def _about_ends(ends: Ends) -> Iterator[Problem]:
    if ends.forgotten is None:
        message = f"what retention deleted cannot be read: hub_facts, {audit_chain_store.FORGOTTEN}"
        yield Problem(None, None, "cut", message)
    if ends.head is None:
        yield Problem(None, None, "cut", "the end of the log is not on record: the row of audit_head is gone")
    if ends.unnumbered:
        yield Problem(None, None, "unnumbered", f"{ends.unnumbered} entries have no place in the chain")
    if ends.outside:
        yield Problem(None, None, "unnumbered", f"{ends.outside} entries stand before the first or after the newest")


def _other_than_written_down(expect: Link, forgotten: Link) -> Problem:
    if expect.seq < forgotten.seq:
        message = (
            f"entry {expect.seq} was deleted as old (up to {forgotten.seq}): compare with what was written down later"
        )
    else:
        message = f"entry {expect.seq} is gone or has another hash than was written down: the log was written anew"
    return Problem(expect.seq, None, "rewritten", message)


def _numbered(office: Office, after: int, up_to: int | None) -> Iterator[tuple[int, bytes, ChainEntry]]:
    """Return the entries by number, each piece in a transaction of its own."""
    last = 2**63 - 1 if up_to is None else up_to
    while True:
        found = office.database.run(partial(audit_chain_store.entries, after=after, up_to=last, most=_AT_ONCE))
        yield from found
        if len(found) < _AT_ONCE:
            return
        after = found[-1][0]


def export(office: Office, file: Path, *, force: bool = False, progress: Progress | None = None) -> int:
    """Write the log as lines of JSON and return how many entries; that it was taken is itself recorded, and in it.

    `-` is standard output.

    The first line says what stands before the first entry, so that the hashes of the file can be checked alone.
    Raises BadInput for a file that is there already or cannot be written.
    """
    if file != csv_files.STREAM and file.exists() and not force:
        raise BadInput(f"there is a file {file} already", hint="give another name, or --force to replace it")
    with office.database.transaction() as connection:
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="audit.export",
            subject="audit",
            detail={},
        )
    start, head = office.database.run(audit_chain_store.forgotten), office.database.run(audit_chain_store.head)
    if head is None:
        raise Conflict("the end of the log is not on record", hint="run: rollcall-hub audit verify")
    return line_files.write_lines(file, _exported(office, start, head, progress), replace=force) - 1


def _exported(office: Office, start: Link, head: Link, progress: Progress | None) -> Iterator[dict[str, Any]]:
    yield {"format": _FORMAT, "site": office.settings.site, "after": str(start), "newest": str(head)}
    for seq, hash_, entry in _numbered(office, start.seq, head.seq):
        yield {
            "seq": seq,
            "id": entry.entry_id,
            "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "object": entry.object_,
            "detail": entry.detail,
            "hash": hash_.hex(),
        }
        if progress is not None and seq % _AT_ONCE == 0:
            progress(seq - start.seq, head.seq - start.seq)
