"""A school in one process: units, a broker, hub workers and their database over one virtual time, and their judge."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from tests.simulation.broker import Broker, Weather
from tests.simulation.checker import Checker
from tests.simulation.clocks import UnitClock
from tests.simulation.database import SimDatabase
from tests.simulation.disk_journal import DiskJournal
from tests.simulation.facts import Prepared
from tests.simulation.galleries import SimGalleries
from tests.simulation.process import UnitProcess
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import SimEventStore
from tests.simulation.unit import SimUnit
from tests.simulation.wire import Reader, Wire, carrying
from tests.simulation.worker import SimWorker

SITE = "simulated"
_AUDIT_S = 27 * 3600.0
"""Every unit has compared what it holds with the hub after so long."""
_FINDING_S = 180.0
_FIRST_AUDIT_S = 1800.0
"""The same for a program that was just started."""


def unit_id(number: int) -> str:
    """Return the id of a unit."""
    return str(UUID(int=(0x0117 << 96) + number, version=4))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a world is made of; a test puts a broken part in to see that it is noticed."""

    store: type[SimEventStore] = SimEventStore
    journal: type[DiskJournal] = DiskJournal
    process: type[UnitProcess] = UnitProcess
    clock: type[UnitClock] = UnitClock
    unit: type[SimUnit] = SimUnit


@dataclass(frozen=True, slots=True)
class Setting:
    """How a world is. Every `sample`-th message and batch goes through the real codec and parser."""

    workers: int = 2
    galleries: bool = False
    """Units follow galleries and packs too; slower."""
    sample: int = 50
    status_every_s: float = 600.0
    drift_ppm: float = 5.0
    """Standard deviation of what the units' crystals are off by."""
    patience_s: float = 3600.0
    """How long delivery may take when nothing is wrong any more."""
    restarts_for_audit: bool = False
    """Do not wait a day for the audits that heal what a database lost: start every program anew. Costs less."""
    strict: bool = False
    """The first violation ends the run."""
    parts: Parts = Parts()


class World:
    """Everything there is."""

    def __init__(self, seed: int, units: int, setting: Setting | None = None) -> None:
        setting = setting or Setting()
        self.site = SITE
        self.setting = setting
        self.parts = setting.parts
        self.counts: Counter[str] = Counter()
        """What units were told to do to their journals."""
        self.prepared: dict[str, Prepared] = {}
        """Events on their way, as they were made."""
        self.wire = Wire(setting.sample)
        self.reader = Reader(self.prepared, setting.sample)
        self.scheduler = Scheduler(seed)
        self.broker = Broker(self.scheduler, Weather())
        self.database = SimDatabase(unit_id(number) for number in range(units))
        self.checker = Checker(self.database, lambda: self.scheduler.now_s, setting.strict)
        self.units = [self.parts.unit(number, unit_id(number), self) for number in range(units)]
        self.twins: list[SimUnit] = []
        self.galleries = SimGalleries(SITE, self.database) if setting.galleries else None
        self.workers = [SimWorker(number, self) for number in range(setting.workers)]
        self.restored = 0

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Let the programs' cores speak through this world's wire for a while."""
        with carrying(self.wire, self.reader):
            yield

    def start(self) -> None:
        """Switch everything on, the units not quite together."""
        for worker in self.workers:
            worker.start()
        for unit in self.units:
            self.scheduler.after(unit.chance.random() * 30, unit.boot)

    # ---- what only a world can do ----------------------------------------------------------------------------------

    def restore_database(self, rows: int) -> None:
        """Put a backup back that lacks the last rows; whatever a worker had in memory is of the old database."""
        self.checker.lost_by_database(self.database.restore(rows))
        if self.galleries is not None:
            self.galleries.restore()
        self.restored += 1

    def add_twin(self, unit: SimUnit) -> SimUnit:
        """Let a copy of a unit's card run in another machine."""
        twin = self.parts.unit(10_000 + len(self.twins), unit.unit_id, self)
        twin.disk = unit.disk.copy()
        self.twins.append(twin)
        unit.twin = twin
        twin.boot()
        return twin

    @property
    def every_unit(self) -> list[SimUnit]:
        """Every machine, copies included."""
        return self.units + self.twins

    # ---- the end ---------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """End every fault."""
        self.broker.weather = Weather()
        self.broker.up = self.database.up = True
        for worker in self.workers:
            worker.heal()
        for unit in self.every_unit:
            unit.heal()

    @property
    def quiet(self) -> bool:
        """True when nothing waits on any card."""
        return all(unit.disk.waiting == 0 and not unit.holds for unit in self.every_unit)

    def run_until_quiet(self, most_s: float, step_s: float = 30.0) -> float:
        """Let time pass until nothing waits, at most `most_s`; return how long it took."""
        begun_s = self.scheduler.now_s
        while not self.quiet and self.scheduler.now_s - begun_s < most_s:
            self.scheduler.run(self.scheduler.now_s + step_s)
        return self.scheduler.now_s - begun_s

    def _compare_everything(self) -> None:
        """Let every machine compare what it holds with the hub; copies of a card after the machine they are of."""
        for one, other in ((self.units, self.twins), (self.twins, self.units)):
            if not one:
                continue
            for unit in other:
                unit.power_off()
            for unit in one:
                if self.setting.restarts_for_audit:
                    unit.kill()
                unit.heal()
            self.scheduler.run(self.scheduler.now_s + (_FIRST_AUDIT_S if self.setting.restarts_for_audit else _AUDIT_S))
            self.run_until_quiet(self.setting.patience_s)

    def _judge_galleries(self, galleries: SimGalleries) -> None:
        begun_s = self.scheduler.now_s
        # Every gallery is looked at and announced anew within an hour, whatever was missed.
        bound_s = self.setting.patience_s + 3600.0
        while (wrong := self._complaints(galleries)) and self.scheduler.now_s - begun_s < bound_s:
            self.scheduler.run(self.scheduler.now_s + 30.0)
        for complaint in wrong:
            self.checker.fail(complaint)

    def _complaints(self, galleries: SimGalleries) -> list[str]:
        return [wrong for unit in self.every_unit for wrong in galleries.complaints(unit.unit_id, unit.disk)]

    def settle(self) -> float:
        """Heal everything, wait for delivery and for an audit of every unit, and judge; return how long delivery took.

        Whoever waits longer than `patience_s` for delivery with nothing wrong any more violates liveness.
        """
        self.heal()
        bound_s = self.setting.patience_s
        # Everybody first has to find the others again: a unit with nothing to say may still have much to hear.
        self.scheduler.run(self.scheduler.now_s + _FINDING_S)
        took_s = _FINDING_S + self.run_until_quiet(bound_s)
        if not self.quiet:
            waiting = sum(unit.disk.waiting for unit in self.every_unit)
            self.checker.fail(f"L: {waiting} events wait {bound_s:.0f} s after everything was healed")
        elif self.checker.rolled_back or any(unit.disk.dead for unit in self.every_unit):
            # What a database lost, and what a unit put aside by itself, comes with the next audit.
            self._compare_everything()
        self.checker.at_rest([unit.disk for unit in self.every_unit])
        if self.galleries is not None:
            self._judge_galleries(self.galleries)
        return took_s
