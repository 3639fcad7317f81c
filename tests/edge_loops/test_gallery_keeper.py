"""The gallery keeper: what works is replaced only by what works, and the hub learns the truth about it."""

import numpy as np
import pytest

from edge.core.errors import StorageFull
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from protocol.content import Applied, Part, Want
from tests.builders import DIMENSIONS, HubSide, SealedGallery, face_of, lesson, student
from tests.fakes import FakeClock, MemoryGalleryStore

HUB = HubSide()


def gallery(revision: int, *numbers: int, generation: int = 0, hub: HubSide = HUB) -> SealedGallery:
    faces = {number: [face_of(number)] for number in numbers}
    return hub.gallery(revision, faces, without_template=[15], lessons=[lesson(1, 0, 60)], generation=generation)


class Unit:
    def __init__(
        self, store: MemoryGalleryStore | None = None, hub: HubSide = HUB, dimensions: int = DIMENSIONS
    ) -> None:
        self.store = store or MemoryGalleryStore()
        self.health = Health()
        self.keeper = GalleryKeeper(hub.unit, self.store, dimensions, FakeClock(), self.health)
        self.now_s = 0.0

    def follow(self, source: SealedGallery) -> Applied | None:
        """Take the head and fetch everything; return the last word to the hub."""
        said = self.keeper.on_head(source.head)
        for _ in range(20):
            self.now_s += 1000
            want = self.keeper.next_want(self.now_s)
            if isinstance(want, Applied):
                said = want
            for part in source.parts(want) if isinstance(want, Want) else ():
                said = self.keeper.on_part(part) or said
        return said

    def problems(self) -> list[str]:
        return [problem.code for problem in self.health.problems()]

    @property
    def students(self) -> set[str]:
        return set(self.keeper.known.gallery.student_ids)


def test_a_complete_gallery_is_put_into_use_and_confirmed() -> None:
    unit, source = Unit(), gallery(5, 1, 2)
    said = unit.follow(source)
    assert said is not None
    assert (said.revision, said.manifest_hash, said.students) == (5, source.body.manifest_hash, 2)
    assert (said.erased, said.problem) == ((), None)
    assert unit.students == {student(1), student(2)}
    assert unit.keeper.known.lessons == (lesson(1, 0, 60),)
    assert unit.store.in_use() == source.body
    assert unit.problems() == []


def test_an_erased_student_is_gone_from_disk_and_memory_with_a_receipt() -> None:
    unit = Unit()
    unit.follow(gallery(5, 1, 2, 3))
    newer = gallery(6, 2)
    said = unit.follow(newer)
    assert said is not None
    assert said.erased == (student(1), student(3))
    assert unit.students == {student(2)}
    assert set(unit.store.content) == set(newer.content)


class TestReceiptsForErasures:
    """The number of the gallery in use is the receipt: the hub tells the school that somebody is gone."""

    def test_the_hub_hears_nothing_while_what_was_deleted_can_still_be_read(self) -> None:
        unit = Unit()
        unit.follow(gallery(5, 1, 2, 3))
        unit.store.not_erased = "what was deleted can still be read"
        newer = gallery(6, 2)

        assert unit.follow(newer) is None
        assert unit.students == {student(2)}
        assert unit.problems() == ["erasure_waits"]
        assert unit.keeper.on_head(newer.head) is None
        assert unit.keeper.finish_if_complete() is None

        unit.store.not_erased = ""
        said = unit.keeper.finish_if_complete()
        assert said is not None
        assert (said.revision, said.erased) == (6, (student(1), student(3)))
        assert unit.problems() == []
        assert unit.keeper.finish_if_complete() is None

    def test_a_refusal_waits_too_since_it_names_the_gallery_in_use(self) -> None:
        unit = Unit()
        unit.follow(gallery(5, 1, 2))
        unit.store.not_erased = "what was deleted can still be read"
        unit.follow(gallery(6, 2))

        assert unit.keeper.on_head(gallery(4, 1).head) is None
        unit.store.not_erased = ""
        said = unit.keeper.finish_if_complete()
        assert said is not None
        assert (said.revision, said.problem) == (6, "rollback")

    def test_who_was_deleted_and_came_back_meanwhile_is_not_said_to_be_erased(self) -> None:
        unit = Unit()
        unit.follow(gallery(5, 1, 2, 3))
        unit.store.not_erased = "what was deleted can still be read"
        unit.follow(gallery(6, 2))
        unit.follow(gallery(7, 2, 3))
        unit.store.not_erased = ""

        said = unit.keeper.finish_if_complete()
        assert said is not None
        assert (said.revision, said.erased) == (7, (student(1),))

    def test_a_start_goes_on_with_an_erasure_before_there_is_a_network(self) -> None:
        unit = Unit()
        unit.store.not_erased = "what was deleted can still be read"
        unit.keeper.open_stored(unit.store.signed_head())

        assert unit.problems() == ["erasure_waits"]


def test_until_everything_is_there_the_gallery_in_use_stays() -> None:
    unit, newer = Unit(), gallery(6, 2, 4)
    unit.follow(gallery(5, 1, 2))
    unit.keeper.on_head(newer.head)
    want = unit.keeper.next_want(10**6)
    assert isinstance(want, Want)
    for part in newer.parts(want):
        assert unit.keeper.on_part(part) is None
    assert unit.keeper.known.revision == 5
    assert unit.keeper.finish_if_complete() is None


def test_a_gallery_that_does_not_fit_never_replaces_one_that_works() -> None:
    """Signed and sealed by our hub, and its vectors are no embeddings."""
    unit = Unit()
    unit.follow(gallery(5, 1, 2))
    said = unit.follow(HUB.gallery(6, {1: [np.zeros(DIMENSIONS, dtype=np.float32)]}))
    assert said is not None
    assert (said.revision, said.problem, said.students) == (5, "bad_template", 2)
    assert unit.students == {student(1), student(2)}
    in_use = unit.store.in_use()
    assert in_use is not None
    assert in_use.revision == 5
    assert unit.problems() == ["gallery_refused"]
    assert unit.keeper.next_want(10**9) is None


def test_a_refused_gallery_is_no_problem_any_more_when_a_good_one_is_in_use() -> None:
    unit = Unit()
    unit.follow(HUB.gallery(6, {1: [np.zeros(DIMENSIONS, dtype=np.float32)]}))
    unit.follow(gallery(7, 1))
    assert unit.problems() == []


@pytest.mark.parametrize(
    ("hub", "code"),
    [
        (HubSide(private_key=b"q" * 32), "bad_signature"),
        (HubSide(pack_id="facenet-1"), "pack_mismatch"),
        (HubSide(data_key=b"e" * 32), "bad_manifest"),
    ],
)
def test_the_hub_is_told_why_its_gallery_is_refused(hub: HubSide, code: str) -> None:
    unit = Unit()
    unit.follow(gallery(5, 1))
    said = unit.follow(gallery(6, 1, hub=hub))
    assert said is not None
    assert (said.revision, said.problem) == (5, code)
    assert unit.problems() == ["gallery_refused"]


def test_before_its_first_gallery_a_unit_says_that_it_has_none() -> None:
    said = Unit().follow(gallery(6, 1, hub=HubSide(data_key=b"e" * 32)))
    assert said is not None
    assert (said.revision, said.manifest_hash, said.students) == (0, None, 0)


def test_a_lower_revision_is_refused_and_a_signed_reset_is_taken() -> None:
    unit = Unit()
    unit.follow(gallery(5, 1, 2))
    refused = unit.follow(gallery(4, 1))
    assert refused is not None
    assert refused.problem == "rollback"
    reset = unit.follow(gallery(2, 1, generation=1))
    assert reset is not None
    assert (reset.revision, reset.problem, reset.erased) == (2, None, (student(2),))
    assert unit.problems() == []


def test_an_altered_piece_is_neither_reported_nor_used() -> None:
    unit, source = Unit(), gallery(5, 1)
    unit.keeper.on_head(source.head)
    want = unit.keeper.next_want(0)
    assert isinstance(want, Want)
    for part in source.parts(want):
        assert unit.keeper.on_part(part.model_copy(update={"data": b"!" + part.data[1:]})) is None
    assert unit.problems() == []
    assert unit.store.content == {}


def test_a_piece_the_hub_does_not_have_is_not_reported() -> None:
    unit, source = Unit(), gallery(5, 1)
    unit.keeper.on_head(source.head)
    assert unit.keeper.on_part(Part(kind="manifest", hash=source.body.manifest_hash, missing=True)) is None
    assert unit.problems() == []


def test_after_a_restart_recognition_starts_from_disk_without_a_network() -> None:
    store = MemoryGalleryStore()
    Unit(store).follow(gallery(5, 1, 2))
    restarted = Unit(store)
    restarted.keeper.open_stored(store.signed_head())
    assert restarted.students == {student(1), student(2)}
    assert restarted.problems() == []


def test_the_head_of_the_gallery_in_use_is_confirmed_again() -> None:
    """After each connect the retained head comes; an answer that was lost is given again."""
    unit, source = Unit(), gallery(5, 1, 2)
    unit.follow(source)
    said = unit.keeper.on_head(source.head)
    assert said is not None
    assert (said.revision, said.students, said.problem) == (5, 2, None)


@pytest.mark.parametrize("what", ["manifest", "template", "timetable"])
def test_of_a_gallery_that_this_disk_damaged_the_rest_is_used_and_the_piece_is_fetched_again(what: str) -> None:
    """And the unit confirms nothing before it has everything: a unit that knows nobody must not say otherwise."""
    store, source = MemoryGalleryStore(), gallery(5, 1, 2)
    Unit(store).follow(source)
    store.damage(next(name for name, (kind, _) in source.content.items() if kind == what))
    restarted = Unit(store)
    restarted.keeper.open_stored(store.signed_head())
    assert len(restarted.students) == {"manifest": 0, "template": 1, "timetable": 2}[what]
    assert restarted.problems() == ["gallery_damaged"]
    assert restarted.keeper.on_head(source.head) is None
    wanted = restarted.keeper.next_want(10**6)
    assert isinstance(wanted, Want)
    assert [item.kind for item in wanted.items] == [what]
    said = restarted.follow(source)
    assert said is not None
    assert (said.revision, said.students, said.problem) == (5, 2, None)
    assert restarted.students == {student(1), student(2)}
    assert restarted.problems() == []


@pytest.mark.parametrize("trouble", ["fill", "break_down"])
def test_a_damaged_piece_on_a_disk_that_takes_nothing_does_not_keep_a_unit_from_starting(trouble: str) -> None:
    store, source = MemoryGalleryStore(), gallery(5, 1, 2)
    Unit(store).follow(source)
    store.damage(next(name for name, (kind, _) in source.content.items() if kind == "template"))
    getattr(store.trouble, trouble)()
    restarted = Unit(store)
    restarted.keeper.open_stored(store.signed_head())
    assert len(restarted.students) == 1


def test_a_piece_that_was_damaged_between_its_arrival_and_the_swap_is_fetched_again() -> None:
    unit, source = Unit(), gallery(6, 1, 2)
    unit.keeper.on_head(source.head)
    unit.store.stage(source.body.manifest_hash, source.content[source.body.manifest_hash][1])
    template = next(name for name, (kind, _) in source.content.items() if kind == "template")
    unit.store.stage(template, source.content[template][1])
    unit.store.damage(template)
    said = unit.follow(source)
    assert said is not None
    assert (said.revision, said.students) == (6, 2)


def test_a_gallery_sealed_for_another_key_is_never_confirmed() -> None:
    """The bytes are as they came: only the key is another. Fetching them again would not help."""
    store, source = MemoryGalleryStore(), gallery(5, 1, 2)
    Unit(store).follow(source)
    restarted = Unit(store, hub=HubSide(data_key=b"e" * 32))
    restarted.keeper.open_stored(store.signed_head())
    assert restarted.students == set()
    assert restarted.problems() == ["gallery_unusable"]
    said = restarted.keeper.on_head(source.head)
    assert said is not None
    assert (said.problem, said.students) == ("bad_manifest", 0)


def test_after_a_crash_between_swap_and_receipt_the_hub_hears_the_revision_with_the_next_connection() -> None:
    """That revision is the receipt for every erasure up to it: the list of names in the lost message is not needed."""
    unit, newer = Unit(), gallery(6, 2)
    unit.follow(gallery(5, 1, 2))
    unit.follow(newer)
    restarted = Unit(unit.store)
    restarted.keeper.open_stored(unit.store.signed_head())
    said = restarted.keeper.on_head(newer.head)
    assert said is not None
    assert (said.revision, said.manifest_hash, said.problem) == (6, newer.body.manifest_hash, None)


def test_a_gallery_for_other_models_is_reported_and_not_used() -> None:
    store = MemoryGalleryStore()
    Unit(store).follow(gallery(5, 1))
    other = Unit(store, hub=HubSide(pack_id="facenet-1"))
    other.keeper.open_stored(store.signed_head())
    assert other.students == set()
    assert other.problems() == ["gallery_unusable"]


def test_an_unusable_gallery_is_forgotten_when_a_new_one_works() -> None:
    store, source = MemoryGalleryStore(), gallery(5, 1, 2)
    Unit(store).follow(source)
    store.damage(source.body.manifest_hash)
    restarted = Unit(store)
    restarted.keeper.open_stored(store.signed_head())
    said = restarted.follow(gallery(6, 1))
    assert said is not None
    assert (said.revision, said.students, said.erased) == (6, 1, ())
    assert restarted.problems() == []


def test_a_full_disk_at_the_swap_leaves_everything_as_it_was_and_is_tried_again() -> None:
    unit, source = Unit(), gallery(6, 2)
    unit.follow(gallery(5, 1))
    unit.keeper.on_head(source.head)
    for now_s in (10**6, 2 * 10**6):
        want = unit.keeper.next_want(now_s)
        assert isinstance(want, Want)
        parts = list(source.parts(want))
        for part in parts[:-1]:
            unit.keeper.on_part(part)
        if now_s == 2 * 10**6:
            unit.store.stage(parts[-1].hash, parts[-1].data)
            unit.store.trouble.fill(times=1)
            with pytest.raises(StorageFull):
                unit.keeper.finish_if_complete()
        else:
            unit.keeper.on_part(parts[-1])
    assert unit.students == {student(1)}
    said = unit.keeper.finish_if_complete()
    assert said is not None
    assert (said.revision, said.erased) == (6, (student(1),))


def test_before_its_first_gallery_a_unit_starts_without_one() -> None:
    unit = Unit()
    unit.keeper.open_stored(unit.store.signed_head())
    assert unit.students == set()
    assert unit.problems() == []


def test_a_list_on_disk_that_is_not_the_one_the_head_names_is_reported_to_the_hub() -> None:
    """A head with a new number and an old list: the hub made a mistake and must hear of it."""
    unit, source = Unit(), gallery(5, 1)
    unit.follow(source)
    said = unit.follow(
        SealedGallery(HUB.sign(source.body.model_copy(update={"revision": 6})), source.body, source.manifest, {})
    )
    assert said is not None
    assert (said.revision, said.problem) == (5, "bad_manifest")
