"""`rollcall-hub audit`: what was decided by whom, and whether the record of it is as it was written."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.audit_chain import Link, Problem, parse_link
from hub.core.errors import BadInput
from hub.core.roster_times import local_iso
from hub.office import audit

app = typer.Typer(no_args_is_help=True, help="The audit log: what was changed, when, and by whom.")

COLUMNS = (
    Column("seq", "No.", right=True),
    Column("when", "When"),
    Column("actor", "Who"),
    Column("action", "What"),
    Column("concerns", "Concerns"),
    Column("said", "Detail"),
)
_LIST_EXAMPLES = (
    "Names are looked up as they are now: the log itself holds none.\n\n"
    "Examples:\n\n"
    "rollcall-hub audit list --student 0042\n\n"
    "rollcall-hub audit list --action mark --since 2026-09-01 --until 2026-09-05\n\n"
    "rollcall-hub audit list --lesson 0198f2c4-... --json"
)
_VERIFY_EXAMPLES = (
    "Each entry carries a hash of itself and of the one before it, so an entry that somebody edited, took out, put in "
    "or swapped is found. Whoever may write to the database could compute all hashes anew: write the newest one down "
    "where they cannot write, and give it later with --expect.\n\n"
    "Examples:\n\n"
    "rollcall-hub audit verify\n\n"
    "rollcall-hub audit verify --expect 10412:5f1c..."
)


@app.command("list", epilog=_LIST_EXAMPLES)
def list_some(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    student: Annotated[
        str | None, typer.Option("--student", help="Only about the student of this serial number.")
    ] = None,
    lesson: Annotated[str | None, typer.Option("--lesson", help="Only about the lesson with this id.")] = None,
    action: Annotated[
        str, typer.Option("--action", help="Only this action, such as mark.set, or all that begin with mark.")
    ] = "",
    actor: Annotated[str, typer.Option("--by", "--actor", help="Only what this person or program did.")] = "",
    since: Annotated[str | None, typer.Option("--since", help="A day, or a time like 2026-09-01T08:00.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="The same; a day is included.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", help="At most so many, the newest.", min=1, max=audit.MOST_LISTED)
    ] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List entries of the audit log, newest first."""
    office = console.office(ctx)
    found = audit.entries(
        office, student=student, lesson=lesson, action=action, actor=actor, since=since, until=until, limit=limit
    )
    rows = [_row(line) | {"when": local_iso(line.at, office.settings.zone)[:19].replace("T", " ")} for line in found]
    if as_json:
        console.emit_json([{key: row[key] for key in row if key not in {"when", "concerns", "said"}} for row in rows])
        return
    console.emit(rows, COLUMNS, as_json=False, empty="There are no such entries.")
    if len(found) == limit:
        console.note(f"These are the newest {limit}; --limit shows more.")


def _row(line: audit.AuditLine) -> dict[str, Any]:
    return {
        "seq": line.seq,
        "at": line.at,
        "actor": line.actor,
        "action": line.action,
        "subject": line.subject,
        "object": line.object_,
        "about": line.about,
        "detail": line.detail,
        "concerns": line.about or line.subject,
        "said": line.detail if isinstance(line.detail, str) else json.dumps(line.detail, ensure_ascii=False)[1:-1],
    }


@app.command("verify", epilog=_VERIFY_EXAMPLES)
def verify(
    ctx: typer.Context,
    expect: Annotated[
        str | None,
        typer.Option("--expect", help="What an earlier `audit verify` printed and you wrote down: SEQ:HASH."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that no entry was edited, taken out, put in or swapped. Ends with 1 when one was."""
    office = console.office(ctx)
    link = None if expect is None else _link(expect)
    with console.progress("Verifying", total=None, as_json=as_json) as step:
        done = 0

        def shown(entries: int, total: int) -> None:
            nonlocal done
            step(entries - done, total=total)
            done = entries

        found = audit.verify(office, expect=link, progress=shown)
    if as_json:
        console.emit_json(_verified(found))
    else:
        _say(found, office.settings.zone)
    if not found.intact:
        raise typer.Exit(console.EXIT_FAILED)


def _link(text: str) -> Link:
    link = parse_link(text)
    if link is None:
        raise BadInput(f"{text[:80]!r} is not SEQ:HASH as `rollcall-hub audit verify` prints it")
    return link


def _verified(found: audit.Verified) -> dict[str, Any]:
    return {
        "intact": found.intact,
        "entries": found.entries,
        "newest": str(found.newest),
        "forgotten_up_to": found.forgotten,
        "problems": [
            {"seq": one.seq, "since": one.since, "kind": one.kind, "message": one.message} for one in found.problems
        ],
        "all_problems": found.all_problems,
    }


def _say(found: audit.Verified, zone: Any) -> None:
    if found.forgotten:
        console.note(f"Entries up to {found.forgotten} were deleted because they were old enough.")
    if found.intact:
        console.say("No entry was changed since it was written.")
        console.say(f"{found.entries} entries, newest {found.newest}: write it down outside of this computer.")
        return
    for problem in found.problems:
        console.say(_sentence(problem, zone))
    first = found.problems[0].seq
    if first is not None and first > found.forgotten + 2:  # the one before it may be the one
        console.say(f"Entries before {first - 1} are as they were written.")
    if found.all_problems > len(found.problems):
        console.say(f"... and {found.all_problems - len(found.problems)} more.")
    console.say_error(
        f"the audit log is not as it was written ({found.all_problems} places, {found.entries} entries)",
        "keep the database as it is, compare it with your last backup, and find out who may write to it",
    )


def _sentence(problem: Problem, zone: Any) -> str:
    since = (
        "" if problem.since is None else f" (that entry is of {local_iso(problem.since, zone)[:19].replace('T', ' ')})"
    )
    return f"{problem.message}{since}"


@app.command(
    "export",
    epilog="Examples:\n\nrollcall-hub audit export audit-2026.jsonl\n\nrollcall-hub audit export - | gzip > audit.gz",
)
def export(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="The file to write, a line of JSON for each entry, oldest first; - is the output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the whole audit log into a file, with its hashes. That it was taken is itself recorded."""
    office = console.office(ctx)
    with console.progress("Writing", total=None, as_json=as_json) as step:
        done = 0

        def shown(entries: int, total: int) -> None:
            nonlocal done
            step(entries - done, total=total)
            done = entries

        written = audit.export(office, file, force=force, progress=shown)
    if file == csv_files.STREAM:
        return
    if as_json:
        console.emit_json({"file": str(file), "entries": written})
    else:
        console.say(f"Wrote {written} entries to {file}.")
