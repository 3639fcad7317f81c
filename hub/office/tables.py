"""Creating, updating and checking the hub's tables and keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, inspect, literal, select

from hub.adapters import audit_log
from hub.adapters.migrations import NEWEST
from hub.adapters.migrations import migrate as migrate_tables
from hub.adapters.schema import photos, templates, units
from hub.core.errors import Conflict, KeyUnusable
from hub.office.context import Office


def migrate(office: Office) -> dict[str, Any]:
    """Bring the tables to this program's version and create missing keys; return what was done.

    Safe to run again after a crash. Raises StoreUnavailable, StoreRefused, KeyUnusable.
    """
    _refuse_to_replace_a_lost_key(office)
    created = office.keys.create_missing()
    # Checked before anything is sealed with them: a broken copy must not become the key in use.
    office.keys.hub_key()
    office.keys.signing_key()
    try:
        before, after = office.database.run(migrate_tables)
    except Conflict:
        # Another migration recorded the version a moment before us; what it did is seen now.
        before, after = office.database.run(migrate_tables)
    if before != after or created:
        note_migration(office, before, after, created)
    return {"before": before, "after": after, "created_keys": [str(path) for path in created]}


def note_migration(office: Office, before: str | None, after: str, created_keys: Sequence[Path]) -> None:
    """Record in the audit log that the tables changed, or that keys were made."""
    with office.database.transaction() as connection:
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="db.migrate",
            subject="database",
            detail={"before": before, "after": after, "created_keys": [path.name for path in created_keys]},
        )


def _refuse_to_replace_a_lost_key(office: Office) -> None:
    """Raise KeyUnusable when a key is gone that cannot be replaced.

    Only the hub's key opens what was sealed with it, and units take galleries only with the signature they know.
    """
    keys = office.keys
    hub_key, signing_key = keys.is_there(keys.hub_key_file), keys.is_there(keys.signing_key_file)
    if hub_key and signing_key:
        return
    hint = f"bring {keys.hub_key_file.name} and {keys.signing_key_file.name} back from your copy"
    beside = [path for path in (keys.next_key_file, keys.old_key_file) if keys.is_there(path)]
    if beside and not hub_key:
        raise KeyUnusable(
            f"there is no key file {keys.hub_key_file}, but beside it {' and '.join(path.name for path in beside)}: "
            "the key was being replaced",
            hint=f"{hint}, then go on: rollcall-hub keys rotate",
        )
    with office.database.transaction() as connection:
        present = set(inspect(connection).get_table_names())
        sealed = [table for table in (units, templates, photos) if table.name in present]
        used = [table.name for table in sealed if _has_rows(connection, table)]
    if used and not hub_key:
        raise KeyUnusable(
            f"there is no key file {keys.hub_key_file}, but the database has {' and '.join(used)} made with it",
            hint=f"{hint}; a new key could not read them",
        )
    if units.name in used and not signing_key:
        raise KeyUnusable(
            f"there is no key file {keys.signing_key_file}, but the database has units that know it",
            hint=f"{hint}; units would refuse every gallery signed with a new key",
        )


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None


def check(office: Office) -> dict[str, Any]:
    """Return what answers where; raise what is wrong: StoreUnavailable, StoreRefused, KeyUnusable."""
    office.database.check_schema()
    office.keys.hub_key()
    office.keys.signing_key()
    return {
        "server": office.database.server_version(),
        "address": str(office.database.address),
        "version": NEWEST,
    }
