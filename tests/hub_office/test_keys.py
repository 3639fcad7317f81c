"""Replacing the hub's key on a real database: whatever stops it, it goes on, and everything opens all the time."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import insert, select, text

from hub.adapters import key_files, key_ring, reseal_store, template_store
from hub.adapters.gallery_revisions import data_key_context, seal_data_key
from hub.adapters.key_files import HubKeys
from hub.adapters.key_ring import KeyRing, key_id_of
from hub.adapters.schema import photos, students, templates, units
from hub.adapters.template_store import NewTemplate
from hub.core.errors import Conflict, KeyUnusable, StoreRefused
from hub.office import keys, tables
from protocol.errors import SealBroken
from protocol.sealing import seal, stored_photo_context, stored_template_context
from tests.hub_core.builders import PACK, an_id
from tests.hub_office.conftest import NOW, OfficeUnderTest, invoke

pytestmark = pytest.mark.server
STUDENTS = tuple(an_id(number) for number in range(1, 6))
UNITS = tuple(an_id(number) for number in range(11, 14))
SHA = bytes(range(32))


class Stop(Exception):
    """The process was killed."""


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Five students with a template, two with a photo, three units; some rows do not say their key."""
    key = desk.office.keys.hub_key()
    with desk.office.database.transaction() as connection:
        connection.execute(text("insert into rooms (id, name) values (repeat('r', 16), '12')"))
        for student_id in STUDENTS:
            connection.execute(
                insert(students).values(id=student_id, serial_number=student_id[-4:], name="A", created_at=NOW)
            )
            enrol(connection, key, student_id)
        connection.execute(templates.update().where(templates.c.student_id == STUDENTS[0]).values(key_id=""))
        for student_id in STUDENTS[:2]:
            sealed = seal(key, b"picture", *stored_photo_context(student_id, SHA.hex()))
            values = {"id": student_id, "student_id": student_id, "sealed": sealed, "source": "file", "created_at": NOW}
            connection.execute(insert(photos).values(**values, picture_sha256=SHA))
        room = connection.execute(text("select id from rooms")).scalar()
        for unit_id in UNITS:
            sealed = seal_data_key(key, unit_id, data_key(unit_id))
            connection.execute(
                text(
                    "insert into units (id, label, room_id, data_key_sealed, added_at)"
                    " values (:id, :label, :room, :sealed, now())"
                ),
                {"id": bytes.fromhex(unit_id.replace("-", "")), "label": unit_id, "room": room, "sealed": sealed},
            )
    return desk


def enrol(connection: object, key: bytes | KeyRing, student_id: str) -> None:
    template = NewTemplate(
        str(uuid4()), student_id, PACK, np.eye(8, dtype=np.float32)[0], "file", 100.0, uuid4().bytes * 2
    )
    template_store.insert_template(connection, key, template, NOW)  # type: ignore[arg-type]


def data_key(unit_id: str) -> bytes:
    return unit_id.encode()[:32]


def opens_all(school: OfficeUnderTest, ring: KeyRing) -> bool:
    """Whether somebody with this ring can open everything there is."""
    with school.office.database.transaction() as connection:
        gallery = template_store.read_gallery(connection, ring, PACK)
        pictures = [
            ring.opened(bytes(row.sealed), *stored_photo_context(row.student_id, SHA.hex()))
            for row in connection.execute(select(photos))
        ]
        unit_keys = {
            row.id: ring.opened(bytes(row.data_key_sealed), *data_key_context(row.id))
            for row in connection.execute(select(units))
        }
    return (
        not gallery.damaged
        and {template.student_id for template in gallery.templates} == set(STUDENTS)
        and pictures == [b"picture"] * 2
        and unit_keys == {unit_id: data_key(unit_id) for unit_id in UNITS}
    )


def another_program(school: OfficeUnderTest) -> KeyRing:
    mine = school.office.keys
    return HubKeys(mine.hub_key_file, mine.signing_key_file).ring()


def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KINDS", tuple(replace(kind, at_once=3) for kind in reseal_store.KINDS))


def stopping_at(place: int, monkeypatch: pytest.MonkeyPatch, school: OfficeUnderTest) -> Callable[[], None]:
    """Let the `place`-th step of a rotation be its last; return what rotates."""
    seen = 0

    def step(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == place:
            raise Stop

    def around(name: str, module: object) -> None:
        original = getattr(module, name)

        def stepped(*arguments: object, **options: object) -> object:
            step()
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, stepped)

    around("create_key", keys)
    around("_record_once", keys)
    around("_sync_folder", key_files)

    def rotate() -> None:
        keys.rotate(school.office, progress=step)

    return rotate


def test_a_rotation_stopped_anywhere_goes_on_and_everything_opens_all_the_time(
    school: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch)
    office, running = school.office, another_program(school)
    first = office.keys.hub_key()
    running.keys()
    stops = 0
    while True:
        with monkeypatch.context() as stopped:
            rotate = stopping_at(stops + 1, stopped, school)
            try:
                rotate()
            except Stop:
                stops += 1
            else:
                break
        # Who has run since before, who begins now, and who seals something in between.
        assert opens_all(school, running)
        assert opens_all(school, another_program(school))
        assert stops < 30
    assert stops > 4
    assert opens_all(school, running)
    assert office.keys.hub_key() != first
    assert office.keys.old_key_file.read_bytes() == first
    assert not office.keys.next_key_file.exists()
    assert key_files.read_key(office.keys.hub_key_file) == office.keys.hub_key()
    assert school.actions() == ["keys.rotate_begin", "keys.rotate"]
    # Nothing is left that the new key does not open.
    alone = KeyRing(lambda: (office.keys.hub_key(),))
    assert opens_all(school, alone)
    forgotten = keys.forget_old(office)
    assert forgotten == key_id_of(first)
    assert sorted(path.name for path in office.keys.hub_key_file.parent.glob("*hub.key*")) == ["hub.key"]
    assert opens_all(school, running)


def test_each_step_of_a_rotation_can_be_the_last_before_a_crash(
    school: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch)
    office, place = school.office, 0
    while True:
        place += 1
        before = office.keys.hub_key()
        with monkeypatch.context() as stopped:
            rotate = stopping_at(place, stopped, school)
            try:
                rotate()
            except Stop:
                died = True
            else:
                died = False
        assert opens_all(school, another_program(school))
        if died:
            keys.rotate(office)
        assert office.keys.hub_key() != before
        assert opens_all(school, KeyRing(lambda: (office.keys.hub_key(),)))
        keys.forget_old(office)
        if not died:
            break
    assert place > 8


def test_what_is_sealed_meanwhile_is_sealed_with_the_next_key_and_stragglers_are_found(school: OfficeUnderTest) -> None:
    office = school.office
    old, slow_program = office.keys.hub_key(), office.keys.hub_key()
    key_files.create_key(office.keys.next_key_file)
    assert office.keys.hub_key() != old
    with office.database.transaction() as connection:
        enrol(connection, office.keys.ring(), STUDENTS[0])
    assert school.rows("select count(*) from templates group by key_id order by 1") == [(1,), (1,), (4,)]
    assert (key_id_of(office.keys.hub_key()),) in school.rows("select key_id from templates")
    assert keys.rotate(office).resealed == {"templates": 5, "photos": 2, "units": 3}
    # Somebody who had looked before all this writes only now.
    with office.database.transaction() as connection:
        enrol(connection, slow_program, STUDENTS[1])
    said = invoke(school, "keys", "forget-old", "--yes")
    assert said.exit_code == 1
    assert "still needed: 1 templates" in said.stderr
    assert json.loads(invoke(school, "keys", "rotate", "--json").stdout)["outcome"] == "finished"
    assert invoke(school, "keys", "forget-old", "--yes").exit_code == 0
    assert opens_all(school, another_program(school))
    with pytest.raises(Conflict, match="no old key"):
        keys.forget_old(office)


def test_shown_are_ids_dates_and_rows_and_never_a_key(school: OfficeUnderTest) -> None:
    school.do("update templates set sealed = 'altered' where key_id = ''")
    keys.rotate(school.office)
    shown = json.loads(invoke(school, "keys", "show", "--json").stdout)
    assert [(line["role"], line["templates"], line["photos"], line["units"]) for line in shown["keys"]] == [
        ("in use", 4, 2, 3),
        ("old", 0, 0, 0),
    ]
    assert shown["damaged"] == {"templates": 1, "photos": 0, "units": 0}
    said = invoke(school, "keys", "show")
    assert key_id_of(school.office.keys.hub_key()) in said.stdout
    everything = said.output + json.dumps(shown)
    for key in school.office.keys.hub_keys():
        assert key.hex() not in everything
        assert key.hex()[:16] not in everything
        assert key_id_of(key) != key.hex()[:16]


def test_a_key_of_another_database_is_not_replaced(school: OfficeUnderTest) -> None:
    path = school.office.keys.hub_key_file
    path.unlink()
    key_files.create_key(path)
    with pytest.raises(StoreRefused, match="opens nothing"):
        keys.rotate(school.office)
    assert not school.office.keys.next_key_file.exists()


def test_an_older_key_that_was_not_forgotten_is_never_overwritten(school: OfficeUnderTest) -> None:
    office = school.office
    keys.rotate(office)
    key_files.create_key(office.keys.next_key_file)
    with pytest.raises(Conflict, match="older"):
        keys.rotate(office)
    with pytest.raises(Conflict, match="being replaced"):
        keys.forget_old(office)
    with key_files.alone_in(office.keys.hub_key_file.parent), pytest.raises(Conflict, match="somebody else"):
        keys.forget_old(office)


def test_a_credential_is_re_sealed_but_its_file_left_to_its_owner(school: OfficeUnderTest, tmp_path: Path) -> None:
    mine, credentials = school.office.keys, tmp_path / "credentials"
    credentials.mkdir()
    mine.hub_key_file.replace(credentials / "hub.key")
    (credentials / "hub.key").chmod(0o440)
    given = HubKeys(mine.hub_key_file, mine.signing_key_file, credentials)
    office = replace(school.office, keys=given)
    assert given.create_missing() == []
    with pytest.raises(KeyUnusable, match="credential") as caught:
        keys.rotate(office)
    assert "hub.key.next" in caught.value.hint
    key_files.create_key(credentials / "hub.key.next")
    assert keys.rotate(office).outcome == "resealed"
    assert sorted(path.name for path in credentials.iterdir()) == ["hub.key", "hub.key.next"]
    (credentials / "hub.key").rename(credentials / "hub.key.old")
    (credentials / "hub.key.next").rename(credentials / "hub.key")
    assert opens_all(replace(school, office=office), given.ring())
    (credentials / "hub.key").chmod(0o444)
    with pytest.raises(KeyUnusable, match="by others"):
        HubKeys(mine.hub_key_file, mine.signing_key_file, credentials).hub_key()


def test_who_cannot_see_the_next_key_makes_no_gallery_without_its_templates(
    school: OfficeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch)
    office, first = school.office, school.office.keys.hub_key()
    blind = KeyRing(lambda: (first,))
    seen: list[tuple[int, int]] = []

    def look(*_: int) -> None:
        with office.database.transaction() as connection:
            known = (first,)
            opened = {
                kind.name: reseal_store.counted(connection, kind, known)[key_id_of(first)]
                for kind in reseal_store.KINDS
            }
        seen.append((opened["units"], opened["templates"]))

    keys.rotate(office, progress=look)
    with pytest.raises(StoreRefused, match="no template can be opened"):
        opens_all(school, blind)
    assert seen[-1] == (0, 0)
    assert [units_of for units_of, left in seen if left < len(STUDENTS)] != []
    assert {units_of for units_of, left in seen if left < len(STUDENTS)} == {0}


def test_a_lost_key_is_not_replaced_while_a_photo_needs_it_or_another_key_lies_beside_it(
    school: OfficeUnderTest,
) -> None:
    school.do("delete from templates")
    school.do("delete from units")
    mine = school.office.keys
    office = replace(school.office, keys=HubKeys(mine.hub_key_file, mine.signing_key_file))
    lost = mine.hub_key_file.rename(mine.hub_key_file.with_name("elsewhere"))
    with pytest.raises(KeyUnusable, match="has photos made with it"):
        tables.migrate(office)
    school.do("delete from photos")
    lost.rename(mine.old_key_file)
    with pytest.raises(KeyUnusable, match="being replaced"):
        tables.migrate(office)
    assert not mine.hub_key_file.exists()


def test_one_damaged_template_is_named_and_nobody_else_waits_for_it(school: OfficeUnderTest) -> None:
    school.do("update templates set sealed = 'altered' where key_id = ''")
    with school.office.database.transaction() as connection:
        gallery = template_store.read_gallery(connection, school.office.keys.ring(), PACK)
        assert gallery.damaged == (STUDENTS[0],)
        assert len(gallery.templates) == 4
        with pytest.raises(StoreRefused, match="no template can be opened"):
            template_store.read_gallery(connection, bytes(32), PACK)
    with pytest.raises(SealBroken):
        key_ring.opened(bytes(32), b"x", *stored_template_context(STUDENTS[0], PACK))
