"""Units: giving one its identity and keys, and telling truthfully how each of them is."""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, func, insert, select

from hub.adapters import audit_log, quarantine_room, quarantine_store, unit_rooms
from hub.adapters.gallery_revisions import seal_data_key
from hub.adapters.key_files import create_key
from hub.adapters.schema import epochs, galleries, rooms, unit_status, units
from hub.adapters.unit_store import status_of
from hub.core.errors import BadInput, Conflict, HubError, KeyUnusable, NotFound, StoreUnavailable
from hub.core.fleet import UnitHeard, condition
from hub.office.context import Office
from protocol.sealing import KEY_BYTES
from protocol.status import Status

_MAX_LABEL = 100


@dataclass(frozen=True, slots=True)
class NewUnit:
    """What a unit is told at its birth."""

    label: str
    room: str
    folder: Path
    broker_host: str
    broker_port: int
    pack_dir: Path
    data_dir: Path
    camera: str


def add(office: Office, new: NewUnit) -> dict[str, Any]:
    """Create a unit with its key and write its files into a folder; return its id and the files.

    Raises BadInput, Conflict (the label is taken, or the folder holds a unit already), NotFound (no such room),
    KeyUnusable, StoreUnavailable. When anything fails, nothing is on record and no key is left behind; only when
    nobody can tell whether it is on record, the files are kept.
    """
    label = new.label.strip()
    if not label or len(label) > _MAX_LABEL or not label.isprintable():
        raise BadInput(f"a label has 1 to {_MAX_LABEL} visible characters")
    unit_id, data_key = str(uuid4()), secrets.token_bytes(KEY_BYTES)
    sealed, public_key = seal_data_key(office.keys.hub_key(), unit_id, data_key), office.keys.public_key()
    files = [new.folder / name for name in ("edge.toml", "unit.key", "hub.pub")]
    taken = [str(path) for path in files if path.exists()]
    if taken:
        raise Conflict(f"the folder holds a unit already: {', '.join(taken)}", hint="choose another folder")
    try:
        # The record last: a folder without a record is harmless, a record without its only key is not.
        with office.database.transaction() as connection:
            _insert(connection, office, unit_id, new, sealed)
            _write_files(new, _edge_toml(office, unit_id, new), data_key, public_key)
    except BaseException as exc:
        open_question = not isinstance(exc, HubError) or isinstance(exc, StoreUnavailable)
        there = _on_record(office, unit_id) if open_question else False
        if there is False:
            for path in files:
                path.unlink(missing_ok=True)
        elif there is None and isinstance(exc, StoreUnavailable) and files[0].exists():
            hint = f"see `rollcall-hub unit list` later; without {label!r} in it, delete {new.folder} and add it again"
            raise StoreUnavailable(f"{exc}; whether the unit is on record is not known", hint=hint) from exc
        if there is not True or not isinstance(exc, StoreUnavailable):
            raise
        # Only the answer to the commit was lost: the unit is on record, and these are its files.
    return {"unit_id": unit_id, "label": label, "room": new.room, "files": [str(path) for path in files]}


def _on_record(office: Office, unit_id: str) -> bool | None:
    """Tell whether the unit is on record; None when the database does not say."""
    try:
        # With a lock: a commit that is still under way is waited for.
        query = select(units.c.id).where(units.c.id == unit_id).with_for_update()
        return office.database.run(lambda connection: connection.execute(query).first() is not None)
    except HubError:
        return None


def _insert(connection: Connection, office: Office, unit_id: str, new: NewUnit, sealed: bytes) -> None:
    at = office.clock.now()
    room_id = connection.execute(select(rooms.c.id).where(rooms.c.name == new.room)).scalar()
    if room_id is None:
        hint = f'rollcall-hub room list shows them; add it: rollcall-hub room add "{new.room}"'
        raise NotFound(f"there is no room {new.room!r}", hint=hint)
    label = new.label.strip()
    if connection.execute(select(units.c.id).where(units.c.label == label)).first() is not None:
        raise Conflict(f"there is a unit {label!r} already", hint="rollcall-hub unit list shows them")
    connection.execute(
        insert(units).values(id=unit_id, label=label, room_id=room_id, data_key_sealed=sealed, added_at=at)
    )
    unit_rooms.begin(connection, unit_id, room_id)
    connection.execute(insert(galleries).values(unit_id=unit_id, revision=1))
    audit_log.record(
        connection,
        at=at,
        actor=office.actor,
        action="unit.add",
        subject=f"unit:{unit_id}",
        detail={"label": label, "room_id": room_id},
    )


def _edge_toml(office: Office, unit_id: str, new: NewUnit) -> str:
    # A JSON string is a TOML string: quotes, backslashes and anything else a label may hold are safe.
    text = json.dumps
    kind, source = _camera(new.camera)
    return f"""# Settings of one Rollcall unit. The key beside this file is the unit's only copy: keep both secret.
site = {text(office.settings.site)}
unit_id = {text(unit_id)}
label = {text(new.label.strip(), ensure_ascii=False)}

[broker]
host = {text(new.broker_host)}
port = {new.broker_port}
# If the broker wants a password (one for each unit, not the hub's):
# username = "..."
# password_file = "broker.password"

[keys]
data_key_file = "unit.key"
hub_key_file = "hub.pub"

[recognition]
pack_dir = {text(str(new.pack_dir))}

[storage]
data_dir = {text(str(new.data_dir))}
# The daily CSV files follow the school's day.
time_zone = {text(office.settings.time_zone)}

[camera]
kind = {text(kind)}
source = {text(source)}
"""


def _camera(given: str) -> tuple[str, str]:
    """Return kind and source for what a person wrote: picamera2, a recording, a device number or an address."""
    if given == "picamera2":
        return "picamera2", "0"
    recording = not given.isdigit() and "://" not in given and not given.startswith("/dev/")
    return ("replay" if recording else "opencv"), given


def _write_files(new: NewUnit, toml: str, data_key: bytes, public_key: bytes) -> None:
    try:
        new.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (new.folder / "edge.toml").write_text(toml, encoding="utf-8")
        (new.folder / "hub.pub").write_bytes(public_key)
    except OSError as exc:
        raise BadInput(f"the folder {new.folder} cannot be written: {exc.strerror}") from exc
    if not create_key(new.folder / "unit.key", data_key):
        raise KeyUnusable(f"the key file {new.folder / 'unit.key'} appeared while we were writing")


def everyone(office: Office) -> list[dict[str, Any]]:
    """Return all units by label, each with its condition in plain words and everything that is known of it."""
    now = office.clock.now()
    hub_software = installed_version()
    return office.database.run(lambda connection: [_line(found, now, hub_software) for found in _rows(connection)])


def installed_version() -> str | None:
    """Return the version of this program, as units say theirs."""
    try:
        return version("rollcall")
    except PackageNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class _Found:
    """A unit's rows."""

    row: Any
    spoke_at: datetime | None
    cloned_at: datetime | None
    quarantined: int
    dropped: tuple[int, datetime | None]


def _rows(connection: Connection) -> list[_Found]:
    heard = {
        row.unit_id: row
        for row in connection.execute(
            select(
                epochs.c.unit_id,
                func.max(epochs.c.last_heard_at).label("spoke_at"),
                func.max(epochs.c.cloned_at).label("cloned_at"),
            ).group_by(epochs.c.unit_id)
        )
    }
    waiting, dropped = quarantine_store.open_counts(connection), quarantine_room.dropped(connection)
    rows = connection.execute(
        select(
            units,
            rooms.c.name.label("room"),
            unit_status.c.body,
            unit_status.c.received_at,
            galleries.c.generation,
            galleries.c.revision,
            galleries.c.prepared_revision,
            galleries.c.prepared_at,
            galleries.c.confirmed_revision,
            galleries.c.problem,
        )
        .join(rooms, rooms.c.id == units.c.room_id)
        .outerjoin(unit_status, unit_status.c.unit_id == units.c.id)
        .outerjoin(galleries, galleries.c.unit_id == units.c.id)
        .order_by(units.c.label)
    )
    return [
        _Found(
            row,
            heard[row.id].spoke_at if row.id in heard else None,
            heard[row.id].cloned_at if row.id in heard else None,
            waiting.get(row.id, 0),
            dropped.get(row.id, (0, None)),
        )
        for row in rows
    ]


def _line(found: _Found, now: datetime, hub_software: str | None) -> dict[str, Any]:
    row, status = found.row, status_of(found.row.body)
    current = row.revision is not None and row.confirmed_revision == row.revision
    heard = UnitHeard(
        status=status,
        status_at=row.received_at,
        spoke_at=found.spoke_at,
        revoked=row.revoked_at is not None,
        gallery_current=current,
        gallery_problem=row.problem,
        gallery_since=None if current else row.prepared_at,
        cloned_at=found.cloned_at,
        quarantined=found.quarantined,
        dropped=found.dropped[0],
        dropped_at=found.dropped[1],
        hub_software=hub_software,
    )
    said = condition(heard, now)
    return {
        "unit_id": row.id,
        "label": row.label,
        "room": row.room,
        "state": said.state,
        "condition": said.text,
        "needs_somebody": said.needs_somebody,
        "troubles": [{"code": one.code, "text": one.text} for one in said.troubles],
        "waiting_events": status.waiting_events if status else None,
        "last_heard": said.last_heard_at,
        "gallery_generation": row.generation,
        "gallery_revision": row.revision,
        "confirmed_revision": row.confirmed_revision,
        "quarantined": found.quarantined,
        "quarantine_dropped": found.dropped[0],
        "problems": [problem.model_dump() for problem in status.problems] if status else [],
        "revoked": heard.revoked,
        **_machine(status),
    }


_OF_STATUS = (
    "oldest_waiting_s",
    "progress_s",
    "last_receipt_at",
    "dead_letters",
    "held_events",
    "disk",
    "disk_free_bytes",
    "temperature_c",
    "throttled",
    "clock",
    "frames_per_s",
    "students",
    "pack_id",
    "software",
    "up_s",
)


def _machine(status: Status | None) -> dict[str, Any]:
    """Return what the unit last said of itself; every key is there, whatever it said."""
    return {name: None if status is None else getattr(status, name) for name in _OF_STATUS}
