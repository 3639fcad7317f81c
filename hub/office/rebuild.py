"""Deriving the whole register again from the records: with the same rows as before, or it says which differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection

from hub.adapters import audit_log, register_rebuild
from hub.adapters.register_rebuild import Begun, Part
from hub.adapters.register_rows import Difference
from hub.core.attendance_facts import SchoolDays
from hub.core.errors import BadInput
from hub.office.context import Office
from hub.office.rules_of_settings import of_settings

AT_ONCE = 400
"""Students of one transaction: few enough that a hub which runs beside this waits no longer than seconds."""
_MOST_SHOWN = 1000

Progress = Callable[[int, int], None]
"""Told how many parts of how many are done."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The whole register in one number: two with the same are the same, byte for byte."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did, or a check found."""

    first: date | None
    """None where there is nothing on record."""
    last: date | None
    days: int
    rows: int
    """How many rows there are by the records, of these days."""
    differing: int
    """How many rows were not what the records say: written, or only counted by a check."""
    differences: tuple[Difference, ...]
    """The first of them."""
    lessons_differing: tuple[str, ...]
    """Of a check: lessons whose counts are not those of their rows."""
    waiting: int
    """Of a check: how many students' days were to be derived anyway."""
    going_on_from: date | None
    """The day at which an interrupted rebuild went on."""
    before: Digest
    after: Digest
    checked_only: bool


def rebuild(
    office: Office,
    *,
    first: date | None = None,
    last: date | None = None,
    check: bool = False,
    anew: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Rebuilt:
    """Derive the register of all students again, from `first` to `last`; `check` only compares.

    A rebuild of the same days that was interrupted goes on where it was, unless `anew`. Serving may go on meanwhile.
    Raises BadInput for days the wrong way round.
    """
    if first is not None and last is not None and last < first:
        raise BadInput(f"{last} is before {first}: nothing is between them")
    before = digest(office)
    work = _Work(office, SchoolDays(office.settings.zone))
    days = [day for day in work.days_on_record() if (first is None or day >= first) and (last is None or day <= last)]
    going_on = None if check or anew or not days else work.going_on(days)
    done = [day for day in days if going_on is None or day >= going_on.next_day]
    begun = going_on or (Begun(days[0], days[-1], office.clock.now(), days[0]) if days else None)
    found = _Found()
    student_ids = office.database.run(register_rebuild.everybody)
    parts = [student_ids[at : at + AT_ONCE] for at in range(0, len(student_ids), AT_ONCE)]
    for number, day in enumerate(done):
        for place, part in enumerate(parts):
            found.add(work.part(day, part, check=check))
            progress(number * len(parts) + place + 1, len(done) * len(parts))
        found.lessons += work.finish(day, begun, check=check)
    after = before if check else digest(office)
    rebuilt = Rebuilt(
        first=days[0] if days else None,
        last=days[-1] if days else None,
        days=len(done),
        rows=found.rows,
        differing=found.differing,
        differences=tuple(found.differences),
        lessons_differing=tuple(found.lessons),
        waiting=found.waiting,
        going_on_from=going_on.next_day if going_on else None,
        before=before,
        after=after,
        checked_only=check,
    )
    if not check:
        work.done(rebuilt)
    return rebuilt


def digest(office: Office) -> Digest:
    """Return the digest of the whole register as it is."""
    rows, sha256 = office.database.run(register_rebuild.register_digest, isolation="REPEATABLE READ")
    return Digest(rows, sha256)


class _Found:
    """What the parts of a rebuild add up to."""

    def __init__(self) -> None:
        self.rows = self.differing = self.waiting = 0
        self.differences: list[Difference] = []
        self.lessons: list[str] = []

    def add(self, part: Part) -> None:
        self.rows += part.rows
        self.waiting += part.waiting
        self.differing += len(part.differences)
        self.differences += part.differences[: max(0, _MOST_SHOWN - len(self.differences))]


class _Work:
    """The transactions of a rebuild, each of which may be repeated."""

    def __init__(self, office: Office, days: SchoolDays) -> None:
        self._office = office
        self._run = office.database.run
        self._days = days
        self._initial = of_settings(office.settings.attendance)

    def days_on_record(self) -> list[date]:
        now = self._office.clock.now()
        return self._run(lambda connection: register_rebuild.days_on_record(connection, self._days, now))

    def going_on(self, days: Sequence[date]) -> Begun | None:
        begun = self._run(register_rebuild.begun)
        same = begun is not None and (begun.first, begun.last) == (days[0], days[-1])
        return begun if same else None

    def part(self, day: date, student_ids: Sequence[str], *, check: bool) -> Part:
        work = register_rebuild.check_part if check else register_rebuild.rebuild_part
        now = self._office.clock.now()
        return self._run(lambda connection: work(connection, day, student_ids, self._days, self._initial, now))

    def finish(self, day: date, begun: Begun | None, *, check: bool) -> list[str]:
        """End a day; return the lessons of a check whose counts differ."""
        now = self._office.clock.now()
        if check:
            return self._run(
                lambda connection: register_rebuild.states_differing(connection, day, self._days, self._initial, now)
            )
        while self._run(
            lambda connection: register_rebuild.finish_day(connection, day, self._days, self._initial, now)
        ):
            pass
        if begun is not None:
            so_far = replace(begun, next_day=date.fromordinal(day.toordinal() + 1))
            self._run(lambda connection: register_rebuild.note(connection, so_far, now))
        return []

    def done(self, rebuilt: Rebuilt) -> None:
        """Forget how far it had come, and record that it was done."""
        now = self._office.clock.now()
        detail: dict[str, audit_log.Json] = {
            "from": str(rebuilt.first) if rebuilt.first else None,
            "until": str(rebuilt.last) if rebuilt.last else None,
            "rows": rebuilt.rows,
            "written": rebuilt.differing,
            "sha256": rebuilt.after.sha256,
        }

        def work(connection: Connection) -> None:
            register_rebuild.note(connection, None, now)
            audit_log.record(
                connection,
                at=now,
                actor=self._office.actor,
                action="register.rebuild",
                subject="register",
                detail=detail,
            )

        self._run(work)
