"""Pairs of students who look alike, and one person with two numbers."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hub.adapters import look_alike_store
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import erasure, look_alikes
from tests.hub_office.conftest import NOW, OfficeUnderTest, invoke
from tests.hub_office.drawn_faces import School, open_school


@pytest.fixture
def school(desk: OfficeUnderTest, tmp_path: Path) -> School:
    return open_school(desk, tmp_path / "faces")


def found(school: School, one: str, other: str, score: float) -> None:
    """A calibration finds a pair."""
    desk = school.desk
    ids = {str(serial): str(known) for serial, known in desk.rows("select serial_number, lower(hex(id)) from students")}
    dashed = {s: "-".join((i[:8], i[8:12], i[12:16], i[16:20], i[20:])) for s, i in ids.items()}
    with desk.office.database.transaction() as connection:
        pair = look_alike_store.pair_of(dashed[one], dashed[other])
        look_alike_store.replace_found(connection, {pair: score}, NOW, "calibrate")


def test_a_found_pair_is_confirmed_and_both_may_be_enrolled(school: School) -> None:
    office = school.desk.office
    school.enrol("1", 0)
    found(school, "1", "2", 0.93)
    # That a calibration found them says only that they are alike: it may be one person twice.
    assert school.enrol("2", 10).reason == "looks_like_other"
    revision = school.desk.revision()
    done = look_alikes.confirm(office, "2", "1")
    assert (done.before, done.new) == ("calibration", True)
    assert school.desk.revision() == revision
    (pair,) = look_alikes.list_pairs(office)
    assert (pair.one.fields.serial_number, pair.other.fields.serial_number) == ("1", "2")
    assert (pair.origin, pair.score, pair.decided_by, pair.confirmed) == ("operator", 0.93, "tester", True)
    assert school.enrol("2", 10).outcome == "accepted"
    assert look_alikes.confirm(office, "1", "2").new is False
    assert school.desk.actions().count("lookalike.confirm") == 1


def test_a_pair_that_nobody_found_is_new_to_units_and_is_removed_again(school: School) -> None:
    office = school.desk.office
    revision = school.desk.revision()
    assert look_alikes.confirm(office, "1", "2").before is None
    assert school.desk.revision() == revision + 1
    found(school, "1", "3", 0.91)
    assert [(pair.origin, pair.confirmed) for pair in look_alikes.list_pairs(office)] == [
        ("calibration", False),
        ("operator", True),
    ]
    assert look_alikes.remove(office, "2", "1").origin == "operator"
    assert school.desk.revision() == revision + 2
    with pytest.raises(NotFound, match="no pair"):
        look_alikes.remove(office, "1", "2")
    assert school.desk.actions()[-1] == "lookalike.remove"


def test_who_is_named_has_to_be_two_students_at_the_school(school: School) -> None:
    office = school.desk.office
    with pytest.raises(BadInput, match="named twice"):
        look_alikes.confirm(office, "1", "1")
    with pytest.raises(NotFound):
        look_alikes.same_person(office, "1", "99")
    erased = erasure.erase(office, "2", policy="pseudonymise")
    with pytest.raises(Conflict, match="was erased"):
        look_alikes.confirm(office, "1", erased.serial_number)


def test_one_person_with_two_numbers_keeps_one_of_them(school: School) -> None:
    office = school.desk.office
    school.several("1", 0, 5)
    school.desk.clock.forward(timedelta(days=1))
    assert school.enrol("2", 10, allow=True).outcome == "accepted"
    advice = look_alikes.same_person(office, "2", "1")
    assert (advice.keeping.keep, advice.keeping.forget, advice.keeping.because) == ("1", "2", "it has more pictures")
    assert advice.score == pytest.approx(0.991, abs=0.001)
    assert school.desk.count("templates") == 3
    with pytest.raises(BadInput, match="3 is neither"):
        look_alikes.forget_one(office, "1", "2", "3")
    revision = school.desk.revision()
    gone = look_alikes.forget_one(office, "1", "2", "2")
    assert (gone.kept, gone.templates_deleted) == ("1", 1)
    assert (school.desk.count("templates"), school.desk.count("look_alikes")) == (2, 0)
    assert (school.desk.revision(), school.desk.actions()[-1]) == (revision + 1, "lookalike.same")


def test_the_commands_say_it_in_plain_words_and_in_json(school: School) -> None:
    desk = school.desk
    assert invoke(desk, "lookalike", "list").stdout == "No two students are known to look alike.\n"
    said = invoke(desk, "lookalike", "confirm", "1", "2").stdout
    assert said == "Noted: 1 (Ada Lovelace) and 2 (Grace Hopper) are two people.\n"
    assert invoke(desk, "lookalike", "confirm", "1", "2").stdout.startswith("That was on record already")
    (row,) = json.loads(invoke(desk, "lookalike", "list", "--json").stdout)
    assert (row["serial_number"], row["other_serial_number"], row["confirmed"]) == ("1", "2", True)
    assert datetime.fromisoformat(row["since"]).utcoffset() is not None
    assert "two people, said at the office" in invoke(desk, "lookalike", "list").stdout
    assert invoke(desk, "lookalike", "remove", "1", "2").stdout == "1 and 2 are no pair any more.\n"
    assert invoke(desk, "lookalike", "remove", "1", "2").exit_code == 1
    school.enrol("2", 0)
    advice = invoke(desk, "lookalike", "same", "1", "2").stdout
    assert "If they are one person, keep 2, because it has more pictures:" in advice
    assert "rollcall-hub lookalike same 2 1 --forget 1" in advice
    assert invoke(desk, "lookalike", "same", "1", "2", "--forget", "2").exit_code == 1
    assert desk.count("templates") == 1
    done = json.loads(invoke(desk, "lookalike", "same", "1", "2", "--forget", "2", "--yes", "--json").stdout)
    assert done == {"serial_number": "2", "kept": "1", "templates_deleted": 1, "photos_deleted": 0}
