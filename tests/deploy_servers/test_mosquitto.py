"""The private broker: serves, keeps what it should, ends when told, and says in one sentence what is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from deploy.mqtt_answer import answers_connect
from deploy.own_process import ServerFailed, ServerMissing, wait_until
from deploy.private_servers import MosquittoSettings, PrivateMosquitto, password_file_line
from tests.conftest import Broker


def client_of(server: Broker | PrivateMosquitto) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.connect(server.host, server.port)
    return client


def publish_retained(server: PrivateMosquitto, topic: str, payload: bytes) -> None:
    client = client_of(server)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=True).wait_for_publish(timeout=5)
    client.disconnect()
    client.loop_stop()


def retained_on(server: PrivateMosquitto, topic: str) -> list[bytes]:
    got: list[bytes] = []
    client = client_of(server)
    client.on_message = lambda _client, _data, message: got.append(bytes(message.payload))
    client.on_connect = lambda client, *_rest: client.subscribe(topic, qos=1)
    wait_until(lambda: client.loop(timeout=0.05) != 0 or bool(got), 5)
    client.disconnect()
    return got


def test_the_shared_broker_answers(broker: Broker) -> None:
    assert answers_connect(broker.host, broker.port)


def test_retained_messages_and_the_port_survive_a_crash(own_broker: PrivateMosquitto) -> None:
    publish_retained(own_broker, "rollcall/kept", b"still here")
    port, first = own_broker.port, own_broker.pid
    saved = own_broker.folder / "mosquitto.db"
    assert wait_until(lambda: saved.exists() and b"still here" in saved.read_bytes(), 5)

    own_broker.kill()
    own_broker.start()

    assert own_broker.port == port
    assert own_broker.pid != first
    assert retained_on(own_broker, "rollcall/kept") == [b"still here"]


@pytest.mark.parametrize("end", [PrivateMosquitto.stop, PrivateMosquitto.kill])
def test_no_process_is_left_behind(own_broker: PrivateMosquitto, end: Callable[[PrivateMosquitto], None]) -> None:
    process = Path("/proc") / str(own_broker.pid)
    assert process.exists()

    end(own_broker)

    assert not process.exists()
    assert not answers_connect(own_broker.host, own_broker.port)
    with pytest.raises(ServerFailed, match="not running"):
        _ = own_broker.pid


def is_let_in(server: PrivateMosquitto, password: str) -> bool:
    answers: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.username_pw_set("room-12", password)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(not reason.is_failure)
    client.connect(server.host, server.port)
    wait_until(lambda: client.loop(timeout=0.05) != 0 or bool(answers), 5)
    client.disconnect()
    return answers == [True]


@pytest.mark.usefixtures("own_broker")
def test_a_wrong_password_is_refused_and_a_right_one_is_not(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(password_file_line("room-12", "right") + "\n", encoding="utf-8")
    settings = MosquittoSettings(anonymous=False, extra_lines=(f"password_file {passwords}",))
    with PrivateMosquitto(tmp_path / "guarded", settings=settings) as guarded:
        assert is_let_in(guarded, "right")
        assert not is_let_in(guarded, "wrong")


def test_a_missing_program_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(ServerMissing, match=r"mosquitto is not installed: sudo apt-get install -y .*mosquitto"):
        PrivateMosquitto(tmp_path, folders=[str(tmp_path)]).start()


@pytest.mark.usefixtures("own_broker")
def test_a_broker_that_will_not_start_quotes_its_log(tmp_path: Path) -> None:
    broken = PrivateMosquitto(tmp_path, settings=MosquittoSettings(extra_lines=("no_such_setting 1",)))
    with pytest.raises(ServerFailed, match="no_such_setting") as failure:
        broken.start()
    assert str(broken.log) in str(failure.value)
    assert not broken.running
