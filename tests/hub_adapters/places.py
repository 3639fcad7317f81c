"""Builders: a settings file, an office and a migrated database in a test's own folder."""

from pathlib import Path

from deploy.database_server import Database as ServerDatabase
from hub.adapters.database import Database, DatabaseAddress
from hub.office.context import Office

PACK_ID = "dlib-1"


def an_address(database: ServerDatabase, **changed: object) -> DatabaseAddress:
    """The address of a test's database."""
    values: dict[str, object] = {
        "host": database.host,
        "port": database.port,
        "name": database.name,
        "user": database.user,
        "password": database.password,
    }
    return DatabaseAddress(**(values | changed))  # type: ignore[arg-type]


def write_settings(folder: Path, database: ServerDatabase, *, broker_port: int = 1883, more: str = "") -> Path:
    """Write a settings file with everything in `folder`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "database.password").write_text(database.password + "\n", encoding="utf-8")
    path = folder / "hub.toml"
    path.write_text(
        f"""
site = "test-site"
time_zone = "Europe/Berlin"
data_dir = "data"
[database]
host = "{database.host}"
port = {database.port}
name = "{database.name}"
user = "{database.user}"
password_file = "database.password"
[broker]
port = {broker_port}
[recognition]
pack_dir = "pack"
{more}""",
        encoding="utf-8",
    )
    return path


__all__ = ["PACK_ID", "Database", "Office", "an_address", "write_settings"]
