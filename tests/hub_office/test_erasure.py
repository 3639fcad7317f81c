"""Erasing a student on a real database: what goes, what stays, and what is known of units."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from typer.testing import CliRunner, Result

from hub.adapters import look_alike_store, photo_store
from hub.adapters.database import Database
from hub.adapters.photo_store import NewPhoto
from hub.adapters.schema import (
    attendance,
    epochs,
    erasures,
    events,
    galleries,
    gallery_members,
    marks,
    student_margins,
    templates,
    units,
)
from hub.cli import app
from hub.cli.erasure import sentences
from hub.core.errors import NotFound
from hub.office import consents, enrolled_pictures, erasure, marking, rooms, sections, students
from hub.office.erasure import ErasureStatus
from tests.hub_office.conftest import OfficeUnderTest

NOBODY = "00000000-0000-4000-8000-0000000000%02x"


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Two students who look alike, each with a consent, templates of two packs and a photo."""
    sections.add_section(desk.office, "7b")
    rooms.add_room(desk.office, "12")
    desk.add_unit("12")
    for number, (serial, name) in enumerate((("007", "Ada Lovelace"), ("008", "Grace Hopper"))):
        form = {
            "serial_number": serial,
            "name": name,
            "section": "7b",
            "username": name[:3],
            "email": f"{name[:3]}@x.y",
        }
        student_id = students.add_student(desk.office, form | {"phone": "0123"}).student_id
        consents.give_consent(
            desk.office,
            {"serial_number": serial, "given_by": f"{name}'s mother", "reference": "folder 3", "scope": "all"},
        )
        with desk.office.database.transaction() as connection:
            for place, pack in enumerate(("old-pack", "new-pack")):
                row = {
                    "id": NOBODY % (16 * number + place),
                    "pack_id": pack,
                    "sealed": b"x",
                    "source": "f",
                    "face_px": 1,
                }
                row |= {"student_id": student_id, "picture_sha256": bytes(32), "created_at": desk.clock.now()}
                connection.execute(insert(templates), row)
            photo = NewPhoto(NOBODY % number, student_id, name.encode(), "f")
            photo_store.keep(connection, desk.office.keys.hub_key(), photo, desk.clock.now())
            margin = {"student_id": student_id, "rejections": 1, "changed_at": desk.clock.now()}
            connection.execute(insert(student_margins), margin)
    with desk.office.database.transaction() as connection:
        look_alike_store.add(connection, ids(desk)["007"], [ids(desk)["008"]], desk.clock.now(), origin="review")
    desk.clean()
    return desk


def ids(desk: OfficeUnderTest) -> dict[str, str]:
    return {line.student.fields.serial_number: line.student.student_id for line in students.list_students(desk.office)}


def put_marks(desk: OfficeUnderTest, student_id: str) -> None:
    """What a teacher wrote of a student, at the hub and at a unit."""
    at = desk.clock.now()
    when = {"day": at.date(), "occasion": f"day:{at:%Y-%m-%d}"}
    with desk.office.database.transaction() as connection:
        line = {"student_id": student_id, "timestamp": at, "status": "Late", "method": "Manual", "rule": "mark"}
        connection.execute(insert(attendance), line | when | {"notes": "medical: Ada has a cold"})
        mark = {"id": NOBODY % 64, "student_id": student_id, "status": "late", "reason": "medical", "made_by": "t"}
        connection.execute(insert(marks), mark | when | {"note": "Ada has a cold", "made_at": at})
        moments = dict.fromkeys(("at_claimed", "at_corrected", "received_at"), at)
        event = {
            "event_id": NOBODY % 65,
            "unit_id": NOBODY % 66,
            "epoch": "e",
            "seq": 1,
            "kind": "mark",
            "clock": "synced",
        }
        body = '{"kind":"mark","status":"late","note":"Ada has a cold"}'
        rest = {"student_id": student_id, "boot_id": NOBODY % 67, "boottime_ns": 1, "payload_sha256": bytes(32)}
        connection.execute(insert(events), event | moments | rest | {"body": body})


def test_an_erased_student_is_a_number_that_stands_for_nobody(school: OfficeUnderTest) -> None:
    ada = ids(school)["007"]
    put_marks(school, ada)
    found = erasure.preview(school.office, "007")
    assert (found.name, found.templates, found.photos, found.erased_at) == ("Ada Lovelace", 2, 1, None)
    put_units(school, NOBODY % 99, gone=None, here=None)
    school.do("update units set revoked_at = now() where label = 'gone'")
    school.do("update galleries set manifest = 'sealed names', head = 'head'")
    before = school.revision()
    csv_file = marking.csv_file(school.office)
    csv_file.path.write_text("date,time,name\n2026-09-01,10:00:00,007_Ada Lovelace\n")
    done = erasure.erase(school.office, "007", policy="pseudonymise")
    assert (done.new, done.csv_problem) == (True, "")
    assert f"{done.serial_number}_Erased student" in csv_file.path.read_text()
    assert "Ada" not in csv_file.path.read_text()
    assert (done.templates_deleted, done.photos_deleted, done.consents_ended) == (2, 1, 1)
    assert school.revision() == before + 1

    [row] = school.rows(
        "select name, serial_number, username, email, phone, section_id, erased_at is not null, left_on"
        " from students where serial_number <> '008'"
    )
    assert row[0] == "Erased student"
    assert row[1] == done.serial_number
    assert str(row[1]).startswith("erased-")
    assert row[2:7] == (None, None, None, None, 1)
    assert str(row[7]) == "2026-09-01"
    assert school.rows("select count(*) from student_sections where until is null") == [(1,)]
    for table, left in (("templates", 2), ("photos", 1), ("student_margins", 1), ("look_alikes", 0), ("consents", 2)):
        assert school.count(table) == left, table
    # The consent stays as proof, and the line of the register as a number.
    assert school.rows("select given_by, reference from consents where withdrawn_at is not null") == [("", "folder 3")]
    assert school.rows("select status, notes from attendance") == [("Late", "")]
    assert school.rows("select reason, note from marks") == [("", "")]
    assert school.dirty() == [(done.serial_number, "2026-09-01")]
    # Units that are served get a newer list; nobody makes one for a unit that is revoked.
    lists = "select label, manifest is null from galleries join units on units.id = unit_id order by 1"
    assert school.rows(lists) == [("gone", 1), ("here", 0), ("unit", 0)]
    assert nowhere(school, "Ada", "Lovelace", "cold", "medical")


def nowhere(school: OfficeUnderTest, *words: str) -> bool:
    """Whether no row of any table has these words."""
    for (table,) in school.rows("show tables"):
        rows = repr(school.rows(f"select * from `{table}`"))  # noqa: S608 (names from SHOW TABLES)
        for word in words:
            assert word not in rows, (word, table)
    return True


def test_erasing_again_says_when_it_happened_and_changes_nothing(school: OfficeUnderTest) -> None:
    ada = ids(school)["007"]
    done = erasure.erase(school.office, "007")
    revision, entries = school.revision(), school.actions()
    for named in (ada, done.serial_number):
        again = erasure.erase(school.office, named)
        assert (again.new, again.at, again.serial_number) == (False, done.at, done.serial_number)
    assert (school.revision(), school.actions()) == (revision, entries)
    assert entries[-1] == "student.erase"


def test_nothing_finds_an_erased_student_by_their_old_number(school: OfficeUnderTest) -> None:
    done = erasure.erase(school.office, "007")
    form = {"serial_number": "007", "given_by": "x"}
    for refused in (
        lambda: erasure.erase(school.office, "007"),
        lambda: erasure.status(school.office, "007"),
        lambda: consents.give_consent(school.office, form),
        lambda: enrolled_pictures.require_ready(school.office, "007"),
        lambda: consents.give_consent(school.office, form | {"serial_number": done.serial_number}),
    ):
        with pytest.raises(NotFound):
            refused()
    # The number is free again.
    students.add_student(school.office, {"serial_number": "007", "name": "Another One"})


def test_with_the_record_kept_only_the_face_goes(school: OfficeUnderTest) -> None:
    put_marks(school, ids(school)["007"])
    done = erasure.erase(school.office, "007", policy="keep_record")
    assert (done.new, done.serial_number, done.templates_deleted, done.photos_deleted) == (True, "007", 2, 1)
    assert school.rows("select name from students where serial_number = '007'") == [("Ada Lovelace",)]
    assert school.rows("select notes from attendance") == [("medical: Ada has a cold",)]
    again = erasure.erase(school.office, "007", policy="keep_record")
    assert (again.new, again.at) == (False, done.at)
    # Who stays at the school may agree again, and be erased again.
    consents.give_consent(school.office, {"serial_number": "007", "given_by": "x"})
    assert erasure.erase(school.office, "007", policy="keep_record").new
    assert erasure.erase(school.office, "007", policy="pseudonymise").new
    assert school.actions().count("student.erase") == 3


def test_an_erasure_stays_known_when_the_audit_log_has_forgotten_it(school: OfficeUnderTest) -> None:
    done = erasure.erase(school.office, "007", policy="keep_record")
    school.do("delete from audit where action = 'student.erase'")
    assert erasure.status(school.office, "007").erased_at == done.at
    assert [one.erased_at for one in erasure.list_erasures(school.office)] == [done.at]
    assert not erasure.erase(school.office, "007", policy="keep_record").new


class Twice(Database):
    """A database whose answers to commits are lost: whatever is committed is run again."""

    def run(self, work: Callable[[Connection], Any], **how: Any) -> Any:
        super().run(work, **how)
        return super().run(work, **how)


@pytest.mark.parametrize("policy", ["pseudonymise", "keep_record"])
def test_a_commit_whose_answer_was_lost_is_told_as_what_it_was(school: OfficeUnderTest, policy: erasure.Policy) -> None:
    office = replace(school.office, database=Twice(school.office.database.address))
    form = {"serial_number": "007", "given_by": "x", "reference": "again"}
    assert consents.give_consent(office, form).new
    assert [
        one.serial_number for one in consents.import_consents(office, b"serial_number,given_by\n008,y\n").added
    ] == ["008"]
    done = erasure.erase(office, "007", policy=policy)
    assert (done.new, done.templates_deleted, done.photos_deleted, done.consents_ended) == (True, 2, 1, 2)
    ended = consents.withdraw_consent(office, "008")
    assert (ended.consents_ended, ended.templates_deleted) == (2, 2)
    assert school.actions()[-4:] == ["consent.give", "consent.give", "student.erase", "consent.withdraw"]
    office.database.close()


# ---- receipts ------------------------------------------------------------------------------------------------------


def put_units(desk: OfficeUnderTest, student_id: str, **confirmed: datetime | None) -> None:
    """Units by label that were told to delete a student, and when each confirmed it."""
    with desk.office.database.transaction() as connection:
        room = connection.exec_driver_sql("select lower(hex(id)) from rooms").scalar_one()
        for number, (label, at) in enumerate(confirmed.items()):
            unit = {"id": NOBODY % (128 + number), "label": label, "room_id": room, "data_key_sealed": b"x"}
            connection.execute(insert(units), unit | {"added_at": desk.clock.now()})
            connection.execute(insert(galleries).values(unit_id=unit["id"], revision=1))
            told = {"student_id": student_id, "unit_id": unit["id"], "revision": 2, "asked_at": desk.clock.now()}
            connection.execute(insert(erasures), told | {"confirmed_at": at})


def told(one: ErasureStatus) -> dict[str, str]:
    return {unit.label: unit.state for unit in one.units}


def test_the_status_says_which_units_erased_and_for_whom_it_waits(school: OfficeUnderTest) -> None:
    ada, office = ids(school)["007"], school.office
    done = erasure.erase(office, "007")
    later = school.clock.now() + timedelta(hours=1)
    put_units(school, ada, first=later, second=later - timedelta(minutes=1), third=None, fourth=None)
    school.do("update units set revoked_at = now() where label = 'fourth'")
    with office.database.transaction() as connection:
        heard = {
            "unit_id": NOBODY % 130,
            "epoch": "e",
            "high_water": 0,
            "first_heard_at": done.at,
            "last_heard_at": done.at,
        }
        connection.execute(insert(epochs), heard)
        member = {"unit_id": "ab" * 16, "student_id": ada, "from_revision": 1}
        connection.execute(insert(gallery_members), member)
    school.clock.forward(timedelta(hours=2))

    one = erasure.status(office, done.serial_number)
    assert told(one) == {
        "first": "erased",
        "second": "erased",
        "third": "waiting",
        "fourth": "revoked, not confirmed",
        "unit": "not asked yet",
    }
    assert (one.erased, one.complete, one.completed_at, one.erased_at) == (2, False, None, done.at)
    text = "\n".join(sentences(one, office.settings.zone))
    assert "erased on 2 of 5, at 2026-09-01T13:00:00+02:00." in text
    assert "revoked, not confirmed: fourth" in text
    assert "waiting: third (offline since 2026-09-01T12:00:00+02:00)" in text
    assert "waiting: unit (never heard of)" in text

    school.do("delete from gallery_members")
    school.do("update erasures set confirmed_at = '2026-09-01 15:00:00' where confirmed_at is null")
    whole = erasure.status(office, ada)
    assert whole.complete
    assert sentences(whole, office.settings.zone) == [
        f"{done.serial_number} (Erased student): erased on 4 of 4, at 2026-09-01T17:00:00+02:00."
    ]
    # A gallery from before it, that serve has not made anew, may list the name.
    school.do("update galleries set prepared_revision = 0, prepared_at = '2026-09-01 09:00:00'")
    assert not erasure.status(office, ada).complete


def test_the_list_has_the_open_ones_first(school: OfficeUnderTest) -> None:
    both = ids(school)
    assert erasure.list_erasures(school.office) == []
    done = erasure.erase(school.office, "007")
    put_units(school, both["008"], first=None)
    assert [(one.serial_number, one.complete) for one in erasure.list_erasures(school.office)] == [
        ("008", False),
        (done.serial_number, True),
    ]
    school.do("update erasures set confirmed_at = now()")
    assert [one.serial_number for one in erasure.list_erasures(school.office)] == [done.serial_number]
    assert len(erasure.list_erasures(school.office, everybody=True)) == 2


def test_the_commands_ask_first_and_say_what_is_left(school: OfficeUnderTest) -> None:
    def run(*words: str, code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, ["--config", str(school.settings_file), *words], input=stdin)
        assert result.exit_code == code, result.output
        return result

    asked = run("erase", "007", code=1, stdin="n\n")
    assert "2 templates and 1 photos of 007 (Ada Lovelace) will be deleted here and on 0 units." in asked.stderr
    assert school.count("templates") == 4
    done = json.loads(run("erase", "007", "--yes", "--json").stdout)
    assert (done["new"], done["policy"], done["templates_deleted"]) == (True, "pseudonymise", 2)
    assert "nothing is left" in run("erase", done["student_id"], "--yes").stdout
    assert "Erased: 2 templates" in run("erase", "008", "--keep-record", "--yes").stdout
    assert "no unit has, or ever had, their template" in run("erasure", "status", "008").stdout
    put_units(school, done["student_id"], room_3=None)
    waiting = json.loads(run("erasure", "status", "--json").stdout)
    assert [(one["serial_number"], one["complete"]) for one in waiting] == [(done["serial_number"], False)]
    assert "waiting: room_3 (never heard of)" in run("erasure", "status").stdout
    listed = run("erasure", "list").stdout
    assert listed.index(done["serial_number"]) < listed.index("008")
    missing = run("erase", "007", "--yes", code=1)
    assert "rollcall-hub erasure list" in missing.stderr
