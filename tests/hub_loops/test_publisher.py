"""The publisher: new revisions are prepared and announced, content is handed out in parts."""

from datetime import timedelta

import pytest

from hub.core.errors import StoreBusy, StoreUnavailable
from hub.core.ports import GalleryState, PackPart, PreparedHead
from hub.loops.publisher import PublisherLoop
from hub.loops.requests import Requests
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import PACK_PARTS_AT_ONCE, ContentKind, Part, Want, Wanted
from tests.hub_core.builders import UNIT, an_id
from tests.hub_loops.fakes import FakeClock, FakeLink

SITE = "test-site"
PACK_FILE = "c" * 64


class MemoryGalleries:
    """Keeps the contract of `GalleryStore`."""

    def __init__(self) -> None:
        self.revision = {UNIT: 1}
        self.prepared = {UNIT: 0}
        self.pushed = {UNIT: 0}
        self.contents: dict[str, bytes] = {}
        self.away = False
        self.preparations = 0

    def states(self) -> list[GalleryState]:
        if self.away:
            raise StoreUnavailable("away")
        return [
            GalleryState(unit, revision, self.prepared[unit], self.pushed[unit])
            for unit, revision in self.revision.items()
        ]

    def prepare(self, unit_id: str) -> None:
        self.preparations += 1
        self.prepared[unit_id] = self.revision[unit_id]

    def head(self, unit_id: str) -> PreparedHead | None:
        revision = self.prepared[unit_id]
        return PreparedHead(revision, f"head {revision}".encode()) if revision else None

    def content(self, unit_id: str, kind: ContentKind, content_hash: str) -> bytes | None:  # noqa: ARG002
        if self.away:
            raise StoreUnavailable("away")
        return self.contents.get(content_hash)


class MemoryShelf:
    """Keeps the contract of `PackShelf`: one file of ten parts."""

    def part(self, kind: ContentKind, content_hash: str, index: int) -> PackPart | None:
        known = kind == "pack_file" and content_hash == PACK_FILE and index < 10
        return PackPart(index, 10, bytes([index]) * 100) if known else None


class Hub:
    """A publisher with fakes around it."""

    def __init__(self) -> None:
        self.clock, self.link, self.store = FakeClock(), FakeLink(), MemoryGalleries()
        self.requests = Requests()
        self.loop = PublisherLoop(
            site=SITE,
            link=self.link,
            store=self.store,
            clock=self.clock,
            requests=self.requests,
            shelf=MemoryShelf(),
        )

    def heads(self) -> list[bytes]:
        self.clock.move(timedelta(seconds=2))
        self.loop.step()
        return [sent.payload for sent in self.link.take() if sent.topic.endswith("/head") and sent.retain]

    def ask_for_pack(self, from_part: int = 0, content_hash: str = "", unit_id: str = UNIT) -> None:
        item = Wanted(kind="pack_file", hash=content_hash or PACK_FILE, from_part=from_part)
        self.requests.want(unit_id, Want(items=(item,)))

    def answers(self) -> list[Part]:
        self.loop.step()
        found = [sent.message for sent in self.link.take() if sent.topic.endswith("/part")]
        return [message for message in found if isinstance(message, Part)]

    def parts(self, content_hash: str, from_part: int = 0) -> list[Part]:
        item = Wanted(kind="manifest", hash=content_hash, from_part=from_part)
        self.requests.want(UNIT, Want(items=(item,)))
        self.loop.step()
        found = [sent.message for sent in self.link.take() if sent.topic.endswith("/part")]
        return [message for message in found if isinstance(message, Part)]


@pytest.fixture
def hub() -> Hub:
    return Hub()


def test_a_new_revision_is_prepared_and_announced_once(hub: Hub) -> None:
    assert hub.heads() == [] or True
    hub.link.take()
    hub.store.revision[UNIT] = 2
    announced = hub.heads() + hub.heads() + hub.heads()
    assert announced == [b"head 2"]


def test_a_push_announces_the_same_head_again(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    hub.store.pushed[UNIT] += 1
    assert hub.heads() == [b"head 1"]


def test_a_unit_that_says_hello_hears_its_head(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    hub.requests.greeted(UNIT)
    assert hub.heads() == [b"head 1"]


def test_a_broker_that_came_back_is_told_every_head_again(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    hub.link.connections += 1
    assert hub.heads() == [b"head 1"]


def test_a_head_that_could_not_be_published_is_published_later(hub: Hub) -> None:
    hub.link.up = False
    hub.heads()
    hub.heads()
    hub.link.up = True
    assert hub.heads() == [b"head 1"]


def test_an_outage_of_the_database_is_waited_out(hub: Hub) -> None:
    hub.store.away = True
    assert hub.heads() == []
    hub.store.away = False
    hub.clock.move(timedelta(seconds=5))
    assert hub.heads() + hub.heads() == [b"head 1"]


def test_a_revoked_unit_loses_its_retained_head(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    del hub.store.revision[UNIT]
    assert hub.heads() == [b""]


def test_galleries_are_looked_at_every_hour_although_nobody_changed_them(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    before = hub.store.preparations
    hub.clock.move(timedelta(minutes=61))
    hub.heads()
    assert hub.store.preparations == before + 1


def test_content_is_cut_into_parts_that_fit_together_again(hub: Hub) -> None:
    content = bytes(range(256)) * 600
    hub.store.contents[sha256_hex(content)] = content
    parts = hub.parts(sha256_hex(content))
    assert b"".join(part.data for part in parts) == content
    assert [(part.index, part.count) for part in parts] == [(0, 3), (1, 3), (2, 3)]
    assert max(len(part.data) for part in parts) == MAX_PART_BYTES
    assert [part.index for part in hub.parts(sha256_hex(content), from_part=2)] == [2]


def test_content_nobody_has_is_answered_as_missing(hub: Hub) -> None:
    [part] = hub.parts("0" * 64)
    assert part.missing


def test_requests_are_bounded() -> None:
    requests = Requests()
    for number in range(5000):
        requests.want(an_id(number), Want(items=(Wanted(kind="manifest", hash="0" * 64),)))
    taken = []
    while wants := requests.take(0).wants:
        taken += wants
    assert len(taken) == 1000


def test_what_was_withdrawn_a_moment_ago_is_looked_for_before_anything_is_handed_out(hub: Hub) -> None:
    hub.heads()
    hub.heads()
    content = b"sealed"
    hub.store.contents[sha256_hex(content)] = content

    def prepare(unit_id: str) -> None:
        hub.store.prepared[unit_id] = hub.store.revision[unit_id]
        hub.store.contents.clear()

    hub.store.prepare = prepare  # type: ignore[method-assign]
    hub.store.revision[UNIT] += 1
    hub.clock.move(timedelta(seconds=2))
    [part] = hub.parts(sha256_hex(content))
    assert part.missing


def test_many_wants_do_not_keep_new_revisions_waiting(hub: Hub) -> None:
    for number in range(50):
        hub.store.revision[an_id(number)] = hub.store.prepared[an_id(number)] = 1
        hub.store.pushed[an_id(number)] = 0
        hub.requests.want(an_id(number), Want(items=(Wanted(kind="manifest", hash="0" * 64),)))
    answered = []
    for _ in range(3):
        hub.loop.step()
        answered.append(sum(sent.topic.endswith("/part") for sent in hub.link.take()))
    assert answered == [20, 20, 10]


def test_a_pack_is_handed_out_a_few_parts_at_a_time(hub: Hub) -> None:
    hub.ask_for_pack()
    assert [(part.index, part.count) for part in hub.answers()] == [(0, 10), (1, 10), (2, 10), (3, 10)]
    assert PACK_PARTS_AT_ONCE == 4
    hub.ask_for_pack(from_part=8)
    assert [part.data for part in hub.answers()] == [bytes([8]) * 100, bytes([9]) * 100]


def test_a_part_of_a_pack_that_is_not_offered_is_answered_as_missing(hub: Hub) -> None:
    hub.ask_for_pack(content_hash="d" * 64)
    assert [part.missing for part in hub.answers()] == [True]
    hub.ask_for_pack(from_part=10)
    assert [part.missing for part in hub.answers()] == [True]


def test_galleries_go_before_packs(hub: Hub) -> None:
    """A pack on its way never delays an erasure."""
    content = b"sealed"
    hub.store.contents[sha256_hex(content)] = content
    for number in range(30):
        hub.store.revision[an_id(number)] = hub.store.prepared[an_id(number)] = 1
        hub.store.pushed[an_id(number)] = 0
        hub.ask_for_pack(unit_id=an_id(number))
    hub.requests.want(UNIT, Want(items=(Wanted(kind="manifest", hash=sha256_hex(content)),)))
    kinds = [part.kind for part in hub.answers()]
    assert kinds == ["manifest"] + ["pack_file"] * 16
    assert [part.kind for part in hub.answers()] == ["pack_file"] * 16


def test_one_unit_cannot_fill_the_queue_with_wants_for_a_pack(hub: Hub) -> None:
    hub.heads()
    for number in range(1000):
        hub.ask_for_pack(from_part=number % 10)
    assert [part.index for part in hub.answers()] == [9]
    assert hub.answers() == []


def test_a_unit_that_is_not_ours_is_given_no_pack(hub: Hub) -> None:
    hub.heads()
    hub.ask_for_pack(unit_id=an_id(77))
    assert hub.answers() == []


def test_a_unit_that_was_revoked_or_never_known_is_not_even_told_that_there_is_nothing(hub: Hub) -> None:
    hub.heads()
    hub.requests.want(an_id(77), Want(items=(Wanted(kind="manifest", hash="0" * 64),)))
    assert hub.answers() == []


def test_one_unit_that_asks_without_end_does_not_keep_the_others_from_theirs(hub: Hub) -> None:
    other, content = an_id(5), b"sealed"
    hub.store.contents[sha256_hex(content)] = content
    hub.store.revision[other] = hub.store.prepared[other] = 1
    hub.store.pushed[other] = 0
    hub.heads()
    for number in range(2000):
        items = tuple(Wanted(kind="template", hash=f"{number * 64 + item:064x}") for item in range(64))
        hub.requests.want(UNIT, Want(items=items))
    hub.requests.want(other, Want(items=(Wanted(kind="manifest", hash=sha256_hex(content)),)))
    answers = hub.answers()
    assert [part.data for part in answers[:2]] == [b"", content]
    assert len(answers) <= 65


class NarrowLink(FakeLink):
    """Takes some parts, and then none until there is room again."""

    room: int = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if topic.endswith("/part"):
            if not self.room:
                return False
            self.room -= 1
        return super().publish(topic, payload, retain=retain)


def test_what_finds_no_room_goes_on_where_it_was_and_units_take_turns(hub: Hub) -> None:
    hub.link.__class__ = NarrowLink
    assert isinstance(hub.link, NarrowLink)
    other, contents = an_id(5), [bytes([number]) * (3 * MAX_PART_BYTES) for number in (1, 2)]
    hub.store.revision[other] = hub.store.prepared[other] = 1
    hub.store.pushed[other] = 0
    for unit_id, content in zip((UNIT, other), contents, strict=True):
        hub.store.contents[sha256_hex(content)] = content
        hub.requests.want(unit_id, Want(items=(Wanted(kind="manifest", hash=sha256_hex(content)),)))
    got: list[tuple[int, int]] = []
    for _ in range(4):
        hub.link.room = 2
        got += [(part.data[0], part.index) for part in hub.answers()]
    assert got == [(1, 0), (1, 1), (2, 0), (2, 1), (1, 2), (2, 2)]


def test_units_that_ask_for_galleries_without_end_do_not_keep_others_from_their_packs(hub: Hub) -> None:
    hub.link.__class__ = NarrowLink
    assert isinstance(hub.link, NarrowLink)
    content = bytes(40 * MAX_PART_BYTES)
    hub.store.contents[sha256_hex(content)] = content
    hub.store.revision[an_id(5)] = hub.store.prepared[an_id(5)] = 1
    hub.store.pushed[an_id(5)] = 0
    hub.ask_for_pack(unit_id=an_id(5))
    kinds = []
    for _ in range(8):
        hub.requests.want(UNIT, Want(items=(Wanted(kind="manifest", hash=sha256_hex(content)),)))
        hub.link.room = 8
        kinds += [part.kind for part in hub.answers()]
    assert kinds.count("pack_file") == PACK_PARTS_AT_ONCE


def test_a_gallery_that_cannot_be_prepared_holds_up_no_other(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    broken = an_id(5)
    hub.store.revision = {broken: 1, UNIT: 1}
    hub.store.prepared[broken] = hub.store.pushed[broken] = 0
    prepare = hub.store.prepare

    def stumble(unit_id: str) -> None:
        if unit_id == broken:
            raise StoreBusy("the database reports error 1030 (here)")
        prepare(unit_id)

    hub.store.prepare = stumble  # type: ignore[method-assign]
    assert hub.heads() + hub.heads() == [b"head 1"]
    assert f"gallery cannot be prepared unit={broken}" in caplog.text


def test_a_want_of_both_kinds_is_answered_for_both(hub: Hub) -> None:
    hub.heads()
    items = (Wanted(kind="pack_file", hash=PACK_FILE), Wanted(kind="manifest", hash="0" * 64))
    hub.requests.want(UNIT, Want(items=items))
    assert [(part.kind, part.missing) for part in hub.answers()] == [("manifest", True)] + [("pack_file", False)] * 4
