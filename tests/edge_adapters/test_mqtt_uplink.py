"""The connection to the broker, against a real Mosquitto that comes late, dies, freezes and refuses."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from deploy.own_process import free_port
from deploy.private_servers import MosquittoSettings, PrivateMosquitto, password_file_line
from edge.adapters.mqtt_uplink import BrokerAddress, MqttUplink, Waits
from edge.core.errors import UplinkUnavailable
from edge.core.news import Accepted, Arrived, Connected, Disconnected, Hindered, News, Refused
from protocol import topics
from protocol.base import MAX_MESSAGE_BYTES
from tests.conftest import Broker
from tests.edge_adapters import programs
from tests.edge_adapters.brokers import (
    QUICK,
    WILL,
    address,
    fresh_site,
    is_accepted,
    is_arrived,
    is_connected,
    is_disconnected,
    is_hindered,
    is_refused,
    listening,
    started,
    status_of,
    taken,
    uplink,
    waits_for,
)
from tests.edge_adapters.pieces import UNIT, eventually

SITE = "school"
EVENTS = topics.up(SITE, UNIT, "events")


class AnswersThenSays:
    """A broker that lets everybody in, answers the subscription, says one thing more and ends the connection.

    With `puback`, it waits for a message and answers that instead; `mute`, it waits for one and answers nothing.
    """

    def __init__(
        self, last_words: bytes = b"", *, suback: int = 1, puback: int | None = None, mute: bool = False
    ) -> None:
        self.connections = 0
        self.first_words = b""
        self._last_words = last_words
        self._suback = suback
        self._puback = puback
        self._mute = mute
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                self.first_words = client.recv(4096)
                client.sendall(b"\x20\x03\x00\x00\x00")
                asked = client.recv(4096)
                client.sendall(b"\x90\x04" + asked[2:4] + bytes([0, self._suback]) + self._last_words)
                if self._mute:
                    client.recv(4096)
                elif self._puback is not None:
                    message = client.recv(4096)
                    number = 4 + int.from_bytes(message[2:4], "big")
                    client.sendall(b"\x40\x03" + message[number : number + 2] + bytes([self._puback]))
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass


class TestConversation:
    """A broker that works."""

    def test_a_message_reaches_who_listens(self, broker: Broker) -> None:
        site = fresh_site()
        with (
            listening(broker.port, f"rollcall/1/{site}/up/#") as hub,
            started(uplink(address(broker.port), site)) as link,
        ):
            waits_for(link, is_connected)
            link.publish(topics.up(site, UNIT, "hello"), b"{}")

            assert eventually(lambda: bool(hub.messages))
            assert hub.messages == [(f"rollcall/1/{site}/up/{UNIT}/hello", b"{}")]

    def test_messages_for_this_unit_arrive_and_those_for_others_do_not(self, broker: Broker) -> None:
        site = fresh_site()
        other = "22222222-2222-4222-8222-222222222222"
        with listening(broker.port, "nothing") as hub, started(uplink(address(broker.port), site)) as link:
            waits_for(link, is_connected)
            hub.speak(f"rollcall/1/{site}/down/{other}/receipt", b"not ours")
            hub.speak(f"rollcall/1/{site}/down/{UNIT}/receipt", b"ours")

            assert waits_for(link, is_arrived) == Arrived(f"rollcall/1/{site}/down/{UNIT}/receipt", b"ours")

    def test_what_is_retained_is_there_for_who_comes_later(self, broker: Broker) -> None:
        site = fresh_site()
        with started(uplink(address(broker.port), site)) as link:
            waits_for(link, is_connected)
            link.publish(status_of(site), b"watching", retain=True)
            with listening(broker.port, "nothing") as first:
                first.speak("anything", b"")
            with listening(broker.port, status_of(site).topic) as hub:
                assert eventually(lambda: hub.payloads() == [b"watching"])

    def test_more_messages_than_paho_keeps_in_flight_all_go_out(self, broker: Broker) -> None:
        """paho itself would hold back everything after the twentieth until it hears an answer."""
        site = fresh_site()
        with (
            listening(broker.port, f"rollcall/1/{site}/up/#") as hub,
            started(uplink(address(broker.port), site)) as link,
        ):
            waits_for(link, is_connected)
            for number in range(200):
                link.publish(topics.up(site, UNIT, "events"), b"%d" % number)

            assert eventually(lambda: len(hub.messages) == 200)
            assert hub.payloads() == [b"%d" % number for number in range(200)]

    def test_the_broker_is_told_how_large_a_message_may_be(self) -> None:
        maximum = b"\x27" + (MAX_MESSAGE_BYTES + 256).to_bytes(4, "big")
        with AnswersThenSays(b"") as server, started(uplink(address(server.port), SITE)) as link:
            waits_for(link, is_connected)

            assert maximum in server.first_words

    def test_a_message_too_large_to_be_ours_does_not_reach_this_machine(self, broker: Broker) -> None:
        site = fresh_site()
        topic = f"rollcall/1/{site}/down/{UNIT}/part"
        with listening(broker.port, "nothing") as hub, started(uplink(address(broker.port), site)) as link:
            waits_for(link, is_connected)
            hub.speak(topic, bytes(MAX_MESSAGE_BYTES + 257))
            hub.speak(topic, b"x" * MAX_MESSAGE_BYTES)

            arrived = waits_for(link, is_arrived)
            assert isinstance(arrived, Arrived)
            assert len(arrived.payload) == MAX_MESSAGE_BYTES
            assert link.connected


class TestGoodbye:
    """The will is for those who vanish."""

    def test_the_will_is_not_published_when_the_unit_stops(self, broker: Broker) -> None:
        site = fresh_site()
        with listening(broker.port, status_of(site).topic) as hub:
            with started(uplink(address(broker.port), site)) as link:
                waits_for(link, is_connected)
                link.publish(status_of(site), b"stopped", retain=True)
            hub.speak(status_of(site).topic, b"marker")

            assert eventually(lambda: b"marker" in hub.payloads())
            assert hub.payloads() == [b"stopped", b"marker"]

    def test_a_unit_that_is_back_soon_was_not_lost(self, own_broker: PrivateMosquitto) -> None:
        """Without the delay, "lost" would stand between two "watching" whenever the network stutters."""
        with listening(own_broker.port, status_of(SITE).topic) as hub:
            where, will = address(own_broker.port), (status_of(SITE), WILL)
            patient = replace(QUICK, will_s=30, twin_s=1.0)
            with started(MqttUplink(where, topics.unit_filter(SITE, UNIT), will=will, waits=patient)) as link:
                waits_for(link, is_connected)
                for _ in range(3):
                    link.reconnect()
                    waits_for(link, is_connected)
                link.publish(status_of(SITE), b"watching", retain=True)
                assert eventually(lambda: b"watching" in hub.payloads())

            assert hub.payloads() == [b"watching"]

    def test_a_unit_that_is_taken_over_by_its_own_restart_was_not_lost(self, own_broker: PrivateMosquitto) -> None:
        with listening(own_broker.port, status_of(SITE).topic) as hub:
            where, will = address(own_broker.port), (status_of(SITE), WILL)
            patient = replace(QUICK, will_s=30, first_s=20.0, longest_s=20.0)
            old = MqttUplink(where, topics.unit_filter(SITE, UNIT), will=will, waits=patient)
            new = MqttUplink(where, topics.unit_filter(SITE, UNIT), will=will, waits=patient)
            with started(old):
                waits_for(old, is_connected)
                with started(new):
                    waits_for(new, is_connected)
                    waits_for(old, is_disconnected)
                    new.publish(status_of(SITE), b"watching", retain=True)
                    assert eventually(lambda: b"watching" in hub.payloads())
                    new.publish(status_of(SITE), b"stopped", retain=True)
                    assert eventually(lambda: b"stopped" in hub.payloads())

            assert hub.payloads() == [b"watching", b"stopped"]

    def test_another_will_holds_after_the_next_connection(self, own_broker: PrivateMosquitto) -> None:
        """A unit that begins another stream must not be taken for lost in the old one only."""
        with listening(own_broker.port, status_of(SITE).topic) as hub:
            with started(uplink(address(own_broker.port), SITE)) as link:
                waits_for(link, is_connected)
                link.set_will(status_of(SITE), b"lost in another stream")
                link.reconnect()
                waits_for(link, is_connected)
                link.reconnect()
                waits_for(link, is_connected)

            assert eventually(lambda: b"lost in another stream" in hub.payloads())

    def test_the_will_is_published_and_retained_when_the_unit_is_killed(self, broker: Broker) -> None:
        site = fresh_site()
        program = programs.start(CONNECTS, broker.port, site)
        assert program.stdout is not None
        assert program.stdout.readline() == "connected\n"
        with listening(broker.port, status_of(site).topic) as hub:
            program.kill()
            program.communicate(timeout=30)
            assert eventually(lambda: hub.payloads() == [WILL])
        with listening(broker.port, status_of(site).topic) as late:
            assert eventually(lambda: late.payloads() == [WILL])

    def test_stopping_before_ever_connecting_is_quick(self) -> None:
        link = uplink(address(free_port()), SITE)
        link.start()
        before = time.monotonic()
        link.stop()

        assert time.monotonic() - before < 5
        assert not link.connected

    def test_stopping_without_having_started_does_nothing(self) -> None:
        uplink(address(1), SITE).stop()

    def test_stopping_takes_at_most_five_seconds_with_a_frozen_broker(self, own_broker: PrivateMosquitto) -> None:
        """Messages wait for their answer; loop_stop() would wait with them."""
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            os.kill(own_broker.pid, signal.SIGSTOP)
            try:
                for _ in range(100):
                    link.publish(EVENTS, bytes(60_000))
                before = time.monotonic()
                link.stop()
                assert time.monotonic() - before < 5
            finally:
                os.kill(own_broker.pid, signal.SIGCONT)


CONNECTS = """
import sys, time
from tests.edge_adapters.brokers import address, is_connected, uplink, waits_for
link = uplink(address(int(sys.argv[1])), sys.argv[2])
link.start()
waits_for(link, is_connected)
print("connected", flush=True)
time.sleep(60)
"""


class TestLosses:
    """Brokers come late, die and come back; nothing is kept by anyone but the caller."""

    def test_a_broker_that_comes_late_is_found(self, tmp_path: Path) -> None:
        port = free_port()
        with started(uplink(address(port), SITE)) as link:
            news = waits_for(link, is_disconnected)
            assert isinstance(news, Disconnected)
            assert f"127.0.0.1:{port}" in news.reason
            assert not link.connected
            with PrivateMosquitto(tmp_path / "late", port):
                waits_for(link, is_connected)
                assert link.connected
                assert link.thread_is_alive()

    def test_a_broker_that_is_killed_is_found_again(self, own_broker: PrivateMosquitto) -> None:
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            own_broker.kill()
            lost = waits_for(link, is_disconnected)
            assert isinstance(lost, Disconnected)
            assert not lost.twin
            own_broker.start()
            waits_for(link, is_connected)
            with listening(own_broker.port, EVENTS.topic) as hub:
                link.publish(EVENTS, b"after")
                assert eventually(lambda: hub.payloads() == [b"after"])
                hub.speak(f"rollcall/1/{SITE}/down/{UNIT}/receipt", b"heard again")
                waits_for(link, is_arrived)

    def test_a_loss_is_not_blamed_on_what_the_broker_said(self, own_broker: PrivateMosquitto) -> None:
        """It said nothing: the connection broke."""
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            own_broker.kill()
            lost = waits_for(link, is_disconnected)

            assert isinstance(lost, Disconnected)
            assert "the broker says" not in lost.reason
            assert f"127.0.0.1:{own_broker.port}" in lost.reason

    def test_a_broker_that_shuts_down_says_so(self, own_broker: PrivateMosquitto) -> None:
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            own_broker.stop()
            lost = waits_for(link, is_disconnected)

            assert isinstance(lost, Disconnected)
            assert lost.reason
            assert not lost.twin

    def test_publishing_while_disconnected_is_refused_and_never_sent_later(self, tmp_path: Path) -> None:
        """paho keeps what it could not send: the outbox would send it again, and every retry would be one more."""
        port = free_port()
        with started(uplink(address(port), SITE)) as link:
            waits_for(link, is_disconnected)
            for _ in range(3):
                with pytest.raises(UplinkUnavailable):
                    link.publish(EVENTS, b"too early")
            with PrivateMosquitto(tmp_path / "late", port), listening(port, EVENTS.topic) as hub:
                waits_for(link, is_connected)
                link.publish(EVENTS, b"now")

                assert eventually(lambda: bool(hub.messages))
                assert hub.payloads() == [b"now"]

    def test_what_was_in_flight_when_the_broker_died_is_not_sent_again(self, own_broker: PrivateMosquitto) -> None:
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            os.kill(own_broker.pid, signal.SIGSTOP)
            for number in range(30):
                link.publish(EVENTS, b"unanswered %d" % number)
            os.kill(own_broker.pid, signal.SIGKILL)
            own_broker.kill()
            waits_for(link, is_disconnected)
            own_broker.start()
            with listening(own_broker.port, EVENTS.topic) as hub:
                waits_for(link, is_connected)
                link.publish(EVENTS, b"from the outbox")

                assert eventually(lambda: b"from the outbox" in hub.payloads())
                assert hub.payloads() == [b"from the outbox"]

    def test_a_send_into_a_connection_that_breaks_at_that_moment_is_forgotten_too(
        self, own_broker: PrivateMosquitto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the question whether there is a connection and the sending it may break; held here for good."""
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            own_broker.kill()
            waits_for(link, is_disconnected)
            with monkeypatch.context() as patch:
                patch.setattr(MqttUplink, "connected", True)
                for _ in range(25):
                    with pytest.raises(UplinkUnavailable):
                        link.publish(EVENTS, b"lost")
            own_broker.start()
            with listening(own_broker.port, EVENTS.topic) as hub:
                waits_for(link, is_connected)
                for number in range(40):
                    link.publish(EVENTS, b"%d" % number)

                assert eventually(lambda: len(hub.messages) >= 40)
                assert hub.payloads() == [b"%d" % number for number in range(40)]

    def test_a_frozen_broker_is_noticed(self, own_broker: PrivateMosquitto) -> None:
        with started(uplink(address(own_broker.port, keepalive_s=1), SITE)) as link:
            waits_for(link, is_connected)
            os.kill(own_broker.pid, signal.SIGSTOP)
            try:
                waits_for(link, is_disconnected)
                assert not link.connected
            finally:
                os.kill(own_broker.pid, signal.SIGCONT)


class TestRefusals:
    """What a person has to put right is said in words."""

    @pytest.fixture
    def locked(self, tmp_path: Path) -> Iterator[PrivateMosquitto]:
        passwords = tmp_path / "passwords"
        passwords.write_text(password_file_line("unit", "right") + "\n")
        passwords.chmod(0o600)
        lines = (f"password_file {passwords}",)
        with PrivateMosquitto(tmp_path / "locked", settings=MosquittoSettings(False, False, None, lines)) as server:
            yield server

    @pytest.mark.parametrize(("username", "password"), [("unit", "wrong"), ("nobody", "right"), (None, None)])
    @pytest.mark.server
    def test_a_wrong_password_is_named_with_the_settings_to_look_at(
        self, locked: PrivateMosquitto, username: str | None, password: str | None
    ) -> None:
        where = BrokerAddress("127.0.0.1", locked.port, UNIT, 30, username, password)
        with started(uplink(where, SITE)) as link:
            refused = waits_for(link, is_disconnected)

            assert isinstance(refused, Disconnected)
            assert "broker.password_file" in refused.reason
            assert not refused.twin
            assert not link.connected
            if password:
                assert password not in refused.reason

    @pytest.mark.server
    def test_a_refusal_is_the_last_word_and_not_that_the_connection_broke(self, locked: PrivateMosquitto) -> None:
        """The end of the refused connection is no news; it would replace the sentence that tells what to do."""
        where = BrokerAddress("127.0.0.1", locked.port, UNIT, 30, "unit", "wrong")
        with started(uplink(where, SITE)) as link:
            told: list[News] = []

            def three_tries() -> bool:
                told.extend(taken(link))
                return len(told) >= 3

            assert eventually(three_tries)
            assert {type(news) for news in told} == {Disconnected}
            assert len(set(told)) == 1

    @pytest.mark.server
    def test_the_right_password_is_let_in(self, locked: PrivateMosquitto) -> None:
        with started(uplink(BrokerAddress("127.0.0.1", locked.port, UNIT, 30, "unit", "right"), SITE)) as link:
            waits_for(link, is_connected)

    def test_a_copied_card_is_recognised_and_does_not_fight_for_the_connection(
        self, own_broker: PrivateMosquitto
    ) -> None:
        """Two units with one id throw each other out; paho alone would come back every second, for ever.

        Mosquitto 2.0 does not say why it cuts a connection: it shows in connections that never last.
        """

        def connections() -> int:
            return own_broker.log.read_text().count(f"as {UNIT}")

        found: list[Disconnected] = []

        def twin_is_told() -> bool:
            found.extend(news for news in taken(first) + taken(second) if isinstance(news, Disconnected) and news.twin)
            return bool(found)

        with (
            started(uplink(address(own_broker.port), SITE)) as first,
            started(uplink(address(own_broker.port), SITE)) as second,
        ):
            assert eventually(twin_is_told, timeout_s=30)
            assert "copied" in found[0].reason
            assert eventually(lambda: first.connected or second.connected)
            before = connections()

            assert not eventually(lambda: connections() > before + 1, timeout_s=4)
            assert before < 12

    def test_a_twin_that_the_broker_names_is_told_at_once(self) -> None:
        """Newer brokers say it: DISCONNECT with reason "session taken over"."""
        with AnswersThenSays(b"\xe0\x02\x8e\x00") as server, started(uplink(address(server.port), SITE)) as link:
            lost = waits_for(link, is_disconnected)

            assert isinstance(lost, Disconnected)
            assert lost.twin
            assert "copied" in lost.reason
            assert not eventually(lambda: server.connections > 1, timeout_s=3)

    def test_a_broker_that_ends_the_connection_is_quoted(self) -> None:
        with AnswersThenSays(b"\xe0\x02\x8b\x00") as server, started(uplink(address(server.port), SITE)) as link:
            lost = waits_for(link, is_disconnected)

            assert lost == Disconnected("the broker is being shut down")

    @pytest.mark.server
    def test_a_message_that_the_broker_refuses_is_told(self, tmp_path: Path) -> None:
        """As with the rights of another unit; paho calls such a message published."""
        rights = tmp_path / "rights"
        rights.write_text(f"topic read {topics.unit_filter(SITE, UNIT)}\ntopic write {status_of(SITE).topic}\n")
        rights.chmod(0o600)
        settings = MosquittoSettings(extra_lines=(f"acl_file {rights}",))
        with (
            PrivateMosquitto(tmp_path / "strict", settings=settings) as strict,
            started(uplink(address(strict.port), SITE)) as link,
        ):
            waits_for(link, is_connected)
            link.publish(status_of(SITE), b"allowed")
            link.publish(EVENTS, b"forbidden")

            refused = waits_for(link, is_refused)
            assert isinstance(refused, Refused)
            assert "has the unit been added" in refused.reason
            assert refused.channel == "events"
            assert not eventually(lambda: any(map(is_refused, taken(link))), timeout_s=0.5)

    @pytest.mark.server
    def test_that_a_refused_kind_of_message_is_taken_again_is_told_once(self, tmp_path: Path) -> None:
        """Not that another kind is: a refusal that comes and goes in the status helps nobody."""
        rights = tmp_path / "rights"
        allowed = f"topic read {topics.unit_filter(SITE, UNIT)}\ntopic write {status_of(SITE).topic}\n"
        rights.write_text(allowed)
        rights.chmod(0o600)
        settings = MosquittoSettings(extra_lines=(f"acl_file {rights}",))
        with (
            PrivateMosquitto(tmp_path / "strict", settings=settings) as strict,
            started(uplink(address(strict.port), SITE)) as link,
        ):
            waits_for(link, is_connected)
            link.publish(EVENTS, b"forbidden")
            waits_for(link, is_refused)
            assert eventually(lambda: link.connected)
            rights.write_text(f"{allowed}topic write {EVENTS.topic}\n")
            os.kill(strict.pid, signal.SIGHUP)
            told: list[News] = []

            def is_taken() -> bool:
                with contextlib.suppress(UplinkUnavailable):
                    link.publish(status_of(SITE), b"allowed")
                    link.publish(EVENTS, b"allowed now")
                told.extend(news for news in taken(link) if is_accepted(news))
                return bool(told)

            assert eventually(is_taken)
            assert told == [Accepted("events")]

    def test_a_broker_that_cuts_the_connection_over_a_refused_message_shows_no_twin(self) -> None:
        """As Mosquitto 2.0.11 does, each time: nobody should go and look for a copied card."""
        told: list[News] = []

        def lost_four_times() -> bool:
            if link.connected:
                with contextlib.suppress(UplinkUnavailable):
                    link.publish(EVENTS, b"forbidden")
            told.extend(taken(link))
            return sum(map(is_disconnected, told)) >= 4

        with AnswersThenSays(puback=0x87) as server:
            link = MqttUplink(
                address(server.port),
                topics.unit_filter(SITE, UNIT),
                will=(status_of(SITE), WILL),
                waits=replace(QUICK, twin_s=2.0),
            )
            with started(link):
                assert eventually(lost_four_times, timeout_s=30)
        lost = [news for news in told if isinstance(news, Disconnected)]
        assert not any(news.twin for news in lost)
        assert all("refused a message" in news.reason for news in lost)
        assert sum(map(is_refused, told)) >= 4

    def test_a_broker_that_cuts_the_connection_over_a_message_without_a_word_shows_no_twin_either(self) -> None:
        """Mosquitto's refusal is lost with the connection when more was on its way to it."""
        told: list[News] = []

        def lost_four_times() -> bool:
            if link.connected:
                with contextlib.suppress(UplinkUnavailable):
                    link.publish(EVENTS, b"forbidden")
            told.extend(taken(link))
            return sum(map(is_disconnected, told)) >= 4

        with AnswersThenSays(mute=True) as server, started(uplink(address(server.port), SITE)) as link:
            assert eventually(lost_four_times, timeout_s=30)
        assert not any(news.twin for news in told if isinstance(news, Disconnected))
        refused = [news for news in told if isinstance(news, Refused)]
        assert {news.channel for news in refused} == {"events"}
        assert "(ACL)" in refused[0].reason
        assert is_disconnected(told[[is_connected(news) for news in told].index(True) + 1])

    def test_a_unit_whose_messages_are_all_forbidden_shows_no_twin_either(self) -> None:
        """As after its removal: each time it is another kind of message, and the word for it is lost."""
        told: list[News] = []
        kinds = iter(("hello", "status", "want", "applied", "audit", "backlog"))

        def lost_four_times() -> bool:
            connections = sum(map(is_connected, told))
            told.extend(taken(link))
            if sum(map(is_connected, told)) > connections:
                with contextlib.suppress(UplinkUnavailable):
                    link.publish(topics.up(SITE, UNIT, next(kinds)), b"forbidden")
            return sum(map(is_disconnected, told)) >= 4

        with AnswersThenSays(mute=True) as server, started(uplink(address(server.port), SITE)) as link:
            assert eventually(lost_four_times, timeout_s=30)
        assert not any(news.twin for news in told if isinstance(news, Disconnected))

    def test_being_forbidden_to_listen_is_told(self) -> None:
        """Otherwise the unit seems connected, and no hub ever answers."""
        with AnswersThenSays(b"", suback=0x87) as server, started(uplink(address(server.port), SITE)) as link:
            hindered = waits_for(link, is_hindered)

            assert isinstance(hindered, Hindered)
            assert "listen" in hindered.reason

    def test_after_the_twin_is_gone_a_usual_loss_is_mended_as_quickly_as_before(
        self, own_broker: PrivateMosquitto
    ) -> None:
        link = MqttUplink(
            address(own_broker.port),
            topics.unit_filter(SITE, UNIT),
            will=(status_of(SITE), WILL),
            waits=replace(QUICK, twin_s=1.0),
        )
        with started(link):
            waits_for(link, is_connected)
            with started(uplink(address(own_broker.port), SITE)):
                waits_for(link, is_disconnected)
            waits_for(link, is_connected)
            own_broker.kill()
            waits_for(link, is_disconnected)
            own_broker.start()
            waits_for(link, is_connected)

    @pytest.mark.server
    def test_a_message_larger_than_the_broker_takes_is_not_sent_at_all(self, tmp_path: Path) -> None:
        """The broker says at the start how much it takes; each try would cost the connection."""
        settings = MosquittoSettings(max_packet_size=20_000)
        with (
            PrivateMosquitto(tmp_path / "small", settings=settings) as small,
            listening(small.port, f"rollcall/1/{SITE}/up/#") as hub,
            started(uplink(address(small.port), SITE)) as link,
        ):
            told: list[News] = []

            def is_told() -> bool:
                told.extend(taken(link))
                return any(map(is_hindered, told))

            assert eventually(is_told)
            assert told[0] == Connected(20_000)
            assert isinstance(told[1], Hindered)
            assert "max_packet_size" in told[1].reason
            with pytest.raises(UplinkUnavailable, match="too large"):
                link.publish(EVENTS, bytes(50_000))
            link.publish(EVENTS, b"small")

            assert eventually(lambda: hub.payloads() == [b"small"])
            assert link.connected

    @pytest.mark.server
    def test_a_message_that_costs_the_connection_is_not_sent_again_and_again(self, tmp_path: Path) -> None:
        """A broker that does not name its limit: paho would send the message first after each connect, for ever."""
        settings = MosquittoSettings(extra_lines=("message_size_limit 20000",))
        with (
            PrivateMosquitto(tmp_path / "small", settings=settings) as small,
            listening(small.port, f"rollcall/1/{SITE}/up/#") as hub,
            started(uplink(address(small.port), SITE)) as link,
        ):
            waits_for(link, is_connected)
            link.publish(EVENTS, bytes(50_000))
            with contextlib.suppress(UplinkUnavailable):  # the broker may have hung up already
                link.publish(EVENTS, b"behind it")
            waits_for(link, is_disconnected)
            waits_for(link, is_connected)
            link.publish(EVENTS, b"small")

            assert eventually(lambda: b"small" in hub.payloads())
            assert not eventually(lambda: not link.connected, timeout_s=2.5)


class TestEndings:
    """How connections ended, told as paho tells it: without a broker, which cannot be made to end them like this."""

    SILENT = ReasonCode(PacketTypes.DISCONNECT, identifier=0x8D)
    CUT = ReasonCode(PacketTypes.DISCONNECT, identifier=0x80)

    TAKEN = ReasonCode(PacketTypes.PUBACK, identifier=0)
    REFUSED = ReasonCode(PacketTypes.PUBACK, identifier=0x87)

    def twins_told(
        self, *endings: tuple[bool, ReasonCode], meanwhile: Callable[[MqttUplink], None] = lambda _link: None
    ) -> list[bool]:
        """Return which of these ends was told as that of a twin; the first of each: whether it had been let in."""
        link = uplink(address(free_port()), SITE)
        for let_in, reason in endings:
            if let_in:
                granted = ReasonCode(PacketTypes.CONNACK, identifier=0)
                link._on_connect(link._client, None, ConnectFlags(session_present=False), granted, None)
                meanwhile(link)
            flags = DisconnectFlags(is_disconnect_packet_from_server=False)
            link._on_disconnect(link._client, None, flags, reason, None)
        return [news.twin for news in taken(link) if isinstance(news, Disconnected)]

    def test_connections_that_are_cut_soon_three_times_show_a_twin(self) -> None:
        assert self.twins_told(*[(True, self.CUT)] * 3) == [False, False, True]

    def test_twins_that_both_have_much_to_say_are_found_too(self) -> None:
        """Over a slow link there is always a message that has no answer yet."""

        def talk(link: MqttUplink) -> None:
            for mid in range(1, 9):
                link._kinds.sent(mid, "backlog" if mid % 2 else "events")
            for mid in range(1, 5):
                link._on_publish(link._client, None, mid, self.TAKEN, None)

        assert self.twins_told(*[(True, self.CUT)] * 3, meanwhile=talk) == [False, False, True]

    def test_twins_of_which_the_broker_had_refused_a_message_before_are_found_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now_s = 1000.0
        monkeypatch.setattr("edge.adapters.mqtt_uplink.time.monotonic", lambda: now_s)

        def talk(link: MqttUplink) -> None:
            nonlocal now_s
            link._kinds.sent(1, "audit")
            link._on_publish(link._client, None, 1, self.REFUSED, None)
            now_s += 3.0

        assert self.twins_told(*[(True, self.CUT)] * 3, meanwhile=talk) == [False, False, True]

    def test_connections_that_end_right_after_a_refusal_show_no_twin(self) -> None:
        def talk(link: MqttUplink) -> None:
            link._kinds.sent(1, "audit")
            link._on_publish(link._client, None, 1, self.REFUSED, None)

        assert not any(self.twins_told(*[(True, self.CUT)] * 6, meanwhile=talk))

    def test_a_line_that_goes_silent_shows_no_twin_however_often(self) -> None:
        assert not any(self.twins_told(*[(True, self.SILENT)] * 6))

    def test_attempts_that_no_broker_answered_show_no_twin(self) -> None:
        assert not any(self.twins_told((True, self.CUT), *[(False, self.CUT)] * 6))


def test_a_password_is_in_no_text_about_the_broker() -> None:
    """Such texts end up in tracebacks and logs."""
    where = BrokerAddress("127.0.0.1", 1883, UNIT, 30, "unit", "s3cret-word")
    assert where.password == "s3cret-word"
    for text in (repr(where), str(where), f"{where}"):
        assert "unit" in text
        assert "s3cret" not in text


class TestWaits:
    """Units that lost their broker together must not come back together."""

    def waits_of(self, jitter: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Return how long an uplink waits before each of its first connects, with nobody there."""
        found: list[float] = []
        link = MqttUplink(
            address(free_port()),
            topics.unit_filter(SITE, UNIT),
            will=(status_of(SITE), WILL),
            waits=Waits(jitter=lambda: jitter),
        )
        with monkeypatch.context() as patch:
            patch.setattr(link._client, "reconnect_delay_set", lambda least, _most: found.append(least))
            for _ in range(8):
                link._on_connect_fail(link._client, None)
        return found

    def test_each_wait_is_random_and_grows_to_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.waits_of(1.0, monkeypatch) == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]
        assert self.waits_of(0.0, monkeypatch) == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]


class TestRobustness:
    def test_a_callback_that_raises_does_not_end_the_connection(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """paho's thread would die while is_connected() stays true: a unit that hears nothing and thinks all is well."""
        site = fresh_site()
        real = MqttUplink._tell
        failures: list[News] = []

        def fails_once(self: MqttUplink, news: News) -> None:
            if isinstance(news, Arrived) and not failures:
                failures.append(news)
                raise RuntimeError("a fault in a callback")
            real(self, news)

        monkeypatch.setattr(MqttUplink, "_tell", fails_once)
        with listening(broker.port, "nothing") as hub, started(uplink(address(broker.port), site)) as link:
            waits_for(link, is_connected)
            hub.speak(f"rollcall/1/{site}/down/{UNIT}/receipt", b"1")
            hub.speak(f"rollcall/1/{site}/down/{UNIT}/receipt", b"2")

            arrived = waits_for(link, is_arrived)
            assert isinstance(arrived, Arrived)
            assert arrived.payload == b"2"
            assert failures
            assert link.thread_is_alive()
            assert link.connected

    def test_a_flood_of_messages_is_bounded_and_the_newest_state_of_the_connection_is_still_told(
        self, own_broker: PrivateMosquitto
    ) -> None:
        """Nobody reads the news for a while: memory stays bounded, and a loss is not forgotten behind the flood."""
        with started(uplink(address(own_broker.port), SITE)) as link:
            waits_for(link, is_connected)
            with listening(own_broker.port, "nothing") as hub:
                for number in range(1200):
                    hub._client.publish(f"rollcall/1/{SITE}/down/{UNIT}/receipt", b"%d" % number, qos=0)
                assert eventually(link.news.full)
            own_broker.kill()
            assert eventually(lambda: not link.connected)
            found = taken(link)

            assert len(found) <= 100
            assert sum(MAX_MESSAGE_BYTES for _ in found) < 12_000_000
            assert is_disconnected(found[-1])

    def test_a_topic_that_is_no_text_is_ignored(self, broker: Broker) -> None:
        site = fresh_site()
        with listening(broker.port, "nothing") as hub, started(uplink(address(broker.port), site)) as link:
            waits_for(link, is_connected)
            hub.speak(f"rollcall/1/{site}/down/{UNIT}/receipt", b"\xff\xfe not text")

            arrived = waits_for(link, is_arrived)
            assert isinstance(arrived, Arrived)
            assert arrived.payload == b"\xff\xfe not text"
