"""`rollcall-hub rules`: what counts as present, late and seen, and since when."""

from datetime import time, tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console, naming
from hub.cli.console import Column, JsonFlag
from hub.core.attendance_facts import Rules, Session
from hub.core.errors import BadInput
from hub.core.roster_times import school_day
from hub.office import rules
from hub.office.rules import RulesChange, RulesLine, RulesPlan

app = typer.Typer(
    no_args_is_help=True,
    help="The rules of the register: versions with a first day. None is ever changed; a new one is added.",
)

COLUMNS = (
    Column("version", "Version", right=True),
    Column("from_day", "From"),
    Column("early_min", "Early", right=True),
    Column("late_after_min", "Late after", right=True),
    Column("left_early_min", "Left early", right=True),
    Column("covered_share", "Covered", right=True),
    Column("held_share", "Held", right=True),
    Column("parts", "Day"),
    Column("made_by", "By"),
)
_NAMES = {
    "early_min": "minutes early",
    "late_after_min": "late after minutes",
    "left_early_min": "left early minutes",
    "covered_share": "share that must be watched",
    "held_share": "share under which a lesson is held",
    "parts": "parts of a day without lessons",
}
_SET_EXAMPLE = (
    "Examples:\n\n"
    "rollcall-hub rules set --from 2026-10-01 --late-after-min 5\n\n"
    "rollcall-hub rules set --from 2026-09-01 --past-too --early-min 15\n\n"
    "rollcall-hub rules set --from 2026-10-01 --session AM=07:00-12:30 --session PM=12:30-18:00\n\n"
    "rollcall-hub rules set --from 2026-10-01 --session 07:00-18:00    (the whole day)"
)


@app.command("show", epilog="Example:\n\nrollcall-hub rules show")
def show(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the rules in force today, those before and to come, and what the settings file says."""
    office = console.office(ctx)
    page, zone = rules.show_rules(office), office.settings.zone
    history = [_line(line, zone) for line in page.history]
    settings = _row(page.of_settings)
    if as_json:
        in_force = _line(page.in_force, zone)
        console.emit_json({"today": page.today, "in_force": in_force, "history": history, "of_settings": settings})
        return
    whose = f"version {page.in_force.rules.version}" if page.in_force.made else "those of the settings file (0)"
    console.say(f"In force today: {whose}.")
    console.emit([settings | {"made_by": "settings file"}, *history], COLUMNS, as_json=False)


@app.command("set", epilog=_SET_EXAMPLE)
def set_some(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    first: Annotated[str, typer.Option("--from", help="The first day on which they hold, like 2026-10-01.")],
    early_min: Annotated[int | None, typer.Option("--early-min", help="Seen so many minutes before: present.")] = None,
    late_after_min: Annotated[
        int | None, typer.Option("--late-after-min", help="First seen more minutes after the start: late.")
    ] = None,
    left_early_min: Annotated[
        int | None, typer.Option("--left-early-min", help="Gone more minutes before the end: left early.")
    ] = None,
    covered_share: Annotated[
        float | None, typer.Option("--covered-share", help="Share of a lesson that must be watched for Not seen.")
    ] = None,
    held_share: Annotated[
        float | None, typer.Option("--held-share", help="A lesson of which a smaller share was seen is held.")
    ] = None,
    session: Annotated[
        list[str] | None,
        typer.Option("--session", help="A part of a day without lessons, like AM=07:00-12:30; all of them are named."),
    ] = None,
    past_too: Annotated[bool, typer.Option("--past-too", help="The first day may have passed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. With --json nobody is asked.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Add rules from a day on; what is not named stays. The register of every lesson since then is derived anew."""
    office = console.office(ctx)
    day, sessions = school_day(first), tuple(_session(one) for one in session) if session else None
    change = RulesChange(early_min, late_after_min, left_early_min, covered_share, held_share, sessions)
    if not yes and not as_json:
        plan = rules.plan_rules(office, day, change, past_too=past_too)
        _say_plan(plan)
        if plan.changes_anything:
            console.need_yes("Add them?")
    done = rules.set_rules(office, day, change, past_too=past_too)
    if as_json:
        console.emit_json({"version": done.version, "new": done.new, **_plan_json(done.plan)})
    elif done.new:
        anew = f"{done.plan.lessons} lessons on {done.plan.days} days"
        console.say(f"Version {done.version} holds from {day} on. Derived anew: {anew}.")
    else:
        console.say("These are the rules of that day already; nothing was changed.")


def _session(text: str) -> Session:
    name, _, span = text.rpartition("=")
    since, _, until = span.partition("-")
    try:
        return Session(name.strip(), time.fromisoformat(since.strip()), time.fromisoformat(until.strip()))
    except ValueError as exc:
        raise BadInput(f"{text[:60]!r} is no part of a day", hint="write it like AM=07:00-12:30") from exc


def _say_plan(plan: RulesPlan) -> None:
    before, after = _row(plan.before), _row(plan.after)
    for key, name in _NAMES.items():
        if before[key] != after[key]:
            console.say(f"{name}: {before[key]} -> {after[key]}")
    until = f" until the day before {plan.until_day}, when other rules hold" if plan.until_day else ""
    console.say(f"From {plan.after.from_day}{until}. Derived anew: {plan.lessons} lessons on {plan.days} days.")


def _plan_json(plan: RulesPlan) -> dict[str, Any]:
    return {
        "before": _row(plan.before),
        "after": _row(plan.after),
        "until_day": plan.until_day,
        "lessons": plan.lessons,
        "days": plan.days,
    }


def _line(line: RulesLine, zone: tzinfo) -> dict[str, Any]:
    made = line.made
    return _row(line.rules) | {
        "made_by": made.made_by if made else None,
        "made_at": naming.iso(made.made_at, zone) if made else None,
    }


def _row(one: Rules) -> dict[str, Any]:
    return {
        "version": one.version,
        "from_day": one.from_day if one.version or one.from_day.year > 1 else None,
        "early_min": round(one.early.total_seconds() / 60),
        "late_after_min": round(one.late_after.total_seconds() / 60),
        "left_early_min": round(one.left_early.total_seconds() / 60),
        "covered_share": one.covered_share,
        "held_share": one.held_share,
        "parts": ", ".join(f"{part.name} {part.since:%H:%M}-{part.until:%H:%M}".strip() for part in one.sessions),
        "sessions": [{"name": part.name, "since": part.since, "until": part.until} for part in one.sessions],
    }
