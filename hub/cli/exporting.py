"""`rollcall-hub export`: writing what another system can read."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import JsonFlag
from hub.core.roster_times import school_day
from hub.office.legacy_export import LegacyExported, export_legacy

app = typer.Typer(no_args_is_help=True, help="Write what another system can read.")

_HELP = (
    "Written are students.csv; attendance_table.csv, the register as the original's table had it; attendance.csv with "
    "a line for whoever was there (date,time,name); and known_faces/ with the portraits that were kept and may be.\n\n"
    "The original knows Present, Late and Absent. Rows that are Excused, Not seen or Not observed here have an empty "
    "status; the column rollcall_status says what they are. Nobody becomes Absent by being exported.\n\n"
    "Times are the school's clock; timestamp_utc has the exact moment. `import legacy` reads the folder again.\n\n"
    "Examples:\n\n"
    "rollcall-hub export legacy --folder /srv/for-the-old-system\n\n"
    "rollcall-hub export legacy --folder october --from 2026-10-01 --until 2026-10-31"
)


@app.callback()
def group() -> None:
    """Keep `legacy` a word of its own."""


@app.command("legacy", epilog=_HELP)
def legacy(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write; made if it is not there.")],
    first: Annotated[str | None, typer.Option("--from", help="The first day, like 2026-09-01. Default: all.")] = None,
    last: Annotated[str | None, typer.Option("--until", help="The last day. Default: all.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that is not empty, and replace files of these names.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write students, register and portraits as the system this one follows had them (audited)."""
    days = {"first": school_day(first) if first else None, "last": school_day(last) if last else None}
    office = console.office(ctx)
    with console.progress("Writing", total=None, as_json=as_json) as step:
        done = export_legacy(office, folder, **days, force=force, progress=lambda rows: step(rows))
    if as_json:
        console.emit_json(
            {
                "folder": done.folder,
                "students": done.students,
                "attendance_table_rows": done.table_rows,
                "attendance_lines": done.lines,
                "statuses": dict(done.statuses),
                "without_status": done.without_status,
                "left_out": done.left_out,
                "pictures": done.pictures,
                "pictures_unreadable": done.pictures_unreadable,
            }
        )
    else:
        _say(done)


def _say(done: LegacyExported) -> None:
    console.say(
        f"Wrote {done.students} students, {done.table_rows} rows of attendance, {done.lines} lines of who was there "
        f"and {done.pictures} pictures to {done.folder}."
    )
    if done.without_status:
        said = ", ".join(f"{count} {status}" for status, count in sorted(done.without_status.items()))
        console.say(f"Without a status there, because the original has no word for it: {said}.")
    if done.left_out:
        console.say(f"{done.left_out} rows of students who were erased were left out.")
    if done.pictures_unreadable:
        console.say(
            f"The pictures of {done.pictures_unreadable} students cannot be opened: is keys.hub_key_file the right key?"
        )
