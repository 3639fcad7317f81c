"""Asking a broker whether it would let the unit in: name, network and refusal are told apart."""

import socket
import threading

import pytest

from deploy.own_process import free_port
from deploy.private_servers import PrivateMosquitto
from edge.adapters.broker_probe import probe_broker
from edge.adapters.mqtt_uplink import BrokerAddress
from edge.core.errors import UplinkUnavailable
from tests.conftest import Broker
from tests.edge_adapters.brokers import address, fresh_site, is_connected, started, uplink, waits_for
from tests.edge_adapters.pieces import UNIT


def refused(where: BrokerAddress) -> UplinkUnavailable:
    with pytest.raises(UplinkUnavailable) as caught:
        probe_broker(where)
    assert caught.value.hint
    return caught.value


def test_a_broker_that_lets_the_unit_in_is_left_again_without_a_word(broker: Broker) -> None:
    before = threading.active_count()
    probe_broker(address(broker.port))

    assert threading.active_count() == before


def test_the_running_unit_is_not_thrown_out(own_broker: PrivateMosquitto) -> None:
    with started(uplink(address(own_broker.port), fresh_site())) as link:
        waits_for(link, is_connected)
        probe_broker(address(own_broker.port))

        assert link.connected
        assert link.news.empty()


def test_nobody_listening_is_told() -> None:
    assert "refuses" in str(refused(address(free_port())))


def test_a_name_nobody_knows_is_told() -> None:
    assert "cannot be resolved" in str(refused(BrokerAddress("broker.invalid", 1883, UNIT, 30)))


def test_something_else_that_listens_there_is_told_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        error = refused(address(other.getsockname()[1]))

    assert "not as an MQTT 5 broker" in str(error)
