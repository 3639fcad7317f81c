"""`rollcall-hub register rebuild`: the whole register again from the records, or only compared with them."""

from typing import Annotated, Any

import typer

from hub.adapters.register_rows import Difference
from hub.cli import console
from hub.cli.console import JsonFlag
from hub.core.roster_times import school_day
from hub.office import rebuild as office_rebuild
from hub.office.rebuild import Rebuilt

_SHOWN = 20


def rebuild(
    ctx: typer.Context,
    first: Annotated[str | None, typer.Option("--from", help="The first day, like 2026-09-01. Default: all.")] = None,
    last: Annotated[str | None, typer.Option("--until", help="The last day. Default: all.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing: compare the register with the records, exit 1 if it differs."),
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Do not go on with a rebuild that was interrupted: begin again.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Derive the register again from what units saw, what people said and the timetable.

    The same rows come out as before: nothing that people said is lost. It takes minutes for a term, may be interrupted
    and run again, and the hub may go on serving. Days whose events were deleted by retention stay as they are.

    Examples:

    rollcall-hub register rebuild --check

    rollcall-hub register rebuild --from 2026-09-01
    """
    office = console.office(ctx)
    days = {"first": school_day(first) if first else None, "last": school_day(last) if last else None}
    with console.progress("Comparing" if check else "Rebuilding", total=None, as_json=as_json) as step:
        done = 0

        def shown(now_done: int, total: int) -> None:
            nonlocal done
            step(now_done - done, total=total)
            done = now_done

        rebuilt = office_rebuild.rebuild(office, **days, check=check, anew=anew, progress=shown)
    if as_json:
        console.emit_json(_as_json(rebuilt))
    else:
        _say(rebuilt)
    if check and (rebuilt.differing or rebuilt.lessons_differing):
        raise typer.Exit(console.EXIT_FAILED)


def _say(rebuilt: Rebuilt) -> None:
    if rebuilt.first is None:
        console.say("Nothing is on record of these days.")
        return
    if rebuilt.going_on_from is not None:
        console.say(f"Went on at {rebuilt.going_on_from} with a rebuild that was interrupted (--anew begins again).")
    span = f"{rebuilt.days} days from {rebuilt.first} to {rebuilt.last}, {rebuilt.rows} rows"
    if not rebuilt.checked_only:
        console.say(f"Derived {span} again: {rebuilt.differing} were not as the records say and are now.")
        console.say(f"Before: {rebuilt.before.rows} rows in all, sha256 {rebuilt.before.sha256}")
        console.say(f"Now:    {rebuilt.after.rows} rows in all, sha256 {rebuilt.after.sha256}")
        return
    if rebuilt.waiting:
        console.say(f"{rebuilt.waiting} students' days wait to be derived and were left out (serve does it).")
    if not rebuilt.differing and not rebuilt.lessons_differing:
        console.say(f"Compared {span}: all as the records say.")
        console.say(f"{rebuilt.after.rows} rows in all, sha256 {rebuilt.after.sha256}")
        return
    console.say(
        f"Compared {span}: {rebuilt.differing} rows and the counts of {len(rebuilt.lessons_differing)} lessons are not "
        "as the records say. The first:"
    )
    for one in rebuilt.differences[:_SHOWN]:
        console.say(f"  student {one.student_id} {one.occasion}: {_in_short(one)}")
    console.note("set it right: rollcall-hub register rebuild")


def _in_short(one: Difference) -> str:
    if one.before is None or one.after is None:
        there, should = ("no row", one.after) if one.before is None else (one.before["status"], None)
        return f"{there}, should be {'no row' if should is None else should['status']}"
    names = [name for name, value in one.after.items() if one.before[name] != value]
    return ", ".join(f"{name} {one.before[name]}, should be {one.after[name]}" for name in names)


def _as_json(rebuilt: Rebuilt) -> dict[str, Any]:
    return {
        "from": rebuilt.first,
        "until": rebuilt.last,
        "days": rebuilt.days,
        "rows": rebuilt.rows,
        "differing": rebuilt.differing,
        "differences": [
            {"student_id": one.student_id, "occasion": one.occasion, "before": one.before, "after": one.after}
            for one in rebuilt.differences
        ],
        "lessons_differing": list(rebuilt.lessons_differing),
        "waiting": rebuilt.waiting,
        "went_on_from": rebuilt.going_on_from,
        "before": {"rows": rebuilt.before.rows, "sha256": rebuilt.before.sha256},
        "after": {"rows": rebuilt.after.rows, "sha256": rebuilt.after.sha256},
        "checked_only": rebuilt.checked_only,
    }
