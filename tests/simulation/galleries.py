"""Galleries in the simulated database: who belongs where, revisions, resets, erasures and their receipts, packs.

What is sealed, signed and decided about them is done by the programs' own cores; the rules that are SQL in the hub
(`hub.adapters.unit_store`, `hub.adapters.gallery_store`) are repeated here in memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.core.gallery_pieces import UnitIdentity
from edge.core.ports import StagedGallery
from edge.loops.gallery import GalleryKeeper, NewPacks
from edge.loops.health import Health
from hub.core.errors import StoreUnavailable
from hub.core.galleries import Gallery, GalleryFacts, Member, UnitKeys, build
from hub.core.ports import GalleryState, PackPart, PreparedHead
from protocol import sealing
from protocol.base import MAX_PART_BYTES
from protocol.content import Applied, ContentKind, Head, Part, Want
from tests.builders import DIMENSIONS, POINTS, face_of
from tests.fakes import MemoryGalleryStore
from tests.pack_fakes import MemoryPackStore, made_up_pack
from tests.simulation.database import SimDatabase
from tests.simulation.disk import Disk
from tests.simulation.facts import student_id

if TYPE_CHECKING:
    from tests.simulation.unit import SimUnit

_SIGNING_KEY = bytes(range(32))
_FACES = 16
_BACKUPS = 6
OLD = made_up_pack("old", seed=1, sizes={"embedder-f32.bin": 150_000})
NEW = made_up_pack("new", seed=2, sizes={"embedder-f32.bin": 150_000})


def keys_of(unit_id: str) -> UnitKeys:
    """Return a unit's keys."""
    return UnitKeys(data_key=unit_id.replace("-", "").encode(), signing_key=_SIGNING_KEY)


def identity_of(site: str, unit_id: str, pack_id: str) -> UnitIdentity:
    """Return what a unit knows of itself and of its hub."""
    return UnitIdentity(site, unit_id, pack_id, keys_of(unit_id).data_key, sealing.public_key_of(_SIGNING_KEY))


@dataclass(slots=True)
class Room:
    """One unit's row of `galleries`, its members and its erasures."""

    members: set[int] = field(default_factory=set)
    revision: int = 0
    generation: int = 0
    push_count: int = 0
    made: Gallery | None = None
    made_generation: int = 0
    unconfirmed: dict[str, int] = field(default_factory=dict)
    """Students whose erasure has no receipt yet, and the revision without them."""
    confirmed: Applied | None = None


class SimGalleries:
    """Keeps the contracts of `hub.core.ports.GalleryStore` and `PackShelf`; the rest is what people at the hub do."""

    def __init__(self, site: str, database: SimDatabase) -> None:
        self._site = site
        self._database = database
        self.pack = OLD
        self.rooms = {unit_id: Room() for unit_id in sorted(database.units)}
        self._backups: list[dict[str, Room]] = []
        for unit_id in self.rooms:
            self.change(unit_id, {1, 2, 3})
        self._backups.clear()

    # ---- what people do --------------------------------------------------------------------------------------------

    def change(self, unit_id: str, members: set[int]) -> None:
        """Enrol and erase students."""
        self._backups = [*self._backups[1 - _BACKUPS :], copy.deepcopy(self.rooms)]
        room = self.rooms[unit_id]
        room.revision += 1
        for gone in room.members - members:
            room.unconfirmed[student_id(gone)] = room.revision
        for back in members:
            room.unconfirmed.pop(student_id(back), None)
        room.members = set(members)

    def reset(self, unit_id: str) -> None:
        """Count a unit's revisions anew, as `rollcall-hub gallery reset` does."""
        self.rooms[unit_id].generation += 1
        self.change(unit_id, self.rooms[unit_id].members)

    def other_pack(self) -> None:
        """The school changes to the other model pack."""
        self.pack = NEW if self.pack is OLD else OLD
        for unit_id, room in self.rooms.items():
            self.change(unit_id, room.members)

    def restore(self) -> None:
        """Put an old backup back."""
        if self._backups:
            self.rooms = self._backups.pop(0)
            self._backups.clear()

    # ---- what units say --------------------------------------------------------------------------------------------

    def heard(self, unit_id: str, revision: int, generation: int | None = None) -> None:
        """Go beyond the gallery a unit has, as `unit_store._overtake` does."""
        room = self.rooms[unit_id]
        theirs = (room.generation if generation is None else generation, revision)
        if theirs > (room.generation, room.revision):
            room.generation, room.revision = theirs[0], max(room.revision, revision) + 1

    def confirm(self, unit_id: str, applied: Applied) -> None:
        """Note what a unit has applied and erased, as `unit_store.confirm_gallery` does."""
        room = self.rooms[unit_id]
        was_made = self._was_made(room, applied)
        self.heard(unit_id, applied.revision, applied.generation)
        room.confirmed = applied
        for student, revision in list(room.unconfirmed.items()):
            if (was_made and revision <= applied.revision) or student in applied.erased:
                del room.unconfirmed[student]

    @staticmethod
    def _was_made(room: Room, applied: Applied) -> bool:
        if room.made is None or applied.generation != room.made_generation:
            return False
        if applied.revision == room.made.revision:
            return applied.manifest_hash == room.made.manifest_hash
        return applied.revision < room.made.revision

    # ---- the ports -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if not self._database.up:
            raise StoreUnavailable("no database listens")

    def states(self) -> list[GalleryState]:
        self._check()
        return [
            GalleryState(unit_id, room.revision, room.made.revision if room.made else 0, room.push_count)
            for unit_id, room in self.rooms.items()
        ]

    def prepare(self, unit_id: str) -> None:
        self._check()
        room = self.rooms[unit_id]
        gallery, made = self._build(unit_id, room), room.made
        if made is None or made.revision < room.revision or made.manifest == gallery.manifest:
            room.made, room.made_generation = gallery, room.generation
        else:
            # Made from something else meanwhile, such as another pack: that asks for a revision.
            room.revision += 1

    def _build(self, unit_id: str, room: Room) -> Gallery:
        members = tuple(
            Member(student_id(one), f"S{one}", f"Student {one}", DIMENSIONS, (face_of(one % _FACES).tobytes(),))
            for one in sorted(room.members)
        )
        facts = GalleryFacts(
            site=self._site,
            unit_id=unit_id,
            revision=room.revision,
            pack_id=self.pack.pack_id,
            members=members,
            look_alikes=frozenset(),
            lessons=(),
            generation=room.generation,
            pack_list=self.pack.list_bytes,
        )
        return build(facts, keys_of(unit_id), POINTS.to_dict())

    def head(self, unit_id: str) -> PreparedHead | None:
        made = self.rooms[unit_id].made
        return PreparedHead(made.revision, made.head) if made else None

    def content(self, unit_id: str, kind: ContentKind, content_hash: str) -> bytes | None:  # noqa: ARG002 (the port)
        self._check()
        made = self.rooms[unit_id].made
        if made is None:
            return None
        return {made.manifest_hash: made.manifest, made.timetable_hash: made.timetable, **made.blobs}.get(content_hash)

    def part(self, kind: ContentKind, content_hash: str, index: int) -> PackPart | None:
        known = self.pack.content.get(content_hash)
        if known is None or known[0] != kind:
            return None
        pieces = [known[1][at : at + MAX_PART_BYTES] for at in range(0, len(known[1]), MAX_PART_BYTES)]
        return PackPart(index, len(pieces), pieces[index]) if index < len(pieces) else None

    # ---- what must hold when it is quiet ---------------------------------------------------------------------------

    def complaints(self, unit_id: str, disk: Disk) -> list[str]:
        """Return what differs between the hub's gallery of a unit and what is on its card (I4)."""
        room, store = self.rooms[unit_id], gallery_on(disk)
        body, made = store.in_use(), room.made
        if made is None or body is None:
            return [f"I4: unit {unit_id} has no gallery"]
        found = []
        if (body.generation, body.revision, body.manifest_hash) != (
            room.generation,
            room.revision,
            made.manifest_hash,
        ):
            found.append(f"I4: unit {unit_id} has {body.generation}.{body.revision}, the hub another gallery")
        wanted = {made.manifest_hash, made.timetable_hash, *made.blobs}
        if set(store.content) != wanted:
            found.append(f"I4: unit {unit_id} holds {len(store.content)} pieces, the gallery has {len(wanted)}")
        if body.pack_id != self.pack.pack_id:
            found.append(f"I4: unit {unit_id} runs another pack")
        if room.unconfirmed:
            found.append(f"I4: {len(room.unconfirmed)} erasures have no receipt from unit {unit_id}")
        return found


class CardGallery(MemoryGalleryStore):
    """The gallery on a card; `crash` is asked at both sides of every write."""

    def __init__(self) -> None:
        super().__init__()
        self.crash: Callable[[str], None] | None = None

    def __copy__(self) -> CardGallery:
        twin = CardGallery()
        twin.content, twin._signed = dict(self.content), self._signed
        return twin

    def stage(self, content_hash: str, sealed: bytes) -> None:
        self._at("before stage")
        super().stage(content_hash, sealed)
        self._at("after stage")

    def swap(self, gallery: StagedGallery) -> None:
        self._at("before swap")
        super().swap(gallery)
        self._at("after swap")

    def _at(self, moment: str) -> None:
        if self.crash is not None:
            self.crash(moment)


class CardPacks(MemoryPackStore):
    """The packs on a card."""

    def __copy__(self) -> CardPacks:
        twin = CardPacks()
        twin.whole = {name: dict(files) for name, files in self.whole.items()}
        twin.coming = {name: dict(files) for name, files in self.coming.items()}
        return twin


def gallery_on(disk: Disk) -> CardGallery:
    """Return the gallery part of a card."""
    found = disk.extra.setdefault("gallery", CardGallery())
    assert isinstance(found, CardGallery)
    return found


def packs_on(disk: Disk) -> CardPacks:
    """Return the packs on a card; it was shipped with the old one."""
    found = disk.extra.setdefault("packs", CardPacks(OLD))
    assert isinstance(found, CardPacks)
    return found


class Follower:
    """The part of a unit's program that follows galleries and packs: the real keeper on the card."""

    def __init__(self, unit: SimUnit, reopen: Callable[[], None]) -> None:
        store, packs = gallery_on(unit.disk), packs_on(unit.disk)
        store.crash = None
        head = store.in_use()
        self.pack_id = head.pack_id if head is not None and packs.has(head.pack_id) else OLD.pack_id
        identity = identity_of(unit.site, unit.unit_id, self.pack_id)
        self.store = store
        self.keeper = GalleryKeeper(identity, store, DIMENSIONS, unit.clock, Health(), NewPacks(packs, reopen))
        self.keeper.open_stored(store.signed_head())

    def heard(self, message: Head | Part) -> Applied | None:
        """Take a head or a piece in."""
        return self.keeper.on_head(message) if isinstance(message, Head) else self.keeper.on_part(message)

    def due(self, now_s: float) -> Want | Applied | None:
        """Return what is to be asked or told now."""
        return self.keeper.next_want(now_s) or self.keeper.finish_if_complete()

    def check(self) -> None:
        """What runs and what is known belong together (no models of two packs are ever mixed)."""
        assert self.keeper.known.gallery.pack_id == self.pack_id, "a gallery of another pack is in use"
