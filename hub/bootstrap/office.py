"""What the commands of operators work with: settings become a database, keys and an office."""

from hub.adapters.clock import SystemClock
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.key_files import HubKeys, read_password
from hub.office.context import Office
from hub.settings import DatabaseSettings, HubSettings


def open_database(settings: DatabaseSettings, *, at_least: int = 1) -> Database:
    """Return the database, with at least so many connections; none is made yet.

    Raises KeyUnusable when the password file cannot be read.
    """
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
            pool_size=max(settings.pool_size, at_least),
        )
    )


def open_keys(settings: HubSettings) -> HubKeys:
    """Return the hub's keys; the files are read when a key is first needed."""
    keys = settings.keys
    return HubKeys(keys.hub_key_file, keys.signing_key_file, keys.credentials_dir)


def open_office(settings: HubSettings, actor: str) -> Office:
    """Return what operators' commands work with; use it as a context manager. Raises KeyUnusable."""
    return Office(
        settings=settings,
        database=open_database(settings.database),
        keys=open_keys(settings),
        clock=SystemClock(),
        actor=actor,
    )
