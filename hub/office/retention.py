"""What is kept how long: showing it, and the daily run that deletes what is due."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from hub.adapters import audit_log, clock_readings, faces_due, look_alike_store, retention_runs, retention_store
from hub.adapters.retention_runs import RunNoted
from hub.core.errors import BadInput
from hub.core.retention import run_due
from hub.core.roster_times import day_of
from hub.office import marking, marks
from hub.office.context import Office
from hub.office.retention_plan import (
    KINDS,
    SLICE,
    Deleted,
    Plan,
    Work,
    by_kind,
    counts_due,
    days_kept,
    delete_faces,
    older_than,
    periods_of,
    pieces_of,
    planned,
)

LOG = logging.getLogger("rollcall.hub.retention")
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KindKept:
    """One kind of data: how long it is kept (0: for ever), since when what is there counts, and how much is due."""

    kind: str
    meaning: str
    days: int
    older_than: date | None
    due: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept how long. `counted_from` is the moment that periods count from, held by what units say."""

    kinds: tuple[KindKept, ...]
    counted_from: datetime
    clock_held: bool
    """Our clock says that it is later than anybody else does; what would be due by it alone stays."""
    frozen_until: date | None
    """The first day whose register may be derived again."""
    last_run: RunNoted | None
    waits: date | None = None
    """The first day whose register waits to be derived although it is old enough to go: it holds back all after it."""


@dataclass(frozen=True, slots=True)
class RetentionDone:
    """What a run deleted, or would delete when `dry_run`, by kind."""

    deleted: Mapping[str, int]
    dry_run: bool
    counted_from: datetime
    frozen_until: date | None


@dataclass(frozen=True, slots=True)
class FacesPurged:
    """Of how many students what was deleted."""

    students: int
    templates: int
    photos: int
    dry_run: bool


class RetentionRun:
    """One run, a slice at a time; a run that was stopped is gone on with by the next. One thread."""

    def __init__(self, office: Office, *, clock_is_right: bool = False) -> None:
        """Look at what is due, and let the register of what is too old stay as it is. Raises as `Database.run`.

        `clock_is_right`: a person says so, however far the clock moved since the last run.
        """
        self._office = office
        if clock_is_right:
            office.database.run(partial(_believe_clock, office, office.clock.now()))
        self._plan = self._begin()
        if _clock_held(office, self._plan):
            LOG.warning("the clock is not believed: nothing is deleted by it alone counted_from=%s", self._plan.now)
        self._pieces = deque(pieces_of(office, self._plan))
        self._counts: dict[str, int] = {}

    def step(self) -> bool:
        """Delete a slice; return False when nothing is left. Raises as `Database.run`."""
        if not self._pieces:
            self._end()
            return False
        done = self._office.database.run(partial(_counted, self._pieces[0], self._office.clock.now()))
        for kind, number in done.items():
            self._counts[kind] = self._counts.get(kind, 0) + number
        if sum(done.values()) < SLICE:
            self._pieces.popleft()
        return True

    @property
    def result(self) -> RetentionDone:
        """What was deleted so far."""
        plan = self._plan
        return RetentionDone(by_kind(self._counts), dry_run=False, counted_from=plan.now, frozen_until=plan.frozen)

    def _begin(self) -> Plan:
        today = day_of(self._office.clock.now(), self._office.settings.zone)

        def work(connection: Connection) -> Plan:
            before = retention_runs.run_noted(connection, lock=True)
            if before is None or before.done:
                noted = RunNoted(today, done=False, counts={})
                retention_runs.note_run(connection, noted, self._office.clock.now())
            return planned(connection, self._office, freeze=True)

        return self._office.database.run(work)

    def _end(self) -> None:
        self._renew_csv()
        frozen = None if self._plan.frozen is None else self._plan.frozen.isoformat()

        def work(connection: Connection) -> None:
            at = self._office.clock.now()
            run = retention_runs.run_noted(connection, lock=True)
            if run is None or run.done:
                return
            retention_runs.note_run(connection, RunNoted(run.day, done=True, counts=run.counts), at)
            audit_log.record(
                connection,
                at=at,
                actor=self._office.actor,
                action="retention.run",
                subject=f"day:{run.day.isoformat()}",
                detail={"deleted": by_kind(run.counts), "frozen_until": frozen},
            )

        self._office.database.run(work)

    def _renew_csv(self) -> None:
        """Write attendance.csv anew, a copy: what went from the record goes from there as well.

        Before the run is done, and by what all its parts deleted: one that was stopped does it when it goes on.
        """
        run = self._office.database.run(retention_runs.run_noted)
        if run is not None and run.counts.get("marks") and marking.csv_file(self._office).path.exists():
            try:
                marks.rebuild_csv(self._office)
            except BadInput as exc:
                LOG.warning("attendance.csv still has marks that were deleted reason=%r", str(exc))


class DailyRun:
    """Runs once a day at a quiet hour, a slice at each call. One thread (`hub.loops.retention`)."""

    def __init__(self) -> None:
        self._run: RetentionRun | None = None

    def step(self, office: Office) -> bool:
        """Do a piece of today's run when it is due; return whether there is more to do at once."""
        if self._run is None:
            if not self._is_due(office):
                return False
            self._run = RetentionRun(office)
            return True
        # Taken out first: whatever goes wrong in it, the next call looks anew at what is left.
        run, self._run = self._run, None
        more = run.step()
        if more:
            self._run = run
        return more

    def _is_due(self, office: Office) -> bool:
        now, zone = office.clock.now(), office.settings.zone

        def work(connection: Connection) -> bool:
            run = retention_runs.run_noted(connection)
            if run is None:
                # A hub that is switched off at night must notice that a day went by: it counts from today.
                retention_runs.note_run(connection, RunNoted(day_of(now, zone) - _A_DAY, done=True, counts={}), now)
                return run_due(now, zone, None)
            return not run.done or run_due(now, zone, run.day)

        return office.database.run(work)


def _believe_clock(office: Office, at: datetime, connection: Connection) -> None:
    if clock_readings.reading(connection) == at:
        return  # the commit whose answer was lost
    clock_readings.note_reading(connection, at, at)
    detail = {"reading": at.isoformat()}
    audit_log.record(connection, at=at, actor=office.actor, action="retention.clock", subject="clock", detail=detail)


def _clock_held(office: Office, plan: Plan) -> bool:
    return plan.now < office.clock.now() - _A_DAY


def show(office: Office) -> Kept:
    """Return what is kept how long, and how much of it is due now."""
    periods = periods_of(office)

    def work(connection: Connection) -> Kept:
        plan = planned(connection, office, freeze=False)
        counts = counts_due(connection, office, plan)
        since = older_than(office, plan)
        kinds = tuple(
            KindKept(kind, meaning, days_kept(kind, periods), since.get(kind), counts.get(kind, 0))
            for kind, meaning in KINDS.items()
        )
        held = _clock_held(office, plan)
        frozen = retention_store.frozen(connection)
        wanted = plan.due.frozen
        waits = plan.frozen if wanted is not None and plan.frozen is not None and plan.frozen < wanted else None
        return Kept(kinds, plan.now, held, frozen, retention_runs.run_noted(connection), waits)

    return office.database.run(work)


def what_is_due(office: Office, *, clock_is_right: bool = False) -> RetentionDone:
    """Return what a run would delete now."""

    def work(connection: Connection) -> RetentionDone:
        plan = planned(connection, office, freeze=False, clock_is_right=clock_is_right)
        counts = counts_due(connection, office, plan)
        return RetentionDone(by_kind(counts), dry_run=True, counted_from=plan.now, frozen_until=plan.frozen)

    return office.database.run(work)


def run(
    office: Office, on_progress: Callable[[int], None] = lambda _: None, *, clock_is_right: bool = False
) -> RetentionDone:
    """Delete everything that is due; `on_progress` hears how many rows went since it last heard.

    May be stopped at any moment and run again. `clock_is_right`: a person says so.
    """
    running, told = RetentionRun(office, clock_is_right=clock_is_right), 0
    while running.step():
        total = sum(running.result.deleted.values())
        on_progress(total - told)
        told = total
    return running.result


def purge_lapsed(office: Office, *, dry_run: bool = False) -> FacesPurged:
    """Delete at once the templates and photos that no consent allows any more, without waiting for the daily run."""

    def work(connection: Connection) -> FacesPurged:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        wanted = faces_due.due(connection, at, lapsed=at, left=None)
        if dry_run:
            templates, photos = faces_due.count_of(connection, wanted)
            return FacesPurged(len(wanted), templates, photos, dry_run)
        gone = delete_faces(connection, office, wanted, at)
        return FacesPurged(len(wanted), gone.get("templates", 0), gone.get("photos", 0), dry_run)

    return office.database.run(work)


def _counted(work: Work, at: datetime, connection: Connection) -> Deleted:
    done = work(connection, at)
    retention_runs.add_to_run(connection, done, at)
    return done
