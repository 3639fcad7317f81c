"""`rollcall-hub report`: what the register comes to, on the screen or to take away."""

from pathlib import Path
from typing import Annotated

import typer

from hub.adapters import csv_files
from hub.cli import console, naming
from hub.cli.console import JsonFlag
from hub.cli.report_writing import Format, Out, asked_days
from hub.core.roster_times import school_day
from hub.office import report_printing, reports
from hub.office.report_printing import Print

app = typer.Typer(
    no_args_is_help=True, help="Reports: counts and rates, who was not observed, codes, printed registers."
)

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="The first day, like 2026-09-01. Default: since this term began; without a term, 30 days."
    ),
]
UntilOption = Annotated[str | None, typer.Option("--until", help="The last day. Default: today.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="What to write. Default: by the name of the file, else a table.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write this file: .csv, .xlsx or .json; - is standard output.")
]
TableOption = Annotated[str | None, typer.Option("--table", help="Which of the report's tables goes into a CSV file.")]
BomOption = Annotated[bool, typer.Option("--bom", help="Mark a CSV file as UTF-8 so that Excel shows every script.")]


@app.command(
    "student",
    epilog="Examples:\n\nrollcall-hub report student 1042\n\n"
    "rollcall-hub report student 1042 --from 2026-09-01 --until 2026-09-30 -o ada.xlsx",
)
def student(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial_number: Annotated[str, typer.Argument(metavar="SERIAL", help="The student's serial number.")],
    since: FromOption = None,
    until: UntilOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    table: TableOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Show everything on record for one student: counts, rate, minutes late, runs, and line for line."""
    out = Out(ctx, form, output, table, bom=bom, as_json=as_json_)
    out.write(reports.student_report(out.office, serial_number, out.asked(since, until)))


@app.command(
    "section",
    epilog="Examples:\n\nrollcall-hub report section 7b\n\nrollcall-hub report section 7b -o 7b.xlsx\n\n"
    "rollcall-hub report section 7b --table days -o 7b-days.csv",
)
def section(  # noqa: PLR0913, PLR0917
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SECTION", help="The section.")],
    since: FromOption = None,
    until: UntilOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    table: TableOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Show a section's lessons: by student, by day, and why some were not observed."""
    out = Out(ctx, form, output, table, bom=bom, as_json=as_json_)
    out.write(reports.section_report(out.office, name, out.asked(since, until)))


@app.command("room", epilog="Example:\n\nrollcall-hub report room 12 --from 2026-09-01 --until 2026-09-05")
def room(  # noqa: PLR0913, PLR0917
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ROOM", help="The room.")],
    since: FromOption = None,
    until: UntilOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    table: TableOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Show what happened in a room: by section, by day, and what its camera could not tell."""
    out = Out(ctx, form, output, table, bom=bom, as_json=as_json_)
    out.write(reports.room_report(out.office, name, out.asked(since, until)))


@app.command(
    "unobserved",
    epilog="Examples:\n\nrollcall-hub report unobserved --from 2026-09-01 --until 2026-09-01\n\n"
    "rollcall-hub report unobserved --section 7b -o unobserved.csv",
)
def unobserved(  # noqa: PLR0913, PLR0917
    ctx: typer.Context,
    section: Annotated[str | None, typer.Option("--section", help="Only the lessons of this section.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only what was in this room.")] = None,
    since: FromOption = None,
    until: UntilOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    table: TableOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Show who was not observed, and why: by reason, by room, by student. That is no absence."""
    out = Out(ctx, form, output, table, bom=bom, as_json=as_json_)
    out.write(reports.unobserved_report(out.office, out.asked(since, until), section=section, room=room))


@app.command("today", epilog="Example:\n\nrollcall-hub report today")
def today(
    ctx: typer.Context,
    form: FormatOption = None,
    output: OutputOption = None,
    table: TableOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Show the school's day so far: by section, and who was missing in the last lesson that anybody knows of."""
    out = Out(ctx, form, output, table, bom=bom, as_json=as_json_)
    out.write(reports.today_report(out.office, taken_as=out.taken_as))


@app.command(
    "codes",
    epilog="The codes are attendance.codes of the settings; a status without a code is left out, and counted.\n\n"
    "Example:\n\nrollcall-hub report codes --from 2026-09-01 --until 2026-09-05 -o codes.csv",
)
def codes(  # noqa: PLR0913, PLR0917
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write; - is standard output.")],
    section: Annotated[str | None, typer.Option("--section", help="Only the lessons of this section.")] = None,
    since: FromOption = None,
    until: UntilOption = None,
    bom: BomOption = False,
    as_json_: JsonFlag = False,
) -> None:
    """Write attendance codes for the school's information system: serial number, date, start of the lesson, code."""
    office = console.office(ctx)
    made = reports.codes_file(office, asked_days(since, until, "csv"), section=section, bom=bom)
    csv_files.write_file(output, made.content)
    told = {"file": output, "from": made.first, "until": made.last, "lines": made.lines, "students": made.students}
    waiting = reports.waiting(office, made.first, made.last)
    if output == csv_files.STREAM:
        pass
    elif as_json_:
        console.emit_json({**told, "without_code": made.without_code, "waiting": waiting})
    else:
        console.say(f"Wrote {made.lines} codes of {made.students} students to {output} ({made.first} to {made.last}).")
    if made.without_code and not as_json_:
        left = ", ".join(f"{count} {status}" for status, count in made.without_code.items())
        console.note(f"left out, for want of a code in the settings: {left}")
    if not as_json_:
        naming.say_waiting(waiting)


@app.command(
    "register",
    epilog="Letters that no font of this machine has are named before anything is printed; --font names another font."
    "\n\nExample:\n\nrollcall-hub report register --section 7b --from 2026-09-01 --until 2026-09-05 -o register.pdf",
)
def register(  # noqa: PLR0913, PLR0917
    ctx: typer.Context,
    section: Annotated[str, typer.Option("--section", help="The section.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PDF file to write; - is standard output.")],
    since: Annotated[str | None, typer.Option("--from", help="The first day. Default: Monday of this week.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="The last day. Default: six days after it.")] = None,
    font: Annotated[Path | None, typer.Option("--font", help="A TrueType or OpenType font to print with.")] = None,
    font_anyway: Annotated[
        bool, typer.Option("--font-anyway", help="Print question marks for letters that no font has.")
    ] = False,
    as_json_: JsonFlag = False,
) -> None:
    """Print a section's register (PDF, A4 across): students by the lessons of a week, codes, a line to sign on."""
    if output != csv_files.STREAM and output.suffix.lower() != ".pdf":
        raise typer.BadParameter("a printed register is a PDF file: its name should end with .pdf", param_hint="-o")
    office = console.office(ctx)
    asked = report_printing.days_to_print(
        office, school_day(since) if since else None, school_day(until) if until else None
    )
    made = report_printing.print_register(office, section, asked, Print(font, font_anyway))
    csv_files.write_file(output, made.content)
    for serial_numbers, what in (
        (made.unprintable, "question marks stand for letters that no font has"),
        (made.letter_by_letter, "letters that should be joined stand one by one"),
    ):
        if serial_numbers:
            console.note(f"{what}, in the names of serial numbers {', '.join(serial_numbers)}")
    waiting = reports.waiting(office, made.first, made.last)
    if as_json_ and output != csv_files.STREAM:
        told = {"file": output, "from": made.first, "until": made.last, "pages": made.pages, "students": made.students}
        letters = {"unprintable": made.unprintable, "letter_by_letter": made.letter_by_letter}
        console.emit_json({**told, **letters, "waiting": waiting})
    elif output != csv_files.STREAM:
        console.say(f"Wrote {made.pages} pages, {made.students} students, {made.first} to {made.last}, to {output}.")
    if not as_json_:
        naming.say_waiting(waiting)
