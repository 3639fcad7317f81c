"""The connection to the broker, against a real Mosquitto that is stopped, frozen and refuses us."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.own_process import wait_until
from deploy.private_servers import MosquittoSettings, PrivateMosquitto, password_file_line
from hub.adapters.clock import SystemClock
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from protocol.base import MAX_MESSAGE_BYTES
from protocol.topics import UP_CHANNELS, hub_filter
from tests.conftest import Broker, running

pytestmark = pytest.mark.server
FILTERS = [hub_filter("link-test", channel) for channel in UP_CHANNELS]
TOPIC = "rollcall/1/link-test/up/11111111-1111-4111-8111-111111111111/events"


@contextmanager
def a_link(broker: Any, *, filters: list[str] = FILTERS, inbox_size: int = 100, **changed: Any) -> Iterator[MqttLink]:
    values: dict[str, Any] = {"client_id": f"link-{os.getpid()}-{time.monotonic_ns()}", "keepalive_s": 5} | changed
    link = MqttLink(BrokerAddress(broker.host, broker.port, **values), filters, SystemClock(), inbox_size=inbox_size)
    link.start()
    try:
        yield link
    finally:
        link.stop()


def eventually(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    assert wait_until(condition, timeout_s)


def test_what_a_unit_publishes_arrives_with_its_topic(broker: Broker) -> None:
    with a_link(broker) as hub, a_link(broker, filters=["none/+"]) as unit:
        eventually(lambda: hub.connected and unit.connected)
        assert unit.publish(TOPIC, b"hello")
        [arrival] = hub.take(10, 10)
        assert (arrival.topic, arrival.payload, arrival.retained) == (TOPIC, b"hello", False)


def test_a_retained_message_is_told_apart(broker: Broker) -> None:
    topic = TOPIC.replace("events", "status")
    with a_link(broker) as before, a_link(broker, filters=["none/+"]) as unit:
        eventually(lambda: before.connected and unit.connected)
        try:
            unit.publish(topic, b"old", retain=True)
            assert before.take(10, 10), "the broker has it, and not only we have handed it over"
            with a_link(broker) as hub:
                [arrival] = hub.take(10, 10)
                assert arrival.retained
        finally:
            unit.publish(topic, b"", retain=True)
            assert before.take(10, 10), "the broker keeps it for the tests that follow"


def test_a_full_inbox_drops_and_counts_instead_of_growing(broker: Broker) -> None:
    with a_link(broker, inbox_size=5) as hub, a_link(broker, filters=["none/+"]) as unit:
        eventually(lambda: hub.connected and unit.connected)
        for _ in range(20):
            assert unit.publish(TOPIC, b"x")
        eventually(lambda: hub.dropped == 15)
        assert len(hub.take(100, 0)) == 5


def test_nothing_is_queued_while_there_is_no_connection(own_broker: PrivateMosquitto) -> None:
    with a_link(own_broker) as link:
        eventually(lambda: link.connected)
        own_broker.kill()
        eventually(lambda: not link.connected)
        assert not link.publish(TOPIC, b"lost")


def test_a_broker_that_comes_back_is_found_and_subscribed_again(
    own_broker: PrivateMosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with a_link(own_broker) as hub:
        eventually(lambda: hub.connected)
        own_broker.kill()
        eventually(lambda: not hub.connected)
        own_broker.start()
        eventually(lambda: hub.connections == 2)
        with a_link(own_broker, filters=["none/+"]) as unit:
            eventually(lambda: unit.connected)
            unit.publish(TOPIC, b"again")
            assert [arrival.payload for arrival in hub.take(10, 10)] == [b"again"]
    lost = [record for record in caplog.records if record.getMessage().startswith("broker lost")]
    assert len(lost) <= 2


def test_a_broker_that_is_not_there_is_said_once_and_tried_on(caplog: pytest.LogCaptureFixture) -> None:
    with a_link(Broker("127.0.0.1", 1)) as link:
        eventually(lambda: "nothing listens there" in caplog.text)
        assert link.alive
        assert not link.refused_for_good


def test_a_wrong_password_is_a_refusal_in_plain_words(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> None:
    folder = tmp_path_factory.mktemp("locked")
    passwords = folder / "passwords"
    passwords.write_text(password_file_line("hub", "right") + "\n", encoding="utf-8")
    passwords.chmod(0o600)
    settings = MosquittoSettings(anonymous=False, extra_lines=(f"password_file {passwords}",))
    with running(PrivateMosquitto(folder / "broker", settings=settings), pytestconfig) as locked:
        with a_link(locked, username="hub", password="wrong") as link:
            assert link.wait_for_answer(20)
            eventually(lambda: link.refused_for_good)
            assert not link.connected
        with a_link(locked, username="hub", password="right") as link:
            eventually(lambda: link.connected)


def test_it_stops_quickly_although_the_broker_is_frozen(own_broker: PrivateMosquitto) -> None:
    with a_link(own_broker) as link:
        eventually(lambda: link.connected)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            for _ in range(50):
                link.publish(TOPIC, b"x" * 50_000)
            begun = time.monotonic()
            link.stop()
            assert time.monotonic() - begun < 5
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)


def test_a_frozen_broker_is_noticed(own_broker: PrivateMosquitto) -> None:
    with a_link(own_broker, keepalive_s=2) as link:
        eventually(lambda: link.connected)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            eventually(lambda: not link.connected, timeout_s=15)
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)


def test_messages_under_way_are_bounded(own_broker: PrivateMosquitto) -> None:
    with a_link(own_broker) as link:
        eventually(lambda: link.connected)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            accepted = sum(link.publish(TOPIC, b"x") for _ in range(3000))
            assert accepted <= 1000
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
        eventually(lambda: link.publish(TOPIC, b"x"))


def test_parts_of_content_leave_the_line_free_for_receipts(own_broker: PrivateMosquitto) -> None:
    """A pack for two hundred units must not keep anybody's receipt waiting."""
    part, receipt = (TOPIC.replace("up/", "down/").replace("events", channel) for channel in ("part", "receipt"))
    with a_link(own_broker) as link:
        eventually(lambda: link.connected)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            parts = sum(link.publish(part, b"x" * 90_000) for _ in range(50))
            assert 1 <= parts <= 8
            assert link.publish(receipt, b"x")
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
        eventually(lambda: link.publish(part, b"x"))
        # Whatever was under way when a connection broke takes no room on the next one.
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            while link.publish(part, b"x" * 90_000):
                pass
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
        own_broker.kill()
        eventually(lambda: not link.connected)
        own_broker.start()
        eventually(lambda: link.connected)
        assert sum(link.publish(part, b"x") for _ in range(5)) == 5


def test_a_message_no_reader_takes_never_reaches_the_broker(broker: Broker) -> None:
    with a_link(broker) as link:
        eventually(lambda: link.connected)
        with pytest.raises(ValueError, match="must not reach"):
            link.publish(TOPIC, b"x" * (MAX_MESSAGE_BYTES + 1))


def test_many_threads_may_publish_at_once(broker: Broker) -> None:
    import threading

    topics = [TOPIC.replace("11111111-", f"1111{number:04}-", 1) for number in range(100)]
    with a_link(broker, inbox_size=2000) as hub, a_link(broker, filters=["none/+"]) as unit:
        eventually(lambda: hub.connected and unit.connected)
        threads = [
            threading.Thread(target=lambda: [unit.publish(topic, b"x" * 1000) for topic in topics]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        arrived = 0

        def all_there() -> bool:
            nonlocal arrived
            arrived += len(hub.take(500, 0.1))
            return arrived == 400

        eventually(all_there)
