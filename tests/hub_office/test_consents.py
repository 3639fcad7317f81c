"""Consent on a real database: given, repeated, imported, over, withdrawn."""

from datetime import timedelta

import numpy as np
import pytest

from hub.adapters import look_alike_store, photo_store, template_store
from hub.adapters.photo_store import NewPhoto
from hub.adapters.template_store import NewTemplate
from hub.core.csv_reading import RowsRefused
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import consent_lists, consents, enrolled_pictures, rooms, sections, students
from tests.hub_office.conftest import OfficeUnderTest

FORM = {"serial_number": "1", "given_by": "her mother", "reference": "folder 3"}


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    for serial in ("1", "2"):
        students.add_student(desk.office, {"serial_number": serial, "name": f"S{serial}"})
    rooms.add_room(desk.office, "12")
    desk.add_unit("12")
    return desk


def states(school: OfficeUnderTest) -> list[str]:
    return [consent.state(school.clock.now()) for consent in consents.list_consents(school.office, serial_number="1")]


def test_the_same_consent_is_recorded_once(school: OfficeUnderTest) -> None:
    assert consents.give_consent(school.office, FORM).new
    assert not consents.give_consent(school.office, FORM).new
    assert consents.give_consent(school.office, FORM | {"reference": "folder 4"}).new
    assert states(school) == ["active", "active"]
    assert [line.consent for line in students.list_students(school.office)] == [True, False]
    assert school.dirty() == [("1", "2026-09-01")]


def test_a_consent_holds_through_its_last_day(school: OfficeUnderTest) -> None:
    consents.give_consent(school.office, FORM | {"expires_on": "2026-09-02"})
    school.clock.forward(timedelta(hours=35))  # 23:00 on the 2nd in Berlin
    assert states(school) == ["active"]
    school.clock.forward(timedelta(hours=1))
    assert states(school) == ["expired"]
    assert [line.consent for line in students.list_students(school.office)] == [False, False]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"given_by": ""}, "given_by is empty"),
        ({"given_on": "2026-09-02"}, "in the future"),
        ({"expires_on": "2026-08-31"}, "is over"),
        ({"expires_on": "soon"}, "not a day"),
        ({"given_on": "2026-02-30"}, "no day"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(school: OfficeUnderTest, wrong: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        consents.give_consent(school.office, FORM | wrong)


def test_an_import_is_all_or_nothing_and_repeatable(school: OfficeUnderTest) -> None:
    good = b"serial_number,given_by,given_on\n1,mother,2026-08-30\n2,father,\n"
    with pytest.raises(RowsRefused) as caught:
        consents.import_consents(school.office, good + b"3,x,\n1,mother,\n4,,\n")
    assert [problem.line for problem in caught.value.problems] == [4, 5, 6]
    assert school.count("consents") == 0
    assert len(consents.import_consents(school.office, good, dry_run=True).added) == 2
    assert school.count("consents") == 0
    assert len(consents.import_consents(school.office, good).added) == 2
    assert consents.import_consents(school.office, good).unchanged == 2
    assert school.count("consents") == 2


def test_who_has_no_consent_and_whose_ends_soon_is_listed(desk: OfficeUnderTest) -> None:
    sections.add_section(desk.office, "7b")
    for serial, section in (("1", "7b"), ("2", "7b"), ("3", ""), ("4", "7b"), ("5", "7b"), ("6", "")):
        students.add_student(desk.office, {"serial_number": serial, "name": f"S{serial}", "section": section})
    for serial, changed in (
        ("1", {}),
        ("2", {"expires_on": "2026-09-20"}),
        ("4", {"scope": "photos"}),
        ("5", {}),
        ("6", {"expires_on": "2026-09-02"}),
    ):
        consents.give_consent(desk.office, FORM | {"serial_number": serial, **changed})
    consents.give_consent(desk.office, FORM | {"expires_on": "2026-09-10"})
    consents.withdraw_consent(desk.office, "5", by="her father")
    desk.do("update students set erased_at = now() where serial_number = '3'")

    missing = [(one.section, one.serial_number, one.why) for one in consent_lists.list_missing(desk.office)]
    assert missing == [("7b", "4", "not for recognition"), ("7b", "5", "withdrawn")]
    desk.clock.forward(timedelta(days=2))
    assert [one.serial_number for one in consent_lists.list_missing(desk.office)] == ["6", "4", "5"]
    assert [one.serial_number for one in consent_lists.list_missing(desk.office, section="7b")] == ["4", "5"]
    # The first has another consent without an end.
    assert [one.serial_number for one in consent_lists.list_expiring(desk.office, 30)] == ["2"]
    assert consent_lists.list_expiring(desk.office, 10) == []
    withdrawn = consents.list_consents(desk.office, serial_number="5")[0]
    assert (withdrawn.withdrawn_by, withdrawn.recorded_by) == ("her father", "tester")
    with pytest.raises(NotFound, match="no section '9z'"):
        consent_lists.list_missing(desk.office, section="9z")


def test_a_template_needs_a_consent_to_be_recognised(school: OfficeUnderTest) -> None:
    consents.give_consent(school.office, FORM | {"scope": "photos"})
    with pytest.raises(Conflict, match="no consent is on file for 1"):
        enrolled_pictures.require_ready(school.office, "1")
    consents.give_consent(school.office, FORM | {"scope": "all"})
    assert enrolled_pictures.require_ready(school.office, "1").fields.name == "S1"


def test_an_import_may_say_to_what_they_agreed(school: OfficeUnderTest) -> None:
    file = b"serial_number,given_by,scope\n1,mother,recognition;photos\n2,father,\n"
    assert [one.scope for one in consents.import_consents(school.office, file).added] == [
        ("recognition", "photos"),
        ("recognition",),
    ]
    assert consents.import_consents(school.office, file).unchanged == 2
    with pytest.raises(RowsRefused) as caught:
        consents.import_consents(school.office, b"serial_number,given_by,scope\n1,mother,everything\n")
    assert "write recognition, photos, sweep or all" in caught.value.problems[0].reason


def test_withdrawing_deletes_the_templates_and_tells_the_units(school: OfficeUnderTest) -> None:
    consents.give_consent(school.office, FORM)
    ids = {line.student.fields.serial_number: line.student.student_id for line in students.list_students(school.office)}
    now, key = school.clock.now(), school.office.keys.hub_key()
    vector = np.array([1.0, 0.0], dtype=np.float32)
    with school.office.database.transaction() as connection:
        look_alike_store.lock(connection, now)
        look_alike_store.add(connection, ids["1"], [ids["2"]], now)
        for number, student_id in enumerate(ids.values()):
            new = NewTemplate(ids["1"][:-1] + str(number), student_id, "test-pack", vector, "file", 100.0, bytes(32))
            template_store.insert_template(connection, key, new, now)
        photo_store.keep(connection, key, NewPhoto(ids["1"], ids["1"], b"a picture", "file"), now)
        photo_store.keep(connection, key, NewPhoto(ids["2"], ids["1"], b"a picture", "file"), now)
        assert [photo.content for photo in photo_store.load(connection, key, ids["1"])] == [b"a picture"]
    assert b"a picture" not in bytes(str(school.rows("select sealed from photos")), "latin-1")
    before = school.revision()
    ended = consents.withdraw_consent(school.office, "1")
    assert (ended.consents_ended, ended.templates_deleted, ended.photos_deleted) == (1, 1, 1)
    assert school.count("photos") == 0
    assert (states(school), school.revision()) == (["withdrawn"], before + 1)
    with school.office.database.transaction() as connection:
        assert look_alike_store.read(connection) == frozenset()
        left = template_store.load_gallery(connection, key, "test-pack")
    assert [template.student_id for template in left] == [ids["2"]]
    assert school.actions()[-1] == "consent.withdraw"
    again = consents.withdraw_consent(school.office, "1")
    assert (again.consents_ended, again.templates_deleted) == (0, 0)


def test_nobody_else_is_found(school: OfficeUnderTest) -> None:
    for action in (
        lambda: consents.withdraw_consent(school.office, "9"),
        lambda: consents.give_consent(school.office, FORM | {"serial_number": "9"}),
        lambda: consents.list_consents(school.office, serial_number="9"),
    ):
        with pytest.raises(NotFound, match="serial number 9"):
            action()


def test_an_import_never_renews_what_was_withdrawn(school: OfficeUnderTest) -> None:
    file = b"serial_number,given_by,given_on\n1,mother,2026-08-30\n2,father,\n"
    consents.import_consents(school.office, file)
    consents.withdraw_consent(school.office, "1")
    for dry_run in (True, False):
        with pytest.raises(RowsRefused) as caught:
            consents.import_consents(school.office, file, dry_run=dry_run)
        [problem] = caught.value.problems
        assert problem.line == 2
        assert "consent_withdrawn" in problem.reason
        assert "consent give --serial 1" in problem.reason
    assert states(school) == ["withdrawn"]
    assert consents.give_consent(school.office, FORM).new
    assert [fields.serial_number for fields in consents.import_consents(school.office, file).added] == ["1"]
