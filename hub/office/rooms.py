"""Rooms: where lessons are held and units hang."""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, roster_store
from hub.adapters.roster_store import RoomLine
from hub.core.errors import Conflict, NotFound
from hub.core.roster import checked_room
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class Room:
    """A room on record."""

    room_id: str
    name: str


def add_room(office: Office, name: str) -> Room:
    """Add a room. Raises BadInput for a name that cannot be used, Conflict when it exists."""
    room = Room(str(uuid4()), checked_room(name))

    def work(connection: Connection) -> None:
        known = roster_store.room_ids(connection).get(room.name)
        if known == room.room_id:
            return  # the commit whose answer was lost
        if known is not None:
            raise Conflict(f"there is a room {room.name!r} already", hint="rollcall-hub room list shows them")
        roster_store.insert_room(connection, room.room_id, room.name)
        at, subject = office.clock.now(), f"room:{room.room_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="room.add", subject=subject, detail={})

    office.database.run(work)
    return room


def rename_room(office: Office, name: str, new_name: str) -> Room:
    """Call a room something else; everything else of it stays. A name it has already changes nothing.

    Raises BadInput for a name that cannot be used, NotFound, Conflict when another room is called so.
    """
    wanted = checked_room(new_name)

    def work(connection: Connection) -> Room:
        known = roster_store.room_ids(connection)
        if name not in known and wanted in renamed and known.get(wanted) == renamed[wanted]:
            return Room(renamed[wanted], wanted)  # the commit whose answer was lost
        room_id = need_room(connection, name)
        if known.get(wanted, room_id) != room_id:
            raise Conflict(f"there is a room {wanted!r} already", hint="rollcall-hub room list shows them")
        if wanted != name:
            renamed[wanted] = room_id
            roster_store.rename_room(connection, room_id, wanted)
            at, subject = office.clock.now(), f"room:{room_id}"
            detail = {"before": name, "after": wanted}
            audit_log.record(
                connection, at=at, actor=office.actor, action="room.rename", subject=subject, detail=detail
            )
        return Room(room_id, wanted)

    renamed: dict[str, str] = {}
    return office.database.run(work)


def need_room(connection: Connection, name: str) -> str:
    """Return the id of a room. Raises NotFound."""
    room_id = roster_store.room_ids(connection).get(name)
    if room_id is None:
        raise NotFound(f"there is no room {name!r}", hint="rollcall-hub room list shows them")
    return room_id


def list_rooms(office: Office) -> list[RoomLine]:
    """Return all rooms by name, with their units and the number of lessons to come."""
    now = office.clock.now()
    return office.database.run(lambda connection: roster_store.list_rooms(connection, now))
