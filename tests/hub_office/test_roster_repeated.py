"""Every change of the roster may be run again after a commit whose answer was lost: made once, told the same."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection

from hub.adapters.database import Database
from hub.office import groups, rooms, sections, students, unit_moves
from hub.office.context import Office
from tests.hub_office.conftest import OfficeUnderTest

HEADER = "serial_number,name,username,email,phone,section,groups\n"


class AnswersLost(Database):
    """Commits everything, and runs it again as if it had not heard of that."""

    def run(self, work: Callable[[Connection], Any], **how: Any) -> Any:
        super().run(work, **how)
        return super().run(work, **how)


@pytest.fixture
def unheard(desk: OfficeUnderTest) -> OfficeUnderTest:
    return replace(desk, office=replace(desk.office, database=AnswersLost(desk.office.database.address)))


def test_changes_are_made_once_and_told_as_they_were_made(unheard: OfficeUnderTest) -> None:
    with unheard.office as office:
        _everything(office, unheard)


def _everything(office: Office, desk: OfficeUnderTest) -> None:
    for name in ("12", "13"):
        rooms.add_room(office, name)
    desk.add_unit("12")
    imported = students.import_students(
        office, (HEADER + "1,Ada,,,,7b,A\n2,Bob,,,,7b,\n").encode(), create_missing_sections=True
    )
    assert (len(imported.added), imported.new_sections, imported.new_groups) == (2, ("7b",), (("7b", "A"),))
    assert sections.add_group(office, "7b", "B").name == "B"
    assert groups.set_group(office, "7b", "B", ["2"]).came == ("2",)
    changed = students.change_student(office, "2", {"serial_number": "22", "name": "Bo"})
    assert (changed.changed, changed.before.fields.name) == (("serial_number", "name"), "Bob")
    assert students.leave_student(office, "22", date(2026, 9, 4)).changed == ("left_on",)
    assert sections.rename_section(office, "7b", "8b").name == "8b"
    assert rooms.rename_room(office, "13", "14").name == "14"
    assert unit_moves.move_unit(office, "unit", "14").room == "14"
    again = students.import_students(office, (HEADER + "1,Ada L,,,,8b,A\n").encode(), update=True)
    assert [change.changed for change in again.changed] == [("name",)]
    assert Counter(desk.actions()) == {
        "room.add": 2,
        "section.add": 1,
        "section.group_add": 2,
        "student.add": 2,
        "student.group": 1,
        "student.change": 3,
        "section.rename": 1,
        "room.rename": 1,
        "unit.move": 1,
    }
    assert (desk.count("student_sections"), desk.count("student_groups"), desk.count("unit_rooms")) == (2, 2, 2)
