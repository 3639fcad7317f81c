"""Who the unit is, and as whom it speaks to the broker."""

from edge.adapters.key_files import read_key, read_password
from edge.adapters.mqtt_uplink import BrokerAddress
from edge.core.gallery_pieces import UnitIdentity
from edge.settings import EdgeSettings


def identity_of(settings: EdgeSettings, pack_id: str) -> UnitIdentity:
    """Return who this unit is. Raises KeyUnusable."""
    return UnitIdentity(
        site=settings.site,
        unit_id=settings.unit_id,
        pack_id=pack_id,
        data_key=read_key(settings.keys.data_key_file, secret=True),
        hub_public_key=read_key(settings.keys.hub_key_file, secret=False),
    )


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
