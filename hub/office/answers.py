"""What an answer to a question changes in the register and for recognition, and how it is taken back with all of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from sqlalchemy import Connection

from hub.adapters import (
    attendance_store,
    audit_log,
    gallery_revisions,
    lesson_finding,
    look_alike_store,
    review_store,
)
from hub.adapters.marks_store import MarkRow
from hub.adapters.review_store import Asked, Decision
from hub.core.roster_times import day_of
from hub.office.marking import Gesture
from hub.office.occasions import Finder

ACCEPTED, REJECTED = "accepted", "rejected"


def tell(  # noqa: PLR0913, PLR0917 (all of an entry)
    connection: Connection,
    gesture: Gesture,
    key: str,
    asked: Asked,
    days: Collection[date],
    action: str,
    detail: Mapping[str, audit_log.Json],
) -> None:
    """Write an audit entry, and ask for the register of all candidates to be derived again."""
    audit_log.record(
        connection,
        at=gesture.made_at,
        actor=gesture.actor,
        action=action,
        subject=f"review:{key}",
        detail=detail,
        object_=asked.place,
    )
    attendance_store.mark_dirty(connection, asked.candidates, days, cause="review")


def take_back(
    connection: Connection, gesture: Gesture, decision: Decision, asked: Asked, days: Collection[date]
) -> int:
    """Take an answer back, with the pairs and margins that came of it; return how many pairs went.

    The caller holds the lock of the reviews, and takes the answer's mark back.
    """
    review_store.take_back(connection, decision.id, gesture.made_at, gesture.actor)
    pairs = _tell_together(connection, gesture, decision, asked.candidates)
    detail: dict[str, audit_log.Json] = {"outcome": decision.outcome, "student": decision.student_id}
    tell(connection, gesture, decision.review_key, asked, days, "review.undo", detail)
    return pairs


def take_back_of_marks(finder: Finder, gesture: Gesture, rows: Iterable[MarkRow]) -> int:
    """Take the answers back from which these marks came; return how many. The caller holds the lock of the reviews.

    An answer whose mark was taken back would stand for nothing, and its question would never be asked again.
    """
    connection = finder.connection
    days = {row.batch_id: row.day for row in rows if row.batch_id is not None and row.origin == "review"}
    decisions = review_store.by_id(connection, days, or_taken_back_at=gesture.made_at)
    about = review_store.asked(connection, {one.review_key for one in decisions})
    for one in decisions:
        if one.undone_at is None:
            # Of what the audit log has forgotten, the student who was marked is known still.
            asked = about.get(one.review_key) or Asked("", tuple(filter(None, [one.student_id])))
            take_back(connection, gesture, one, asked, {days[one.id], *_days_of(finder, asked.place)})
    return len(decisions)


def _days_of(finder: Finder, place: str) -> set[date]:
    kind, _, name = place.partition(":")
    if kind == "lesson":
        found = lesson_finding.by_id(finder.connection, [name])
        return {day_of(one.starts_at, finder.zone) for one in found.values()}
    return {date.fromisoformat(name.partition(":")[0])} if kind == "day" else set()


def _tell_together(connection: Connection, gesture: Gesture, decision: Decision, candidates: Sequence[str]) -> int:
    """Undo what a rejection did to tell students apart; return how many pairs went."""
    if decision.outcome != REJECTED:
        return 0
    look_alike_store.lock(connection, gesture.made_at)
    gallery_revisions.touch_galleries(connection, gesture.made_at)
    if decision.student_id is None:
        review_store.lower_margins(connection, candidates, gesture.made_at)
        return 0
    return review_store.forget_pairs(connection, decision)
