"""Rooms: where lessons are held and units hang."""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, roster_store
from hub.adapters.roster_store import RoomLine
from hub.core.errors import Conflict
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
            raise Conflict(f"there is a room {room.name!r} already")
        roster_store.insert_room(connection, room.room_id, room.name)
        at, subject = office.clock.now(), f"room:{room.room_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="room.add", subject=subject, detail={})

    office.database.run(work)
    return room


def list_rooms(office: Office) -> list[RoomLine]:
    """Return all rooms by name, with their units and the number of lessons to come."""
    now = office.clock.now()
    return office.database.run(lambda connection: roster_store.list_rooms(connection, now))
