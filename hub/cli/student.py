"""`rollcall-hub student`: adding, listing and importing students."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster import STUDENT_COLUMNS
from hub.office import students
from hub.office.students import StudentsImported

app = typer.Typer(no_args_is_help=True, help="Students: add, list, import a list.")

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("section", "Section"),
    Column("consent", "Consent"),
    Column("pictures", "Pictures", right=True),
)
CHANGE_COLUMNS = (
    Column("what", "What"),
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("section", "Section"),
    Column("fields_text", "Changes"),
)

_ADD_EXAMPLE = 'Example:\n\nrollcall-hub student add --serial 0012 --name "Ada Lovelace" --section 7b'
_IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{STUDENT_COLUMNS.example}\n\n"
    "Only serial_number and name must be filled. Leading zeros are kept: 007 is not 7.\n\n"
    "Examples:\n\n"
    "rollcall-hub student import students.csv --dry-run\n\n"
    "rollcall-hub student import students.csv --create-sections"
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: Annotated[str, typer.Option("--serial", help="The school's number for the student, kept as written.")],
    name: Annotated[str, typer.Option("--name", help="The name as it stands in the register.")],
    username: Annotated[str, typer.Option("--username", help="The school's login name.")] = "",
    email: Annotated[str, typer.Option("--email")] = "",
    phone: Annotated[str, typer.Option("--phone")] = "",
    section: Annotated[str, typer.Option("--section", help="An existing section.")] = "",
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
    }
    student = students.add_student(console.office(ctx), form)
    if as_json:
        console.emit_json({"student_id": student.student_id, "serial_number": student.fields.serial_number})
    else:
        console.say(f"Added {student.fields.serial_number}: {student.fields.name}.")


@app.command("list")
def list_all(
    ctx: typer.Context,
    section: Annotated[str | None, typer.Option("--section", help="Only the students of this section.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List students, with consent and the number of enrolled pictures."""
    rows = [
        {
            "student_id": line.student.student_id,
            "serial_number": line.student.fields.serial_number,
            "name": line.student.fields.name,
            "username": line.student.fields.username,
            "email": line.student.fields.email,
            "phone": line.student.fields.phone,
            "section": line.student.fields.section,
            "consent": line.consent,
            "pictures": line.pictures,
        }
        for line in students.list_students(console.office(ctx), section=section)
    ]
    empty = "There are no students. Import a list: rollcall-hub student import students.csv"
    console.emit(rows, COLUMNS, as_json=as_json, empty=empty)


@app.command("import", epilog=_IMPORT_HELP)
def import_list(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    update: Annotated[
        bool, typer.Option("--update", help="Change students on record where the file says something else.")
    ] = False,
    create_sections: Annotated[
        bool, typer.Option("--create-sections", help="Add the sections that do not exist yet.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import students from a CSV file: all of it or, if any row is bad, nothing. Importing it again changes nothing."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    outcome = students.import_students(
        console.office(ctx), data, update=update, create_missing_sections=create_sections, dry_run=dry_run
    )
    changes = _changes(outcome)
    if as_json:
        console.emit_json(
            {
                "dry_run": outcome.dry_run,
                "added": len(outcome.added),
                "changed": len(outcome.changed),
                "unchanged": outcome.unchanged,
                "new_sections": list(outcome.new_sections),
                "students": changes,
            }
        )
        return
    if changes:
        console.emit(changes, CHANGE_COLUMNS, as_json=False)
    if outcome.new_sections:
        console.say(f"New sections: {', '.join(outcome.new_sections)}")
    console.say(
        f"{'Would add' if dry_run else 'Added'} {len(outcome.added)}, "
        f"{'would change' if dry_run else 'changed'} {len(outcome.changed)}, unchanged {outcome.unchanged}."
    )


def _changes(outcome: StudentsImported) -> list[dict[str, Any]]:
    added = [("add", fields, ()) for fields in outcome.added]
    changed = [("change", change.after, change.changed) for change in outcome.changed]
    return [
        {
            "what": what,
            "serial_number": fields.serial_number,
            "name": fields.name,
            "section": fields.section,
            "fields": list(differing),
            "fields_text": ", ".join(differing),
        }
        for what, fields, differing in [*added, *changed]
    ]
