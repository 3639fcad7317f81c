"""Channels that the broker refuses: held back for ever longer, up to a minute, each by itself."""

from edge.core.refusals import RefusedChannels


def test_what_is_refused_is_held_back_and_nothing_else_is() -> None:
    channels = RefusedChannels(lambda: 1.0)
    channels.refused("events", 100.0)
    assert channels.closed(104.9) == {"events"}
    assert channels.holds_back("events", 104.9)
    assert not channels.holds_back("want", 100.0)
    assert channels.closed(105.0) == frozenset()
    assert channels


def test_when_the_next_one_is_tried_again_is_named_until_it_is_tried() -> None:
    channels = RefusedChannels(lambda: 1.0)
    assert channels.next_due_s(0.0) == float("inf")
    channels.refused("events", 100.0)
    channels.refused("want", 102.0)
    assert channels.next_due_s(104.9) == 105.0
    assert channels.next_due_s(105.0) == 107.0
    assert channels.next_due_s(107.0) == float("inf")


def test_each_refusal_after_a_try_doubles_the_wait_up_to_a_minute() -> None:
    channels, now_s, waits = RefusedChannels(lambda: 1.0), 0.0, list[float]()
    for _ in range(7):
        channels.refused("events", now_s)
        waits.append(next(wait / 10 for wait in range(1, 2000) if not channels.holds_back("events", now_s + wait / 10)))
        now_s += waits[-1]
    assert waits == [5, 10, 20, 40, 60, 60, 60]


def test_several_messages_of_one_try_are_refused_once() -> None:
    """A window full of batches that went out together says no more than one of them."""
    channels = RefusedChannels(lambda: 1.0)
    for after_s in (0.0, 0.1, 4.0):
        channels.refused("events", after_s)
    assert not channels.holds_back("events", 5.0)


def test_units_do_not_come_back_in_step() -> None:
    early, late = RefusedChannels(lambda: 0.0), RefusedChannels(lambda: 1.0)
    for channels in (early, late):
        channels.refused("events", 0.0)
    assert not early.holds_back("events", 2.5)
    assert late.holds_back("events", 2.5)


def test_a_message_that_is_taken_ends_it() -> None:
    channels = RefusedChannels(lambda: 1.0)
    for now_s in (0.0, 5.0, 15.0):
        channels.refused("events", now_s)
    channels.accepted("events")
    assert not channels
    assert channels.closed(15.0) == frozenset()
    channels.refused("events", 100.0)
    assert not channels.holds_back("events", 105.0)
