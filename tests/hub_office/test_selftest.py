"""The self-test of a school's own gallery: on a real database, with templates that a test draws."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hub.adapters import look_alike_store, template_store
from hub.adapters.template_store import NewTemplate
from hub.cli import app
from hub.core.errors import BadInput
from hub.core.roster import Student
from hub.office import consents, selftest, students
from hub.office.selftest import SelfTest
from hub.office.students import find_student
from recognition.adapters.pack_files import Pack
from recognition.core.face import Vector
from recognition.evaluation.leave_one_out import Lesson
from tests.hub_office.conftest import OfficeUnderTest, with_pack

DIMENSIONS = 128
NOISE = 0.02
"""How far two pictures of one person lie apart: their cosine is about 0.95."""


class School:
    """Students whose templates are drawn around a direction of their own."""

    def __init__(self, desk: OfficeUnderTest, pack: Pack) -> None:
        self.desk = desk
        self.pack = pack
        self._generator = np.random.default_rng(1)
        self._drawn = 0

    def direction(self) -> np.ndarray:
        """Somebody's face."""
        drawn = self._generator.normal(size=DIMENSIONS)
        found: np.ndarray = drawn / np.linalg.norm(drawn)
        return found

    def picture(self, direction: np.ndarray) -> Vector:
        drawn = direction + NOISE * self._generator.normal(size=DIMENSIONS)
        found: Vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
        return found

    def enrol(self, serial: str, vectors: list[Vector], *, consent: bool = True) -> Student:
        office = self.desk.office
        students.add_student(office, {"serial_number": serial, "name": f"Name of {serial}"})
        if consent:
            consents.give_consent(office, {"serial_number": serial, "given_by": "mother"})
        with office.database.transaction() as connection:
            student = find_student(connection, serial)
            for vector in vectors:
                self._drawn += 1
                template = NewTemplate(
                    template_id=f"{self._drawn:032x}",
                    student_id=student.student_id,
                    pack_id=self.pack.pack_id,
                    vector=vector,
                    source="file",
                    face_px=120.0,
                    picture_sha256=self._drawn.to_bytes(32),
                )
                template_store.insert_template(connection, office.keys.hub_key(), template, office.clock.now())
        return student

    def examine(self, lesson: Lesson = Lesson(30, 2.0)) -> SelfTest:  # noqa: B008 (frozen)
        stored = selftest.read_stored(self.desk.office, self.pack.pack_id)
        return selftest.examine(self.desk.office, self.pack, stored, lesson, lambda: None)


@pytest.fixture
def school(desk: OfficeUnderTest, pack_folder: Path) -> School:
    """Six students with three pictures each."""
    desk = with_pack(desk, pack_folder)
    school = School(desk, selftest.open_pack(desk.office))
    for number in range(1, 7):
        face = school.direction()
        school.enrol(str(number), [school.picture(face) for _ in range(3)])
    return school


def test_a_school_whose_students_differ_has_no_problems(school: School) -> None:
    row = school.examine().as_row()
    assert (row["students"], row["pictures"], row["problems"], row["look_alikes"]) == (6, 18, [], [])
    assert (row["strangers"]["taken"], row["strangers"]["ci_low"]) == (0, 0.0)
    assert row["strangers"]["ci_high"] > 0.4
    presents = row["false_presents_per_1000_student_lessons"]
    assert presents["expected"] == 0.0 < presents["upper"]
    assert row["points_from"] == "pack"
    json.dumps(row, allow_nan=False)


def test_twins_are_shown_by_serial_number_and_whether_they_are_known(school: School) -> None:
    face = school.direction()
    one = school.enrol("20", [school.picture(face) for _ in range(2)])
    other = school.enrol("21", [school.picture(face) for _ in range(2)])
    (pair,) = school.examine().look_alikes()
    assert {pair["serial_number"], pair["other_serial_number"]} == {"20", "21"}
    assert pair["known"] is False
    with school.desk.office.database.transaction() as connection:
        now = school.desk.office.clock.now()
        look_alike_store.lock(connection, now)
        look_alike_store.add(connection, one.student_id, [other.student_id], now)
    assert school.examine().look_alikes()[0]["known"] is True


def test_a_mixed_up_picture_is_a_problem(school: School) -> None:
    mine, theirs = school.direction(), school.direction()
    school.enrol("30", [school.picture(theirs) for _ in range(3)])
    school.enrol("31", [school.picture(mine), school.picture(mine), school.picture(theirs)])
    found = school.examine()
    assert any("pictures of 31" in problem for problem in found.problems)
    assert {"serial_number": "31", "reason": "more_like_another"}.items() <= next(
        row for row in found.weak_enrolments() if row["reason"] == "more_like_another"
    ).items()


def test_a_gallery_in_which_nobody_is_recognised_is_a_problem(school: School) -> None:
    """A pack that is not calibrated marks nobody wrongly, and nobody at all."""
    fine = school.examine()
    assert not any("nobody is recognised" in problem for problem in fine.problems)
    missed = tuple(replace(row, fnir=1.0) for row in fine.figures.missed)
    nobody = replace(fine, figures=replace(fine.figures, missed=missed))
    assert any("nobody is recognised" in problem for problem in nobody.problems)


def test_people_without_consent_are_not_compared(school: School) -> None:
    school.enrol("40", [school.picture(school.direction())], consent=False)
    assert school.examine().as_row()["students"] == 6


def test_a_single_picture_is_weak_but_no_problem(school: School) -> None:
    school.enrol("50", [school.picture(school.direction())])
    found = school.examine()
    assert found.weak_enrolments() == [{"serial_number": "50", "reason": "single_picture", "score": None}]
    assert found.problems == ()


def test_fewer_than_two_students_are_too_few(desk: OfficeUnderTest, pack_folder: Path) -> None:
    desk = with_pack(desk, pack_folder)
    with pytest.raises(BadInput, match="at least two"):
        selftest.read_stored(desk.office, selftest.open_pack(desk.office).pack_id)


def test_the_command_prints_for_people_and_scripts_and_changes_nothing(school: School) -> None:
    settings_file = str(school.desk.settings_file)
    before = school.desk.count("audit"), school.desk.count("templates")
    shown = CliRunner().invoke(app, ["--config", settings_file, "selftest"])
    assert shown.exit_code == 0, shown.output
    assert "6 students with 18 pictures" in shown.stdout
    assert "Expected false Presents per 1,000 student-lessons: 0.00" in shown.stdout
    assert "No two students look alike" in shown.stdout
    words = ["--config", settings_file, "selftest", "--json", "--lesson-students", "5", "--strangers", "1"]
    read = json.loads(CliRunner().invoke(app, words).stdout)
    assert read["false_presents_per_1000_student_lessons"]["lesson_students"] == 5
    assert "Name of" not in shown.stdout + json.dumps(read)
    assert (school.desk.count("audit"), school.desk.count("templates")) == before


def test_the_command_ends_with_1_when_something_is_wrong(school: School) -> None:
    mine, theirs = school.direction(), school.direction()
    school.enrol("30", [school.picture(theirs) for _ in range(3)])
    school.enrol("31", [school.picture(mine), school.picture(theirs)])
    ended = CliRunner().invoke(app, ["--config", str(school.desk.settings_file), "selftest", "--json"])
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["problems"]
    assert "Problem: pictures of 31" in ended.stderr


def test_help_states_the_formula() -> None:
    shown = CliRunner().invoke(app, ["selftest", "--help"], env={"COLUMNS": "200"}).output
    assert "1000 x (strangers x F + students x M) / students" in shown
