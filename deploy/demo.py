"""`make demo`: the main job on this machine, with real faces, a real broker and a real database.

Starts private servers, enrols two people from sample portraits, plays a clip to a unit, takes the broker away in the
middle of it, and looks at what reached the database. The last line is `demo: ok` only if everything is as it should be.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.clip import SAMPLES, Scene, make_clip
from deploy.demo_verdict import Evidence, faults
from deploy.own_customer import enrol_from_camera
from deploy.own_process import ServerError, wait_until
from deploy.programs import Program
from deploy.stage import Stage, StagedUnit

CUT_AFTER_S = 5.0
BACK_AFTER_S = 17.0
LONGEST_S = 180.0
SETTLE_S = 60.0
ROOM, SECTION = "Room 12", "7a"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is enrolled for the demonstration."""

    serial: str
    name: str
    portraits: tuple[str, ...]
    clip_name: str


PEOPLE = (
    Person("0012", "Barack Obama", ("obama.jpg", "obama2.jpg"), "obama"),
    Person("0013", "Joe Biden", ("biden.jpg",), "biden"),
)

console = Console(highlight=False)


def say(text: str) -> None:
    """Tell what happens, with the seconds since the start."""
    console.print(f"[dim]{time.monotonic() - _STARTED_S:6.1f} s[/]  {text}", soft_wrap=True)


_STARTED_S = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; return 0 only if everything happened as it should."""
    options = _options(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A closed terminal is a Ctrl-C too: servers are stopped and a person's templates deleted on the way out.
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="rollcall-demo-"))
    try:
        return _run(options, folder)
    finally:
        if options.camera and not options.keep:
            # They were told that it is deleted, whatever happens.
            shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> int:
    try:
        with Stage(folder) as stage:
            say(f"broker on port {stage.broker.port}, database on port {stage.database.port}, hub database migrated")
            problems = play_camera(stage, options.camera) if options.camera else play_story(stage)
    except ServerError as exc:
        problems = [str(exc)]
    except KeyboardInterrupt:
        problems = ["stopped by Ctrl-C; everything it had started is stopped"]
    return _end(folder, problems, keep=options.keep, private=bool(options.camera))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--camera", help="a real camera: 0, /dev/v4l/by-id/..., rtsp://..., or a video file")
    parser.add_argument("--keep", action="store_true", help="keep the folder with databases and logs afterwards")
    return parser.parse_args(arguments)


def _end(folder: Path, problems: list[str], *, keep: bool, private: bool) -> int:
    if problems:
        for problem in problems:
            console.print(f"[red]wrong:[/] {problem}", soft_wrap=True)
        if keep or not private:
            console.print(f"logs are in {folder}")
        console.print("demo: failed")
        return 1
    if keep:
        console.print(f"everything is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    console.print("demo: ok")
    return 0


def prepare_school(stage: Stage) -> StagedUnit:
    """Add a room, a section, a lesson around now, and a unit."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 (a demonstration has no Clock)
    stage.office("room", "add", ROOM)
    stage.office("section", "add", SECTION)
    stage.office(
        "lesson", "add", "--room", ROOM, "--section", SECTION, "--label", "Mathematics",
        "--starts-at", (now - timedelta(minutes=1)).isoformat(), "--ends-at", (now + timedelta(minutes=44)).isoformat(),
    )  # fmt: skip
    say(f"{ROOM}, section {SECTION} and a lesson that has just begun")
    return stage.add_unit("room-12", ROOM)


def enrol_people(stage: Stage, people: Sequence[Person] = PEOPLE, portraits: Path = SAMPLES) -> None:
    """Add the people, their consent and their pictures."""
    for person in people:
        stage.office("student", "add", "--serial", person.serial, "--name", person.name, "--section", SECTION)
        stage.office("consent", "give", "--serial", person.serial, "--given-by", "the demonstration")
        pictures = [str(portraits / portrait) for portrait in person.portraits]
        stage.office("enrol", "--serial", person.serial, *pictures)
        say(f"enrolled {person.serial} {person.name} from {len(pictures)} portrait(s)")


def play_story(stage: Stage) -> list[str]:
    """Play the whole story; return what was wrong."""
    unit = prepare_school(stage)
    enrol_people(stage)
    stage.hub.start()
    say("the hub runs")
    clip = stage.folder / "clip"
    scenes = make_clip(clip)
    say(f"made a clip of {len(scenes)} scenes (Biden is a scaled, rotated, re-lit version of his portrait)")
    fetch_gallery(stage, unit, scenes[0])
    cut_at, back_at = play_clip(stage, unit, clip)
    return settle_and_judge(stage, unit, scenes, (cut_at, back_at))


def fetch_gallery(stage: Stage, unit: StagedUnit, empty_room: Scene) -> None:
    """Let the unit fetch its gallery while it looks at an empty room, then stop it: it must keep what it has."""
    watching = unit.program({"kind": "replay", "source": str(empty_room.frames[0].parent), "at_end": "again"})
    watching.start()
    try:
        say("the unit runs and looks at an empty room; the operator pushes the gallery")
        stage.wait_for_gallery()
        say("the unit has confirmed its gallery; it is stopped and started again with the clip")
    finally:
        watching.stop()


def play_clip(stage: Stage, unit: StagedUnit, clip: Path) -> tuple[datetime, datetime]:
    """Play the clip at its own pace, without a broker for part of it; return when it was cut and came back."""
    program = unit.program({"kind": "replay", "source": str(clip), "at_end": "stop", "delivery__drain_s": "60"})
    program.start()
    teller = Teller(program)
    began_s = time.monotonic()
    teller.follow(lambda: time.monotonic() - began_s >= CUT_AFTER_S)
    cut_at = datetime.now(UTC)  # noqa: TID251
    stage.broker.kill()
    say("[yellow]the broker is killed: the unit is on its own[/]")
    teller.follow(lambda: time.monotonic() - began_s >= BACK_AFTER_S)
    back_at = datetime.now(UTC)  # noqa: TID251
    stage.broker.start()
    say("[yellow]the broker is back[/]")
    try:
        teller.follow(lambda: time.monotonic() - began_s >= LONGEST_S)
    finally:
        program.stop()
    return cut_at, back_at


class Teller:
    """Follows a unit's log and tells what it records."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._told = 0

    def follow(self, until: "Any") -> None:
        """Tell what the log says until the condition holds or the program ends."""
        wait_until(lambda: self._tell() or until() or not self._program.running, LONGEST_S)
        self._tell()

    def _tell(self) -> bool:
        lines = self._program.words().splitlines()
        for line in lines[self._told :]:
            if " recorded " in line:
                say(f"  unit: wrote down {_field(line, 'kind')} (number {_field(line, 'seq')})")
            elif " problem " in line or " recovered " in line:
                say(f"  unit: {line.split(' ', 4)[-1]}")
        self._told = len(lines)
        return False


def _field(line: str, name: str) -> str:
    return line.partition(f"{name}=")[2].partition(" ")[0]


def settle_and_judge(
    stage: Stage, unit: StagedUnit, scenes: Sequence[Scene], cut: tuple[datetime, datetime]
) -> list[str]:
    """Wait until the register has settled, show it, and return what is wrong."""
    expected = {person.serial for person in PEOPLE if any(person.clip_name in scene.expected for scene in scenes)}
    today = cut[0].date().isoformat()
    wait_until(lambda: expected <= set(present_serials(stage)), SETTLE_S)
    evidence = Evidence(
        expected=frozenset(expected),
        present=tuple(present_serials(stage)),
        local=unit.events(),
        stored=[str(row[0]) for row in stage.query("SELECT LOWER(HEX(event_id)) FROM events")],
        offline=cut,
        strangers=sum(scene.strangers for scene in scenes),
    )
    show_record(stage, unit, today)
    return faults(evidence)


def present_serials(stage: Stage) -> list[str]:
    """Return the serial numbers that the database has as Present or Late, once for each row."""
    rows = stage.query(
        "SELECT serial_number FROM attendance JOIN students ON students.id = attendance.student_id"
        " WHERE status IN ('Present', 'Late') ORDER BY serial_number"
    )
    return [str(row[0]) for row in rows]


def show_record(stage: Stage, unit: StagedUnit, today: str) -> None:
    """Show the register from MySQL and the CSV from the unit."""
    table = Table("serial", "name", "lesson", "status", "method", "time (UTC)", title="register, read from MySQL")
    for row in stage.query(
        "SELECT serial_number, name, COALESCE(label, occasion), status, method, timestamp FROM attendance"
        " JOIN students ON students.id = student_id LEFT JOIN lessons ON lessons.id = lesson_id ORDER BY serial_number"
    ):
        table.add_row(*(str(value) for value in row))
    console.print(table)
    console.print(stage.office("register", "show", "--date", today))
    for path in sorted(unit.csv_folder.glob("*.csv")):
        console.print(f"[bold]{path.name}[/] on the unit:")
        console.print(path.read_text(encoding="utf-8"), markup=False, soft_wrap=True)


def play_camera(stage: Stage, camera: str) -> list[str]:
    """Enrol the person before a real camera and watch for them; return what was wrong."""
    unit = prepare_school(stage)
    name = enrol_from_camera(stage, unit, camera, SECTION, say)
    if name is None:
        return ["nobody was enrolled, so there is nobody to recognise"]
    stage.hub.start()
    kind = "replay" if Path(camera).is_file() else "opencv"
    program = unit.program({"kind": kind, "source": camera, "at_end": "stop", "delivery__drain_s": "20"})
    program.start()
    say("the unit watches; Ctrl-C ends it")
    try:
        stage.wait_for_gallery()
        Teller(program).follow(lambda: bool(present_serials(stage)))
    finally:
        program.stop()
    show_record(stage, unit, datetime.now(UTC).date().isoformat())  # noqa: TID251
    return (
        [] if present_serials(stage) else [f"{name} was not recognised: come closer, look into the camera, more light"]
    )


if __name__ == "__main__":
    sys.exit(main())
