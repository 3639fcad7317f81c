"""`rollcall-hub absence`: rooms in which a unit may write Absent by itself, and whether its figures allow that."""

from datetime import tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console, naming
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import school_day
from hub.office import absence
from hub.office.absence import REQUIRED_RECALL, RoomRecall, Switched

app = typer.Typer(
    no_args_is_help=True,
    help="Rooms whose camera may say Absent by itself. Elsewhere only people do, by closing a lesson or by a mark.",
)

COLUMNS = (
    Column("room", "Room"),
    Column("on", "On since"),
    Column("lessons", "Closed lessons", right=True),
    Column("counted", "Found"),
    Column("bound", "Recall at least"),
    Column("more", "To go", right=True),
)
RoomArgument = Annotated[str, typer.Argument(metavar="ROOM", help="The room's name.")]
PastTooOption = Annotated[
    bool, typer.Option("--past-too", help="The first day may have passed: lessons since then are derived anew.")
]
_SHOW_EXAMPLE = (
    "Counted are lessons of the last 365 days that a teacher closed: how often somebody was there whom the camera "
    "could have seen (a mark of a person wins), and how often it found them. The bound is the exact one-sided one with "
    "95 % certainty: without a miss, 299 times make 99 %.\n\n"
    "Examples:\n\nrollcall-hub absence show\n\nrollcall-hub absence show 12"
)


@app.command("show", epilog=_SHOW_EXAMPLE)
def show(
    ctx: typer.Context,
    room: Annotated[str | None, typer.Argument(metavar="[ROOM]", help="Only this room.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how reliable the cameras of rooms are, by what teachers closed."""
    office = console.office(ctx)
    rows = [_row(one, office.settings.zone) for one in absence.show_recall(office, room)]
    console.emit(rows, COLUMNS, as_json=as_json, empty="There are no rooms.")


@app.command("on", epilog="Example:\n\nrollcall-hub absence on 12 --from 2026-10-01")
def on(
    ctx: typer.Context,
    room: RoomArgument,
    first: Annotated[str | None, typer.Option("--from", help="The first day. Default: today.")] = None,
    past_too: PastTooOption = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a room's camera write Absent: only with a recall of at least 99 %, which the closed lessons have to show."""
    office = console.office(ctx)
    done = absence.switch_on(office, room, school_day(first) if first else None, past_too=past_too)
    if as_json:
        console.emit_json(_switched(done, office.settings.zone))
        return
    _say_recall(done.recall)
    said = "From then on whoever is Not seen there is Absent." if done.new else "It was on already."
    console.say(f"Room {room}: on from {done.day}. {said}")


@app.command("off", epilog="Example:\n\nrollcall-hub absence off 12")
def off(
    ctx: typer.Context,
    room: RoomArgument,
    first: Annotated[
        str | None, typer.Option("--from", help="The first day on which it is off. Default: today.")
    ] = None,
    past_too: PastTooOption = False,
    as_json: JsonFlag = False,
) -> None:
    """Let nobody but people write Absent in a room again."""
    office = console.office(ctx)
    done = absence.switch_off(office, room, school_day(first) if first else None, past_too=past_too)
    if as_json:
        console.emit_json(_switched(done, office.settings.zone))
    elif done.new:
        console.say(f"Room {room}: off from {done.day}. Whoever is not found there is Not seen again.")
    else:
        console.say(f"Room {room}: it is off already{f' from {done.day}' if done.day else ''}; nothing was changed.")


def _say_recall(recall: RoomRecall) -> None:
    console.say(
        f"Found {recall.found} of {recall.present} times in {recall.lessons} closed lessons: with 95 % certainty at "
        f"least {recall.low:.2%} ({REQUIRED_RECALL:.0%} is needed)."
    )


def _switched(done: Switched, zone: tzinfo) -> dict[str, Any]:
    return {"new": done.new, "day": done.day, **_row(done.recall, zone)}


def _row(one: RoomRecall, zone: tzinfo) -> dict[str, Any]:
    switch = one.switch
    return {
        "room": one.room,
        "on": switch.from_day if switch else None,
        "until": switch.until_day if switch else None,
        "switched_on_at": naming.iso(switch.switched_on_at, zone) if switch else None,
        "switched_on_by": switch.switched_on_by if switch else None,
        "lessons": one.lessons,
        "found": one.found,
        "present": one.present,
        "counted": f"{one.found} of {one.present}",
        "recall_low": one.low,
        "bound": f"{one.low:.2%}",
        "enough": one.enough,
        "more_needed": one.more_needed,
        "more": one.more_needed or None,
    }
