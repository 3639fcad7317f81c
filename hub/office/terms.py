"""Terms: between which days a weekly timetable holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, timetable_store
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster import MAX_SHORT_NAME, clean_text
from hub.core.timetable import Term, checked_series, checked_term
from hub.office.context import Office
from hub.office.timetable_replan import Desired, ReplanChoice, Replanned, counted, replan_series


@dataclass(frozen=True, slots=True)
class TermLine:
    """A term and how many lessons come again in it."""

    term: Term
    series: int


@dataclass(frozen=True, slots=True)
class TermChanged:
    """A term as it was and as it is, and what became of its lessons."""

    before: Term
    after: Term
    lessons: Replanned


def term_name(text: str) -> str:
    """Return a term's name. Raises BadInput."""
    name = clean_text(text, "name of the term", MAX_SHORT_NAME)
    if not name:
        raise BadInput("the name of the term is empty")
    return name


def find_term(connection: Connection, name: str) -> Term:
    """Return the term with a name. Raises NotFound."""
    for term in timetable_store.all_terms(connection):
        if term.name == name:
            return term
    raise NotFound(
        f"there is no term {name!r}", hint="rollcall-hub term list shows them; rollcall-hub term add adds one"
    )


def add_term(  # noqa: PLR0913 (each is a part of a term)
    office: Office,
    name: str,
    first_day: date,
    last_day: date,
    *,
    weeks: int = 1,
    first_week: int = 0,
    may_overlap: bool = False,
) -> Term:
    """Add a term. Raises BadInput for one that cannot be, Conflict for a name that is taken or days of another term
    (unless it `may_overlap`).
    """
    term = checked_term(Term(str(uuid4()), term_name(name), first_day, last_day, weeks, first_week))

    def work(connection: Connection) -> None:
        known = timetable_store.all_terms(connection)
        if any(one.term_id == term.term_id for one in known):
            return  # the commit whose answer was lost
        _need_free(term, known, may_overlap=may_overlap)
        timetable_store.write_term(connection, term, new=True)
        _record(connection, office, "term.add", f"term:{term.term_id}", _days(term))

    office.database.run(work)
    return term


def change_term(
    office: Office,
    name: str,
    changed: Mapping[str, object],
    choice: ReplanChoice,
    *,
    may_overlap: bool = False,
) -> TermChanged:
    """Change a term; `changed` has the fields of `Term` that get another value. Its lessons follow.

    Raises NotFound, BadInput for a term that cannot be or that lacks a week its lessons come in, Conflict as `add_term`
    and for lessons that clash.
    """

    def work(connection: Connection) -> TermChanged:
        ids = timetable_store.place_ids(connection)
        if not choice.dry_run:
            timetable_store.lock_timetable(connection, ids)
        known = timetable_store.all_terms(connection)
        before = find_term(connection, name)
        after = checked_term(replace(before, **changed))  # type: ignore[arg-type]
        _need_free(after, [one for one in known if one.term_id != before.term_id], may_overlap=may_overlap)
        series = timetable_store.series_of(connection, [before.term_id])
        for one in series:
            # One that is only in days that the term no longer has may stay: the term may be longer again.
            checked_series(replace(one.fields, from_day=None, until_day=None), after)
        at = office.clock.now()
        desired = Desired([(one, after) for one in series], timetable_store.all_holidays(connection))
        lessons = replan_series(connection, office, desired, ids, choice, at)
        if after != before and not choice.dry_run:
            timetable_store.write_term(connection, after, new=False)
            _record(connection, office, "term.change", f"term:{after.term_id}", {**_days(after), **counted(lessons)})
        return TermChanged(before, after, lessons)

    return office.database.run(work)


def list_terms(office: Office) -> list[TermLine]:
    """Return the terms by their first day."""

    def work(connection: Connection) -> list[TermLine]:
        known = timetable_store.all_terms(connection)
        series = timetable_store.series_of(connection, [one.term_id for one in known])
        return [TermLine(term, sum(one.term_id == term.term_id for one in series)) for term in known]

    return office.database.run(work)


def _need_free(term: Term, others: Sequence[Term], *, may_overlap: bool) -> None:
    for other in others:
        if other.name == term.name:
            raise Conflict(f"there is a term {term.name!r} already", hint="rollcall-hub term list shows them")
        if not may_overlap and other.overlaps(term.first_day, term.last_day):
            raise Conflict(
                f"term {term.name!r}, {term.first_day} to {term.last_day}, overlaps with {other.name!r}, "
                f"{other.first_day} to {other.last_day}",
                hint="pass --may-overlap if both are meant",
            )


def _days(of: Term) -> dict[str, audit_log.Json]:
    return {"first_day": of.first_day.isoformat(), "last_day": of.last_day.isoformat()}


def _record(
    connection: Connection, office: Office, action: str, subject: str, detail: Mapping[str, audit_log.Json]
) -> None:
    at = office.clock.now()
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
