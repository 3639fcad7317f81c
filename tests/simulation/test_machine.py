"""A search through what can go wrong, in a small world: hypothesis chooses the faults and shortens what it finds.

A failing run prints its steps; they replay it exactly.
"""

import logging
from contextlib import ExitStack
from random import Random
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.simulation.broker import Weather
from tests.simulation.clocks import TEN_YEARS_S
from tests.simulation.dates import judge_dates
from tests.simulation.facts import student_id
from tests.simulation.unit import SimUnit
from tests.simulation.world import Setting, World

UNIT_MOMENTS = tuple(
    f"{side} {what}"
    for side in ("before", "after")
    for what in ("append", "delivered", "rejected", "requeue", "renumber", "begin_epoch", "retry", "send")
)
BRIEF = 10
WORKER_MOMENTS = tuple(f"{side} {what}" for side in ("before", "after") for what in ("take", "greet", "publish"))
WEATHERS = (
    Weather(),
    Weather(delay_s=2.0),
    Weather(lost=0.3),
    Weather(doubled=0.3, late_s=60.0),
    Weather(lost=0.1, doubled=0.2, disordered=0.3, late_s=600.0),
)
units = st.integers(0, 1)
workers = st.integers(0, 1)


class SchoolMachine(RuleBasedStateMachine):
    """Two units, two hub workers, one broker, one database."""

    judges_dates = True

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Switch everything on."""
        self.stack = ExitStack()
        logging.disable(logging.CRITICAL)
        # Some wait a day for the audit, as units do; others start anew, which costs less.
        self.world = World(seed, 2, Setting(strict=True, sample=5, restarts_for_audit=seed % 4 > 0))
        self.stack.enter_context(self.world.speaking())
        self.chance = Random(seed)  # noqa: S311 (a search must repeat)
        self.students = 0
        self.world.start()
        self.world.scheduler.run(60.0)

    def unit(self, number: int) -> SimUnit:
        """One of the machines, copies included."""
        return self.world.every_unit[number % len(self.world.every_unit)]

    # ---- what is normal --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 5.0, 20.0, 60.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing special happens."""
        self.world.scheduler.run(self.world.scheduler.now_s + seconds)

    @rule(hours=st.sampled_from([1, 7]))
    def hours_pass(self, hours: int) -> None:
        """Long enough for statuses, audits and time-outs."""
        self.world.scheduler.run(self.world.scheduler.now_s + hours * 3600.0)

    @rule(number=units, count=st.integers(1, 30))
    def students_come(self, number: int, count: int) -> None:
        """Some students come into view of a machine."""
        for _ in range(count):
            self.students += 1
            self.unit(number).see(student_id(self.students))

    @rule(number=units)
    def lesson_ends(self, number: int) -> None:
        """Every interval ends."""
        self.unit(number).end_lesson()

    @rule(number=units, count=st.sampled_from([150, 1100]))
    def much_is_written_down(self, number: int, count: int) -> None:
        """More than one batch, or than one range of an audit."""
        for _ in range(count):
            self.unit(number).cover(1.0)

    # ---- units -----------------------------------------------------------------------------------------------------

    @rule(number=units)
    def program_is_killed(self, number: int) -> None:
        """And started again."""
        self.unit(number).kill()
        self.unit(number).start()

    @rule(number=units, moment=st.sampled_from(UNIT_MOMENTS))
    def program_will_die(self, number: int, moment: str) -> None:
        """At its next commit of some kind, before or after it."""
        self.unit(number).arm_at(moment)

    @rule(number=units, wall=st.sampled_from(["1970", "saved", "right"]))
    def power_is_cut(self, number: int, wall: Literal["1970", "saved", "right"]) -> None:
        """And comes back."""
        unit = self.unit(number)
        unit.power_off()
        unit.wall_at_boot = wall
        unit.boot()

    @rule(number=units, silently=st.booleans())
    def network_goes(self, number: int, silently: bool) -> None:
        """Noticed or not."""
        self.unit(number).lose_network(silently=silently)

    @rule(number=units)
    def network_comes(self, number: int) -> None:
        """The network is there again."""
        self.unit(number).find_network()

    @rule(number=units)
    def connection_breaks(self, number: int) -> None:
        """For a moment."""
        self.world.broker.flap(self.unit(number).client_id)

    @rule(number=units, by_s=st.sampled_from([-TEN_YEARS_S, -3600.0, 5.0, 3600.0, TEN_YEARS_S]))
    def clock_is_set(self, number: int, by_s: float) -> None:
        """By a person, wrongly."""
        self.unit(number).clock.lose_ntp()
        self.unit(number).clock.step(by_s)

    @rule(number=units)
    def time_server_is_found(self, number: int) -> None:
        """NTP sets the clock right."""
        if self.unit(number).powered:
            self.unit(number).clock.sync()

    @rule(number=units)
    def disk_fills(self, number: int) -> None:
        """The card takes nothing."""
        self.unit(number).disk.full = True

    @rule(number=units)
    def disk_is_freed(self, number: int) -> None:
        """There is room again."""
        self.unit(number).free_disk()

    @rule(number=units)
    def card_is_kept(self, number: int) -> None:
        """Somebody makes a copy of a card."""
        self.unit(number).copy_card()

    @rule(number=units)
    def old_card_is_put_back(self, number: int) -> None:
        """The copy is put in the place of the card."""
        if self.unit(number).put_card_back():
            self.unit(number).boot()

    @precondition(lambda self: not self.world.twins)
    @rule(number=units)
    def card_is_cloned(self, number: int) -> None:
        """The copy runs in another machine."""
        self.world.add_twin(self.unit(number))

    @rule(number=units)
    def defect_writes_poison(self, number: int) -> None:
        """What nobody can read is written down."""
        self.unit(number).write_poison(self.chance)

    # ---- broker, hub, database -------------------------------------------------------------------------------------

    @rule(weather=st.sampled_from(WEATHERS))
    def weather_changes(self, weather: Weather) -> None:
        """The network between all of them gets better or worse."""
        self.world.broker.weather = weather

    @rule(persistent=st.booleans())
    def broker_dies(self, persistent: bool) -> None:
        """With or without what it retained."""
        self.world.broker.persistent = persistent
        self.world.broker.die()

    @rule()
    def broker_comes_back(self) -> None:
        """It is started again."""
        self.world.broker.come_back()

    @rule(number=workers)
    def worker_is_killed(self, number: int) -> None:
        """And started again."""
        self.world.workers[number].kill()
        self.world.workers[number].start()

    @rule(number=workers, moment=st.sampled_from(WORKER_MOMENTS))
    def worker_will_die(self, number: int, moment: str) -> None:
        """Between a commit and its receipt, for instance."""
        self.world.workers[number].arm_at(moment)

    @rule(number=workers, trouble=st.sampled_from(["refused", "reply lost"]))
    def transaction_will_fail(self, number: int, trouble: Literal["refused", "reply lost"]) -> None:
        """Before it commits, or only seemingly."""
        self.world.workers[number].store.trouble = trouble

    @rule(up=st.booleans())
    def database_goes_or_comes(self, up: bool) -> None:
        """The server is away, or back."""
        self.world.database.up = up

    @rule(rows=st.sampled_from([1, 5, 40, 400]))
    def database_is_restored(self, rows: int) -> None:
        """The last rows it had committed are gone."""
        self.world.restore_database(rows)

    # The checker looks at every commit and every receipt; what it finds ends the run where it happens.

    def teardown(self) -> None:
        """Heal everything: it must come to rest, and everything be where it belongs."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.settle()
            if self.judges_dates:
                judge_dates(self.world.checker)
        finally:
            self.stack.close()
            logging.disable(logging.NOTSET)


def _search(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        # The brief search is the same each time; the longer one goes elsewhere each time.
        derandomize=examples <= BRIEF,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def test_whatever_happens_nothing_is_lost_or_doubled_and_everything_arrives() -> None:
    run_state_machine_as_test(SchoolMachine, settings=_search(BRIEF, 25))


@pytest.mark.slow
def test_whatever_happens_also_in_a_longer_search() -> None:
    run_state_machine_as_test(SchoolMachine, settings=_search(12, 40))
