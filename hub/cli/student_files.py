"""`rollcall-hub student import` and `export`: lists of students as files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster import GROUP_MARK, STUDENT_COLUMNS
from hub.core.roster_times import school_day
from hub.office import student_lists, students
from hub.office.students import StudentsImported

CHANGE_COLUMNS = (
    Column("what", "What"),
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("section", "Section"),
    Column("fields_text", "Changes"),
)

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="From which day on another section or group counts, such as 2026-09-14. Default: now. With `student "
        "change` a day that is over also corrects the past of who is on record like that by now.",
    ),
]

IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{STUDENT_COLUMNS.example}\n\n"
    f"Only serial_number and name must be filled. The columns {', '.join(STUDENT_COLUMNS.optional)} may be missing: "
    f"then they stay as they are on record, while an empty cell clears. Groups have a {GROUP_MARK} between them. "
    "Leading zeros are kept: 007 is not 7.\n\n"
    "Examples:\n\n"
    "rollcall-hub student import students.csv --dry-run\n\n"
    "rollcall-hub student import students.csv --create-sections"
)
EXPORT_HELP = (
    "Importing the file again changes nothing. Cells that a spreadsheet would run begin with an apostrophe, which "
    "import takes away.\n\nExample:\n\nrollcall-hub student export students.csv --section 7b"
)


def import_list(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    update: Annotated[
        bool, typer.Option("--update", help="Change students on record where the file says something else.")
    ] = False,
    create_sections: Annotated[
        bool, typer.Option("--create-sections", help="Add the sections and groups that do not exist yet.")
    ] = False,
    from_day: FromOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import students from a CSV file: all of it or, if any row is bad, nothing. Importing it again changes nothing."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    outcome = students.import_students(
        console.office(ctx),
        data,
        update=update,
        create_missing_sections=create_sections,
        dry_run=dry_run,
        from_day=None if from_day is None else school_day(from_day),
    )
    changes = _changes(outcome)
    groups = [f"{section} {name}" for section, name in outcome.new_groups]
    if as_json:
        console.emit_json(
            {
                "dry_run": outcome.dry_run,
                "added": len(outcome.added),
                "changed": len(outcome.changed),
                "unchanged": outcome.unchanged,
                "new_sections": list(outcome.new_sections),
                "new_groups": groups,
                "students": changes,
            }
        )
        return
    if changes:
        console.emit(changes, CHANGE_COLUMNS, as_json=False)
    for what, names in (("sections", outcome.new_sections), ("groups", groups)):
        if names:
            console.say(f"New {what}: {', '.join(names)}")
    console.say(
        f"{'Would add' if dry_run else 'Added'} {len(outcome.added)}, "
        f"{'would change' if dry_run else 'changed'} {len(outcome.changed)}, unchanged {outcome.unchanged}."
    )


def export_list(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write the CSV file; - writes to standard output.")],
    section: Annotated[str | None, typer.Option("--section", help="Only the students of this section.")] = None,
    bom: Annotated[
        bool | None,
        typer.Option(
            "--bom/--no-bom", help="Mark it as UTF-8 so that Excel shows every script. Default: files, not the output."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the students to a CSV file that `student import` reads."""
    marked = file != csv_files.STREAM if bom is None else bom
    exported = student_lists.export_students(console.office(ctx), section=section, bom=marked)
    csv_files.write_file(file, exported.content)
    if file == csv_files.STREAM:
        return
    if as_json:
        console.emit_json({"file": str(file), "students": exported.students})
    else:
        console.say(f"Wrote {exported.students} students to {file}.")


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
