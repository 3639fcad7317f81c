"""What follows of changed lessons, in the transaction that changes them: the register, the galleries, refusals."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from hub.adapters import attendance_store, gallery_revisions, lesson_store, roster_store, timetable_store
from hub.adapters.lesson_store import Needs, PlaceIds
from hub.core.errors import Conflict
from hub.core.roster_lessons import Key, Lesson, LessonFields
from hub.core.roster_times import day_of
from hub.core.timetable_clashes import Shared, clashes_of
from hub.core.timetable_replan import Wanted
from hub.office.context import Office

_TODAY_TOO = timedelta(days=1)
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a lesson cannot be: `owner` is its series or, without one, the lesson."""

    owner: str
    sentence: str


class LessonsClash(Conflict):
    """Lessons that were asked for cannot be; the message names them and what is in their way."""

    def __init__(self, refusals: Collection[Refusal]) -> None:
        self.refusals = tuple(refusals)
        shown = [one.sentence for one in self.refusals[:_SHOWN]]
        if len(self.refusals) > _SHOWN:
            shown.append(f"... and {len(self.refusals) - _SHOWN} more")
        super().__init__("\n".join(["; ".join(shown)] if len(shown) == 1 else shown) + "; nothing was changed")


def follow(
    connection: Connection, office: Office, touched: Iterable[LessonFields], at: datetime, ids: PlaceIds
) -> None:
    """Let the register and the galleries follow changed lessons, given as they were and as they are."""
    days: dict[str, set[date]] = {}
    touched = list(touched)
    for lesson in touched:
        # There is nothing to derive yet for lessons of the days to come: a term of them would be a million marks.
        if lesson.starts_at < at + _TODAY_TOO:
            days.setdefault(lesson.section, set()).add(day_of(lesson.starts_at, office.settings.zone))
    for section, student_ids in roster_store.students_of_sections(connection, sorted(days)).items():
        attendance_store.mark_dirty(connection, student_ids, days[section], cause="lesson")
    for room in sorted({ids.rooms[lesson.room] for lesson in touched}):
        gallery_revisions.touch_galleries(connection, at, room_id=room)


def refuse_clashes(
    connection: Connection,
    office: Office,
    coming: Iterable[Wanted],
    *,
    leaving: Iterable[str] = (),
    cancelled: Collection[str] = (),
    teachers: bool = True,
) -> None:
    """Raise LessonsClash unless these lessons can be, beside all others but those `leaving` or `cancelled`, by id.

    A cancelled lesson keeps its place in the records. Without `teachers` one teacher may be in two places. Of lessons
    that come again only the first clash is told.
    """
    own = [one for one in coming if not one.cancelled]
    if not own:
        return
    shared = timetable_store.shared_students(connection)
    others = _others(connection, own, shared, {one.lesson_id for one in own} | set(leaving))
    owner = {one.fields.key: one.series_id or one.lesson_id for one in own}
    owner_of_other = {one.fields.key: one.series_id or one.lesson_id for one in others}
    others = [replace(one, cancelled=True) if one.lesson_id in cancelled else one for one in others]
    refusals = {one.sentence: one for one in _taken(own, others, office)}
    standing = [one.fields for one in others if not one.cancelled]
    told: set[tuple[str, str]] = set()
    for lesson, clash in clashes_of([one.fields for one in own], standing, shared, teachers=teachers):
        other = clash.earlier if lesson is clash.later else clash.later
        pair = owner[lesson.key], owner.get(other.key) or owner_of_other[other.key]
        if pair not in told:
            told.add(pair)
            refusal = Refusal(pair[0], clash.sentence(lesson, office.settings.zone))
            refusals.setdefault(refusal.sentence, refusal)
    if refusals:
        raise LessonsClash(list(refusals.values()))


def _others(connection: Connection, own: Collection[Wanted], shared: Shared, leaving: Collection[str]) -> list[Lesson]:
    first = min(one.fields.starts_at for one in own)
    last = max(one.fields.ends_at for one in own)
    sections = {one.fields.section for one in own}
    also = {name for pair in shared for name, _ in pair if sections & {group[0] for group in pair}}
    needs = Needs(
        frozenset(one.fields.room for one in own),
        frozenset(sections | also),
        frozenset(one.fields.teacher for one in own if one.fields.teacher),
    )
    found = lesson_store.lessons_with_needs(connection, last, first, needs)
    return [one for one in found if one.lesson_id not in leaving]


def _taken(own: Iterable[Wanted], others: Iterable[Lesson], office: Office) -> Iterable[Refusal]:
    """Yield what is wanted where a cancelled lesson is remembered: the same lesson cannot be there twice."""
    remembered: Mapping[Key, Lesson] = {one.fields.key: one for one in others if one.cancelled}
    for wanted in own:
        before = remembered.get(wanted.fields.key)
        if before is not None:
            was = before.fields.described(office.settings.zone)
            yield Refusal(
                wanted.series_id or wanted.lesson_id,
                f"{was} was cancelled and is on record: `rollcall-hub lesson restore --id {before.lesson_id}`"
                " lets it take place",
            )
