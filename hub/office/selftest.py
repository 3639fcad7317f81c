"""The school's own gallery tested with its own templates: nothing is enrolled, stored or changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from hub.adapters import calibration_store, look_alike_store
from hub.adapters.schema import students
from hub.core.calibration import Calibration, points_for
from hub.core.errors import BadInput
from hub.office.context import Office
from recognition.adapters.pack_files import Pack, read_manifest
from recognition.core.calibration import OperatingPoints
from recognition.core.gallery import Template
from recognition.evaluation.leave_one_out import GalleryFigures, Lesson, examine_gallery

LESSON_STUDENTS = 30
LESSON_STRANGERS = 2.0

Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The figures of the gallery, and who is who in them: people are shown by serial number."""

    pack_id: str
    points_from: str
    figures: GalleryFigures
    serial_numbers: Mapping[str, str]
    known_pairs: frozenset[tuple[str, str]]

    @property
    def problems(self) -> tuple[str, ...]:
        """What should not stay as it is, as sentences; empty when all is well."""
        found = []
        if self.figures.missed and all(row.fnir == 1.0 for row in self.figures.missed):
            found.append(
                "nobody is recognised at all: with these pictures and this pack nobody will be marked; "
                "rollcall-hub calibrate --show says what is missing"
            )
        if not self.figures.holds:
            found.append(
                f"at least {self.figures.strangers.interval.low:.2%} of the students are taken for somebody else when "
                f"they are not listed, and {self.figures.fpir:.2%} is stated: run rollcall-hub calibrate"
            )
        found += [
            f"pictures of {self._serial(weak.student_id)} look more like another student: were they mixed up?"
            for weak in self.figures.weak
            if weak.reason == "more_like_another"
        ]
        return tuple(found)

    def as_row(self) -> dict[str, Any]:
        """Return everything as one object of JSON types."""
        figures, presents = self.figures, self.figures.false_presents
        return {
            "pack_id": self.pack_id,
            "points_from": self.points_from,
            "students": figures.students,
            "pictures": figures.pictures,
            "fpir": figures.fpir,
            "fnir": [
                {
                    "samples": row.samples,
                    "fnir": row.fnir,
                    "ci_low": row.interval.low,
                    "ci_high": row.interval.high,
                    "searches": row.searches,
                    "students": row.students,
                }
                for row in figures.missed
            ],
            "strangers": {
                "students": figures.strangers.students,
                "taken": figures.strangers.taken,
                "share": figures.strangers.share,
                "ci_low": figures.strangers.interval.low,
                "ci_high": figures.strangers.interval.high,
            },
            "false_presents_per_1000_student_lessons": {
                "expected": presents.expected,
                "upper": presents.upper,
                "lesson_students": presents.lesson.students,
                "lesson_strangers": presents.lesson.strangers,
                "stranger_chance": presents.stranger_chance,
                "stranger_chance_upper": presents.stranger_chance_upper,
                "mistaken_chance": presents.mistaken_chance,
                "mistaken_chance_upper": presents.mistaken_chance_upper,
            },
            "look_alikes": self.look_alikes(),
            "weak_enrolments": self.weak_enrolments(),
            "problems": list(self.problems),
        }

    def look_alikes(self) -> list[dict[str, Any]]:
        """Return the pairs as rows; `known`: units leave both to a person already."""
        return [
            {
                "serial_number": self._serial(pair.student_id),
                "other_serial_number": self._serial(pair.other_id),
                "score": pair.score,
                "known": look_alike_store.pair_of(pair.student_id, pair.other_id) in self.known_pairs,
            }
            for pair in self.figures.alike
        ]

    def weak_enrolments(self) -> list[dict[str, Any]]:
        """Return the students whose enrolment deserves a look as rows."""
        return [
            {"serial_number": self._serial(weak.student_id), "reason": weak.reason, "score": weak.score}
            for weak in self.figures.weak
        ]

    def _serial(self, student_id: str) -> str:
        return self.serial_numbers.get(student_id, student_id)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What the database holds of the pack's gallery: students whose consent is in force."""

    templates: tuple[Template, ...]
    serial_numbers: Mapping[str, str]
    known_pairs: frozenset[tuple[str, str]]
    calibration: Calibration | None


def read_stored(office: Office, pack_id: str) -> Stored:
    """Return the gallery of a pack. Raises BadInput when fewer than two students are enrolled with it."""
    hub_key = office.keys.ring()

    def work(connection: Connection) -> Stored:
        templates = calibration_store.consented_templates(connection, hub_key, pack_id, office.clock.now())
        named = connection.execute(select(students.c.id, students.c.serial_number))
        return Stored(
            tuple(templates),
            {row.id: row.serial_number for row in named},
            look_alike_store.read(connection),
            calibration_store.newest(connection, pack_id),
        )

    stored = office.database.run(work, isolation="REPEATABLE READ")
    if len(stored.templates) < 2:
        raise BadInput(
            f"{len(stored.templates)} students are enrolled with the model pack {pack_id}; a test needs at least two",
            hint="see: rollcall-hub student list",
        )
    return stored


def examine(office: Office, pack: Pack, stored: Stored, lesson: Lesson, step: Step) -> SelfTest:
    """Test the gallery at the points that units get for it; `step` is called for each student."""
    fpir = office.settings.recognition.fpir

    def points(gallery_size: int) -> OperatingPoints:
        return points_for(stored.calibration, pack.statistics, gallery_size, fpir)

    figures = examine_gallery(stored.templates, points, pack.same_person_floor, lesson, step)
    newest = stored.calibration
    origin = newest.method if newest is not None else "pack" if pack.statistics is not None else "none"
    return SelfTest(pack.pack_id, origin, figures, stored.serial_numbers, stored.known_pairs)


def open_pack(office: Office) -> Pack:
    """Return the hub's pack by its manifest; its models are not needed here. Raises PackError."""
    folder = office.settings.recognition.pack_dir
    return Pack(folder, read_manifest(folder))
