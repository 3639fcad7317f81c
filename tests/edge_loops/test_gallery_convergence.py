"""Galleries, resets, erasures and packs through everything at once: when it is quiet, the unit has what the hub has."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core.errors import StorageFull
from protocol.base import MAX_PART_BYTES
from protocol.content import Applied, Part, Want
from tests.builders import SealedGallery, student
from tests.edge_loops.pack_change import NEW, OLD, Disk, Killed, Life, Program, gallery

SMALL = 900


class Hub:
    """A hub's books, by the rules of `hub.adapters`: which gallery a unit should have, and what it has to erase."""

    def __init__(self) -> None:
        self.versions: list[SealedGallery] = []
        self.members: set[int] = set()
        self.unconfirmed: dict[str, int] = {}
        self.erased: set[str] = set()
        self._revision, self._generation, self._pack = 0, 0, OLD
        self.change({1, 2, 3})

    @property
    def latest(self) -> SealedGallery:
        return self.versions[-1]

    def change(self, members: set[int]) -> None:
        """Enrol and erase students."""
        self._revision += 1
        for gone in self.members - members:
            self.unconfirmed[student(gone)] = self._revision
            self.erased.add(student(gone))
        for back in members:
            self.unconfirmed.pop(student(back), None)
            self.erased.discard(student(back))
        self.members = members
        self.versions.append(gallery(self._pack, self._revision, *sorted(members), generation=self._generation))

    def reset(self) -> None:
        self._generation += 1
        self.change(set(self.members))

    def other_pack(self) -> None:
        self._pack = NEW if self._pack is OLD else OLD
        self.change(set(self.members))

    def hear(self, applied: Applied) -> None:
        """Take a unit's word: a revision we made is the receipt for every erasure up to it."""
        body = self.latest.body
        if applied.generation != body.generation:
            up_to = 0
        elif applied.revision == body.revision:
            up_to = applied.revision if applied.manifest_hash == body.manifest_hash else 0
        else:
            up_to = applied.revision if applied.revision < body.revision else 0
        for student_id, revision in list(self.unconfirmed.items()):
            if revision <= up_to or student_id in applied.erased:
                del self.unconfirmed[student_id]


class World:
    """A hub, a unit's disk, the program that runs on it, and the air between them."""

    def __init__(self) -> None:
        self.hub, self.disk = Hub(), Disk()
        self.program = Program(self.disk)
        self.air: list[Part] = []

    def restart(self, life: Life | None = None) -> None:
        self.program = Program(self.disk, life)

    def head(self, number: int) -> None:
        """Any head that was ever announced arrives, old ones too."""
        self.program.hear(self.hub.versions[-1 - number % len(self.hub.versions)])

    def ask(self) -> None:
        self.program.now_s += 1000.0
        want = self.program.keeper.next_want(self.program.now_s)
        if isinstance(want, Want):
            self.air += self.hub.latest.parts(want, size=SMALL)
        self.program.say(self.program.keeper.finish_if_complete())

    def deliver(self, number: int, fate: str) -> None:
        if not self.air:
            return
        part = self.air.pop(number % len(self.air))
        self.air += [part] if fate == "twice" else []
        for changed in _fated(part, fate):
            self.program.say(self.program.keeper.on_part(changed))

    def listen(self, *, lost: bool) -> None:
        """What the unit said reaches the hub, or does not."""
        for said in self.program.said:
            if not lost:
                self.hub.hear(said)
        self.program.said.clear()

    def rot(self, number: int) -> None:
        """The card turns over a bit."""
        held = sorted(self.disk.gallery.content)
        if held:
            self.disk.gallery.damage(held[number % len(held)])

    def settle(self) -> None:
        """Let everything come to rest over a good network."""
        for _ in range(3):
            self.restart()
            self.program.follow(self.hub.latest)
            self.listen(lost=False)


def _fated(part: Part, fate: str) -> Iterable[Part]:
    if fate == "lost":
        return []
    changes: dict[str, dict[str, object]] = {
        "damaged": {"data": (part.data[::-1] + b"!")[:MAX_PART_BYTES]},
        "wrong count": {"count": part.count + 1},
        "missing": {"missing": True, "data": b""},
    }
    return [part.model_copy(update=changes.get(fate, {}))]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["part"] * 12
            + ["ask"] * 6
            + ["head"] * 3
            + ["listen", "unheard", "change", "change", "reset", "pack", "restart", "killed", "full", "rot"]
        ),
        st.integers(0, 10**6),
        st.sampled_from(["whole"] * 5 + ["damaged", "twice", "lost", "wrong count", "missing"]),
    ),
    max_size=120,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
@pytest.mark.slow
def test_when_it_is_quiet_the_unit_has_the_hubs_gallery_and_every_erasure_its_receipt(
    steps: list[tuple[str, int, str]],
) -> None:
    world = World()
    world.program.follow(world.hub.latest)
    for what, number, fate in steps:
        try:
            _step(world, what, number, fate)
        except Killed:
            world.restart()
        except StorageFull:
            world.disk.gallery.trouble.heal()
        if world.program.reopens:
            world.restart()
        world.program.check()
    world.disk.gallery.trouble.heal()
    world.settle()
    _as_the_hub_has_it(world)


def _step(world: World, what: str, number: int, fate: str) -> None:
    happenings: dict[str, Callable[[], None]] = {
        "part": lambda: world.deliver(number, fate),
        "ask": world.ask,
        "head": lambda: world.head(number if number % 3 == 0 else 0),
        "listen": lambda: world.listen(lost=False),
        "unheard": lambda: world.listen(lost=True),
        "change": lambda: world.hub.change({one for one in range(1, 6) if number >> one & 1}),
        "reset": world.hub.reset,
        "pack": world.hub.other_pack,
        "restart": world.restart,
        "killed": lambda: world.restart(Life(1 + number % 12, after=number % 2 == 0)),
        "full": lambda: world.disk.gallery.trouble.fill(times=1 + number % 2),
        "rot": lambda: world.rot(number),
    }
    happenings[what]()


def _as_the_hub_has_it(world: World) -> None:
    latest, disk = world.hub.latest, world.disk
    assert disk.gallery.in_use() == latest.body
    assert world.program.pack_id == latest.body.pack_id
    assert world.program.students == {student(one) for one in world.hub.members}
    assert disk.gallery.content == {
        name: sealed for name, (kind, sealed) in latest.content.items() if not kind.startswith("pack")
    }
    assert world.hub.unconfirmed == {}
    templates_of_erased = {
        entry.template_hash
        for version in world.hub.versions
        for entry in version.manifest.entries
        if entry.student_id in world.hub.erased
    }
    assert not templates_of_erased & set(disk.gallery.content)
    assert disk.packs.coming == {}
    assert [problem.code for problem in world.program.health.problems()] == []
