"""Enrolment on a real database, with faces that a test draws as angles."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from hub.adapters import look_alike_store, template_store
from hub.core.enrolment_faces import FoundFace
from hub.core.enrolment_gallery import MAX_PICTURES
from hub.core.errors import BadInput, Conflict, NotFound, StoreRefused
from hub.office import consents, enrolled_pictures, enrolment_folder, students
from hub.office.enrolment import Enroller, PictureOutcome, Request
from hub.office.enrolment_folder import ImportChoices
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.drawn_faces import DrawnFaces, School, open_school


@pytest.fixture
def school(desk: OfficeUnderTest, tmp_path: Path) -> School:
    return open_school(desk, tmp_path / "faces")


def test_a_picture_becomes_a_sealed_template_and_galleries_follow(school: School) -> None:
    before = school.desk.revision()
    outcome = school.enrol("1", 0)
    assert (outcome.outcome, outcome.face_px, outcome.reason) == ("accepted", 120, "")
    assert school.desk.revision() == before + 1
    assert school.desk.actions()[-1] == "enrol.picture"
    sealed = school.desk.rows("select sealed from templates")[0][0]
    assert isinstance(sealed, bytes)
    assert np.array([1, 0, 0], dtype="<f4").tobytes() not in sealed
    with school.desk.office.database.transaction() as connection:
        key = school.desk.office.keys.hub_key()
        assert template_store.load_gallery(connection, key, "test-pack")[0].members.tolist() == [[1.0, 0.0, 0.0]]
        with pytest.raises(StoreRefused, match="another hub key"):
            template_store.load_gallery(connection, bytes(32), "test-pack")


def test_the_same_picture_again_is_no_second_template_and_no_second_look(school: School) -> None:
    school.enrol("1", 0)
    again = school.enrol("1", 0)
    assert (again.outcome, school.desk.count("templates")) == ("already enrolled", 1)
    assert len(school.faces.looked_at) == 1


def test_the_same_picture_for_another_student_is_refused_whatever_is_allowed(school: School) -> None:
    school.enrol("1", 0)
    outcome = school.enrol("2", 0, allow=True)
    assert (outcome.outcome, outcome.reason, outcome.looks_like) == ("refused", "enrolled_for_other", "1")


def test_without_consent_no_face_is_looked_at(school: School) -> None:
    outcome = school.enrol("3", 0)
    assert (outcome.reason, school.faces.looked_at, school.desk.count("templates")) == ("no_consent", [], 0)
    assert "rollcall-hub consent give --serial 3" in outcome.message
    with pytest.raises(Conflict) as caught:
        enrolled_pictures.require_ready(school.desk.office, "3")
    assert "rollcall-hub consent give --serial 3" in caught.value.hint
    with pytest.raises(NotFound, match="serial number 9"):
        enrolled_pictures.require_ready(school.desk.office, "9")


def test_a_consent_withdrawn_while_the_picture_is_looked_at_counts(school: School) -> None:
    class Slow(DrawnFaces):
        def face_of(self, content: bytes, name: str) -> FoundFace:
            consents.withdraw_consent(school.desk.office, "1")
            return super().face_of(content, name)

    outcome = Enroller(school.desk.office, Slow()).enrol(Request(school.draw("a.jpg", "0"), "1"))
    assert (outcome.reason, school.desk.count("templates")) == ("no_consent", 0)


def test_somebody_elses_face_is_refused_until_a_person_says_otherwise(school: School) -> None:
    school.enrol("1", 0)
    refused = school.enrol("2", 10)
    assert (refused.reason, refused.looks_like) == ("looks_like_other", "1")
    assert refused.message.startswith("this looks like 1: Ada Lovelace, and was given for 2: Grace Hopper (0.985 alike")
    assert "lookalike same 1 2" in refused.message
    assert "lookalike confirm 1 2" in refused.message
    assert (refused.looks_like_name, refused.score, refused.limit) == ("Ada Lovelace", 0.985, 0.9)
    accepted = school.enrol("2", 10, allow=True)
    assert (accepted.outcome, accepted.looks_like) == ("accepted", "1")
    detail = json.loads(str(school.desk.rows("select detail from audit order by at desc limit 1")[0][0]))
    assert len(detail["allowed_look_alikes"]) == 1
    with school.desk.office.database.transaction() as connection:
        assert len(look_alike_store.read(connection)) == 1
    # Said once, it holds for the next pictures of both.
    assert school.enrol("2", 12).outcome == "accepted"
    assert school.enrol("1", 2).outcome == "accepted"


def test_a_picture_unlike_the_others_is_refused_with_the_way_out(school: School) -> None:
    school.enrol("1", 0)
    refused = school.enrol("1", 90)
    assert (refused.reason, school.desk.count("templates")) == ("not_like_own", 1)
    assert "rollcall-hub enrol forget --serial 1" in refused.message
    assert enrolled_pictures.forget_pictures(school.desk.office, "1").templates_deleted == 1
    assert school.enrol("1", 90).outcome == "accepted"


def test_what_another_process_enrolled_is_compared_with(school: School) -> None:
    school.enrol("2", 90)
    other = Enroller(school.desk.office, DrawnFaces())
    assert other.enrol(Request(school.draw("other.jpg", "0"), "1")).outcome == "accepted"
    assert school.enrol("2", 5).reason == "looks_like_other"


def test_two_operators_cannot_enrol_one_face_for_two_students(school: School) -> None:
    both_looked = Barrier(2, timeout=30)

    class Together(DrawnFaces):
        def face_of(self, content: bytes, name: str) -> FoundFace:
            both_looked.wait()
            return super().face_of(content, name)

    def enrol(serial: str) -> str:
        picture = school.draw(f"by{serial}.jpg", f"0 {serial}")
        return Enroller(school.desk.office, Together()).enrol(Request(picture, serial)).outcome

    with ThreadPoolExecutor(2) as operators:
        assert sorted(operators.map(enrol, ("1", "2"))) == ["accepted", "refused"]
    assert school.desk.count("templates") == 1


def test_there_is_an_end_to_the_pictures_of_a_student(school: School) -> None:
    outcomes = [school.enrol("1", number, mark="x") for number in range(MAX_PICTURES + 1)]
    assert [outcome.outcome for outcome in outcomes[:-1]] == ["accepted"] * MAX_PICTURES
    assert outcomes[-1].reason == "enough_pictures"


def test_a_bad_file_does_not_stop_the_others(school: School) -> None:
    (school.folder / "folder.jpg").mkdir()
    files = [school.folder / "gone.jpg", school.folder / "folder.jpg", school.draw("text.jpg", "hello")]
    outcomes = [school.enroller.enrol(Request(file, "1")) for file in [*files, school.draw("good.jpg", "0")]]
    assert [outcome.reason for outcome in outcomes] == ["unusable_file", "unusable_file", "no_face", ""]


def names_of(outcomes: list[PictureOutcome]) -> list[tuple[str, str]]:
    return [(Path(outcome.picture).name, outcome.reason or outcome.outcome) for outcome in outcomes]


def run_import(school: School, choices: ImportChoices, *, recursive: bool = False) -> list[PictureOutcome]:
    found = enrolment_folder.find_portraits(school.folder, recursive=recursive)
    return list(enrolment_folder.import_portraits(school.enroller, found.pictures, choices))


def test_a_folder_is_imported_by_its_names(school: School) -> None:
    for name, content in [
        ("1_Ada Lovelace.png", "0"),
        ("1_Ada Lovelace_2.JPG", "3"),
        ("2_Ada Lovelace.jpg", "90"),
        ("3_No Consent.jpg", "45"),
        ("004_New Student.jpg", "180"),
        ("Nobody.jpg", "0"),
        ("notes.txt", "0"),
        (".hidden.jpg", "0"),
    ]:
        school.draw(name, content)
    assert enrolment_folder.find_portraits(school.folder).other_files == 1
    assert names_of(run_import(school, ImportChoices())) == [
        ("004_New Student.jpg", "unknown_student"),
        ("1_Ada Lovelace.png", "accepted"),
        ("1_Ada Lovelace_2.JPG", "accepted"),
        ("2_Ada Lovelace.jpg", "other_name"),
        ("3_No Consent.jpg", "no_consent"),
        ("Nobody.jpg", "file_name"),
    ]


def test_students_and_consents_are_made_with_their_first_good_picture(school: School) -> None:
    school.draw("004_New Student.jpg", "180")
    school.draw("005_No Face.jpg", "hello")
    choices = ImportChoices(add_students=True, consent_reference="folder 3")
    assert names_of(run_import(school, choices)) == [
        ("004_New Student.jpg", "accepted"),
        ("005_No Face.jpg", "no_face"),
    ]
    serials = [line.student.fields.serial_number for line in students.list_students(school.desk.office)]
    assert serials == ["004", "1", "2", "3"]
    consent = consents.list_consents(school.desk.office, serial_number="004")[0]
    assert consent.reference == "folder 3"
    assert set(school.desk.actions()[-3:]) == {"student.add", "consent.give", "enrol.picture"}


def test_an_import_that_was_stopped_goes_on_where_it_was(school: School) -> None:
    for number in range(3):
        school.draw(f"1_Ada_{number}.jpg", str(number))
        school.draw(f"2_Grace_{number}.jpg", str(90 + number))
    pictures = enrolment_folder.find_portraits(school.folder).pictures
    stopped = enrolment_folder.import_portraits(school.enroller, pictures, ImportChoices())
    next(stopped)
    looked_at = len(school.faces.looked_at)
    assert looked_at == 3
    outcomes = run_import(school, ImportChoices())
    assert enrolment_folder.counts(outcomes) == {"accepted": 3, "already enrolled": 3, "refused": 0}
    assert len(school.faces.looked_at) == looked_at + 3


def test_folders_below_are_looked_into_on_demand(school: School) -> None:
    (school.folder / "7b").mkdir()
    school.draw("7b/1_Ada.jpg", "0")
    assert run_import(school, ImportChoices()) == []
    assert names_of(run_import(school, ImportChoices(), recursive=True)) == [("1_Ada.jpg", "accepted")]


def test_a_folder_that_is_none_and_an_empty_reference_are_refused(school: School) -> None:
    with pytest.raises(BadInput, match="no folder"):
        enrolment_folder.find_portraits(school.folder / "gone")
    with pytest.raises(BadInput, match="not a folder"):
        enrolment_folder.find_portraits(school.draw("a.jpg", "0"))
    with pytest.raises(BadInput, match="reference is empty"):
        ImportChoices(consent_reference=" ")


def test_what_is_enrolled_is_listed_without_anything_to_compare(school: School) -> None:
    school.enrol("1", 0)
    line = enrolled_pictures.list_pictures(school.desk.office, "1")[0]
    assert (line.pack_id, line.source, line.face_px) == ("test-pack", "file", 120.0)
    assert not hasattr(line, "sealed")


def test_an_import_makes_no_template_of_whoever_withdrew(school: School) -> None:
    serial = students.list_students(school.desk.office)[0].student.fields.serial_number
    consents.withdraw_consent(school.desk.office, serial)
    request = Request(school.draw("again.jpg", "10"), serial, consent_reference="forms of 2026")
    outcome = school.enroller.enrol(request)
    assert (outcome.outcome, outcome.reason) == ("refused", "consent_withdrawn")
    assert "consent give" in outcome.message
    assert school.desk.count("templates") == 0
    consents.give_consent(school.desk.office, {"serial_number": serial, "given_by": "her mother"})
    assert school.enroller.enrol(request).outcome == "accepted"
