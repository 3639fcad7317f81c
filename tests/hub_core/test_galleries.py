"""What a unit is given, as bytes: sizes that hold, and what the head says."""

from datetime import timedelta

from hub.core.galleries import GalleryFacts, UnitKeys, build
from protocol.base import MAX_PART_BYTES
from protocol.content import Head, HeadBody, Timetable, TimetableLesson
from protocol.sealing import timetable_context, unseal
from tests.hub_core.builders import PACK, START, UNIT, an_id

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
