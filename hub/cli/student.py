"""`rollcall-hub student`: adding, changing, listing, importing and exporting students."""

from typing import Annotated, Any

import typer

from hub.adapters.roster_store import StudentLine
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.cli.student_files import EXPORT_HELP, IMPORT_HELP, FromOption, export_list, import_list
from hub.core.roster import cells_of
from hub.core.roster_plan import StudentChange
from hub.core.roster_times import local_iso, school_day
from hub.office import student_lists, students
from hub.office.context import Office
from hub.office.student_lists import Stretch

app = typer.Typer(no_args_is_help=True, help="Students: add, change, list, import and export a list.")

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("section", "Section"),
    Column("groups_text", "Groups"),
    Column("left_on", "Left on"),
    Column("consent", "Consent"),
    Column("pictures", "Pictures", right=True),
)
STRETCH_COLUMNS = (Column("what", "What"), Column("name", "Name"), Column("from", "From"), Column("until", "Until"))

SerialOption = Annotated[str, typer.Option("--serial", help="The school's number for the student, kept as written.")]
_ADD_EXAMPLE = (
    'Example:\n\nrollcall-hub student add --serial 0012 --name "Ada Lovelace" --section 7b\n\n'
    "Without --joined a student counts as always having been in the section."
)
_CHANGE_EXAMPLE = (
    "Only what is given changes; an empty text clears it. Past lessons stay with the section the student was in. "
    "Another section ends the groups of the one before. Whoever comes back after leaving gets a "
    "new day of joining and no last day; the time before stays as it was.\n\n"
    "Examples:\n\n"
    "rollcall-hub student change --serial 0012 --section 8a --from 2026-09-14\n\n"
    'rollcall-hub student change --serial 0012 --phone ""\n\n'
    'rollcall-hub student change --serial 0012 --joined 2026-09-01 --left ""'
)
_LEAVE_EXAMPLE = (
    "From the day after, the student is in no gallery and expected in no lesson; the register of the days before "
    "stays.\n\n"
    'To take it back: student change --serial ... --left ""\n\n'
    "Example:\n\nrollcall-hub student leave --serial 0012 --on 2026-12-18"
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: SerialOption,
    name: Annotated[str, typer.Option("--name", help="The name as it stands in the register.")],
    username: Annotated[str, typer.Option("--username", help="The school's login name.")] = "",
    email: Annotated[str, typer.Option("--email", help="An address for mail.")] = "",
    phone: Annotated[str, typer.Option("--phone", help="A telephone number.")] = "",
    section: Annotated[str, typer.Option("--section", help="An existing section.")] = "",
    groups: Annotated[str, typer.Option("--groups", help="Groups of the section, with a ; between them.")] = "",
    joined: Annotated[str, typer.Option("--joined", help="The first day at the school, such as 2026-09-01.")] = "",
    left: Annotated[str, typer.Option("--left", help="The last day at the school.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Add one student."""
    form = {
        "serial_number": serial,
        "name": name,
        "username": username,
        "email": email,
        "phone": phone,
        "section": section,
        "groups": groups,
        "joined_on": joined,
        "left_on": left,
    }
    student = students.add_student(console.office(ctx), form)
    if as_json:
        console.emit_json({"student_id": student.student_id, "serial_number": student.fields.serial_number})
    else:
        console.say(f"Added {student.fields.serial_number}: {student.fields.name}.")


@app.command("change", epilog=_CHANGE_EXAMPLE)
def change(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: Annotated[str, typer.Option("--serial", help="The student's number as it is on record.")],
    new_serial: Annotated[str | None, typer.Option("--new-serial", help="Another number.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    username: Annotated[str | None, typer.Option("--username", help="Another login name; each is one's own.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Another address for mail.")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="Another telephone number.")] = None,
    section: Annotated[str | None, typer.Option("--section", help='An existing section; "" for none.')] = None,
    groups: Annotated[str | None, typer.Option("--groups", help="All groups, with a ; between them.")] = None,
    joined: Annotated[str | None, typer.Option("--joined", help="The first day at the school.")] = None,
    left: Annotated[str | None, typer.Option("--left", help="The last day at the school.")] = None,
    from_day: FromOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change what is known of a student, or move them to another section."""
    given = {
        "serial_number": new_serial,
        "name": name,
        "username": username,
        "email": email,
        "phone": phone,
        "section": section,
        "groups": groups,
        "joined_on": joined,
        "left_on": left,
    }
    form = {column: text for column, text in given.items() if text is not None}
    day = None if from_day is None else school_day(from_day)
    _say_change(students.change_student(console.office(ctx), serial, form, from_day=day), as_json=as_json)


@app.command("leave", epilog=_LEAVE_EXAMPLE)
def leave(
    ctx: typer.Context,
    serial: SerialOption,
    on: Annotated[str, typer.Option("--on", help="The last day at the school, such as 2026-12-18.")],
    as_json: JsonFlag = False,
) -> None:
    """Note that a student leaves the school."""
    _say_change(students.leave_student(console.office(ctx), serial, school_day(on)), as_json=as_json)


@app.command("show", epilog="Example:\n\nrollcall-hub student show --serial 0012")
def show(ctx: typer.Context, serial: SerialOption, as_json: JsonFlag = False) -> None:
    """Show everything the office keeps of a student, with the sections and groups they were in and when."""
    office = console.office(ctx)
    detail = student_lists.show_student(office, serial)
    stretches = [_stretch("section", one, office) for one in detail.sections]
    stretches += [_stretch("group", one, office) for one in detail.groups]
    row = _row(detail.line)
    if as_json:
        console.emit_json({**row, "belonged": stretches})
        return
    for key, value in row.items():
        shown = ", ".join(value) if isinstance(value, tuple) else value
        if key not in {"student_id", "groups_text", "pack_id"} and shown not in {None, ""}:
            console.say(f"{key.replace('_', ' ').capitalize()}: {_word(shown)}")
    if stretches:
        console.emit(stretches, STRETCH_COLUMNS, as_json=False)
    _say_pack([detail.line])


@app.command("list", epilog="Example:\n\nrollcall-hub student list --section 7b --joined")
def list_all(
    ctx: typer.Context,
    section: Annotated[str | None, typer.Option("--section", help="Only the students of this section.")] = None,
    left: Annotated[
        bool | None,
        typer.Option("--left/--joined", help="Only who has left the school, or only who has not. Default: everybody."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List students, with consent and the number of pictures enrolled for the model pack in use."""
    lines = students.list_students(console.office(ctx), section=section, left=left)
    empty = "There are no students. Import a list: rollcall-hub student import students.csv"
    if section is not None or left is not None:
        empty = "There are no such students."
    console.emit([_row(line) for line in lines], COLUMNS, as_json=as_json, empty=empty)
    if not as_json:
        _say_pack(lines)


def _row(line: StudentLine) -> dict[str, Any]:
    fields = line.student.fields
    return {
        "student_id": line.student.student_id,
        "serial_number": fields.serial_number,
        "name": fields.name,
        "username": fields.username,
        "email": fields.email,
        "phone": fields.phone,
        "section": fields.section,
        "groups": fields.groups,
        "groups_text": ", ".join(fields.groups) or None,
        "joined_on": fields.joined_on,
        "left_on": fields.left_on,
        "consent": line.consent,
        "pictures": line.pictures,
        "pack_id": line.pack_id,
    }


def _stretch(what: str, stretch: Stretch, office: Office) -> dict[str, Any]:
    zone = office.settings.zone
    return {
        "what": what,
        "name": stretch.name,
        "from": "always" if stretch.since is None else local_iso(stretch.since, zone),
        "until": None if stretch.until is None else local_iso(stretch.until, zone),
    }


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _say_pack(lines: list[StudentLine]) -> None:
    packs = {line.pack_id for line in lines if line.pack_id is not None}
    if packs:
        console.note(f"Pictures are counted for the model pack {', '.join(packs)}.")


def _say_change(done: StudentChange, *, as_json: bool) -> None:
    serial, before, after = done.after.serial_number, cells_of(done.before.fields), cells_of(done.after)
    if as_json:
        said = {column: {"before": before[column], "after": after[column]} for column in done.changed}
        told = {"student_id": done.before.student_id, "serial_number": serial, "changed": said}
        console.emit_json({**told, "corrected": done.corrected})
    elif not done.changed and not done.corrected:
        console.say(f"Student {serial} is on record like that already.")
    else:
        for column in done.changed:
            console.say(f"{serial}: {column} {before[column] or '-'} -> {after[column] or '-'}")
        if done.corrected:
            console.say(f"{serial}: where they belonged since then was corrected.")


app.command("import", epilog=IMPORT_HELP)(import_list)
app.command("export", epilog=EXPORT_HELP)(export_list)
