"""`rollcall-hub calibrate`: how certain a match must be, by the school's own faces once they say enough."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import calibration
from hub.office.calibration import Report, Scope

EPILOG = (
    "`rollcall-hub serve` does this by itself, a week after the last time or when a tenth of the students changed.\n\n"
    "Examples:\n\n"
    "rollcall-hub calibrate --dry-run\n\n"
    "rollcall-hub calibrate --show"
)
_SAMPLES = (1, 2, 3, 4, 5)
COLUMNS = (
    Column("scope", "Gallery"),
    Column("students", "Students", right=True),
    *(Column(str(samples), f"{samples} picture{'s' * (samples > 1)}", right=True) for samples in _SAMPLES),
    Column("margin", "Lead", right=True),
)
PAIR_COLUMNS = (
    Column("serial_number", "Student"),
    Column("other_serial_number", "Looks like"),
    Column("score", "Score", right=True),
    Column("origin", "Found by"),
)
app = typer.Typer()


@app.command("calibrate", epilog=EPILOG)
def calibrate(
    ctx: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Only show what holds now; nothing is measured.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and show, but change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Set how alike a face must be for a stated share of strangers (recognition.fpir), and find look-alikes.

    Compares every enrolled picture with the templates of all other students. While the school has too few pictures
    for that, the model pack's own scores hold. Units get other points with the next revision of their gallery.
    """
    if show and dry_run:
        raise typer.BadParameter("choose --show or --dry-run")
    office = console.office(ctx)
    pack = calibration.open_pack(office)
    outcome = None
    if not show:
        with console.progress("Comparing everybody with everybody", total=None, as_json=as_json):
            outcome = calibration.calibrate(office, pack, dry_run=dry_run)
    found = calibration.report(office, pack, outcome if dry_run else None)
    if as_json:
        kept = bool(outcome) and not dry_run
        console.emit_json({**found.as_json(), "kept": kept, "changed": outcome is not None and outcome.changed})
        return
    _say(found, dry_run=dry_run)


def _say(found: Report, *, dry_run: bool) -> None:
    for sentence in found.sentences:
        console.say(sentence)
    made = found.calibration
    if made is not None:
        console.say(
            f"{made.students} students, {made.comparisons} comparisons, for {made.fpir:.2%} of strangers; "
            f"{made.at:%Y-%m-%d %H:%M} UTC by {made.actor}."
        )
    console.emit([_row(scope) for scope in found.scopes], COLUMNS, as_json=False, empty="There are no units yet.")
    if found.look_alikes:
        console.say("For review, and never marked by machine when both are expected:")
        console.emit([asdict(one) for one in found.look_alikes], PAIR_COLUMNS, as_json=False)
    if dry_run:
        console.note("Nothing was changed. Without --dry-run this is kept and sent to the units.")
    elif found.due:
        console.note("The students have changed since; `rollcall-hub serve` measures again soon.")


def _row(scope: Scope) -> dict[str, Any]:
    rows = {row["samples"]: row for row in scope.points["by_samples"]}
    reached = {samples: rows[max(count for count in rows if count <= samples)] for samples in _SAMPLES}
    never = reached[1]["threshold"] >= 1.0
    shown = {str(samples): "never" if never else f"{row['threshold']:.4f}" for samples, row in reached.items()}
    return {"scope": scope.name, "students": scope.students, **shown, "margin": f"{reached[1]['margin']:.4f}"}
