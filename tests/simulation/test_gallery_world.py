"""Galleries, erasures, resets and packs through broker, hub and units: in the end every unit has the hub's (I4)."""

import logging
from contextlib import ExitStack
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.simulation.broker import Weather
from tests.simulation.facts import student_id
from tests.simulation.galleries import SimGalleries, gallery_on
from tests.simulation.unit import SimUnit
from tests.simulation.world import Setting, World

DAY_S = 86_400.0
BRIEF = 12
MOMENTS = tuple(f"{side} {what}" for side in ("before", "after") for what in ("stage", "swap", "send"))
WEATHERS = (
    Weather(),
    Weather(delay_s=2.0),
    Weather(lost=0.3),
    Weather(damaged=0.4),
    Weather(lost=0.1, doubled=0.2, disordered=0.3, damaged=0.1, late_s=60.0),
)


def a_world(units: int = 1) -> World:
    return World(5, units, Setting(galleries=True, sample=5))


def run(world: World, seconds: float) -> None:
    world.scheduler.run(world.scheduler.now_s + seconds)


def galleries_of(world: World) -> SimGalleries:
    assert world.galleries is not None
    return world.galleries


@pytest.mark.slow
def test_a_student_erased_while_the_unit_was_off_for_sixty_days_is_gone_after_the_next_contact() -> None:
    world = a_world()
    with world.speaking():
        world.start()
        unit, galleries = world.units[0], galleries_of(world)
        run(world, 300)
        before = dict(gallery_on(unit.disk).content)
        unit.power_off()
        galleries.change(unit.unit_id, {1, 2})
        assert galleries.rooms[unit.unit_id].unconfirmed == {student_id(3): 2}
        run(world, 60 * DAY_S)
        assert galleries.rooms[unit.unit_id].unconfirmed, "nobody has said that the student is gone"
        unit.boot()
        run(world, 600)
        assert galleries.rooms[unit.unit_id].unconfirmed == {}
        assert len(gallery_on(unit.disk).content) == len(before) - 1
        world.settle()
    assert world.checker.violations == []


def test_a_restored_database_overtakes_what_units_have() -> None:
    world = a_world()
    with world.speaking():
        world.start()
        unit, galleries = world.units[0], galleries_of(world)
        run(world, 300)
        for members in ({1, 2}, {1, 2, 3, 4}, {4}):
            galleries.change(unit.unit_id, members)
            run(world, 180)
        galleries.restore()
        world.broker.flap(unit.client_id)
        run(world, 600)
        world.settle()
    assert world.checker.violations == []


def test_a_unit_changes_to_another_pack_in_the_middle_of_everything() -> None:
    world = a_world(2)
    with world.speaking():
        world.start()
        galleries = galleries_of(world)
        run(world, 300)
        world.broker.weather = Weather(lost=0.1, damaged=0.1)
        galleries.other_pack()
        for step in range(10):
            run(world, 20)
            galleries.change(world.units[0].unit_id, set(range(1, 3 + step % 4)))
            world.units[step % 2].kill()
            world.units[step % 2].start()
        world.settle()
    assert world.checker.violations == []


class GalleryMachine(RuleBasedStateMachine):
    """Two units, two workers; hypothesis chooses what happens to their galleries."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Switch everything on."""
        self.stack = ExitStack()
        logging.disable(logging.CRITICAL)
        self.world = World(seed, 2, Setting(galleries=True, strict=True, sample=5))
        self.stack.enter_context(self.world.speaking())
        self.world.start()

    def unit(self, number: int) -> SimUnit:
        """One of the units."""
        return self.world.units[number]

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 10.0, 60.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing special happens."""
        run(self.world, seconds)

    @rule(number=st.integers(0, 1), members=st.sets(st.integers(1, 8), max_size=6))
    def students_are_enrolled_and_erased(self, number: int, members: set[int]) -> None:
        """A gallery gets a new revision."""
        galleries_of(self.world).change(self.unit(number).unit_id, members)

    @rule(number=st.integers(0, 1))
    def gallery_is_reset(self, number: int) -> None:
        """Its revisions are counted anew."""
        galleries_of(self.world).reset(self.unit(number).unit_id)

    @rule()
    def school_changes_the_pack(self) -> None:
        """All galleries are made for other models."""
        galleries_of(self.world).other_pack()

    @rule()
    def database_is_restored(self) -> None:
        """What was enrolled and erased last is forgotten."""
        galleries_of(self.world).restore()

    @rule(number=st.integers(0, 1))
    def program_is_killed(self, number: int) -> None:
        """And started again."""
        self.unit(number).kill()
        self.unit(number).start()

    @rule(number=st.integers(0, 1), moment=st.sampled_from(MOMENTS))
    def program_will_die(self, number: int, moment: str) -> None:
        """At the next write to its gallery, before or after it."""
        self.unit(number).arm_at(moment)

    @rule(number=st.integers(0, 1), wall=st.sampled_from(["1970", "right"]))
    def power_is_cut(self, number: int, wall: Literal["1970", "right"]) -> None:
        """And comes back."""
        self.unit(number).power_off()
        self.unit(number).wall_at_boot = wall
        self.unit(number).boot()

    @rule(number=st.integers(0, 1), silently=st.booleans())
    def network_goes(self, number: int, silently: bool) -> None:
        """Noticed or not."""
        self.unit(number).lose_network(silently=silently)

    @rule(number=st.integers(0, 1))
    def network_comes(self, number: int) -> None:
        """The network is there again."""
        self.unit(number).find_network()

    @rule(weather=st.sampled_from(WEATHERS))
    def weather_changes(self, weather: Weather) -> None:
        """Pieces are lost, doubled, altered."""
        self.world.broker.weather = weather

    @rule(number=st.integers(0, 1))
    def card_is_kept(self, number: int) -> None:
        """Somebody makes a copy of a card."""
        self.unit(number).copy_card()

    @rule(number=st.integers(0, 1))
    def old_card_is_put_back(self, number: int) -> None:
        """The copy is put in the place of the card, with its old gallery."""
        if self.unit(number).put_card_back():
            self.unit(number).boot()

    @rule(persistent=st.booleans())
    def broker_restarts(self, persistent: bool) -> None:
        """With or without the heads that it retained."""
        self.world.broker.persistent = persistent
        self.world.broker.die()
        self.world.broker.come_back()

    @rule(number=st.integers(0, 1))
    def worker_is_killed(self, number: int) -> None:
        """And started again."""
        self.world.workers[number].kill()
        self.world.workers[number].start()

    def teardown(self) -> None:
        """Heal everything: every unit must come to have the hub's gallery, and every erasure its receipt."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.settle()
        finally:
            self.stack.close()
            logging.disable(logging.NOTSET)


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=examples <= BRIEF,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def test_whatever_happens_to_galleries_every_unit_comes_to_have_the_hubs() -> None:
    run_state_machine_as_test(GalleryMachine, settings=_settings(BRIEF, 25))


@pytest.mark.slow
def test_whatever_happens_to_galleries_also_in_a_longer_search() -> None:
    run_state_machine_as_test(GalleryMachine, settings=_settings(15, 40))
