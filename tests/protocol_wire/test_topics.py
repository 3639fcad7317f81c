"""Topics: what is built is what is parsed, and nothing can name another topic than it seems to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import topics
from protocol.errors import ProtocolError, UnknownTopic, WrongVersion
from tests.builders import SITE, UNIT

UP = [("up", channel) for channel in topics.UP_CHANNELS]
DOWN = [("down", channel) for channel in topics.DOWN_CHANNELS]
TROUBLE = ["", "+", "#", "a/b", "a b", "A", "ä", "x" * 37, "site\n", "\x00", "..", "$share"]


@pytest.mark.parametrize(("direction", "channel"), UP + DOWN)
def test_parsing_gives_back_the_address_a_topic_was_built_from(direction: str, channel: str) -> None:
    address = topics.up(SITE, UNIT, channel) if direction == "up" else topics.down(SITE, UNIT, channel)
    assert address.topic == f"rollcall/1/{SITE}/{direction}/{UNIT}/{channel}"
    assert topics.parse(address.topic) == address


@settings(max_examples=30)
@given(st.text("abcxyz019-", min_size=1, max_size=36), st.uuids())
def test_every_site_and_unit_survives_the_round_trip(site: str, unit: object) -> None:
    address = topics.up(site, str(unit), "events")
    assert topics.parse(address.topic) == address


@pytest.mark.parametrize("site", TROUBLE)
def test_a_site_that_could_change_the_topic_is_refused(site: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.up(site, UNIT, "events")


@pytest.mark.parametrize("unit", [*TROUBLE, UNIT.upper().replace("0", "A"), UNIT + "\n", UNIT[:-1], f" {UNIT}"])
def test_a_unit_that_is_not_a_lower_case_uuid_is_refused(unit: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.down(SITE, unit, "head")


@pytest.mark.parametrize("channel", [*TROUBLE, "command", "events\n", "welcome", "+"])
def test_a_channel_that_units_do_not_speak_on_is_refused(channel: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.up(SITE, UNIT, channel)


def test_what_goes_up_cannot_be_named_as_going_down() -> None:
    with pytest.raises(UnknownTopic):
        topics.down(SITE, UNIT, "events")


@pytest.mark.parametrize("version", ["0", "2", "01", "1 ", "", "one", "+", "¹"])
def test_another_major_version_is_told_apart_from_a_foreign_topic(version: str) -> None:
    with pytest.raises(WrongVersion):
        topics.parse(f"rollcall/{version}/{SITE}/up/{UNIT}/events")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "rollcall",
        f"rollcall/1/{SITE}/up/{UNIT}/events\n",
        f"rollcall/1/{SITE}/up/{UNIT}/events/",
        f"/rollcall/1/{SITE}/up/{UNIT}/events",
        f"rollcall/1/{SITE}/up/{UNIT}/+",
        f"rollcall/1/{SITE}/up/+/events",
        f"rollcall/1/{SITE}/up/#",
        f"rollcall/1/{SITE}/sideways/{UNIT}/events",
        f"rollcall/1/{SITE}/UP/{UNIT}/events",
        f"Rollcall/1/{SITE}/up/{UNIT}/events",
        f"rollcall/1/{SITE}/down/{UNIT}/events",
        f"rollcall/1/{SITE}/up/{UNIT}/" + "events" * 40,
    ],
)
def test_what_is_not_exactly_a_topic_of_ours_is_unknown(topic: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.parse(topic)


@settings(max_examples=50)
@given(st.text(max_size=300))
def test_no_topic_makes_the_parser_fail_in_another_way(topic: str) -> None:
    try:
        address = topics.parse(topic)
    except ProtocolError:
        return
    assert address.topic == topic


def test_a_unit_listens_to_its_own_down_channels_only() -> None:
    assert topics.unit_filter(SITE, UNIT) == f"rollcall/1/{SITE}/down/{UNIT}/+"


@pytest.mark.parametrize(("site", "unit"), [("+", UNIT), (SITE, "+"), (SITE, "#"), ("a/b", UNIT), (SITE, f"{UNIT}/x")])
def test_a_unit_cannot_subscribe_to_more_than_itself(site: str, unit: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.unit_filter(site, unit)


def test_a_hub_listens_to_one_channel_of_every_unit_alone_or_shared() -> None:
    assert topics.hub_filter(SITE, "events") == f"rollcall/1/{SITE}/up/+/events"
    assert topics.hub_filter(SITE, "events", share="hub") == f"$share/hub/rollcall/1/{SITE}/up/+/events"


@pytest.mark.parametrize(
    ("site", "channel", "share"),
    [
        ("+", "events", None),
        ("a/b", "events", None),
        (SITE, "welcome", None),
        (SITE, "#", None),
        (SITE, "events", "a/+"),
    ],
)
def test_a_hub_cannot_subscribe_to_something_else(site: str, channel: str, share: str | None) -> None:
    with pytest.raises(UnknownTopic):
        topics.hub_filter(site, channel, share=share)
