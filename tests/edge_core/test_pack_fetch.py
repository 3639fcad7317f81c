"""A model pack on its way: what is asked for, what is refused, and that nothing is fetched twice."""

from collections.abc import Iterator

import pytest

from edge.core.errors import GalleryRefused, StorageFull
from edge.core.pack_fetch import PackFetch
from protocol.base import sha256_hex
from protocol.content import PACK_PARTS_AT_ONCE, HeadBody, PackFile, PackList, Part, Want
from tests.builders import HubSide, PackOffer, SealedGallery, face_of
from tests.pack_fakes import MANIFEST, PART, MemoryPackStore, made_up_pack

PACK = made_up_pack(sizes={"embedder-f32.bin": 10 * PART + 5})
OTHER = made_up_pack("other", seed=2)


def offered(pack: PackOffer) -> SealedGallery:
    return HubSide(pack_id=pack.pack_id).gallery(5, {1: [face_of(1)]}, pack=pack)


class Unit:
    """A unit's half, with its disk."""

    def __init__(self, pack: PackOffer = PACK, store: MemoryPackStore | None = None) -> None:
        self.pack = pack
        self.source = offered(pack)
        self.store = store or MemoryPackStore()
        self.fetch = PackFetch(self.store)
        self.fetch.follow(self.source.body)
        self.now_s = 0.0
        self.wants: list[Want] = []

    def want(self, after_s: float = 1.0) -> Want | None:
        self.now_s += after_s
        want = self.fetch.next_want(self.now_s)
        self.wants += [want] if want else []
        return want

    def answers(self, after_s: float = 1.0) -> list[Part]:
        want = self.want(after_s)
        return list(self.source.parts(want)) if want else []

    def take(self, *parts: Part) -> None:
        for part in parts:
            self.fetch.on_part(part)

    def run(self, most: int = 100) -> None:
        """Fetch everything over a good network."""
        for _ in range(most):
            if self.fetch.ready:
                return
            self.take(*self.answers())
        pytest.fail("the pack never became whole")

    def asked(self) -> Iterator[tuple[str, int]]:
        names = {sha256_hex(data): path for path, data in self.pack.files.items()}
        for want in self.wants:
            for item in want.items:
                yield names.get(item.hash, "list"), item.from_part


def code_of(caught: "pytest.ExceptionInfo[GalleryRefused]") -> str:
    return caught.value.code


def test_the_list_comes_first_then_the_manifest_and_then_only_what_this_unit_needs() -> None:
    unit = Unit()
    unit.run()
    assert unit.store.whole == {
        PACK.pack_id: {path: data for path, data in PACK.files.items() if path != "embedder-f16.bin"}
    }
    assert list(unit.asked()) == [
        ("list", 0),
        (MANIFEST, 0),
        ("embedder-f32.bin", 0),
        ("embedder-f32.bin", 4),
        ("embedder-f32.bin", 8),
        ("detector.bin", 0),
        ("faces.json", 0),
    ]
    assert PACK_PARTS_AT_ONCE == 4
    assert unit.want(after_s=10**6) is None


def test_after_a_restart_it_goes_on_at_the_part_that_lacks() -> None:
    unit = Unit()
    for _ in range(3):
        unit.take(*unit.answers())
    unit.take(*unit.answers()[:2])
    assert unit.store.length(PACK.pack_id, "embedder-f32.bin") == 6 * PART
    restarted = Unit(store=unit.store)
    restarted.run()
    assert [one for one in restarted.asked() if one[0] == "embedder-f32.bin"] == [
        ("embedder-f32.bin", 6),
        ("embedder-f32.bin", 10),
    ]


def test_a_part_that_a_power_cut_cut_short_is_fetched_again() -> None:
    unit = Unit()
    for _ in range(3):
        unit.take(*unit.answers())
    files = unit.store.coming[PACK.pack_id]
    files["embedder-f32.bin"] = files["embedder-f32.bin"][:-100]
    restarted = Unit(store=unit.store)
    restarted.run()
    assert restarted.store.whole[PACK.pack_id]["embedder-f32.bin"] == PACK.files["embedder-f32.bin"]


def test_parts_twice_or_out_of_order_do_no_harm() -> None:
    unit = Unit()
    while not unit.fetch.ready:
        parts = unit.answers(after_s=700.0)
        unit.take(*parts[1:], *parts[:1], *parts)
    assert unit.store.whole[PACK.pack_id]["detector.bin"] == PACK.files["detector.bin"]


def test_a_file_that_arrived_altered_is_fetched_again_but_not_at_once() -> None:
    unit = Unit()
    for _ in range(2):
        unit.take(*unit.answers())
    first, *others = unit.answers()
    unit.take(first.model_copy(update={"data": b"!" + first.data[1:]}), *others)
    unit.take(*unit.answers())
    with pytest.raises(GalleryRefused) as caught:
        unit.take(*unit.answers())
    assert code_of(caught) == "corrupt"
    assert unit.want() is None
    assert unit.want(after_s=30.0) is not None
    unit.run()
    assert unit.store.whole[PACK.pack_id]["embedder-f32.bin"] == PACK.files["embedder-f32.bin"]


@pytest.mark.parametrize("change", [{"count": 12}, {"data": b"short"}])
def test_a_part_of_another_size_than_the_list_says_is_not_kept(change: dict[str, object]) -> None:
    unit = Unit()
    for _ in range(2):
        unit.take(*unit.answers())
    part = unit.answers()[0]
    with pytest.raises(GalleryRefused) as caught:
        unit.take(part.model_copy(update=change))
    assert code_of(caught) == "corrupt"
    assert unit.store.length(PACK.pack_id, "embedder-f32.bin") == 0


def test_a_list_that_is_not_the_one_the_head_names_is_not_read() -> None:
    unit = Unit()
    unit.want()
    with pytest.raises(GalleryRefused) as caught:
        unit.take(Part(kind="pack", hash=PACK.list_hash, data=OTHER.list_bytes))
    assert code_of(caught) == "corrupt"
    assert unit.want() is None


@pytest.mark.parametrize(
    "listed",
    [
        b"no list",
        OTHER.list_bytes,
        PackList(pack_id=PACK.pack_id, files=(PackFile(path="x.bin", sha256="a" * 64, bytes=1),)).to_bytes(),
    ],
)
def test_a_list_that_the_hub_made_wrong_is_refused_and_asked_for_again_after_an_hour(listed: bytes) -> None:
    unit = Unit()
    update = {"pack_hash": sha256_hex(listed), "pack_bytes": len(listed)}
    unit.fetch.follow(unit.source.body.model_copy(update=update))
    unit.want()
    with pytest.raises(GalleryRefused) as caught:
        unit.take(Part(kind="pack", hash=sha256_hex(listed), data=listed))
    assert code_of(caught) == "bad_pack"
    assert unit.want(after_s=3000.0) is None
    assert unit.want(after_s=700.0) is not None


def test_a_pack_for_which_there_is_no_room_is_refused_and_tried_again_after_an_hour() -> None:
    unit = Unit()
    unit.store.room = False
    unit.take(*unit.answers())
    with pytest.raises(GalleryRefused) as caught:
        unit.take(*unit.answers())
    assert code_of(caught) == "pack_no_space"
    assert unit.want(after_s=3000.0) is None
    with pytest.raises(GalleryRefused):
        unit.want(after_s=700.0)
    unit.store.room = True
    unit.now_s += 3700.0
    unit.run()


def test_a_new_head_tries_at_once_what_was_refused() -> None:
    unit = Unit()
    unit.store.room = False
    unit.take(*unit.answers())
    with pytest.raises(GalleryRefused):
        unit.take(*unit.answers())
    unit.store.room = True
    unit.fetch.follow(unit.source.body)
    unit.run()


def test_a_hub_that_does_not_answer_is_asked_ever_more_rarely() -> None:
    unit = Unit()
    asked = [second for second in range(4000) if unit.want()]
    assert asked == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330, 3930]


def test_a_slow_line_is_not_asked_for_what_is_on_its_way() -> None:
    unit = Unit()
    for _ in range(2):
        unit.take(*unit.answers())
    for part in unit.answers():
        for _ in range(25):
            assert unit.want() is None
        unit.take(part)
    assert unit.want() is not None


def test_what_the_hub_does_not_have_is_asked_for_again_later() -> None:
    unit = Unit()
    unit.want()
    with pytest.raises(GalleryRefused) as caught:
        unit.take(Part(kind="pack", hash=PACK.list_hash, missing=True))
    assert code_of(caught) == "superseded"
    assert unit.want() is None
    unit.take(*unit.answers(after_s=30.0))
    unit.want()
    manifest_hash = sha256_hex(PACK.files[MANIFEST])
    with pytest.raises(GalleryRefused) as caught:
        unit.take(Part(kind="pack_file", hash=manifest_hash, missing=True))
    assert code_of(caught) == "superseded"


def test_another_pack_takes_over_and_leaves_nothing_of_the_first() -> None:
    unit = Unit()
    for _ in range(3):
        unit.take(*unit.answers())
    late = unit.answers()
    unit.pack, unit.source = OTHER, offered(OTHER)
    unit.fetch.follow(unit.source.body)
    unit.take(*late)
    unit.run()
    assert set(unit.store.whole) == {OTHER.pack_id}
    assert unit.store.coming == {}


def test_a_unit_that_stays_with_its_pack_keeps_nothing_of_the_other() -> None:
    unit = Unit()
    for _ in range(3):
        unit.take(*unit.answers())
    unit.fetch.leave()
    assert unit.store.coming == {}
    assert unit.want(after_s=10**6) is None


def test_a_pause_loses_nothing() -> None:
    unit = Unit()
    for _ in range(3):
        unit.take(*unit.answers())
    unit.fetch.pause()
    assert unit.want(after_s=10**6) is None
    unit.fetch.follow(unit.source.body)
    unit.wants.clear()
    unit.run()
    assert ("embedder-f32.bin", 0) not in set(unit.asked())


def test_a_full_disk_loses_nothing_but_time() -> None:
    unit = Unit()
    unit.take(*unit.answers())
    unit.store.trouble.fill(times=1)
    with pytest.raises(StorageFull):
        unit.take(*unit.answers())
    unit.now_s += 700.0
    unit.run()


def test_a_pack_is_followed_if_it_is_here_or_offered() -> None:
    body: HeadBody = offered(PACK).body
    without = body.model_copy(update={"pack_hash": None, "pack_bytes": None})
    assert PackFetch(MemoryPackStore()).can_follow(body)
    assert not PackFetch(MemoryPackStore()).can_follow(without)
    here = PackFetch(MemoryPackStore(PACK))
    assert here.can_follow(without)
    here.follow(without)
    assert here.ready
    assert here.next_want(0.0) is None
