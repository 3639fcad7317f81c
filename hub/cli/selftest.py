"""`rollcall-hub selftest`: how well the school's own gallery can be told apart, without a single new picture."""

from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import selftest as office_selftest
from hub.office.selftest import LESSON_STRANGERS, LESSON_STUDENTS, SelfTest
from recognition.evaluation.leave_one_out import Lesson

HELP = "Test the school's gallery with its own templates: who is missed, who is mistaken, which enrolments are weak."
EPILOG = (
    "Each picture is left out in turn and looked for in the gallery without it; each student is left out in turn and "
    "plays a stranger. Nothing is stored or changed. Enrolment pictures are better than what a camera sees: the share "
    "that is missed here is a lower bound.\n\n"
    "Expected false Presents per 1,000 student-lessons = 1000 x (strangers x F + students x M) / students. F: chance "
    "that a person who is not in the gallery is taken for anybody of a lesson in any of their tracks; a face that is "
    "tracked again is counted once. M: chance that a student is taken for another one. Upper: 95 % bounds, about 3 / n "
    "where nothing was observed on n students.\n\n"
    "Examples:\n\n"
    "rollcall-hub selftest\n\n"
    "rollcall-hub selftest --lesson-students 24 --strangers 5 --json\n\n"
    "Exit code 1: the stated error does not hold, or pictures look more like another student."
)

MISSED_COLUMNS = (
    Column("samples", "Pictures fused", right=True),
    Column("missed", "Missed (FNIR)", right=True),
    Column("interval", "95 %", right=True),
    Column("students", "Students", right=True),
)
ALIKE_COLUMNS = (
    Column("serial_number", "Serial"),
    Column("other_serial_number", "Looks like"),
    Column("score", "Score", right=True),
    Column("known", "Left to a person"),
)
WEAK_COLUMNS = (
    Column("serial_number", "Serial"),
    Column("meaning", "Why"),
    Column("score", "Score", right=True),
)
MEANINGS = {
    "single_picture": "only one picture: enrol two more",
    "pictures_disagree": "the pictures differ much: is each of them this student?",
    "not_recognised": "no picture is recognised by the others: enrol better ones",
    "more_like_another": "a picture looks more like another student: were they mixed up?",
}
app = typer.Typer()


@app.command("selftest", help=HELP, epilog=EPILOG)
def selftest(
    ctx: typer.Context,
    lesson_students: Annotated[
        int, typer.Option("--lesson-students", min=1, max=10_000, help="Students expected in a lesson.")
    ] = LESSON_STUDENTS,
    strangers: Annotated[
        float,
        typer.Option("--strangers", min=0, max=10_000, help="People in view in a lesson who are not in its gallery."),
    ] = LESSON_STRANGERS,
    as_json: JsonFlag = False,
) -> None:
    """Test the school's gallery with its own templates. Exit code 1 when something should not stay as it is."""
    office = console.office(ctx)
    pack = office_selftest.open_pack(office)
    stored = office_selftest.read_stored(office, pack.pack_id)
    lesson = Lesson(lesson_students, strangers)
    with console.progress("Leaving one out", total=len(stored.templates), as_json=as_json) as step:
        found = office_selftest.examine(office, pack, stored, lesson, lambda: step())
    if as_json:
        console.emit_json(found.as_row())
    else:
        _show(found)
    for problem in found.problems:
        console.note(f"Problem: {problem}.")
    if found.problems:
        raise typer.Exit(console.EXIT_FAILED)


def _show(found: SelfTest) -> None:
    figures, presents = found.figures, found.figures.false_presents
    console.say(
        f"{figures.students} students with {figures.pictures} pictures, model pack {found.pack_id}, "
        f"stated FPIR {figures.fpir:.2%}."
    )
    rows = [
        {
            "samples": row.samples,
            "missed": f"{row.fnir:.2%}",
            "interval": f"{row.interval.low:.1%} to {row.interval.high:.1%}",
            "students": row.students,
        }
        for row in figures.missed
    ]
    console.emit(rows, MISSED_COLUMNS, as_json=False, empty="Nobody has two pictures, so nothing can be left out.")
    strangers = figures.strangers
    console.say(
        f"Left out of the gallery, {strangers.taken} of {strangers.students} students are taken for somebody else "
        f"({strangers.share:.2%}; 95 %: {strangers.interval.low:.2%} to {strangers.interval.high:.2%})."
    )
    console.say(
        f"Expected false Presents per 1,000 student-lessons: {presents.expected:.2f}, at most {presents.upper:.2f} "
        f"({presents.lesson.students} students and {presents.lesson.strangers:g} strangers a lesson)."
    )
    console.emit(found.look_alikes(), ALIKE_COLUMNS, as_json=False, empty="No two students look alike to the pack.")
    weak = [row | {"meaning": MEANINGS[row["reason"]]} for row in found.weak_enrolments()]
    console.emit(weak, WEAK_COLUMNS, as_json=False, empty="No enrolment is weak.")
