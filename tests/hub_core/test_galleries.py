"""What a unit is given, as bytes: sizes that hold, and what the head says."""

from datetime import timedelta

import numpy as np

from hub.core.galleries import Gallery, GalleryFacts, Member, UnitKeys, build
from hub.core.student_margins import MarginRise
from protocol.base import MAX_PART_BYTES
from protocol.content import GalleryManifest, Head, HeadBody, Scope, Timetable, TimetableLesson
from protocol.sealing import manifest_context, timetable_context, unseal
from tests.hub_core.builders import PACK, START, UNIT, a_student, an_id

KEYS = UnitKeys(data_key=bytes(32), signing_key=bytes(range(32)))


def facts(lessons: int = 0, **changed: object) -> GalleryFacts:
    values: dict[str, object] = {
        "site": "test-site",
        "unit_id": UNIT,
        "revision": 4,
        "pack_id": PACK,
        "members": (),
        "look_alikes": frozenset(),
        "lessons": tuple(
            TimetableLesson(
                lesson_id=an_id(number),
                starts_at=START + timedelta(minutes=20 * number),
                ends_at=START + timedelta(minutes=20 * number + 15),
                label="x" * 100,
            )
            for number in range(lessons)
        ),
    }
    return GalleryFacts(**(values | changed))  # type: ignore[arg-type]


def body_of(given: GalleryFacts) -> HeadBody:
    return HeadBody.model_validate_json(Head.model_validate_json(build(given, KEYS, {}).head).body)


def test_a_timetable_of_a_thousand_lessons_fits_one_part_and_keeps_the_next_ones() -> None:
    made = build(facts(1000), KEYS, {})
    assert len(made.timetable) <= MAX_PART_BYTES
    assert body_of(facts(1000)).timetable_bytes == len(made.timetable)
    content = unseal(KEYS.data_key, made.timetable, *timetable_context(UNIT))
    kept = Timetable.model_validate_json(content).lessons
    assert len(kept) > 200
    assert [one.lesson_id for one in kept] == [an_id(number) for number in range(len(kept))]


def test_the_head_names_generation_and_pack() -> None:
    plain = body_of(facts())
    assert (plain.generation, plain.pack_hash, plain.pack_bytes) == (0, None, None)
    more = body_of(facts(generation=3, pack_list=b"the list"))
    assert (more.generation, more.revision, more.pack_bytes) == (3, 4, 8)


def a_member(number: int, rejections: int, scope: Scope = "room", *, enrolled: bool = True) -> Member:
    vector = np.eye(4, dtype="<f4")[0].tobytes()
    vectors = (vector,) if enrolled else ()
    return Member(a_student(number), str(number), "A", 4 if enrolled else 0, vectors, scope, rejections)


def manifest_of(made: Gallery) -> GalleryManifest:
    return GalleryManifest.model_validate_json(unseal(KEYS.data_key, made.manifest, *manifest_context(UNIT)))


def test_only_who_was_rejected_gets_a_margin_of_their_own_and_nothing_is_said_of_the_others() -> None:
    members = (
        a_member(1, 0),
        a_member(2, 1),
        a_member(3, 9),
        a_member(4, 1, "wider"),
        a_member(5, 1, enrolled=False),
    )
    rises: dict[Scope, MarginRise] = {"room": MarginRise(0.01, 0.025), "wider": MarginRise(0.01, 0.0)}
    raised = manifest_of(build(facts(members=members, rises=rises), KEYS, {}))
    assert [entry.extra_margin for entry in raised.entries] == [None, 0.01, 0.025, None, None]
    # The bytes of a gallery are those of before unless somebody was rejected: units fetch nothing anew.
    plain = build(facts(members=members), KEYS, {})
    assert b"extra_margin" not in unseal(KEYS.data_key, plain.manifest, *manifest_context(UNIT))
    assert plain.blobs == build(facts(members=members, rises=rises), KEYS, {}).blobs
