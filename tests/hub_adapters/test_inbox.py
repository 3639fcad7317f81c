"""What waits to be taken: the urgent first, nobody starved, never more than there is room for."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.adapters.inbox import Inbox, Lanes, channel_of
from hub.core.ingest import Arrival
from protocol.topics import UP_CHANNELS, up
from tests.hub_core.builders import START, UNIT, an_id


def an_arrival(channel: str, payload: bytes = b"x", unit_id: str = UNIT) -> Arrival:
    return Arrival(up("test-site", unit_id, channel).topic, payload, START)


def channels(arrivals: list[Arrival]) -> list[str]:
    return [channel_of(one.topic) for one in arrivals]


def test_what_happens_now_is_taken_before_what_waited() -> None:
    inbox = Inbox(100)
    for channel in ("backlog", "audit", "events", "status", "hello"):
        inbox.put(an_arrival(channel))
    assert channels(inbox.take(10, 0)) == ["hello", "events", "status", "backlog"]
    assert channels(inbox.take(10, 0)) == ["audit"]


def test_what_waited_goes_on_slowly_while_more_urgent_things_come() -> None:
    inbox = Inbox(100)
    for _ in range(40):
        inbox.put(an_arrival("backlog"))
        inbox.put(an_arrival("events"))
    inbox.take(1, 0)
    taken = Counter(channels(inbox.take(60, 0)))
    assert taken["events"] == 39
    assert 1 <= taken["backlog"] <= 15


@pytest.mark.parametrize(("urgent", "size"), [("hello", 1), ("events", 60_000)])
def test_however_much_is_urgent_some_of_the_rest_is_taken_too(urgent: str, size: int) -> None:
    """A unit that says hello a thousand times a second must not keep everybody's status from being heard."""
    inbox = Inbox(1000, 10**9)
    for number in range(900):
        inbox.put(an_arrival(urgent, b"x" * size, an_id(number)))
        inbox.put(an_arrival("backlog", unit_id=an_id(number)))
    taken = Counter(channels(inbox.take(200, 0)))
    assert taken[urgent] >= taken["backlog"] / 10
    assert taken["backlog"] >= 10


def test_what_is_taken_at_once_is_about_a_transaction() -> None:
    inbox = Inbox(100)
    for number in range(50):
        inbox.put(an_arrival("backlog", b"x" * 100_000, an_id(number)))
    assert len(inbox.take(50, 0)) == 7
    inbox.put(an_arrival("events", b"x" * 1_100_000))
    assert "events" in channels(inbox.take(50, 0))


def test_a_batch_without_room_is_turned_away_with_its_beginning_and_other_messages_are_dropped() -> None:
    inbox = Inbox(2)
    for channel in ("events", "events", "status", "status"):
        inbox.put(an_arrival(channel))
    assert not inbox.put(an_arrival("events", b"y" * 5000))
    assert not inbox.put(an_arrival("status"))
    assert inbox.put(an_arrival("hello"))
    [away] = inbox.turned_away()
    assert away.payload == b"y" * 400
    assert inbox.turned_away() == []


def test_large_messages_fill_it_by_their_size() -> None:
    inbox = Inbox(100, most_bytes=1000)
    assert inbox.put(an_arrival("events", b"x" * 5000))
    assert not inbox.put(an_arrival("events"))
    assert inbox.pressure == 1.0
    inbox.take(1, 0)
    assert inbox.pressure == 0.0
    assert inbox.put(an_arrival("events"))


def test_a_unit_that_sends_without_end_fills_its_own_share_and_nobody_elses() -> None:
    inbox = Inbox(5000)
    kept = sum(inbox.put(an_arrival("events")) for _ in range(10_000))
    assert kept < 100
    assert inbox.pressure < 0.05
    assert inbox.put(an_arrival("events", unit_id=an_id(2)))
    large = sum(inbox.put(an_arrival("backlog", b"x" * 100_000)) for _ in range(1000))
    assert large <= 21
    for _ in range(1000):
        inbox.put(an_arrival("events", unit_id=an_id(3)))
    away = Counter(one.topic.split("/")[4] for one in inbox.turned_away())
    assert 8 <= away[UNIT] <= 32
    assert away[an_id(3)]


def test_units_are_taken_in_turn_however_much_one_of_them_has_sent() -> None:
    inbox = Inbox(5000)
    for _ in range(60):
        inbox.put(an_arrival("events"))
    for number in range(3):
        inbox.put(an_arrival("events", unit_id=an_id(number)))
    taken = Counter(one.topic.split("/")[4] for one in inbox.take(8, 0))
    assert taken == {UNIT: 5, an_id(0): 1, an_id(1): 1, an_id(2): 1}


def test_what_is_compared_waits_beside_the_desk_and_never_before_it() -> None:
    inboxes = Lanes(2, 100)
    inboxes.put(an_arrival("audit"))
    inboxes.put(an_arrival("hello"))
    assert channels(inboxes.audits.take(10, 0)) == ["audit"]
    assert channels(inboxes.desk.take(10, 0)) == ["hello"]


def test_events_of_a_unit_are_always_in_one_lane_and_nothing_else_is_in_a_lane() -> None:
    inboxes = Lanes(3, 300)
    for number in range(20):
        for channel in UP_CHANNELS:
            inboxes.put(an_arrival(channel, unit_id=an_id(number)))
    lanes = [lane.take(100, 0) for lane in inboxes.lanes]
    assert sum(len(lane) for lane in lanes) == 40
    assert {channel for lane in lanes for channel in channels(lane)} == {"events", "backlog"}
    units = [{one.topic.split("/")[4] for one in lane} for lane in lanes]
    assert sum(len(lane) for lane in units) == 20
    at_the_desk = inboxes.desk.take(200, 0) + inboxes.desk.take(200, 0)
    assert set(channels(at_the_desk)) == set(UP_CHANNELS) - {"events", "backlog", "audit"}


def test_whoever_waits_is_woken_by_what_comes() -> None:
    inbox = Inbox(10)
    taken: list[Arrival] = []
    waiting = threading.Thread(target=lambda: taken.extend(inbox.take(5, 30)))
    waiting.start()
    inbox.put(an_arrival("hello"))
    waiting.join(10)
    assert channels(taken) == ["hello"]


@given(st.lists(st.sampled_from([*UP_CHANNELS, "take"]), max_size=80), st.integers(1, 10), st.integers(1, 12))
def test_everything_that_was_put_is_taken_once_and_in_order_within_its_channel(
    steps: list[str], size: int, most: int
) -> None:
    inbox, put, taken = Inbox(size), [], []
    for number, step in enumerate(steps):
        if step == "take":
            taken += inbox.take(most, 0)
        elif inbox.put(an_arrival(step, str(number).encode())):
            put.append(number)
        assert 0.0 <= inbox.pressure <= 1.0
    while rest := inbox.take(most, 0):
        taken += rest
    assert sorted(int(one.payload) for one in taken) == put
    for channel in UP_CHANNELS:
        of_channel = [int(one.payload) for one in taken if channel_of(one.topic) == channel]
        assert of_channel == sorted(of_channel)
