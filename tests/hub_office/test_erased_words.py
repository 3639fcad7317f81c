"""Names and words of somebody who was erased: none that was on its way then comes back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hub.adapters import marks_store, roster_store
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.quarantine_rows import Wanted
from hub.adapters.schema import consents as consents_table
from hub.adapters.schema import events, marks, quarantine, students
from hub.core.csv_reading import RowsRefused
from hub.core.errors import StoreUnavailable
from hub.core.ingest import Arrival, Unusable
from hub.office import consents, erasure, marking, quarantine_replay
from hub.office import quarantine as office_quarantine
from hub.office import students as office_students
from hub.office.marks import MarkRequest, mark
from hub.office.occasions import Named
from protocol import codec, topics
from tests.hub_core.builders import START, a_batch, a_mark, a_message, an_event
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.little_school import LittleSchool
from tests.hub_office.test_quarantine import statements_of

pytestmark = pytest.mark.server
HERS = "select id from students where serial_number = '1'"
ENROLMENTS = "select name from hub_facts where name = 'look_alikes'"


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def erase(school: LittleSchool) -> str:
    """Erase Ada; return her number."""
    return erasure.erase(school.office, school.students["1"], policy="pseudonymise").serial_number


def nothing_of_ada(school: LittleSchool) -> None:
    for table in (students, consents_table, marks, events, quarantine):
        assert "Ada" not in str(school.all(table)), table.name


# ---- what units tell -----------------------------------------------------------------------------------------------


def test_what_units_wrote_goes_with_the_name_and_what_comes_late_is_taken_without_it(school: LittleSchool) -> None:
    unit, ada, bob = school.unit(), school.students["1"], school.students["002"]
    store = MySqlEventStore(school.office.database, school.office.settings.zone)

    def a_note(seq: int, student_id: str = ada, words: str = "Ada is ill", **more: Any) -> dict[str, Any]:
        return a_mark(seq, student_id, "late", START, note=words, **more)

    def take(*made: dict[str, Any]) -> Any:
        return store.take([a_batch([*made], unit_id=unit)])[0].receipt

    too_long = "Ada, " * 200
    take(a_note(1), a_note(2, words=too_long), a_note(3, bob, "Bob is ill"))
    lost = Arrival(topics.up("test", unit, "events").topic, codec.encode(a_message([a_note(9)])), START)
    store.quarantine([Unusable("invalid", "not known then", lost, unit)])
    torn = Arrival(lost.topic, lost.payload[:-20], START)
    store.quarantine([Unusable("invalid", "torn", torn, unit)])
    row = next(one for one in office_quarantine.find(school.office, Wanted()) if one.seq == 2)
    erase(school)
    nothing_of_ada(school)
    # What its unit sends again is known as what it was.
    again = take(a_note(1))
    assert ([one.first for one in again.duplicate], again.rejected) == ([1], ())

    take(a_note(4), a_note(5, words=too_long))
    store.quarantine([Unusable("invalid", "more", Arrival(lost.topic, lost.payload + b" ", START), unit)])
    corrected = json.dumps(json.loads(office_quarantine.one(school.office, row.row_id).body) | a_note(2)).encode()
    office_quarantine.fix(school.office, row.row_id, corrected)
    waiting = office_quarantine.find(school.office, Wanted())
    kept = [office_quarantine.one(school.office, one.row_id) for one in waiting]
    done = quarantine_replay.replay(school.office, kept)
    assert [one.outcome for one in done].count("taken") == 3
    nothing_of_ada(school)
    assert "Bob is ill" in str(school.all(events))
    assert sorted(one["seq"] for one in school.all(events)) == [1, 2, 3, 4, 5, 9]


def test_an_erasure_that_is_asked_for_again_deletes_what_an_older_hub_kept(school: LittleSchool) -> None:
    unit, ada = school.unit(), school.students["1"]
    erase(school)
    school.event(unit, "mark", START, json.dumps({"kind": "mark", "student_id": ada, "note": "Ada"}), ada)
    erase(school)
    nothing_of_ada(school)


def test_a_batch_without_words_costs_no_question_about_students(school: LittleSchool) -> None:
    unit = school.unit()
    store = MySqlEventStore(school.office.database, school.office.settings.zone)
    with statements_of(school.office.database) as said:
        store.take([a_batch([an_event(1), a_mark(2, school.students["1"], "late", START)], unit_id=unit)])
    assert not [one for one in said if "FROM students" in one]


# ---- what people do at that moment ---------------------------------------------------------------------------------


def held_while(
    school: LittleSchool, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, lock: str, act: Callable[[], object]
) -> bool:
    """Whether nobody else gets a lock while `act` does what `name` is."""
    real, found = getattr(where, name), []

    def looking(*args: Any, **how: Any) -> Any:
        try:
            with school.office.database.transaction() as connection:
                connection.execute(text(f"{lock} for update nowait"))
        except StoreUnavailable:
            found.append(True)
        return real(*args, **how)

    monkeypatch.setattr(where, name, looking)
    act()
    return found == [True]


def test_nobody_is_erased_between_the_reading_and_the_writing_of_their_name(
    school: LittleSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, lesson = school.office, school.lesson("08:00")
    file = b"serial_number,name,username,email,phone,section\n1,Ada Byron,,,,7b\n"
    form = {"serial_number": "1", "given_by": "Ada's mother"}
    request = MarkRequest("excused", Named(lesson_id=lesson), ("1",), note="Ada is ill")
    for where, name, lock, act in (
        (roster_store, "update_students", HERS, lambda: office_students.import_students(office, file, update=True)),
        (consents, "add_consents", ENROLMENTS, lambda: consents.give_consent(office, form)),
        (marks_store, "add", HERS, lambda: mark(office, request)),
    ):
        assert held_while(school, monkeypatch, where, name, lock, act), name


def test_a_mark_of_somebody_who_was_just_erased_has_no_words_and_no_name(
    school: LittleSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = school.lesson("08:00")
    hold = roster_store.hold_unerased

    def erased_first(connection: Connection, student_ids: Any) -> set[str]:
        erase(school)
        return hold(connection, student_ids)

    with monkeypatch.context() as patched:
        patched.setattr(roster_store, "hold_unerased", erased_first)
        request = MarkRequest("excused", Named(lesson_id=lesson), ("1",), reason="Ada's leg", note="Ada is ill")
        assert mark(school.office, request).csv_problem == ""
    nothing_of_ada(school)
    path = marking.csv_file(school.office).path
    assert "Erased student" in path.read_text()
    # Of another the name is read before the erasure, and written after it.
    append = marking.append_csv

    def late(office: Any, lines: Any) -> str:
        made = list(lines)
        erasure.erase(office, school.students["002"], policy="pseudonymise")
        return append(office, made)

    monkeypatch.setattr(marking, "append_csv", late)
    mark(school.office, MarkRequest("excused", Named(lesson_id=lesson), ("002",), reason="Bob's leg"))
    assert "Ada" not in path.read_text()
    assert "Bob" not in path.read_text()


def test_no_file_gives_an_erased_number_a_name(school: LittleSchool) -> None:
    number = erase(school)
    file = f"serial_number,name,username,email,phone,section\n{number},Ada Byron,,,,7b\n".encode()
    with pytest.raises(RowsRefused, match="stands for a student who was erased"):
        office_students.import_students(school.office, file, update=True)
    with pytest.raises(RowsRefused, match="that number stands for nobody"):
        consents.import_consents(school.office, f"serial_number,given_by\n{number},Ada's mother\n".encode())
    nothing_of_ada(school)
