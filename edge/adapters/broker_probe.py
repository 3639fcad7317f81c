"""Is there a broker, and does it let us in? For `check`: one connection under another client id, then gone."""

import queue
import socket

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.adapters.mqtt_answers import explain
from edge.adapters.mqtt_uplink import BrokerAddress
from edge.core.errors import UplinkUnavailable

_PATIENCE_S = 5.0


def probe_broker(address: BrokerAddress) -> None:
    """Connect and leave again.

    Raises UplinkUnavailable with a sentence that tells name, network and refusal apart: paho itself swallows the cause.
    """
    where = f"{address.host}:{address.port}"
    try:
        socket.create_connection((address.host, address.port), timeout=_PATIENCE_S).close()
    except socket.gaierror as exc:
        raise UplinkUnavailable(
            f"the name {address.host} cannot be resolved", hint="check broker.host and this network's DNS"
        ) from exc
    except TimeoutError as exc:
        raise UplinkUnavailable(f"{where} does not answer", hint="check broker.host, cable, firewall") from exc
    except OSError as exc:
        raise UplinkUnavailable(f"{where} refuses: {exc.strerror}", hint="is the broker running there?") from exc
    _greet(address, where)


def _greet(address: BrokerAddress, where: str) -> None:
    answers: queue.Queue[str] = queue.Queue()
    # Another client id: under its own, the check would throw the running unit out.
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"{address.client_id}-check", protocol=mqtt.MQTTv5)
    client.on_connect = lambda _c, _d, _f, reason, _p: answers.put(explain(reason) if reason.is_failure else "")
    if address.username:
        client.username_pw_set(address.username, address.password)
    try:
        client.connect(address.host, address.port, keepalive=10)
        client.loop_start()
        answer = answers.get(timeout=_PATIENCE_S)
    except queue.Empty as exc:
        raise UplinkUnavailable(f"{where} answers, but not as an MQTT 5 broker", hint="check broker.port") from exc
    except OSError as exc:
        raise UplinkUnavailable(f"{where}: {exc}", hint="look at the broker's log") from exc
    finally:
        client.disconnect()
        client.loop_stop()
    if answer:
        raise UplinkUnavailable(answer, hint="on the hub: rollcall-hub unit list; on the broker: its log")
