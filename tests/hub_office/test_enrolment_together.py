"""Pictures of one student that come together: the odd one stays out, wherever it stands."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.adapters import photo_store
from hub.core.enrolment_faces import FoundFace
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import (
    consents,
    enrolled_pictures,
    enrolment_folder,
    enrolment_forgetting,
    enrolment_judging,
    look_alikes,
)
from hub.office.enrolment import Enroller, PictureOutcome, Request
from hub.office.enrolment_folder import ImportChoices
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.drawn_faces import DrawnFaces, School, open_school
from tests.hub_office.test_marks_twice import AnswersLost


@pytest.fixture
def school(desk: OfficeUnderTest, tmp_path: Path) -> School:
    return open_school(desk, tmp_path / "faces")


def said(outcomes: list[PictureOutcome]) -> list[str]:
    return [outcome.reason or outcome.outcome for outcome in outcomes]


def test_a_bad_first_picture_is_refused_and_the_good_ones_after_it_are_not(school: School) -> None:
    before = school.desk.revision()
    outcomes = school.several("1", 120, 0, 10)
    assert said(outcomes) == ["not_like_the_others", "accepted", "accepted"]
    assert (outcomes[0].score, outcomes[0].limit) == (-0.423, 0.6)
    assert "(-0.423 alike; 0.600 is needed)" in outcomes[0].message
    assert (school.desk.count("templates"), school.desk.revision()) == (2, before + 1)
    # Run again, those that are in cost no look, and the odd one is still odd.
    school.faces.looked_at.clear()
    assert said(school.several("1", 120, 0, 10)) == ["not_like_own", "already enrolled", "already enrolled"]
    assert school.faces.looked_at == ["p120.jpg"]


def test_one_against_one_stays_out_and_a_third_picture_decides(school: School) -> None:
    outcomes = school.several("1", 0, 90)
    assert said(outcomes) == ["not_like_each_other"] * 2
    assert "enrol one more together with them" in outcomes[0].message
    assert school.desk.count("templates") == 0
    assert said(school.several("1", 0, 90, 5)) == ["accepted", "not_like_the_others", "accepted"]


def test_an_enrolled_picture_that_is_odd_is_named_with_its_command_and_never_deleted(school: School) -> None:
    school.enrol("1", 120)
    outcomes = school.several("1", 0, 10)
    assert said(outcomes) == ["earlier_odd"] * 2
    assert school.desk.count("templates") == 1
    (odd,) = outcomes[0].odd_pictures
    assert f"rollcall-hub enrol forget --serial 1 --picture {odd}" in outcomes[0].message
    school.desk.clock.forward(timedelta(seconds=1))
    gone = enrolment_forgetting.forget_picture(school.desk.office, "1", odd)
    assert (gone.templates_deleted, gone.photos_deleted, gone.pictures_left) == (1, 0, 0)
    assert said(school.several("1", 0, 10)) == ["accepted"] * 2


def test_an_enrolled_odd_picture_among_good_ones_does_not_keep_a_new_one_out(school: School) -> None:
    school.several("1", 0, 40)
    # 40, 75 and 80 agree with each other, and 0 does not.
    outcomes = school.several("1", 75, 80)
    assert said(outcomes) == ["accepted"] * 2
    (odd,) = set(outcomes[0].odd_pictures)
    oldest = enrolled_pictures.list_pictures(school.desk.office, "1")
    assert odd in {line.picture_sha256.hex()[:8] for line in oldest[:2]}


def test_one_picture_is_forgotten_by_its_beginning(school: School) -> None:
    school.several("1", 0, 5)
    office = school.desk.office
    lines = enrolled_pictures.list_pictures(office, "1")
    before = school.desk.revision()
    for wrong, error in (("xyz", BadInput), ("abc", BadInput), ("0" * 64, NotFound)):
        with pytest.raises(error):
            enrolment_forgetting.forget_picture(office, "1", wrong)
    with pytest.raises(NotFound):
        enrolment_forgetting.forget_picture(office, "2", lines[0].picture_sha256.hex())
    school.desk.do("update templates set picture_sha256 = concat(unhex('aabbcc'), substr(picture_sha256, 4))")
    with pytest.raises(Conflict, match="2 pictures of 1 begin"):
        enrolment_forgetting.forget_picture(office, "1", "aabbcc")
    whole = enrolled_pictures.list_pictures(office, "1")[1].picture_sha256.hex()
    assert enrolment_forgetting.forget_picture(office, "1", whole.upper()).pictures_left == 1
    assert (school.desk.count("templates"), school.desk.revision()) == (1, before + 1)
    assert school.desk.actions()[-1] == "enrol.forget"


def test_a_picture_of_somebody_else_has_no_vote(school: School) -> None:
    """Two pictures of Grace among three of Ada would be the majority."""
    school.several("2", 90, 92)
    outcomes = school.several("1", 91, 93, 0)
    assert said(outcomes) == ["looks_like_other", "looks_like_other", "accepted"]


def test_the_same_content_twice_has_one_vote(school: School) -> None:
    twice = [school.draw("a.jpg", "90"), school.draw("b.jpg", "90"), school.draw("c.jpg", "0")]
    outcomes = school.enroller.enrol_together([Request(picture, "1") for picture in twice])
    assert said(outcomes) == ["not_like_each_other"] * 3
    assert [Path(outcome.picture).name for outcome in outcomes] == ["a.jpg", "b.jpg", "c.jpg"]
    good = [school.draw("d.jpg", "0 x"), school.draw("e.jpg", "0 x")]
    assert said(school.enroller.enrol_together([Request(p, "1") for p in good])) == ["accepted", "already enrolled"]


def test_more_pictures_than_are_judged_at_once_are_judged_in_parts(school: School) -> None:
    outcomes = school.several("1", *range(20))
    assert said(outcomes) == ["accepted"] * 12 + ["enough_pictures"] * 8
    # Those behind the first sixteen were not even looked at.
    assert len(school.faces.looked_at) == 16


def test_files_of_one_number_with_two_names_are_one_student(school: School) -> None:
    for name, angle in (("8_New Student.jpg", "0"), ("8_Other Person.jpg", "5"), ("8_New Student_2.jpg", "8")):
        school.draw(name, angle)
    found = enrolment_folder.find_portraits(school.folder)
    choices = ImportChoices(add_students=True, consent_reference="folder 3")
    outcomes = list(enrolment_folder.import_portraits(school.enroller, found.pictures, choices))
    assert sorted(said(outcomes)) == ["accepted", "accepted", "other_name"]


def test_a_damaged_template_blocks_its_student_only_and_is_told(school: School) -> None:
    school.enrol("1", 0)
    school.enrol("2", 90)
    school.desk.do(
        "update templates set sealed = repeat('x', 60) "
        "where student_id = (select id from students where serial_number = '1')"
    )
    again = Enroller(school.desk.office, DrawnFaces())
    assert again.damaged() == []
    assert again.enrol(Request(school.draw("n.jpg", "92"), "2")).outcome == "accepted"
    refused = again.enrol(Request(school.draw("m.jpg", "2"), "1"))
    assert (refused.reason, again.damaged()) == ("template_damaged", ["1"])
    assert "rollcall-hub enrol forget --serial 1" in refused.message


def test_pictures_are_kept_where_settings_and_consent_say_so(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = school.desk
    consents.give_consent(desk.office, {"serial_number": "1", "given_by": "parents", "scope": "recognition;photos"})
    assert said(school.several("1", 0)) == ["accepted"]
    assert desk.count("photos") == 0
    keeping = desk.office.settings.model_copy(
        update={"enrolment": desk.office.settings.enrolment.model_copy(update={"keep_photos": True})}
    )
    office = replace(desk.office, settings=keeping)

    class Changing(DrawnFaces):
        def face_of(self, content: bytes, name: str) -> FoundFace:
            if name == "p9.jpg":
                (school.folder / name).write_text("10 changed")
            return super().face_of(content, name)

    both = School(desk, school.faces, Enroller(office, Changing()), school.folder)
    outcomes = both.several("1", 3, 9, 120)
    assert said(outcomes) == ["accepted", "unusable_file", "not_like_the_others"]
    assert [outcome.photo_kept for outcome in outcomes] == [True, False, False]
    assert said(both.several("2", 80)) == ["accepted"]
    with desk.office.database.transaction() as connection:
        student_id = str(desk.rows("select lower(hex(id)) from students where serial_number = '1'")[0][0])
        dashed = "-".join((student_id[:8], student_id[8:12], student_id[12:16], student_id[16:20], student_id[20:]))
        kept = list(photo_store.load(connection, desk.office.keys.ring(), dashed))
    assert [(photo.content, photo.source) for photo in kept] == [(b"3 ", "file")]
    entry = json.loads(str(desk.rows("select detail from audit where detail like '%photo_id%'")[0][0]))
    assert entry["photo_id"] == kept[0].photo_id
    gone = enrolment_forgetting.forget_picture(desk.office, "1", kept[0].picture_sha256.hex())
    assert (gone.templates_deleted, gone.photos_deleted, desk.count("photos")) == (1, 1, 0)
    monkeypatch.setattr(enrolment_judging, "MAX_PHOTO_BYTES", 1)
    (large,) = both.several("1", 4)
    assert (large.outcome, large.photo_kept, desk.count("photos")) == ("accepted", False, 0)
    assert "is not kept: it has more than" in large.message


def test_a_commit_whose_answer_was_lost_is_told_as_what_it_was(school: School) -> None:
    desk = school.desk
    office = replace(desk.office, database=AnswersLost(desk.office.database.address))
    twice = School(desk, school.faces, Enroller(office, school.faces), school.folder)
    assert said(twice.several("1", 120, 0, 10)) == ["not_like_the_others", "accepted", "accepted"]
    assert said(twice.several("1", 12)) == ["accepted"]
    alike = twice.enrol("2", 20, allow=True)
    assert (alike.outcome, alike.looks_like) == ("accepted", "1")
    sha256 = enrolled_pictures.list_pictures(office, "1")[0].picture_sha256.hex()
    assert enrolment_forgetting.forget_picture(office, "1", sha256).pictures_left == 2
    assert look_alikes.remove(office, "1", "2").origin == "operator"
    assert look_alikes.confirm(office, "1", "2").new is True
    assert look_alikes.forget_one(office, "1", "2", "2").templates_deleted == 1
    assert (desk.count("templates"), desk.count("look_alikes")) == (2, 0)
    assert desk.actions()[-8:] == ["enrol.picture"] * 4 + [
        "enrol.forget",
        "lookalike.remove",
        "lookalike.confirm",
        "lookalike.same",
    ]
