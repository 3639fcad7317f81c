"""The composition root: settings become databases, keys, links and loops that know nothing of settings."""

from hub.adapters.clock import SystemClock
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.key_files import HubKeys, read_password
from hub.office.context import Office
from hub.settings import DatabaseSettings, HubSettings


def open_database(settings: DatabaseSettings) -> Database:
    """Return the database; nothing is connected yet. Raises KeyUnusable when the password file cannot be read."""
    return Database(
        DatabaseAddress(
            host=settings.host,
            port=settings.port,
            name=settings.name,
            user=settings.user,
            password=read_password(settings.password_file),
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            write_timeout_s=settings.write_timeout_s,
            pool_size=settings.pool_size,
        )
    )


def open_office(settings: HubSettings, actor: str) -> Office:
    """Return what operators' commands work with; use it as a context manager. Raises KeyUnusable."""
    return Office(
        settings=settings,
        database=open_database(settings.database),
        keys=HubKeys(settings.keys.hub_key_file, settings.keys.signing_key_file),
        clock=SystemClock(),
        actor=actor,
    )
