"""A search through what can go wrong with attendance, in a small world."""

from random import Random
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.simulation.broker import Weather
from tests.simulation.clocks import TEN_YEARS_S
from tests.simulation.dates import judge_dates
from tests.simulation.facts import student_id
from tests.simulation.machine import WorldMachine, units, workers
from tests.simulation.world import Setting

UNIT_MOMENTS = tuple(
    f"{side} {what}"
    for side in ("before", "after")
    for what in ("append", "delivered", "rejected", "requeue", "renumber", "begin_epoch", "retry", "send")
)
WORKER_MOMENTS = tuple(f"{side} {what}" for side in ("before", "after") for what in ("take", "greet", "publish"))
WEATHERS = (
    Weather(),
    Weather(delay_s=2.0),
    Weather(lost=0.3),
    Weather(doubled=0.3, late_s=60.0),
    Weather(lost=0.1, doubled=0.2, disordered=0.3, late_s=600.0),
)


class SchoolMachine(WorldMachine):
    """Attendance: events, streams, receipts, dates."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Switch everything on."""
        # Some wait a day for the audit, as units do; others start anew, which costs less.
        self.switch_on(seed, Setting(strict=True, sample=5, restarts_for_audit=seed % 4 > 0))
        self.chance = Random(seed)  # noqa: S311 (a search must repeat)
        self.students = 0
        self.run(60.0)

    # ---- what is normal --------------------------------------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 7]))
    def hours_pass(self, hours: int) -> None:
        """Long enough for statuses, audits and time-outs."""
        self.run(hours * 3600.0)

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

    @rule(number=units, moment=st.sampled_from(UNIT_MOMENTS))
    def program_will_die(self, number: int, moment: str) -> None:
        """At its next commit of some kind, before or after it."""
        self.unit(number).arm_at(moment)

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

    def judge(self) -> None:
        """Dates are right where they can be."""
        judge_dates(self.world.checker)
