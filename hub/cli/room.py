"""`rollcall-hub room`: where lessons are held and units hang."""

from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import rooms

app = typer.Typer(no_args_is_help=True, help="Rooms: where lessons are held and units hang.")

COLUMNS = (
    Column("room", "Room"),
    Column("unit_labels", "Units"),
    Column("coming_lessons", "Coming lessons", right=True),
)


@app.command("add", epilog='Example:\n\nrollcall-hub room add "Room 12"')
def add(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The room's name.")], as_json: JsonFlag = False
) -> None:
    """Add a room."""
    room = rooms.add_room(console.office(ctx), name)
    if as_json:
        console.emit_json({"room_id": room.room_id, "room": room.name})
    else:
        console.say(f"Added room {room.name}.")


@app.command("list", epilog="Example:\n\nrollcall-hub room list")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the rooms, the units in them and how many lessons are still to come."""
    lines = rooms.list_rooms(console.office(ctx))
    rows = [
        {
            "room_id": line.room_id,
            "room": line.name,
            "units": list(line.units),
            "unit_labels": ", ".join(line.units) or None,
            "coming_lessons": line.coming_lessons,
        }
        for line in lines
    ]
    empty = 'There are no rooms. Add one: rollcall-hub room add "Room 12"'
    console.emit(rows, COLUMNS, as_json=as_json, empty=empty)


@app.command("rename", epilog='Example:\n\nrollcall-hub room rename "Room 12" "Physics 1"')
def rename(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called now.")],
    new_name: Annotated[str, typer.Argument(help="What it shall be called.")],
    as_json: JsonFlag = False,
) -> None:
    """Call a room something else; its units, lessons and register stay."""
    room = rooms.rename_room(console.office(ctx), name, new_name)
    if as_json:
        console.emit_json({"room_id": room.room_id, "room": room.name})
    else:
        console.say(f"Room {name} is now {room.name}.")
