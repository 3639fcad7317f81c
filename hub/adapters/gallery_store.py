"""Galleries in MySQL: the revision each unit should have, and the prepared content of exactly that revision."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from hub.adapters import calibration_store, gallery_facts, gallery_records, key_ring
from hub.adapters.content_cache import ContentCache
from hub.adapters.database import Database
from hub.adapters.gallery_records import Snapshot
from hub.adapters.gallery_revisions import data_key_context
from hub.adapters.key_ring import Keys
from hub.adapters.schema import galleries, units
from hub.core.calibration import Calibration, matches_nothing
from hub.core.errors import StoreRefused
from hub.core.galleries import GalleryFacts, UnitKeys, WrongRoomScope, build, sizes
from hub.core.ports import Clock, GalleryState, PreparedHead
from hub.core.student_margins import MarginRise
from protocol.content import ContentKind, Scope
from protocol.errors import SealBroken

LOG = logging.getLogger("rollcall.hub.galleries")
_TRIED = 50
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, eq=False)
class GalleryMaking:
    """What galleries are made with, besides the records."""

    site: str
    pack_id: str
    hub_key: Keys
    signing_key: bytes
    points: Callable[[Calibration | None, Sequence[int]], Mapping[str, Any]]
    """Operating points by the newest calibration of the pack, for the sizes that `hub.core.galleries.sizes` gives."""
    rises: Callable[[Calibration | None, Sequence[int]], Mapping[Scope, MarginRise]]
    """By the same, what a rejection adds to a student's margin in each scope."""
    wrong_room_scope: WrongRoomScope = "none"
    pack_list: bytes | None = None
    """The list of the pack's files, by which units that have another pack fetch them; None: they are not offered."""


@dataclass(frozen=True, slots=True)
class _Filled:
    """What the cache holds of a unit: everything of one revision, good until a consent runs out."""

    revision: int
    until: datetime | None
    hashes: frozenset[str]


_Read = tuple[Snapshot, str | None, list[str], datetime | None]
"""A gallery, what is wrong with it, the students whom that concerns, and when the next consent runs out."""

UNMEASURED = "nobody can be marked: nothing was measured of this model pack yet; see: rollcall-hub calibrate"


class MySqlGalleryStore:
    """Keeps the contract of `hub.core.ports.GalleryStore`."""

    def __init__(
        self, database: Database, clock: Clock, making: GalleryMaking, cache: ContentCache | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._making = making
        self._cache = cache or ContentCache()
        self._filled: dict[str, _Filled] = {}
        self._problems: dict[str, tuple[str | None, list[str]]] = {}

    def states(self) -> list[GalleryState]:
        """Return the state of every unit that is not revoked."""
        columns = select(
            galleries.c.unit_id, galleries.c.revision, galleries.c.prepared_revision, galleries.c.push_count
        )
        query = columns.join(units, units.c.id == galleries.c.unit_id).where(units.c.revoked_at.is_(None))
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return [GalleryState(row.unit_id, row.revision, row.prepared_revision, row.push_count) for row in rows]

    def check_key(self) -> None:
        """Raise StoreRefused when the hub's key opens nothing of what is on record: it is another database's key."""
        if self._database.run(lambda connection: opens_something(connection, self._making.hub_key)) is False:
            raise StoreRefused(
                "the hub's key opens nothing in this database: it was made with another one",
                hint="is keys.hub_key_file the key this database was made with?",
            )

    def prepare(self, unit_id: str) -> None:
        """Build, seal, sign and keep the gallery of the unit's present revision.

        When that revision is prepared already, only what time has changed is looked at: a new timetable is kept beside
        the same manifest; a manifest that has become another (a consent ran out, a term began) asks for a revision.
        A unit whose own key is damaged is left out, with the problem on record.
        """
        now = self._clock.now()
        snapshot = self._snapshot(unit_id, now)
        if snapshot is None:
            return
        if snapshot.prepared_revision < snapshot.gallery.revision:
            self._database.run(lambda connection: gallery_records.keep_new(connection, unit_id, snapshot, now))
        elif snapshot.prepared_manifest != snapshot.gallery.manifest:
            self._database.run(
                lambda connection: gallery_records.touch_one(connection, unit_id, snapshot.gallery.revision)
            )
            return
        elif snapshot.prepared_head != snapshot.gallery.head:
            self._database.run(lambda connection: gallery_records.keep_same(connection, unit_id, snapshot.gallery))

    def _snapshot(self, unit_id: str, now: datetime) -> Snapshot | None:
        """Read and build a gallery, and remember its content; None for a unit that gets none."""
        try:
            # One moment for all that is read: a revision together with exactly what was committed with it.
            read = self._database.run(
                lambda connection: self._read(connection, unit_id, now), isolation="REPEATABLE READ"
            )
        except SealBroken:
            self._forget(unit_id)
            self._note_problem(unit_id, "the key of this unit is damaged", [unit_id])
            return None
        self._forget(unit_id)
        if read is None:
            return None
        snapshot, problem, ids, until = read
        self._note_problem(unit_id, problem, ids)
        gallery = snapshot.gallery
        self._filled[unit_id] = _Filled(gallery.revision, until, frozenset(gallery.blobs))
        for content_hash, blob in gallery.blobs.items():
            self._cache.put(unit_id, content_hash, blob)
        return snapshot

    def _note_problem(self, unit_id: str, problem: str | None, ids: list[str]) -> None:
        if self._problems.get(unit_id) == (problem, ids):
            return
        self._problems[unit_id] = (problem, ids)
        if problem is not None:
            LOG.error("gallery incomplete unit=%s problem=%r ids=%s", unit_id, problem, ",".join(ids[:_MOST_NAMED]))
        self._database.run(lambda connection: gallery_records.note_problem(connection, unit_id, problem))

    def head(self, unit_id: str) -> PreparedHead | None:
        """Return the newest prepared head, if there is one."""
        query = select(galleries.c.prepared_revision, galleries.c.head).where(galleries.c.unit_id == unit_id)
        row = self._database.run(lambda connection: connection.execute(query).one_or_none())
        return None if row is None or row.head is None else PreparedHead(row.prepared_revision, bytes(row.head))

    def content(self, unit_id: str, kind: ContentKind, content_hash: str) -> bytes | None:
        """Return the sealed content that a unit may have under this hash now, or None."""
        if kind == "template":
            return self._template(unit_id, content_hash)
        content, name = (
            (galleries.c.manifest, galleries.c.manifest_hash)
            if kind == "manifest"
            else (galleries.c.timetable, galleries.c.timetable_hash)
        )
        query = (
            select(content)
            .join(units, units.c.id == galleries.c.unit_id)
            .where(galleries.c.unit_id == unit_id, name == content_hash, units.c.revoked_at.is_(None))
        )
        found = self._database.run(lambda connection: connection.execute(query).scalar())
        return None if found is None else bytes(found)

    def _template(self, unit_id: str, content_hash: str) -> bytes | None:
        query = (
            select(galleries.c.revision)
            .join(units, units.c.id == galleries.c.unit_id)
            .where(galleries.c.unit_id == unit_id, units.c.revoked_at.is_(None))
        )
        # Before each hand-out: what is in memory may have been withdrawn through another process.
        revision = self._database.run(lambda connection: connection.execute(query).scalar())
        if revision is None:
            self._forget(unit_id)
            return None
        now = self._clock.now()
        filled = self._filled.get(unit_id)
        if filled is not None and filled.revision == revision and (filled.until is None or now < filled.until):
            if content_hash not in filled.hashes:
                return None
            held = self._cache.get(unit_id, content_hash)
            if held is not None:
                return held
        snapshot = self._snapshot(unit_id, now)
        return None if snapshot is None else snapshot.gallery.blobs.get(content_hash)

    def _forget(self, unit_id: str) -> None:
        self._filled.pop(unit_id, None)
        self._cache.forget(unit_id)

    def _read(self, connection: Connection, unit_id: str, now: datetime) -> _Read | None:
        row = connection.execute(
            select(galleries, units.c.room_id, units.c.data_key_sealed)
            .join(units, units.c.id == galleries.c.unit_id)
            .where(galleries.c.unit_id == unit_id, units.c.revoked_at.is_(None))
        ).one_or_none()
        if row is None:
            return None
        making = self._making
        data_key = key_ring.opened(making.hub_key, bytes(row.data_key_sealed), *data_key_context(unit_id))
        members, damaged = gallery_facts.members(
            connection, row.room_id, making.pack_id, making.hub_key, now, making.wrong_room_scope, unit_id=unit_id
        )
        newest, wanted = calibration_store.newest(connection, making.pack_id), sizes(members)
        facts = GalleryFacts(
            site=making.site,
            unit_id=unit_id,
            revision=row.revision,
            pack_id=making.pack_id,
            members=tuple(members),
            look_alikes=gallery_facts.look_alikes(connection),
            lessons=tuple(gallery_facts.timetable(connection, row.room_id, now)),
            generation=row.generation,
            pack_list=making.pack_list,
            rises=making.rises(newest, wanted),
        )
        points = making.points(newest, wanted)
        snapshot = Snapshot(
            gallery=build(facts, UnitKeys(data_key, making.signing_key), dict(points)),
            data_key=data_key,
            prepared_revision=row.prepared_revision,
            prepared_head=row.head,
            prepared_manifest=row.manifest,
        )
        problem = f"templates of {len(damaged)} students are damaged" if damaged else None
        if problem is None and snapshot.gallery.recognisable and matches_nothing(points):
            problem = UNMEASURED
        return snapshot, problem, damaged, gallery_facts.next_expiry(connection, now)


def opens_something(connection: Connection, hub_key: Keys) -> bool | None:
    """Tell whether a key opens any of some templates and units' keys; None when there are none."""
    keys = connection.execute(select(units.c.id, units.c.data_key_sealed).limit(_TRIED)).all()
    opened = gallery_facts.opens_templates(connection, hub_key)
    tried = [_opened_key(hub_key, row.id, bytes(row.data_key_sealed)) is not None for row in keys]
    tried += [] if opened is None else [opened]
    return any(tried) if tried else None


def _opened_key(hub_key: Keys, unit_id: str, sealed: bytes) -> bytes | None:
    try:
        return key_ring.opened(hub_key, sealed, *data_key_context(unit_id))
    except SealBroken:
        return None
