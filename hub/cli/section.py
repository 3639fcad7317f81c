"""`rollcall-hub section`: groups of students who are taught together."""

from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import sections

app = typer.Typer(no_args_is_help=True, help="Sections: groups of students who are taught together.")

COLUMNS = (Column("section", "Section"), Column("students", "Students", right=True))


@app.command("add", epilog='Example:\n\nrollcall-hub section add "7b"')
def add(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The section's name.")], as_json: JsonFlag = False
) -> None:
    """Add a section."""
    section = sections.add_section(console.office(ctx), name)
    if as_json:
        console.emit_json({"section_id": section.section_id, "section": section.name})
    else:
        console.say(f"Added section {section.name}.")


@app.command("list")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the sections and how many students they have."""
    lines = sections.list_sections(console.office(ctx))
    rows = [{"section_id": line.section_id, "section": line.name, "students": line.students} for line in lines]
    empty = 'There are no sections. Add one: rollcall-hub section add "7b"'
    console.emit(rows, COLUMNS, as_json=as_json, empty=empty)
