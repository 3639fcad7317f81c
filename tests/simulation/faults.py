"""What goes wrong, and how often: every kind of fault as a random process of its own, until the given moment."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from tests.simulation.broker import Weather
from tests.simulation.clocks import TEN_YEARS_S
from tests.simulation.school import DAY_S
from tests.simulation.unit import SimUnit
from tests.simulation.world import World

MINUTE_S, HOUR_S = 60.0, 3600.0


class Faults:
    """Plans the faults of a world. `kinds` are names of KINDS."""

    def __init__(self, world: World, until_s: float, kinds: Iterable[str], pace: float = 1.0) -> None:
        self._world = world
        self._until_s = until_s
        self._pace = pace
        self.happened: dict[str, int] = {}
        for kind in kinds:
            KINDS[kind](self, world.scheduler.random(f"faults/{kind}"))

    # ---- random processes ------------------------------------------------------------------------------------------

    def _often(self, name: str, chance: Random, mean_s: float, action: Callable[..., object], *arguments: Any) -> None:
        """Let something happen again and again, `mean_s` apart on average."""
        self._world.scheduler.after(
            chance.expovariate(self._pace / mean_s), self._happen, name, chance, mean_s, action, arguments
        )

    def _happen(
        self, name: str, chance: Random, mean_s: float, action: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        if self._world.scheduler.now_s < self._until_s:
            self.happened[name] = self.happened.get(name, 0) + 1
            action(*arguments)
            self._often(name, chance, mean_s, action, *arguments)

    def _later(self, after_s: float, action: Callable[..., object], *arguments: Any) -> None:
        """Let something end; nothing lasts beyond the end of the faults."""
        left_s = max(0.0, self._until_s - self._world.scheduler.now_s)
        self._world.scheduler.after(min(after_s, left_s), action, *arguments)

    # ---- units -----------------------------------------------------------------------------------------------------

    def network(self, chance: Random) -> None:
        """Units lose the network for minutes or most of a day, noticed or not; some links flap."""
        for unit in self._world.units:
            self._often("outage", chance, 2 * DAY_S, self._outage, unit, chance)
            self._often("flapping", chance, 4 * DAY_S, self._flap, unit, 60)

    def _outage(self, unit: SimUnit, chance: Random) -> None:
        unit.lose_network(silently=chance.random() < 0.4)
        self._later(min(20 * HOUR_S, chance.lognormvariate(6.5, 1.8)), unit.find_network)

    def _flap(self, unit: SimUnit, left: int) -> None:
        self._world.broker.flap(unit.client_id)
        if left:
            self._later(10.0, self._flap, unit, left - 1)

    def crash(self, chance: Random) -> None:
        """Units' programs are killed, at any line between two commits or around one."""
        for unit in self._world.units:
            self._often("unit killed", chance, DAY_S, self._kill, unit, chance)
            self._often("unit killed at a commit", chance, DAY_S, unit.arm, chance)

    def _kill(self, unit: SimUnit, chance: Random) -> None:
        unit.kill()
        self._later(1 + 30 * chance.random(), unit.start)

    def power(self, chance: Random) -> None:
        """Units lose power, and boot at 1970, at a saved time, or right."""
        for unit in self._world.units:
            self._often("power cut", chance, 2 * DAY_S, self._power_cut, unit, chance)

    def _power_cut(self, unit: SimUnit, chance: Random) -> None:
        unit.power_off()
        self._later(min(12 * HOUR_S, chance.lognormvariate(5, 2)), unit.boot)

    def clock(self, chance: Random) -> None:
        """NTP goes and comes, clocks are set ten years ahead and back, some units never find a time server."""
        for unit in self._world.units:
            fate = chance.random()
            unit.ntp_after_s = 1e9 if fate < 0.1 else HOUR_S if fate < 0.3 else 60.0
            unit.wall_at_boot = ("1970", "saved", "right")[chance.randrange(3)]
            self._often("ntp lost", chance, 2 * DAY_S, self._no_ntp, unit, chance)
            self._often("clock ten years ahead", chance, 6 * DAY_S, self._ten_years, unit, chance)

    def _no_ntp(self, unit: SimUnit, chance: Random) -> None:
        unit.ntp_works = False
        unit.clock.lose_ntp()
        self._later(chance.expovariate(1 / (4 * HOUR_S)), self._ntp_again, unit)

    def _ntp_again(self, unit: SimUnit) -> None:
        unit.ntp_works = True
        unit.seek_ntp(60.0)

    def _ten_years(self, unit: SimUnit, chance: Random) -> None:
        by_s = TEN_YEARS_S * chance.choice((1, 1, -1))
        unit.clock.lose_ntp()
        unit.clock.step(by_s)
        self._later(chance.expovariate(1 / HOUR_S), unit.seek_ntp, 1.0)

    def disk(self, chance: Random) -> None:
        """Disks are full for a while."""
        for unit in self._world.units:
            self._often("disk full", chance, 5 * DAY_S, self._fill, unit, chance)

    def _fill(self, unit: SimUnit, chance: Random) -> None:
        unit.disk.full = True
        self._later(chance.expovariate(1 / (20 * MINUTE_S)), unit.free_disk)

    def restore(self, chance: Random) -> None:
        """An old copy of a unit's file is put back."""
        some = [unit for unit in self._world.units if chance.random() < 0.15] or self._world.units[:1]
        for unit in some:
            self._world.scheduler.at((0.1 + 0.5 * chance.random()) * self._until_s, self._keep_copy, unit, chance)

    def _keep_copy(self, unit: SimUnit, chance: Random) -> None:
        unit.copy_card()
        self._later(0.3 * chance.random() * self._until_s, self._put_back, unit, chance)

    def _put_back(self, unit: SimUnit, chance: Random) -> None:
        if unit.put_card_back():
            self.happened["old file put back"] = self.happened.get("old file put back", 0) + 1
            self._later(20 + chance.expovariate(1 / (10 * MINUTE_S)), unit.boot)

    def clone(self, chance: Random) -> None:
        """A card is copied, and both run."""
        some = [unit for unit in self._world.units if chance.random() < 0.03] or self._world.units[:1]
        for unit in some:
            self._world.scheduler.at(chance.random() * 0.8 * self._until_s, self._clone, unit)

    def _clone(self, unit: SimUnit) -> None:
        self.happened["card copied"] = self.happened.get("card copied", 0) + 1
        self._world.add_twin(unit)

    def poison(self, chance: Random) -> None:
        """A defect in some units' programs writes down what nobody can read."""
        for unit in self._world.units[::10]:
            self._often("poison", chance, 6 * HOUR_S, unit.write_poison, chance)

    # ---- the rest --------------------------------------------------------------------------------------------------

    def broker(self, chance: Random) -> None:
        """The broker dies and comes back, with or without what it retained."""
        self._often("broker killed", chance, DAY_S, self._kill_broker, chance)

    def _kill_broker(self, chance: Random) -> None:
        self._world.broker.persistent = chance.random() < 0.5
        self._world.broker.die()
        self._later(chance.expovariate(1 / (3 * MINUTE_S)), self._world.broker.come_back)

    def weather(self, chance: Random) -> None:
        """For half an hour everything is lost, doubled, late and out of order."""
        self._often("bad weather", chance, DAY_S / 2, self._bad_weather, chance)

    def _bad_weather(self, chance: Random) -> None:
        self._world.broker.weather = Weather(
            delay_s=chance.choice((0.05, 0.5, 2.0)),
            lost=0.2 * chance.random(),
            doubled=0.2 * chance.random(),
            disordered=0.2 * chance.random(),
            late_s=chance.choice((5.0, 60.0, 600.0)),
        )
        self._later(chance.expovariate(1 / (30 * MINUTE_S)), self._clear_up)

    def _clear_up(self) -> None:
        self._world.broker.weather = Weather()

    def hub(self, chance: Random) -> None:
        """Hub workers are killed, also between a commit and its receipt."""
        for worker in self._world.workers:
            self._often("worker killed", chance, DAY_S, worker.kill_for, chance)
            self._often("worker killed at a commit", chance, DAY_S, worker.arm, chance)

    def database(self, chance: Random) -> None:
        """The database is away, transactions are refused, commits lose their replies."""
        self._often("database away", chance, DAY_S, self._database_away, chance)
        self._often("database in trouble", chance, DAY_S / 2, self._database_trouble, chance)

    def _database_away(self, chance: Random) -> None:
        self._world.database.up = False
        self._later(chance.expovariate(1 / (10 * MINUTE_S)), self._database_back)

    def _database_back(self) -> None:
        self._world.database.up = True

    def _database_trouble(self, chance: Random) -> None:
        for worker in self._world.workers:
            worker.store.refuses, worker.store.loses_replies = 0.3 * chance.random(), 0.3 * chance.random()
        self._later(chance.expovariate(1 / (30 * MINUTE_S)), self._database_calm)

    def _database_calm(self) -> None:
        for worker in self._world.workers:
            worker.store.refuses = worker.store.loses_replies = 0.0

    def rollback(self, chance: Random) -> None:
        """The database loses the last rows that it had committed."""
        self._often("database restored", chance, 2 * DAY_S, self._restore_database, chance)

    def _restore_database(self, chance: Random) -> None:
        self._world.restore_database(int(chance.lognormvariate(4, 1.5)) + 1)


KINDS: dict[str, Callable[[Faults, Random], None]] = {
    "network": Faults.network,
    "crash": Faults.crash,
    "power": Faults.power,
    "clock": Faults.clock,
    "disk": Faults.disk,
    "restore": Faults.restore,
    "clone": Faults.clone,
    "poison": Faults.poison,
    "broker": Faults.broker,
    "weather": Faults.weather,
    "hub": Faults.hub,
    "database": Faults.database,
    "rollback": Faults.rollback,
}
