"""Galleries on a real MariaDB: who is in them, what changes them, what a unit has to erase."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, update

from hub.adapters import erasure_store, reseal_store, review_store
from hub.adapters.content_cache import ContentCache
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.gallery_revisions import touch_galleries
from hub.adapters.gallery_store import GalleryMaking, MySqlGalleryStore
from hub.adapters.key_ring import KeyRing
from hub.adapters.reseal_store import BEFORE_ALL
from hub.adapters.schema import (
    calibrations,
    consents,
    erasures,
    galleries,
    gallery_members,
    lessons,
    look_alikes,
    rooms,
    sections,
    student_sections,
    students,
    templates,
    units,
)
from hub.core.calibration import Calibration
from hub.core.errors import StoreRefused
from hub.core.galleries import WrongRoomScope
from hub.core.student_margins import MarginRise
from protocol.base import sha256_hex
from protocol.content import Applied, GalleryManifest, Head, HeadBody, TemplateBlob, Timetable
from protocol.delivery import Hello
from protocol.sealing import (
    check_signature,
    manifest_context,
    public_key_of,
    template_context,
    timetable_context,
    unseal,
)
from recognition.core.calibration import nothing_matches
from tests.hub_adapters.school import DATA_KEY, DIMENSIONS, HUB_KEY, ROOM, SECTION, SIGNING_KEY, ZONE, School, utc
from tests.hub_core.builders import BOOT, EPOCH, PACK, UNIT, a_student, an_id
from tests.hub_loops.fakes import FakeClock

pytestmark = pytest.mark.server
NOW = utc(5)


class Galleries:
    """A gallery store with what a unit would do on the other side."""

    def __init__(self, school: School, wider: WrongRoomScope = "none") -> None:
        self.school = school
        self.points: Callable[[Sequence[int]], dict[str, object]] = lambda sizes: {"gallery_size": list(sizes)}
        self.clock = FakeClock(NOW)
        making = GalleryMaking(
            site="test-site",
            pack_id=PACK,
            hub_key=HUB_KEY,
            signing_key=SIGNING_KEY,
            points=lambda _, sizes: self.points(sizes),
            rises=lambda *_: {"room": MarginRise(0.01, 0.025)},
            wrong_room_scope=wider,
        )
        self.store = MySqlGalleryStore(school.database, self.clock, making)

    def touch(self) -> None:
        with self.school.database.transaction() as connection:
            touch_galleries(connection, NOW)

    def head(self, unit_id: str = UNIT) -> HeadBody:
        prepared = self.store.head(unit_id)
        assert prepared is not None
        head = Head.model_validate_json(prepared.payload)
        check_signature(public_key_of(SIGNING_KEY), head.body.encode(), head.signature)
        return HeadBody.model_validate_json(head.body)

    def manifest(self, unit_id: str = UNIT) -> GalleryManifest:
        sealed = self.store.content(unit_id, "manifest", self.head(unit_id).manifest_hash)
        assert sealed is not None
        assert len(sealed) == self.head(unit_id).manifest_bytes
        return GalleryManifest.model_validate_json(unseal(DATA_KEY, sealed, *manifest_context(unit_id)))

    def prepare(self, unit_id: str = UNIT) -> GalleryManifest:
        self.store.prepare(unit_id)
        return self.manifest(unit_id)

    def listed(self, unit_id: str = UNIT) -> set[str]:
        self.touch()
        return {entry.student_id for entry in self.prepare(unit_id).entries}


@pytest.fixture
def made(school: School) -> Galleries:
    school.unit()
    return Galleries(school)


def test_a_unit_gets_each_student_with_a_template_it_alone_can_open(made: Galleries) -> None:
    student = made.school.student(1)
    manifest = made.prepare()
    [entry] = manifest.entries
    assert (entry.student_id, entry.display_name) == (student, "0001_Student 1")
    assert entry.template_hash is not None
    sealed = made.store.content(UNIT, "template", entry.template_hash)
    assert sealed is not None
    assert len(sealed) == entry.template_bytes
    blob = TemplateBlob.model_validate_json(unseal(DATA_KEY, sealed, *template_context(UNIT, student, PACK)))
    assert (blob.count, blob.dimensions, blob.pack_id) == (1, DIMENSIONS, PACK)
    assert made.head().operating_points == {"gallery_size": [1]}


def test_nobody_without_a_consent_in_force_is_ever_listed(made: Galleries) -> None:
    school = made.school
    school.student(1, consent=False)
    for number, changed in (
        (2, {"withdrawn_at": NOW - timedelta(days=1)}),
        (3, {"expires_at": NOW}),
        (4, {"given_at": NOW + timedelta(days=1)}),
    ):
        school.consent(school.student(number, consent=False), **changed)
    welcome = school.student(5)
    again = school.student(6, consent=False)
    school.consent(again, withdrawn_at=NOW - timedelta(days=2))
    school.consent(again, given_at=NOW - timedelta(days=1))
    assert made.listed() == {welcome, again}


def test_a_student_without_a_template_of_this_pack_is_listed_by_name_only(made: Galleries) -> None:
    student = made.school.student(1, enrolled=False)
    made.school.template(student, pack_id="other-1")
    [entry] = made.prepare().entries
    assert entry.template_hash is None
    assert made.head().operating_points == {"gallery_size": [0]}


def test_only_students_with_a_lesson_in_the_room_this_term_are_listed(made: Galleries) -> None:
    school = made.school
    near, far = an_id(71), an_id(72)
    for section, name in ((near, "near"), (far, "far")):
        school.put(sections, id=section, name=name)
    here = school.student(1)
    soon = school.student(2, section=near)
    school.student(3, section=far)
    school.student(4, section=None)
    assert made.listed() == {a_student(number) for number in (1, 2, 3, 4)}
    school.lesson(NOW - timedelta(days=3))
    school.lesson(NOW + timedelta(days=119), section=near)
    school.lesson(NOW + timedelta(days=121), section=far)
    school.lesson(NOW - timedelta(days=15), section=far)
    assert made.listed() == {here, soon}


def test_a_revision_is_prepared_once_and_then_left_alone(made: Galleries) -> None:
    made.school.student(1)
    made.prepare()
    before = made.school.rows(galleries)
    made.prepare()
    assert made.school.rows(galleries) == before
    assert before[0]["revision"] == before[0]["prepared_revision"] == 1


def test_equal_content_keeps_its_hash_so_that_a_unit_fetches_it_once(made: Galleries) -> None:
    made.school.student(1)
    first = made.prepare().entries[0].template_hash
    made.school.student(2)
    made.touch()
    second = made.prepare()
    assert second.revision == 2
    assert first in {entry.template_hash for entry in second.entries}


def test_whoever_drops_out_has_to_be_erased_and_the_unit_confirms_it(made: Galleries) -> None:
    school = made.school
    leaver, stayer = school.student(1), school.student(2)
    made.prepare()
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == leaver).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    assert [entry.student_id for entry in made.prepare().entries] == [stayer]
    [row] = school.rows(erasures)
    assert (row["student_id"], row["unit_id"], row["revision"], row["confirmed_at"]) == (leaver, UNIT, 2, None)
    events = MySqlEventStore(school.database, ZONE)
    events.confirm_gallery(UNIT, Applied(revision=1, at=NOW), NOW)
    assert school.rows(erasures)[0]["confirmed_at"] is None
    events.confirm_gallery(UNIT, Applied(revision=2, erased=(leaver,), at=NOW), NOW)
    assert school.rows(erasures)[0]["confirmed_at"] == NOW
    assert school.rows(galleries)[0]["confirmed_revision"] == 2


def test_a_revision_the_hub_never_made_confirms_no_erasure(made: Galleries) -> None:
    leaver = made.school.student(1)
    made.prepare()
    with made.school.database.transaction() as connection:
        connection.execute(delete(templates).where(templates.c.student_id == leaver))
        connection.execute(delete(consents).where(consents.c.student_id == leaver))
        connection.execute(delete(student_sections).where(student_sections.c.student_id == leaver))
        connection.execute(delete(students).where(students.c.id == leaver))
        touch_galleries(connection, NOW)
    made.prepare()
    MySqlEventStore(made.school.database, ZONE).confirm_gallery(UNIT, Applied(revision=99, at=NOW), NOW)
    assert made.school.rows(erasures)[0]["confirmed_at"] is None


def test_who_is_listed_again_before_the_unit_knew_needs_no_receipt(made: Galleries) -> None:
    school = made.school
    student = school.student(1)
    made.prepare()
    with school.database.transaction() as connection:
        connection.execute(update(consents).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    made.prepare()
    assert len(school.rows(erasures)) == 1
    school.consent(student)
    made.touch()
    made.prepare()
    assert school.rows(erasures) == []
    spans = [(row["from_revision"], row["until_revision"]) for row in school.rows(gallery_members)]
    assert sorted(spans, key=str) == [(1, 2), (3, None)]


def test_a_template_is_not_served_once_its_student_has_dropped_out(made: Galleries) -> None:
    school = made.school
    student = school.student(1)
    template_hash = made.prepare().entries[0].template_hash
    assert template_hash is not None
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == student).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    made.prepare()
    assert made.store.content(UNIT, "template", template_hash) is None


def test_content_is_made_anew_after_a_restart(made: Galleries) -> None:
    made.school.student(1)
    template_hash = made.prepare().entries[0].template_hash
    assert template_hash is not None
    first = made.store.content(UNIT, "template", template_hash)
    assert Galleries(made.school).store.content(UNIT, "template", template_hash) == first


def test_one_unit_is_not_given_what_was_sealed_for_another(made: Galleries) -> None:
    made.school.student(1)
    other = made.school.unit(an_id(601), label="door-13")
    template_hash = made.prepare().entries[0].template_hash
    assert template_hash is not None
    assert made.store.content(other, "template", template_hash) is None
    assert made.store.content(other, "manifest", made.head().manifest_hash) is None


def test_a_consent_that_runs_out_by_itself_asks_for_a_new_revision(made: Galleries) -> None:
    school = made.school
    school.consent(school.student(1, consent=False), expires_at=NOW + timedelta(days=1))
    made.prepare()
    made.clock.move(timedelta(days=2))
    made.store.prepare(UNIT)
    [state] = made.store.states()
    assert (state.revision, state.prepared_revision) == (2, 1)
    assert made.prepare().entries == ()


def test_the_timetable_moves_on_without_a_new_revision(made: Galleries) -> None:
    lesson = made.school.lesson(NOW + timedelta(days=20))
    made.prepare()
    first = made.head()
    made.clock.move(timedelta(days=10))
    made.store.prepare(UNIT)
    second = made.head()
    assert (second.revision, second.manifest_hash) == (first.revision, first.manifest_hash)
    assert second.timetable_hash is not None
    sealed = made.store.content(UNIT, "timetable", second.timetable_hash)
    assert sealed is not None
    timetable = Timetable.model_validate_json(unseal(DATA_KEY, sealed, *timetable_context(UNIT)))
    assert [one.lesson_id for one in timetable.lessons] == [lesson]
    assert first.timetable_hash != second.timetable_hash


def test_a_timetable_of_hundreds_of_lessons_still_fits_one_part(made: Galleries) -> None:
    with made.school.database.transaction() as connection:
        connection.execute(
            lessons.insert(),
            [
                {
                    "id": an_id(10_000 + number),
                    "room_id": ROOM,
                    "section_id": SECTION,
                    "label": "x" * 100,
                    "starts_at": NOW + timedelta(minutes=10 * number),
                    "ends_at": NOW + timedelta(minutes=10 * number + 5),
                }
                for number in range(1000)
            ],
        )
    made.prepare()
    assert (made.head().timetable_bytes or 0) <= 64 * 1024


def test_touching_one_room_leaves_the_others_alone(made: Galleries) -> None:
    made.school.put(rooms, id=an_id(5), name="13")
    other = made.school.unit(an_id(602), label="door-13", room=an_id(5))
    with made.school.database.transaction() as connection:
        touch_galleries(connection, NOW, room_id=ROOM)
    assert {state.unit_id: state.revision for state in made.store.states()} == {UNIT: 2, other: 1}


def test_look_alikes_that_are_both_there_are_named(made: Galleries) -> None:
    pair = sorted([made.school.student(1), made.school.student(2)])
    for other, origin in ((pair[1], "calibration"), (an_id(9), "operator")):
        one, two = sorted([pair[0], other])
        made.school.put(look_alikes, student_id=one, other_id=two, origin=origin, decided_at=NOW)
    assert made.prepare().look_alikes == (tuple(pair),)


def scopes(manifest: GalleryManifest) -> dict[str, str]:
    return {entry.student_id: entry.scope for entry in manifest.entries}


def test_by_default_nobody_of_elsewhere_is_given_to_a_unit(made: Galleries) -> None:
    school = made.school
    school.put(sections, id=an_id(71), name="elsewhere")
    here = school.student(1)
    school.student(2, section=an_id(71))
    school.lesson(NOW)
    assert scopes(made.prepare()) == {here: "room"}
    assert made.head().operating_points == {"gallery_size": [1]}


def test_a_school_that_wants_it_gives_everybody_else_marked_as_not_expected(school: School) -> None:
    school.unit()
    school.put(sections, id=an_id(71), name="elsewhere")
    here, other = school.student(1), school.student(2, section=an_id(71))
    school.student(3, section=None, enrolled=False)
    school.student(4, section=None, consent=False)
    school.lesson(NOW)
    made = Galleries(school, "school")
    assert scopes(made.prepare()) == {here: "room", other: "wider"}
    assert made.head().operating_points == {"gallery_size": [1, 2]}
    assert {row["student_id"] for row in school.rows(gallery_members)} == {here, other}


def test_a_section_scope_adds_who_used_to_come_to_the_room(school: School) -> None:
    school.unit()
    for number, name in ((71, "last term's"), (72, "elsewhere")):
        school.put(sections, id=an_id(number), name=name)
    here, left = school.student(1), school.student(2)
    school.moves(left, an_id(72), NOW - timedelta(days=3))
    long_gone = school.student(3)
    school.moves(long_gone, an_id(72), NOW - timedelta(days=40))
    earlier = school.student(4, section=an_id(71))
    school.student(5, section=an_id(72))
    school.lesson(NOW)
    school.lesson(NOW - timedelta(days=90), section=an_id(71))
    assert scopes(Galleries(school, "section").prepare()) == {here: "room", left: "wider", earlier: "wider"}


def test_in_a_room_without_a_timetable_everybody_is_expected(school: School) -> None:
    school.unit()
    students_of_both = {school.student(1): "room", school.student(2, section=None): "room"}
    assert scopes(Galleries(school, "school").prepare()) == students_of_both


def test_who_comes_to_the_room_moves_from_the_wider_scope_into_it(school: School) -> None:
    school.unit()
    school.put(sections, id=an_id(71), name="elsewhere")
    school.student(1)
    other = school.student(2, section=an_id(71))
    school.lesson(NOW)
    made = Galleries(school, "school")
    assert scopes(made.prepare())[other] == "wider"
    school.lesson(NOW, section=an_id(71))
    made.touch()
    assert scopes(made.prepare())[other] == "room"
    assert school.rows(erasures) == []


def test_points_that_nothing_reaches_are_a_problem_an_operator_reads(made: Galleries) -> None:
    made.points = lambda _: nothing_matches(1, 0.01).to_dict()
    made.prepare()
    assert made.school.rows(galleries)[0]["problem"] is None
    made.school.student(1)
    made.touch()
    made.prepare()
    assert "rollcall-hub calibrate" in made.school.rows(galleries)[0]["problem"]
    made.points = lambda sizes: {"gallery_size": list(sizes)}
    made.touch()
    made.prepare()
    assert made.school.rows(galleries)[0]["problem"] is None


def test_a_margin_that_rejections_raised_is_in_the_next_gallery_and_goes_with_the_templates(made: Galleries) -> None:
    def margins() -> list[float | None]:
        made.touch()
        return [entry.extra_margin for entry in made.prepare().entries]

    ada, grace = (made.school.student(number) for number in (1, 2))
    assert margins() == [None, None]
    with made.school.database.transaction() as connection:
        review_store.raise_margins(connection, [grace], NOW)
    assert margins() == [None, 0.01]
    with made.school.database.transaction() as connection:
        review_store.raise_margins(connection, [ada, grace], NOW)
        review_store.raise_margins(connection, [grace], NOW)
    assert margins() == [0.01, 0.025]
    with made.school.database.transaction() as connection:
        review_store.lower_margins(connection, [ada], NOW)
        erasure_store.delete_templates(connection, [grace])
    made.school.template(grace)
    assert margins() == [None, None]


def test_the_newest_calibration_of_the_pack_sets_the_points(made: Galleries) -> None:
    heard: list[str | None] = []

    def points(newest: Calibration | None, _: Sequence[int]) -> dict[str, object]:
        heard.append(None if newest is None else newest.calibration_id)
        return {}

    making = replace(made.store._making, points=points)
    store = MySqlGalleryStore(made.school.database, made.clock, making)
    store.prepare(UNIT)
    for number, pack_id, at in ((41, PACK, 5), (42, PACK, 6), (43, "other-1", 7), (40, PACK, 4)):
        made.school.put(
            calibrations,
            id=an_id(number),
            pack_id=pack_id,
            at=utc(at),
            fpir=0.01,
            method="none",
            students=0,
            comparisons=0,
            detail='{"more_students": 100}',
            software="1",
            actor="somebody",
        )
    store.prepare(UNIT)
    assert heard == [None, an_id(42)]


def test_another_hub_key_is_refused_with_a_hint(made: Galleries) -> None:
    made.school.student(1)
    making = GalleryMaking("test-site", PACK, bytes(32), SIGNING_KEY, lambda *_: {}, lambda *_: {})
    with pytest.raises(StoreRefused) as caught:
        MySqlGalleryStore(made.school.database, made.clock, making).check_key()
    assert "hub_key_file" in caught.value.hint


def test_galleries_go_on_unchanged_while_and_after_the_hubs_key_is_replaced(made: Galleries) -> None:
    school, known = made.school, [HUB_KEY]
    ring = KeyRing(lambda: tuple(known))
    making = GalleryMaking("test-site", PACK, ring, SIGNING_KEY, lambda *_: {}, lambda *_: {})
    store = MySqlGalleryStore(school.database, made.clock, making)
    for number in (1, 2):
        school.student(number)
    made.store = store
    before = made.prepare()
    known.insert(0, bytes(range(1, 33)))
    for kind in reseal_store.KINDS:
        # One of two students, so that both keys are needed at once.
        halfway = replace(kind, at_once=1)
        school.database.run(partial(reseal_store.reseal, kind=halfway, ring=ring, key=known[0], after=BEFORE_ALL))
    assert len({row["key_id"] for row in school.rows(templates)}) == 2
    made.touch()
    assert made.prepare().entries == before.entries
    for kind in reseal_store.KINDS:
        school.database.run(partial(reseal_store.reseal, kind=kind, ring=ring, key=known[0], after=BEFORE_ALL))
    del known[1]
    made.touch()
    assert made.prepare().entries == before.entries
    store.check_key()


def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    cache = ContentCache(most_bytes=10)
    cache.put("u", "a", b"12345")
    cache.put("u", "b", b"12345")
    cache.get("u", "a")
    cache.put("u", "c", b"1")
    assert (cache.get("u", "a"), cache.get("u", "b"), cache.get("u", "c")) == (b"12345", None, b"1")
    cache.forget("u")
    assert cache.get("u", "a") is None


def test_a_hub_without_units_and_templates_has_no_wrong_key(school: School) -> None:
    Galleries(school).store.check_key()


def test_a_damaged_template_leaves_one_student_out_and_the_problem_stays_said(
    made: Galleries, caplog: pytest.LogCaptureFixture
) -> None:
    school = made.school
    broken, fine = school.student(1), school.student(2)
    school.template(broken)
    with school.database.transaction() as connection:
        one = templates.c.id == school.rows(templates)[0]["id"]
        connection.execute(update(templates).where(one).values(sealed=b"x" * 60))
    made.store.check_key()
    having = {entry.student_id for entry in made.prepare().entries if entry.template_hash}
    assert having == {fine}
    assert broken in caplog.text
    events = MySqlEventStore(school.database, ZONE)
    events.confirm_gallery(UNIT, Applied(revision=1, at=NOW), NOW)
    assert school.rows(galleries)[0]["problem"] == "hub: templates of 1 students are damaged"
    with school.database.transaction() as connection:
        connection.execute(delete(templates).where(one))
    made.listed()
    assert school.rows(galleries)[0]["problem"] is None


def test_a_unit_whose_key_is_damaged_is_left_out_and_the_others_are_served(made: Galleries) -> None:
    school = made.school
    school.student(1)
    other = school.unit(an_id(603), label="door-13")
    with school.database.transaction() as connection:
        connection.execute(update(units).where(units.c.id == UNIT).values(data_key_sealed=b"x" * 60))
    made.store.check_key()
    made.store.prepare(UNIT)
    made.store.prepare(other)
    problems = {row["unit_id"]: (row["problem"], row["prepared_revision"]) for row in school.rows(galleries)}
    assert problems == {UNIT: ("hub: the key of this unit is damaged", 0), other: (None, 1)}
    assert made.store.content(UNIT, "template", "0" * 64) is None


def test_a_cached_template_is_not_handed_out_after_a_withdrawal_an_expiry_or_a_revocation(made: Galleries) -> None:
    school = made.school
    school.student(1)
    school.consent(school.student(2, consent=False), expires_at=NOW + timedelta(minutes=10))
    hashes = {entry.student_id: entry.template_hash or "" for entry in made.prepare().entries}
    first, second = hashes[a_student(1)], hashes[a_student(2)]
    assert made.store.content(UNIT, "template", second) is not None
    made.clock.move(timedelta(minutes=11))
    assert made.store.content(UNIT, "template", second) is None
    assert made.store.content(UNIT, "template", first) is not None
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == a_student(1)).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    assert made.store.content(UNIT, "template", first) is None


def test_a_revoked_unit_is_given_nothing(made: Galleries) -> None:
    made.school.student(1)
    template_hash = made.prepare().entries[0].template_hash or ""
    head = made.head()
    with made.school.database.transaction() as connection:
        connection.execute(update(units).values(revoked_at=NOW))
    assert head.timetable_hash is not None
    assert made.store.content(UNIT, "template", template_hash) is None
    assert made.store.content(UNIT, "manifest", head.manifest_hash) is None
    assert made.store.content(UNIT, "timetable", head.timetable_hash) is None


def test_hashes_that_nobody_has_do_not_build_the_gallery_again_and_again(
    made: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.school.student(1)
    made.prepare()
    monkeypatch.setattr("hub.adapters.gallery_store.build", None)
    for number in range(64):
        assert made.store.content(UNIT, "template", f"{number:064x}") is None


def test_forgetting_somebodys_pictures_asks_for_an_erasure_that_a_new_consent_does_not_hide(made: Galleries) -> None:
    school = made.school
    student = school.student(1)
    made.prepare()
    with school.database.transaction() as connection:
        connection.execute(delete(templates))
        touch_galleries(connection, NOW)
    assert [entry.template_hash for entry in made.prepare().entries] == [None]
    [row] = school.rows(erasures)
    assert (row["student_id"], row["revision"], row["confirmed_at"]) == (student, 2, None)
    with school.database.transaction() as connection:
        connection.execute(update(consents).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    made.prepare()
    school.consent(student)
    made.listed()
    assert [row["confirmed_at"] for row in school.rows(erasures)] == [None]
    made.school.template(student)
    made.listed()
    assert school.rows(erasures) == []


def test_a_unit_that_is_ahead_after_a_restored_database_is_overtaken(
    made: Galleries, caplog: pytest.LogCaptureFixture
) -> None:
    events = MySqlEventStore(made.school.database, ZONE)
    made.school.student(1)
    made.prepare()
    hello = Hello(
        epoch=EPOCH,
        boot_id=BOOT,
        last_seq=0,
        delivered_seq=0,
        gallery_revision=40,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=NOW,
    )
    events.greet(UNIT, hello, NOW)
    assert "has=0.40 ours=0.1" in caplog.text
    assert made.prepare().revision == 41
    events.confirm_gallery(UNIT, Applied(revision=50, at=NOW), NOW)
    assert made.prepare().revision == 51
    events.confirm_gallery(UNIT, Applied(revision=2**41, at=NOW), NOW)
    assert made.store.states()[0].revision == 51


def test_a_unit_of_a_later_generation_is_overtaken_with_its_generation(made: Galleries) -> None:
    """The backup is older than the person's word: the next head must be newer than what the unit has."""
    events = MySqlEventStore(made.school.database, ZONE)
    made.school.student(1)
    made.prepare()
    events.confirm_gallery(UNIT, Applied(revision=3, generation=2, problem="rollback", at=NOW), NOW)
    manifest = made.prepare()
    assert (made.head().generation, made.head().revision, manifest.revision) == (2, 4, 4)
    events.confirm_gallery(UNIT, Applied(revision=90, generation=1, at=NOW), NOW)
    assert (made.prepare().revision, made.head().generation) == (4, 2)
    events.confirm_gallery(UNIT, Applied(revision=1, generation=2**21, at=NOW), NOW)
    assert (made.prepare().revision, made.head().generation) == (4, 2)


def test_a_revision_number_that_was_given_twice_confirms_no_erasure(made: Galleries) -> None:
    """The database was restored, and the unit has the other gallery of that number."""
    school = made.school
    leaver = school.student(1)
    made.prepare()
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == leaver).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    made.prepare()
    events = MySqlEventStore(school.database, ZONE)
    events.confirm_gallery(UNIT, Applied(revision=2, manifest_hash="a" * 64, at=NOW), NOW)
    assert school.rows(erasures)[0]["confirmed_at"] is None
    events.confirm_gallery(
        UNIT, Applied(revision=2, generation=1, manifest_hash=made.head().manifest_hash, at=NOW), NOW
    )
    assert school.rows(erasures)[0]["confirmed_at"] is None
    made.prepare()
    head = made.head()
    said = Applied(revision=head.revision, generation=head.generation, manifest_hash=head.manifest_hash, at=NOW)
    events.confirm_gallery(UNIT, said, NOW)
    assert school.rows(erasures)[0]["confirmed_at"] == NOW


def test_a_lost_receipt_is_made_up_for_by_the_revision_alone(made: Galleries) -> None:
    """A crash between swap and message: after its restart the unit says only which gallery it has."""
    school = made.school
    leaver = school.student(1)
    made.prepare()
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == leaver).values(withdrawn_at=NOW))
        touch_galleries(connection, NOW)
    made.prepare()
    said = Applied(revision=2, manifest_hash=made.head().manifest_hash, at=NOW)
    MySqlEventStore(school.database, ZONE).confirm_gallery(UNIT, said, NOW)
    assert school.rows(erasures)[0]["confirmed_at"] == NOW


def test_a_head_names_the_list_of_the_packs_files_when_it_is_offered(made: Galleries) -> None:
    made.prepare()
    assert (made.head().pack_hash, made.head().pack_bytes) == (None, None)
    making = replace(made.store._making, pack_list=b"the list")
    made.store = MySqlGalleryStore(made.school.database, made.clock, making)
    made.prepare()
    assert (made.head().pack_hash, made.head().pack_bytes) == (sha256_hex(b"the list"), 8)
    assert made.head().revision == 1
