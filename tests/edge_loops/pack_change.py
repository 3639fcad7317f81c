"""A unit's program over a disk that may be killed at any step, for tests of what gallery and pack do together."""

from collections.abc import Callable
from typing import Any, cast

from edge.core.gallery_pieces import UnitIdentity
from edge.core.ports import GalleryStore, PackStore
from edge.loops.gallery import GalleryKeeper, NewPacks
from edge.loops.health import Health
from protocol import sealing
from protocol.content import Applied, Want
from tests.builders import DIMENSIONS, SITE, UNIT, HubSide, PackOffer, SealedGallery, face_of, student
from tests.fakes import FakeClock, MemoryGalleryStore
from tests.pack_fakes import MemoryPackStore, made_up_pack

OLD = made_up_pack("old", seed=1, sizes={"embedder-f32.bin": 200_000})
NEW = made_up_pack("new", seed=2, sizes={"embedder-f32.bin": 200_000})
PACKS = {pack.pack_id: pack for pack in (OLD, NEW)}
HUB = HubSide()
_WRITES = {"stage", "drop", "swap", "put", "check", "plan", "finish", "abandon"}


class Killed(BaseException):
    """The process was killed here."""


class Life:
    """Ends before or after the n-th write, if it is told to."""

    def __init__(self, ends_at: int | None = None, *, after: bool = False) -> None:
        self.ends_at = ends_at
        self.after = after
        self.writes = 0

    def lives(self, port: Any) -> Any:
        """Return a port whose writes count."""
        return _Mortal(port, self)

    def write(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Do one write, or be killed."""
        self.writes += 1
        if self.writes == self.ends_at and not self.after:
            raise Killed
        result = method(*arguments, **named)
        if self.writes == self.ends_at:
            raise Killed
        return result


class _Mortal:
    def __init__(self, port: Any, life: Life) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return method if name not in _WRITES else lambda *given, **named: self._life.write(method, *given, **named)


class Disk:
    """What survives."""

    def __init__(self) -> None:
        self.gallery = MemoryGalleryStore()
        self.packs = MemoryPackStore(OLD)


class Program:
    """The unit's program from a start to its end, as far as gallery and pack are concerned."""

    def __init__(self, disk: Disk, life: Life | None = None, *, accept_packs: bool = True) -> None:
        life = life or Life()
        self.disk = disk
        head = disk.gallery.in_use()
        self.pack_id = head.pack_id if head and disk.packs.has(head.pack_id) else OLD.pack_id
        public_key = sealing.public_key_of(HUB.private_key)
        self.identity = UnitIdentity(SITE, UNIT, self.pack_id, HUB.data_key, public_key)
        self.health = Health()
        self.reopens = 0
        packs = NewPacks(cast("PackStore", life.lives(disk.packs)), self._reopen)
        store = cast("GalleryStore", life.lives(disk.gallery))
        self.keeper = GalleryKeeper(
            self.identity, store, DIMENSIONS, FakeClock(), self.health, packs if accept_packs else None
        )
        self.keeper.open_stored(disk.gallery.signed_head())
        self.now_s = 0.0
        self.said: list[Applied] = []
        self.check()

    def _reopen(self) -> None:
        self.reopens += 1

    def check(self) -> None:
        """What runs and what is known belong together, and what is on disk can be opened."""
        known = self.keeper.known
        assert known.gallery.pack_id == self.pack_id
        head = self.disk.gallery.in_use()
        assert head is None or self.disk.packs.has(head.pack_id)

    @property
    def students(self) -> set[str]:
        return set(self.keeper.known.gallery.student_ids)

    def hear(self, source: SealedGallery) -> None:
        """Take a head."""
        self.say(self.keeper.on_head(source.head))

    def step(self, source: SealedGallery, after_s: float = 1000.0) -> list[str]:
        """Ask once and take the answers; return the kinds asked for."""
        self.now_s += after_s
        want = self.keeper.next_want(self.now_s)
        if not isinstance(want, Want):
            self.say(want)
            self.say(self.keeper.finish_if_complete())
            return []
        for part in source.parts(want):
            self.say(self.keeper.on_part(part))
            self.check()
        return [item.kind for item in want.items]

    def follow(self, source: SealedGallery) -> list[str]:
        """Take a head and fetch everything over a good network, until the program is to be opened anew or has it."""
        self.hear(source)
        kinds: list[str] = []
        for _ in range(60):
            if self.reopens:
                break
            kinds += self.step(source)
        return kinds

    def say(self, message: Applied | None) -> None:
        """Note what the unit tells the hub."""
        self.said += [message] if message else []


def gallery(pack: PackOffer, revision: int, *numbers: int, generation: int = 0) -> SealedGallery:
    """Return a gallery of these students for a pack that the hub offers."""
    hub = HubSide(pack_id=pack.pack_id)
    return hub.gallery(revision, {one: [face_of(one)] for one in numbers}, generation=generation, pack=pack)


def students(*numbers: int) -> set[str]:
    """Return their ids."""
    return {student(number) for number in numbers}
