"""Galleries, erasures, resets and packs through broker, hub and units: in the end every unit has the hub's (I4)."""

import pytest

from tests.simulation.broker import Weather
from tests.simulation.facts import student_id
from tests.simulation.galleries import SimGalleries, gallery_on
from tests.simulation.world import Setting, World

DAY_S = 86_400.0


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
