"""The publisher: new revisions are prepared and announced, content is handed out in parts."""

from datetime import timedelta

import pytest

from hub.core.errors import StoreUnavailable
from hub.core.ports import GalleryState, PreparedHead
from hub.loops.publisher import PublisherLoop, Requests
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import ContentKind, Part, Want, Wanted
from tests.hub_core.builders import UNIT, an_id
from tests.hub_loops.fakes import FakeClock, FakeLink

SITE = "test-site"


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


class Hub:
    """A publisher with fakes around it."""

    def __init__(self) -> None:
        self.clock, self.link, self.store = FakeClock(), FakeLink(), MemoryGalleries()
        self.requests = Requests()
        self.loop = PublisherLoop(site=SITE, link=self.link, store=self.store, clock=self.clock, requests=self.requests)

    def heads(self) -> list[bytes]:
        self.clock.move(timedelta(seconds=2))
        self.loop.step()
        return [sent.payload for sent in self.link.take() if sent.topic.endswith("/head") and sent.retain]

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
    while wants := requests.take(0)[0]:
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
    for _ in range(50):
        hub.requests.want(UNIT, Want(items=(Wanted(kind="manifest", hash="0" * 64),)))
    answered = []
    for _ in range(3):
        hub.loop.step()
        answered.append(sum(sent.topic.endswith("/part") for sent in hub.link.take()))
    assert answered == [20, 20, 10]
