"""Scenes of which each was a loss once, or would be one in a program that is a little worse."""

from collections.abc import Iterator

import pytest

from tests.simulation import planted
from tests.simulation.broker import Weather
from tests.simulation.clocks import TEN_YEARS_S, UnitClock
from tests.simulation.dates import ANCHORED, UNDATED, judge_dates
from tests.simulation.disk import DEAD
from tests.simulation.facts import student_id
from tests.simulation.unit import SimUnit
from tests.simulation.world import Parts, Setting, World

HOUR_S = 3600.0


@pytest.fixture
def world() -> Iterator[World]:
    """A unit, two hub workers, a broker and a database that have run for two minutes."""
    made = World(3, 1, Setting(sample=3))
    with made.speaking():
        made.start()
        run(made, 120)
        yield made


def run(world: World, seconds: float) -> None:
    world.scheduler.run(world.scheduler.now_s + seconds)


def come(unit: SimUnit, first: int, count: int) -> None:
    for number in range(first, first + count):
        unit.see(student_id(number))


def everything_is_well(world: World) -> None:
    world.settle()
    assert world.checker.violations == []


def receipt_for_the_other_machine(world: World) -> None:
    """Two machines with copies of one card wrote ten events at the same places; one gets the receipt for the other."""
    one = world.units[0]
    come(one, 1, 1)
    run(world, 60)
    one.lose_network(silently=False)
    other = world.add_twin(one)
    run(world, 20)
    come(one, 10, 10)
    world.broker.weather = Weather(delay_s=2.0)
    other.kill()
    world.broker.reach_again(one.client_id)
    for _ in range(1000):
        run(world, 0.1)
        if one.process is not None and one.process.conversation.window.in_flight:
            break
    other.start()
    one.kill()
    run(world, 60)


def test_a_copied_card_does_not_believe_the_receipt_of_the_other(world: World) -> None:
    receipt_for_the_other_machine(world)
    everything_is_well(world)


def test_a_unit_that_believes_every_receipt_is_found_out() -> None:
    world = World(3, 1, Setting(sample=3, parts=Parts(process=planted.BelievesEveryReceipt)))
    with world.speaking():
        world.start()
        run(world, 120)
        receipt_for_the_other_machine(world)
    assert "I1" in "".join(world.checker.violations)


def test_a_restored_database_gets_back_what_it_had_refused_too(world: World) -> None:
    """A poison event is a dead letter on both sides again after the audit, and the high-water mark goes over it."""
    unit = world.units[0]
    come(unit, 1, 5)
    unit.write_poison(unit.chance)
    come(unit, 6, 5)
    run(world, 60)
    assert unit.disk.dead == 1
    world.restore_database(8)
    everything_is_well(world)
    table = world.database.streams[unit.unit_id, unit.disk.epoch]
    assert len(table.quarantine) == 1
    assert table.high_water == unit.disk.streams[unit.disk.epoch].last


def test_a_clock_at_1970_is_put_right_by_the_welcome() -> None:
    """A unit boots in 1970, records for an hour without a network, and then learns the time."""
    world = World(4, 1)
    with world.speaking():
        for worker in world.workers:
            worker.start()
        unit = world.units[0]
        unit.ntp_after_s = 1e9
        world.broker.offline.add(unit.client_id)
        unit.boot()
        for minute in range(60):
            come(unit, minute, 1)
            run(world, 60)
        unit.find_network()
        run(world, 600)
        everything_is_well(world)
        errors = judge_dates(world.checker)[ANCHORED]
    assert len(errors.sizes) > 60
    assert errors.highest_s < 0.5


def test_a_boot_that_was_never_synced_is_estimated_within_bounds(world: World) -> None:
    """The power goes before the unit has learned the time; the next boot is synced."""
    unit = world.units[0]
    come(unit, 1, 3)
    run(world, 60)
    unit.power_off()
    run(world, 600)
    unit.lose_network(silently=False)
    unit.ntp_after_s = 1e9
    unit.boot()
    come(unit, 10, 5)
    run(world, HOUR_S)
    unit.power_off()
    run(world, 600)
    unit.find_network()
    unit.ntp_after_s = 30.0
    unit.boot()
    come(unit, 20, 3)
    run(world, 600)
    everything_is_well(world)
    errors = judge_dates(world.checker)[UNDATED]
    assert len(errors.sizes) >= 5
    assert errors.outside == 0


def test_ten_years_ahead_and_back_deletes_nothing(world: World) -> None:
    unit = world.units[0]
    unit.lose_network(silently=True)
    come(unit, 1, 20)
    unit.clock.step(TEN_YEARS_S)
    come(unit, 30, 20)
    run(world, HOUR_S)
    unit.clock.sync()
    come(unit, 60, 20)
    unit.find_network()
    run(world, 600)
    everything_is_well(world)
    assert len(world.database.by_id) >= 60


@pytest.mark.parametrize("moment", ["before take", "after take", "before publish", "after publish"])
def test_a_worker_may_die_at_any_line_around_a_commit(world: World, moment: str) -> None:
    for worker in world.workers:
        worker.arm_at(moment)
    come(world.units[0], 1, 30)
    run(world, 120)
    assert any(worker.deaths for worker in world.workers)
    everything_is_well(world)


@pytest.mark.parametrize("moment", ["before append", "after append", "before send", "after send", "before delivered"])
def test_a_unit_may_die_at_any_line_around_a_commit(world: World, moment: str) -> None:
    unit = world.units[0]
    unit.arm_at(moment)
    come(unit, 1, 30)
    run(world, 120)
    assert unit.kills == 1
    everything_is_well(world)


def test_a_commit_whose_reply_is_lost_is_answered_as_a_duplicate(world: World) -> None:
    for worker in world.workers:
        worker.store.trouble = "reply lost"
    come(world.units[0], 1, 10)
    run(world, 120)
    everything_is_well(world)


def test_poison_in_the_middle_of_a_batch_holds_back_nothing(world: World) -> None:
    unit = world.units[0]
    unit.lose_network(silently=False)
    come(unit, 1, 50)
    unit.write_poison(unit.chance)
    come(unit, 60, 49)
    unit.find_network()
    everything_is_well(world)
    rows = unit.disk.streams[unit.disk.epoch].rows.values()
    assert [row.fact.kind for row in rows if row.state == DEAD] == ["other"]


def test_a_week_without_network_drains_while_new_events_come_at_once(world: World) -> None:
    unit = world.units[0]
    unit.lose_network(silently=True)
    for _ in range(7):
        for _ in range(500):
            unit.cover(60.0)
        run(world, 24 * HOUR_S)
    unit.find_network()
    run(world, 90)
    come(unit, 1, 1)
    run(world, 3)
    latest = max(unit.disk.streams[unit.disk.epoch].rows.items())[1]
    assert latest.fact.event_id in world.database.by_id
    everything_is_well(world)


def test_a_stream_that_events_were_moved_out_of_is_still_compared_with_the_database(world: World) -> None:
    """An old copy of the card leaves a stream with holes; later the database loses what it had of that stream."""
    unit = world.units[0]
    come(unit, 1, 8)
    run(world, 60)
    unit.copy_card()
    come(unit, 10, 5)
    run(world, 60)
    unit.put_card_back()
    unit.lose_network(silently=False)
    unit.boot()
    come(unit, 20, 3)
    run(world, 60)
    unit.find_network()
    run(world, 600)
    assert unit.disk.waiting == 0
    assert len(unit.disk.streams) == 2
    world.restore_database(1000)
    everything_is_well(world)


def test_a_unit_without_a_time_server_that_stays_connected_for_days_is_dated_right() -> None:
    """Its crystal is off by 20 ppm, 1.7 s a day; the only time it hears is the hub's."""
    world = World(6, 1, Setting(drift_ppm=0.0))
    with world.speaking():
        unit = world.units[0]
        unit.clock = UnitClock(world.scheduler, unit.chance, 20.0)
        unit.ntp_after_s = 1e9
        world.start()
        for day in range(5):
            for hour in range(8):
                come(unit, 100 * day + hour, 1)
                run(world, HOUR_S)
            run(world, 16 * HOUR_S)
        everything_is_well(world)
        errors = judge_dates(world.checker)[ANCHORED]
    assert errors.highest_s < 1.0
