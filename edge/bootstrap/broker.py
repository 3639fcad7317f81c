"""Where the broker is, and as whom the unit speaks to it."""

from edge.adapters.key_files import read_password
from edge.adapters.mqtt_uplink import BrokerAddress
from edge.settings import EdgeSettings


def broker_address(settings: EdgeSettings) -> BrokerAddress:
    """Return how to reach the broker. Raises KeyUnusable for a password file that cannot be read."""
    return BrokerAddress(
        host=settings.broker.host,
        port=settings.broker.port,
        client_id=settings.unit_id,
        keepalive_s=settings.broker.keepalive_s,
        username=settings.broker.username,
        password=read_password(settings.broker.password_file),
    )
