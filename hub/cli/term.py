"""`rollcall-hub term`: between which days a weekly timetable holds."""

from typing import Annotated

import typer

from hub.cli import console, replanned
from hub.cli.console import Column, JsonFlag
from hub.cli.replanned import DryRunFlag, PastTooFlag
from hub.core.errors import BadInput
from hub.core.roster_times import school_day
from hub.core.timetable import WEEKS, Term
from hub.office import terms

app = typer.Typer(no_args_is_help=True, help="Terms: between which days a weekly timetable holds.")

COLUMNS = (
    Column("term", "Term"),
    Column("first_day", "First day"),
    Column("last_day", "Last day"),
    Column("weeks", "Weeks"),
    Column("begins_with", "Begins with"),
    Column("series", "Lessons a week", right=True),
)

WeeksOption = Annotated[
    int | None, typer.Option("--weeks", help="How many kinds of weeks come in turn: 2 for A and B. 1: all are alike.")
]
FirstWeekOption = Annotated[str | None, typer.Option("--first-week", help="The week it begins with: A, B, ...")]
OverlapFlag = Annotated[bool, typer.Option("--may-overlap", help="Allow days that another term has as well.")]

_ADD_EXAMPLE = (
    "Weeks begin on Monday and are counted from the week of the first day; weeks of holidays count like others.\n\n"
    "Example:\n\n"
    'rollcall-hub term add "Autumn 2026" --from 2026-09-01 --to 2027-01-29 --weeks 2'
)
_CHANGE_EXAMPLE = (
    'Example:\n\nrollcall-hub term change "Autumn 2026" --to 2027-02-05 --dry-run\n\n'
    'rollcall-hub term change "Autumn 2026" --to 2027-02-05'
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The term's name.")],
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-09-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day.")],
    weeks: WeeksOption = None,
    first_week: FirstWeekOption = None,
    may_overlap: OverlapFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a term."""
    term = terms.add_term(
        console.office(ctx),
        name,
        school_day(first),
        school_day(last),
        weeks=weeks or 1,
        first_week=_week(first_week or "A"),
        may_overlap=may_overlap,
    )
    if as_json:
        console.emit_json(_row(term))
    else:
        console.say(f"Added term {term.name}, {term.first_day} to {term.last_day}.")


@app.command("list", epilog="Example:\n\nrollcall-hub term list")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the terms."""
    rows = [{**_row(line.term), "series": line.series} for line in terms.list_terms(console.office(ctx))]
    empty = 'There are no terms. Add one: rollcall-hub term add "Autumn 2026" --from 2026-09-01 --to 2027-01-29'
    console.emit(rows, COLUMNS, as_json=as_json, empty=empty)


@app.command("change", epilog=_CHANGE_EXAMPLE)
def change(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The term's name.")],
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Another first day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Another last day.")] = None,
    weeks: WeeksOption = None,
    first_week: FirstWeekOption = None,
    may_overlap: OverlapFlag = False,
    past_too: PastTooFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Change a term; lessons that have not begun follow."""
    given = {
        "name": None if new_name is None else terms.term_name(new_name),
        "first_day": None if first is None else school_day(first),
        "last_day": None if last is None else school_day(last),
        "weeks": weeks,
        "first_week": None if first_week is None else _week(first_week),
    }
    office = console.office(ctx)
    outcome = terms.change_term(
        office,
        name,
        {key: value for key, value in given.items() if value is not None},
        replanned.chosen(past_too=past_too, dry_run=dry_run),
        may_overlap=may_overlap,
    )
    zone = office.settings.zone
    if as_json:
        console.emit_json(
            {"dry_run": dry_run, **_row(outcome.after), "lessons": replanned.as_object(outcome.lessons, zone)}
        )
        return
    after = outcome.after
    console.say(f"{'Would be' if dry_run else 'Is now'}: {after.name}, {after.first_day} to {after.last_day}.")
    replanned.show(outcome.lessons, zone)


def _row(term: Term) -> dict[str, object]:
    return {
        "term_id": term.term_id,
        "term": term.name,
        "first_day": term.first_day,
        "last_day": term.last_day,
        "weeks": WEEKS[: term.weeks] if term.weeks > 1 else "all alike",
        "begins_with": WEEKS[term.first_week] if term.weeks > 1 else "",
    }


def _week(text: str) -> int:
    week = text.strip().upper()
    if len(week) != 1 or week not in WEEKS:
        raise BadInput(f"{text.strip()[:20]!r} is not a week: write A, B, C or D")
    return WEEKS.index(week)
