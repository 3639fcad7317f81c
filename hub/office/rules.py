"""The school's rules of the register: looking at them, and adding a version from a day on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, lesson_finding, rules_store, rules_writing
from hub.adapters.rules_writing import Made
from hub.core.attendance_facts import Rules, Session, rules_on
from hub.core.errors import BadInput, Conflict
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from hub.office.effective_days import check_effective
from hub.office.rules_of_settings import of_settings
from hub.settings import AttendanceSettings

_PAIRS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class RulesLine:
    """Rules, and who made them; None for those of the settings file."""

    rules: Rules
    made: Made | None


@dataclass(frozen=True, slots=True)
class RulesPage:
    """What is in force today, all that was ever made, and what the settings file says."""

    today: date
    in_force: RulesLine
    history: tuple[RulesLine, ...]
    of_settings: Rules


@dataclass(frozen=True, slots=True)
class RulesChange:
    """What is to be other than before; None: stays. A session without a name is the whole day."""

    early_min: int | None = None
    late_after_min: int | None = None
    left_early_min: int | None = None
    covered_share: float | None = None
    held_share: float | None = None
    sessions: tuple[Session, ...] | None = None


@dataclass(frozen=True, slots=True)
class RulesPlan:
    """What a change does: from a day on, until the next version holds. Of the days so far, what is derived again."""

    before: Rules
    after: Rules
    until_day: date | None
    """The first day on which another version holds; None: from then on for good."""
    lessons: int
    """How many lessons there were on those days so far."""
    days: int

    @property
    def changes_anything(self) -> bool:
        """Whether the rules are others than those in force on that day."""
        return replace(self.before, version=0, from_day=date.min) != replace(self.after, version=0, from_day=date.min)


@dataclass(frozen=True, slots=True)
class RulesSet:
    """`new` is False when the rules of that day were the same already."""

    plan: RulesPlan
    version: int
    new: bool


def show_rules(office: Office) -> RulesPage:
    """Return the rules in force today, and all others."""
    today = day_of(office.clock.now(), office.settings.zone)
    initial = of_settings(office.settings.attendance)

    def work(connection: Connection) -> RulesPage:
        known = rules_store.known(connection)
        made = {one.version: one for one in rules_writing.made(connection)}
        history = tuple(RulesLine(one, made[one.version]) for one in known)
        now = rules_on(today, known, initial)
        return RulesPage(today, RulesLine(now, made.get(now.version)), history, initial)

    return office.database.run(work, isolation="REPEATABLE READ")


def plan_rules(office: Office, from_day: date, change: RulesChange, *, past_too: bool = False) -> RulesPlan:
    """Return what a change would do, and change nothing. Raises as `set_rules`."""

    def work(connection: Connection) -> RulesPlan:
        plan = _plan(connection, office, from_day, change)
        _check_past(office, plan, past_too=past_too)
        return plan

    return office.database.run(work)


def set_rules(office: Office, from_day: date, change: RulesChange, *, past_too: bool = False) -> RulesSet:
    """Add a version of the rules; every lesson since that day is derived anew.

    Raises BadInput for what cannot be a rule and for a day years away, Conflict for a day that has passed unless
    `past_too`, and for one whose events retention has deleted.
    """
    at = office.clock.now()

    def work(connection: Connection) -> RulesSet:
        rules_writing.lock(connection, at)
        own = [one for one in rules_writing.made(connection) if (one.made_at, one.made_by) == (at, office.actor[:100])]
        plan = _plan(connection, office, from_day, change)
        if own:
            return RulesSet(plan, own[-1].version, new=True)
        if not plan.changes_anything:
            return RulesSet(plan, plan.before.version, new=False)
        _check_past(office, plan, past_too=past_too)
        rules = replace(plan.after, version=rules_writing.next_version(connection))
        rules_writing.add(connection, rules, at, office.actor)
        audit_log.record(
            connection,
            at=at,
            actor=office.actor,
            action="rules.set",
            subject=f"rules:{rules.version}",
            detail={"from_day": from_day.isoformat(), "lessons": plan.lessons, **_changed(plan)},
        )
        _register_follows(connection, office, plan)
        return RulesSet(replace(plan, after=rules), rules.version, new=True)

    return office.database.run(work)


def _check_past(office: Office, plan: RulesPlan, *, past_too: bool) -> None:
    day = plan.after.from_day
    if plan.changes_anything and not past_too and day < day_of(office.clock.now(), office.settings.zone):
        raise Conflict(
            f"{day} has passed: the register of {plan.lessons} lessons would be derived anew",
            hint="say --past-too if that is meant, or name a day from today on",
        )


def _plan(connection: Connection, office: Office, from_day: date, change: RulesChange) -> RulesPlan:
    zone, today = office.settings.zone, day_of(office.clock.now(), office.settings.zone)
    check_effective(connection, from_day, today)
    known = rules_store.known(connection)
    before = rules_on(from_day, known, of_settings(office.settings.attendance))
    after = replace(_changed_rules(before, change), version=0, from_day=from_day)
    later = [one.from_day for one in known if one.from_day > from_day]
    plan = RulesPlan(before, after, min(later, default=None), 0, 0)
    since, until = _span(plan, today)
    if since >= until:
        return plan
    lessons = lesson_finding.beginning(connection, day_bounds(since, zone)[0], day_bounds(until, zone)[0])
    return replace(plan, lessons=len(lessons), days=(until - since).days)


def _span(plan: RulesPlan, today: date) -> tuple[date, date]:
    """Return the days so far for which the rules would hold: the first, and the one after the last."""
    tomorrow = today + timedelta(days=1)
    return plan.after.from_day, min(tomorrow, plan.until_day or tomorrow)


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days)]


def _changed_rules(before: Rules, change: RulesChange) -> Rules:
    values: dict[str, Any] = {}
    for name in ("early_min", "late_after_min", "left_early_min", "covered_share", "held_share"):
        value = getattr(change, name)
        values[name] = _value(before, name) if value is None else value
    sessions = before.sessions if change.sessions is None else change.sessions
    whole = [one for one in sessions if not one.name]
    if whole and len(sessions) > 1:
        raise BadInput("where a day has several parts, each needs a name")
    if whole:
        values |= {"day_from": whole[0].since, "day_until": whole[0].until}
    else:
        values["sessions"] = [{"name": one.name, "since": one.since, "until": one.until} for one in sessions]
    try:
        # What the settings file may say may be said here, and nothing else.
        return of_settings(AttendanceSettings.model_validate(values))
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{name or 'the rules'}: {first['msg'].removeprefix('Value error, ')}") from exc


def _value(rules: Rules, name: str) -> float:
    if name in {"covered_share", "held_share"}:
        return float(getattr(rules, name))
    length: timedelta = getattr(rules, name.removesuffix("_min"))
    return round(length.total_seconds() / 60)


def _changed(plan: RulesPlan) -> dict[str, audit_log.Json]:
    """Return what is other than before, as it goes into the audit log."""
    names = ("early_min", "late_after_min", "left_early_min", "covered_share", "held_share")
    found: dict[str, audit_log.Json] = {
        name: [_value(plan.before, name), _value(plan.after, name)]
        for name in names
        if _value(plan.before, name) != _value(plan.after, name)
    }
    if plan.before.sessions != plan.after.sessions:
        found["sessions"] = [_sessions(plan.before.sessions), _sessions(plan.after.sessions)]
    return found


def _sessions(sessions: Sequence[Session]) -> str:
    return " ".join(f"{one.name}={one.since:%H:%M}-{one.until:%H:%M}" for one in sessions)


def _register_follows(connection: Connection, office: Office, plan: RulesPlan) -> None:
    zone, today = office.settings.zone, day_of(office.clock.now(), office.settings.zone)
    since, until = _span(plan, today)
    pairs = rules_writing.concerned(connection, (since, until), plan.until_day, zone)
    if plan.before.sessions != plan.after.sessions:
        # Of a day without lessons nobody knows whom another part of it concerns.
        pairs.update(product(rules_writing.everybody(connection), _days(since, until)))
    ordered = sorted(pairs)
    for start in range(0, len(ordered), _PAIRS_AT_ONCE):
        attendance_store.mark_pairs(connection, ordered[start : start + _PAIRS_AT_ONCE], "rules")
