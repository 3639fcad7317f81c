"""What one run of retention is about: what is due by the settings and the records, and the slices that delete it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

from sqlalchemy import Connection

from hub.adapters import audit_log, clock_readings, faces_due, look_alike_store, retention_store
from hub.adapters.faces_due import FacesDue, Packs
from hub.adapters.gallery_revisions import touch_galleries
from hub.core.retention import Due, Periods, believed_now, believed_reading, due, events_before
from hub.core.roster_consent import GRACE
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from recognition.adapters.pack_files import read_manifest
from recognition.core.errors import PackError

SLICE = 1000
"""Rows that one transaction deletes: a fraction of a second."""
_STUDENTS_AT_ONCE = 50

KINDS = {
    "events": "what units saw and watched",
    "attendance": "lines of the register",
    "marks": "marks of people",
    "closings": "closings of lessons",
    "lesson_states": "counts of lessons",
    "quarantine": "what was refused, and decided about",
    "audit": "entries of the audit log",
    "templates": "templates of who left, or of whom nobody agrees any more",
    "photos": "photos of the same",
    "replaced_templates": "templates of a model pack that no unit has any more",
}
"""What is deleted when its time has come, in that order."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is about."""

    due: Due
    now: datetime
    frozen: date | None
    events: datetime | None
    sources: tuple[retention_store.Source, ...]
    faces: tuple[FacesDue, ...]
    packs: Packs | None


Deleted = Mapping[str, int]
Work = Callable[[Connection, datetime], Deleted]


# ---- what is due ---------------------------------------------------------------------------------------------------


def periods_of(office: Office) -> Periods:
    """Return how long everything is kept."""
    kept = office.settings.retention
    return Periods(
        events=kept.events_days,
        attendance=kept.attendance_days,
        audit=kept.audit_days,
        quarantine=kept.quarantine_days,
        faces_after_leaving=kept.faces_after_leaving_days,
        faces_after_lapse=GRACE.days,
    )


def days_kept(kind: str, periods: Periods) -> int:
    """Return how many days a kind is kept; 0: for ever."""
    return {
        "events": periods.events,
        "quarantine": periods.quarantine,
        "audit": periods.audit,
        "templates": periods.faces_after_leaving,
        "photos": periods.faces_after_leaving,
        "replaced_templates": periods.faces_after_lapse,
    }.get(kind, periods.attendance)


def older_than(office: Office, plan: Plan) -> dict[str, date | None]:
    """Return by kind the first day of which nothing is due; None: nothing of the kind is."""
    zone, limits = office.settings.zone, plan.due
    days: dict[str, date | None] = dict.fromkeys(
        ("attendance", "marks", "closings", "lesson_states"), limits.attendance
    )
    days |= dict.fromkeys(("templates", "photos"), limits.left)
    for kind, moment in (("audit", limits.audit), ("quarantine", limits.quarantine), ("events", plan.events)):
        days[kind] = None if moment is None else day_of(moment, zone)
    days["replaced_templates"] = day_of(limits.lapsed, zone)
    return days


def planned(connection: Connection, office: Office, *, freeze: bool, clock_is_right: bool = False) -> Plan:
    """Return what is due; with `freeze` the register of what is too old stays as it is from now on.

    `clock_is_right`: how far the clock moved since the last run does not count.
    """
    zone, clock = office.settings.zone, office.clock.now()
    heard = clock_readings.heard(connection, clock)
    if clock_is_right:
        heard = replace(heard, read_at=clock)
    now = believed_now(clock, heard)
    limits = due(periods_of(office), now, zone)
    if freeze:
        clock_readings.note_reading(connection, believed_reading(clock, heard), clock)
        reached = retention_store.freeze(connection, limits.frozen, zone, clock)
    else:
        reached = retention_store.next_frozen(connection, limits.frozen, zone, clock)
    before = events_before(limits.events, reached, zone)
    return Plan(
        due=limits,
        now=now,
        frozen=reached,
        events=before,
        sources=tuple(retention_store.sources(connection, before)),
        faces=tuple(faces_due.due(connection, clock, lapsed=limits.lapsed, left=limits.left)),
        packs=_packs(connection, office),
    )


def _packs(connection: Connection, office: Office) -> Packs | None:
    """Return which packs are in use; None where it is not known: then no template is said to be replaced."""
    try:
        chosen = read_manifest(office.settings.recognition.pack_dir).pack_id
    except PackError:
        return None
    return Packs(frozenset(faces_due.packs_in_use(connection)), chosen)


def counts_due(connection: Connection, office: Office, plan: Plan) -> dict[str, int]:
    """Return how much of each kind is due."""
    limits, counts = plan.due, {}
    if plan.events is not None:
        counts["events"] = sum(retention_store.count_events(connection, one, plan.events) for one in plan.sources)
    day = _register_before(plan)
    if day is not None:
        first = day_bounds(day, office.settings.zone)[0]
        for kind in ("attendance", "marks"):
            counts[kind] = retention_store.count_days(connection, kind, day)
        counts["closings"] = retention_store.count_closings(connection, first)
        counts["lesson_states"] = retention_store.count_lesson_states(connection, first)
    if limits.quarantine is not None:
        counts["quarantine"] = retention_store.count_quarantine(connection, limits.quarantine)
    if limits.audit is not None:
        counts["audit"] = retention_store.count_audit(connection, limits.audit)
    counts["templates"], counts["photos"] = faces_due.count_of(connection, plan.faces)
    if plan.packs is not None:
        counts["replaced_templates"] = faces_due.count_replaced(connection, plan.packs, limits.lapsed)
    return counts


def _register_before(plan: Plan) -> date | None:
    """Return the first day whose register stays: what may still be derived again stays too."""
    wanted, frozen = plan.due.attendance, plan.frozen
    return None if wanted is None or frozen is None else min(wanted, frozen)


def by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of all kinds in their order."""
    return {kind: counts.get(kind, 0) for kind in KINDS}


# ---- deleting it ---------------------------------------------------------------------------------------------------


def pieces_of(office: Office, plan: Plan) -> list[Work]:
    """Return what has to be done, each again and again until it does less than SLICE."""
    limits, store = plan.due, retention_store
    found: list[Work] = []
    if plan.events is not None:
        found += [partial(_delete_events, one, plan.events) for one in plan.sources]
    day = _register_before(plan)
    if day is not None:
        first = day_bounds(day, office.settings.zone)[0]
        found += [
            _slices("attendance", lambda c: store.delete_days(c, "attendance", day, SLICE)),
            _slices("marks", lambda c: store.delete_days(c, "marks", day, SLICE)),
            _slices("closings", lambda c: store.delete_closings(c, first, SLICE)),
            _slices("lesson_states", lambda c: store.delete_lesson_states(c, first, SLICE)),
        ]
    if (quarantine := limits.quarantine) is not None:
        found.append(_slices("quarantine", lambda c: store.delete_quarantine(c, quarantine, SLICE)))
    for start in range(0, len(plan.faces), _STUDENTS_AT_ONCE):
        found.append(partial(_delete_some, office, plan, plan.faces[start : start + _STUDENTS_AT_ONCE]))
    if (packs := plan.packs) is not None:
        found.append(_slices("replaced_templates", lambda c: faces_due.delete_replaced(c, packs, limits.lapsed, SLICE)))
    if limits.audit is not None:
        found.append(partial(_forget_audit, office, limits.audit))
    return found


def _slices(kind: str, delete: Callable[[Connection], int]) -> Work:
    return lambda connection, _: {kind: delete(connection)}


def _delete_events(source: retention_store.Source, before: datetime, connection: Connection, at: datetime) -> Deleted:
    return {"events": retention_store.delete_events(connection, source, before, at, SLICE)}


def _delete_some(
    office: Office, plan: Plan, planned_ones: Collection[FacesDue], connection: Connection, at: datetime
) -> Deleted:
    look_alike_store.lock(connection, at)
    ids = faces_due.hold(connection, [one.student_id for one in planned_ones])
    # Looked at again: since the run began somebody may have agreed, or come back.
    limits = plan.due
    still = faces_due.due(connection, at, lapsed=limits.lapsed, left=limits.left, student_ids=ids)
    return delete_faces(connection, office, still, at)


def _forget_audit(office: Office, before: datetime, connection: Connection, at: datetime) -> Deleted:
    return {"audit": audit_log.forget_before(connection, before, at=at, actor=office.actor, most=SLICE)}


def delete_faces(connection: Connection, office: Office, wanted: Collection[FacesDue], at: datetime) -> Deleted:
    """Delete templates and photos of students, each with an entry in the audit log."""
    look_alike_store.lock(connection, at)
    together = {"templates": 0, "photos": 0}
    for one, gone in faces_due.delete_due(connection, wanted).items():
        if not gone.templates and not gone.photos:
            continue
        together["templates"] += gone.templates
        together["photos"] += gone.photos
        detail = {"why": one.why, "templates_deleted": gone.templates, "photos_deleted": gone.photos}
        subject = f"student:{one.student_id}"
        audit_log.record(
            connection, at=at, actor=office.actor, action="retention.faces", subject=subject, detail=detail
        )
    if together["templates"]:
        touch_galleries(connection, at)
    return together
