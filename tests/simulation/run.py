"""One simulated run from beginning to end: days of school with faults, then quiet, then the judgement."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time

from tests.simulation.dates import Errors, judge_dates
from tests.simulation.disk import DEAD
from tests.simulation.faults import Faults
from tests.simulation.school import DAY_S, School
from tests.simulation.world import Setting, World

_LOOK_EVERY_S = 300.0
Progress = Callable[[float, float], None]
"""(virtual seconds done, of how many)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. `kinds`: which faults; `pace`: how many times as often as usual."""

    seed: int
    units: int
    days: float
    kinds: tuple[str, ...] = ()
    pace: float = 1.0
    students: int = 30
    setting: Setting = field(default_factory=Setting)


@dataclass(slots=True)
class Outcome:
    """What happened, for people and scripts."""

    plan: Plan
    violations: list[str]
    figures: dict[str, int | float]
    errors: dict[str, Errors]
    faults: dict[str, int]

    @property
    def held(self) -> bool:
        """True when nothing happened that must never happen."""
        return not self.violations


def simulate(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run a plan to its end and judge it."""
    before, collects = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.CRITICAL)
    # A run keeps nearly everything it makes: looking for what could go would cost much and find little.
    gc.disable()
    try:
        return _simulate(plan, progress or (lambda _done, _total: None))
    finally:
        logging.disable(before)
        if collects:
            gc.enable()


def _simulate(plan: Plan, progress: Progress) -> Outcome:
    world = World(plan.seed, plan.units, plan.setting)
    wall_s, cpu_s = perf_counter(), process_time()
    with world.speaking():
        world.start()
        school = School(world.scheduler, students=plan.students)
        for unit in world.units:
            school.plan(unit, max(1, round(plan.days)))
        end_s = plan.days * DAY_S
        faults = Faults(world, end_s, plan.kinds, plan.pace)
        most = _run(world, end_s, progress)
        settled_s = world.settle()
    wall_s, cpu_s = perf_counter() - wall_s, process_time() - cpu_s
    errors = judge_dates(world.checker)
    figures = _figures(world)
    figures |= {
        "most events waiting": most,
        "settled after, virtual s": settled_s,
        "wall s": wall_s,
        "cpu s": cpu_s,
        "events a cpu minute": 60 * world.checker.written_down / cpu_s,
        "actions a cpu minute": 60 * world.scheduler.done / cpu_s,
    }
    return Outcome(plan, world.checker.violations, figures, errors, faults.happened)


def _run(world: World, end_s: float, progress: Progress) -> int:
    most = 0
    while world.scheduler.now_s < end_s:
        world.scheduler.run(min(end_s, world.scheduler.now_s + _LOOK_EVERY_S))
        most = max(most, sum(unit.disk.waiting for unit in world.every_unit))
        progress(world.scheduler.now_s, end_s)
    return most


def _figures(world: World) -> dict[str, int | float]:
    checker, database = world.checker, world.database
    disks = [unit.disk for unit in world.every_unit]
    ledger = checker.ledger
    delays_us = sorted(
        record.reading.received_us - ledger[record.event_id].true_us
        for record in database.by_id.values()
        if record.event_id in ledger
    )
    rows = [row for disk in disks for stream in disk.streams.values() for row in stream.rows.values()]
    return {
        "events made": checker.written_down,
        "events at the hub": len(database.by_id),
        "lost": checker.count_lost(disks),
        "duplicated": len(database.by_id.keys() - ledger.keys()) + database.refused_inserts,
        "dead letters": sum(row.state == DEAD for row in rows),
        "gone with a card that was replaced": len(checker.disowned - database.by_id.keys()),
        "lost by the database and sent again": len(checker.rolled_back),
        **{name: world.counts[name] for name in ("requeued", "retried", "renumbered", "new streams")},
        "transactions": database.transactions,
        "messages": world.wire.messages,
        "messages through the codec": world.wire.encoded,
        "batches parsed": world.reader.read,
        "batches": world.reader.batches,
        "messages lost by the network": world.broker.lost,
        "messages doubled": world.broker.doubled,
        "messages out of order": world.broker.disordered,
        "actions": world.scheduler.done,
        "delivery median s": delays_us[len(delays_us) // 2] / 1e6 if delays_us else 0.0,
        "delivery p99 s": delays_us[len(delays_us) * 99 // 100] / 1e6 if delays_us else 0.0,
    }
