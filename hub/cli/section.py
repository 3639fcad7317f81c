"""`rollcall-hub section`: students who are taught together, and groups of them that are taught apart."""

from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import school_day
from hub.office import groups, sections
from hub.office.groups import Way

app = typer.Typer(no_args_is_help=True, help="Sections: students who are taught together, and groups within them.")

COLUMNS = (Column("section", "Section"), Column("students", "Students", right=True))
GROUP_COLUMNS = (
    Column("group", "Group"),
    Column("students", "Students", right=True),
    Column("serials_text", "Serial numbers"),
)
SectionName = Annotated[str, typer.Argument(help="The section.")]

_GROUP_SET = (
    "Exactly the students named are in the group from then on: who is not named is in it no longer. With --add or "
    "--remove nothing changes for the others. A student may be in several groups of their own section; other groups "
    "stay as they are. With --from and a day that is over, the past from then on is corrected, also of students who "
    "left the group or came to it since. Lists: the column groups of student import.\n\n"
    "Examples:\n\n"
    "rollcall-hub section group-set 7b A --serial 0012 --serial 0013 --from 2026-09-01\n\n"
    "rollcall-hub section group-set 7b A --add --serial 0014"
)


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


@app.command("list", epilog="Example:\n\nrollcall-hub section list --json")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the sections and how many students they have."""
    lines = sections.list_sections(console.office(ctx))
    rows = [{"section_id": line.section_id, "section": line.name, "students": line.students} for line in lines]
    empty = 'There are no sections. Add one: rollcall-hub section add "7b"'
    console.emit(rows, COLUMNS, as_json=as_json, empty=empty)


@app.command("rename", epilog='Example:\n\nrollcall-hub section rename "7b" "8b"')
def rename(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called now.")],
    new_name: Annotated[str, typer.Argument(help="What it shall be called.")],
    as_json: JsonFlag = False,
) -> None:
    """Call a section something else; its students, lessons and register stay."""
    section = sections.rename_section(console.office(ctx), name, new_name)
    if as_json:
        console.emit_json({"section_id": section.section_id, "section": section.name})
    else:
        console.say(f"Section {name} is now {section.name}.")


@app.command("group-add", epilog="Example:\n\nrollcall-hub section group-add 7b A")
def add_group(
    ctx: typer.Context,
    section: SectionName,
    name: Annotated[str, typer.Argument(help="The group's name, such as A or French.")],
    as_json: JsonFlag = False,
) -> None:
    """Add a group: a part of a section that has lessons of its own."""
    group = sections.add_group(console.office(ctx), section, name)
    if as_json:
        console.emit_json({"group_id": group.group_id, "section": group.section, "group": group.name})
    else:
        console.say(f"Added group {group.name} of section {group.section}.")


@app.command("groups", epilog="Example:\n\nrollcall-hub section groups 7b")
def list_groups(ctx: typer.Context, section: SectionName, as_json: JsonFlag = False) -> None:
    """List the groups of a section and who is in them."""
    rows = [
        {
            "group_id": line.group_id,
            "group": line.name,
            "students": len(line.serial_numbers),
            "serial_numbers": line.serial_numbers,
            "serials_text": ", ".join(line.serial_numbers) or None,
        }
        for line in sections.list_groups(console.office(ctx), section)
    ]
    empty = f'Section {section} has no groups. Add one: rollcall-hub section group-add "{section}" A'
    console.emit(rows, GROUP_COLUMNS, as_json=as_json, empty=empty)


@app.command("group-set", epilog=_GROUP_SET)
def set_group(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    section: SectionName,
    name: Annotated[str, typer.Argument(help="The group.")],
    serial: Annotated[
        list[str] | None, typer.Option("--serial", help="A student's number; give it as often as needed.")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="These as well; everybody in it stays.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="These no longer; the others stay.")] = False,
    nobody: Annotated[bool, typer.Option("--nobody", help="Empty the group.")] = False,
    from_day: Annotated[
        str | None, typer.Option("--from", help="From which day on, such as 2026-09-14. Default: now.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say who is in a group."""
    serials = serial or []
    if add and remove:
        raise typer.BadParameter("--add and --remove exclude each other")
    if nobody == bool(serials) or (nobody and (add or remove)):
        raise typer.BadParameter("name students with --serial, or pass --nobody alone to empty the group")
    way: Way = "add" if add else "remove" if remove else "exactly"
    day = None if from_day is None else school_day(from_day)
    done = groups.set_group(console.office(ctx), section, name, serials, way=way, from_day=day)
    if as_json:
        said = {"came": done.came, "left": done.left, "corrected": done.corrected, "members": done.members}
        console.emit_json({"section": section, "group": name, **said})
    else:
        how_many = "1 student" if len(done.members) == 1 else f"{len(done.members)} students"
        console.say(f"Group {name} of section {section}: {how_many}.")
        corrected = f"Corrected from {from_day} on"
        for what, which in (("Came", done.came), ("Left", done.left), (corrected, done.corrected)):
            if which:
                console.say(f"{what}: {', '.join(which)}")
