"""A unit: a machine with a card, a clock and a network, and on it the program that is started, killed and restarted.

The program's decisions are those of `edge.core`; what carries them out here is what `edge.loops` does, without threads.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from protocol.topics import UP_CHANNELS, up
from tests.simulation.clocks import MONDAY_US, true_us
from tests.simulation.disk import Disk, Killed
from tests.simulation.facts import Fact, Kind, poisoned
from tests.simulation.process import UnitProcess

if TYPE_CHECKING:
    from tests.simulation.world import World

_CRASH_AT = ("append", "append", "delivered", "delivered", "rejected", "requeue", "renumber", "begin_epoch", "send")
_NTP_TAKES_S = 30.0


class SimUnit:
    """A unit of the school. Implements `tests.simulation.school.Watcher`."""

    def __init__(self, number: int, unit_id: str, world: World) -> None:
        self.unit_number = number
        self.unit_id = unit_id
        self.world = world
        self.site = world.site
        self.client_id = f"{self.site}/{unit_id}"
        self.topics = {channel: up(self.site, unit_id, channel).topic for channel in UP_CHANNELS}
        self.scheduler = scheduler = world.scheduler
        self.broker = world.broker
        self.checker = world.checker
        self.chance = scheduler.random(f"unit/{number}")
        self.clock = world.parts.clock(scheduler, self.chance, self.chance.gauss(0, world.setting.drift_ppm))
        self.clock.on_synced = self._synced
        self.disk = Disk(self.chance)
        self.powered = False
        self.ntp_works = True
        self.ntp_after_s = 60.0
        self.wall_at_boot = "1970"
        self.process: UnitProcess | None = None
        self.lost_in_memory = 0
        """Events that were held in memory for a full disk when the program ended."""
        self.kills = self.boots = 0
        self.twin: SimUnit | None = None
        """Another machine with a copy of this one's card, in front of which the same happens."""
        self._saved_us = MONDAY_US
        self._boot = 0
        self._copies: list[Disk] = []
        self._armed: str | None = None

    # ---- the machine -----------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Give it power: the clocks begin anew, the program starts."""
        if self.powered:
            return
        self.powered = True
        self._boot += 1
        self.boots += 1
        wall = {"1970": None, "saved": self._saved_us, "right": true_us(self.scheduler.now_s)}[self.wall_at_boot]
        self.clock.boot(wall)
        self.seek_ntp(self.ntp_after_s)
        self.start()

    def power_off(self) -> None:
        """Take its power away."""
        self.kill()
        self.powered = False
        # As systemd-timesyncd does now and then: the time of the last sync, or of the last minutes.
        self._saved_us = max(self._saved_us, self.clock.wall_us()) if self.clock.quality == "synced" else self._saved_us

    def seek_ntp(self, after_s: float) -> None:
        """Let it find a time server after a while."""
        self.scheduler.after(after_s, self._find_ntp, self._boot)

    def _find_ntp(self, boot: int) -> None:
        if boot != self._boot or not self.powered or self.ntp_after_s > 1e8:
            return
        if not self.ntp_works or self.client_id in self.broker.offline:
            self.scheduler.after(20 * _NTP_TAKES_S, self._find_ntp, boot)
        else:
            self.clock.sync(self.chance.gauss(0, 0.01))

    def _synced(self) -> None:
        if self.process is not None:
            self.process.wake(0.0)

    def lose_network(self, *, silently: bool) -> None:
        """Cut the cable."""
        self.clock.lose_ntp()
        self.broker.cut_off(self.client_id, silently=silently)

    def find_network(self) -> None:
        """Plug it in again."""
        self.broker.reach_again(self.client_id)
        self.seek_ntp(_NTP_TAKES_S)

    # ---- the program -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the program with what is on the card."""
        if self.process is None and self.powered:
            self.process = self.world.parts.process(self)
            if self._armed is not None:
                self.arm_at(self._armed)
            self.guarded(self.process.start)

    def kill(self) -> None:
        """End the program at once; what it had in memory is gone."""
        if self.process is not None:
            self.lost_in_memory += len(self.process.recorder)
            self.process.die()
            self.process = None
            self.kills += 1

    def guarded(self, work: Callable[..., object], *arguments: Any) -> None:
        """Run a part of the program; when it dies on the way, start it again a little later."""
        try:
            work(*arguments)
        except Killed:
            self._armed = None
            self.kill()
            self.scheduler.after(1 + 10 * self.chance.random(), self.start)

    def arm(self, chance: Random) -> None:
        """Let the program die at its next commit of some kind, before or after it."""
        self.arm_at(f"{chance.choice(('before', 'after'))} {chance.choice(_CRASH_AT)}")

    def arm_at(self, moment: str) -> None:
        """Let the program die at this moment, such as `after delivered`."""
        self._armed = moment
        if self.process is not None:
            self.process.journal.crash = self._crash

    def _crash(self, moment: str) -> None:
        if moment == self._armed:
            raise Killed(moment)

    # ---- the card --------------------------------------------------------------------------------------------------

    def copy_card(self) -> None:
        """Keep a copy of the card as it is."""
        self._copies.append(self.disk.copy())

    def put_card_back(self) -> bool:
        """Put the newest kept copy in, in place of the card; the unit is without power then."""
        if not self._copies:
            return False
        self.power_off()
        old, self.disk = self.disk, self._copies.pop()
        self.checker.lost_by_disk(old, self.disk)
        return True

    def free_disk(self) -> None:
        """Make room on the card again."""
        self.disk.full = False
        if self.process is not None:
            self.guarded(self.process.record, ())

    def heal(self) -> None:
        """End every fault of this unit; an old card that was kept stays where it is."""
        self._armed = None
        self.disk.full = self.disk.broken = False
        self.ntp_works = True
        self.find_network()
        if not self.powered:
            self.boot()
        elif self.process is None:
            self.start()
        else:
            self.free_disk()

    @property
    def holds(self) -> int:
        """Events in memory that a full disk has not taken."""
        return len(self.process.recorder) if self.process is not None else 0

    # ---- what happens in front of it -------------------------------------------------------------------------------

    def see(self, student: str) -> None:
        """A student comes into view."""
        if self.twin is not None:
            self.twin.see(student)
        process = self.process
        if process is not None and student not in process.present:
            fact = self.fact("seen", student)
            process.present[student] = fact
            self.guarded(process.record, (fact,))

    def lose_sight(self, student: str) -> None:
        """A student has not been in view for a minute."""
        if self.twin is not None:
            self.twin.lose_sight(student)
        process = self.process
        if process is not None and (seen := process.present.pop(student, None)) is not None:
            self.guarded(process.record, (self.closing(seen),))

    def end_lesson(self) -> None:
        """A lesson is over: every interval ends with it."""
        if self.twin is not None:
            self.twin.end_lesson()
        process = self.process
        if process is not None and process.present:
            left = [self.closing(seen) for seen in process.present.values()]
            process.present.clear()
            self.guarded(process.record, left)

    def cover(self, watched_s: float) -> None:
        """A stretch of watching is over."""
        if self.twin is not None:
            self.twin.cover(watched_s)
        process = self.process
        if process is not None:
            fact = self.fact("coverage")
            # Never more than this program has seen, or than this clock has known.
            seen_s = min(watched_s, self.scheduler.now_s - process.begun_s)
            fact.span_us = max(0, min(int(seen_s * 1e6), fact.at_us))
            self.guarded(process.record, (fact,))

    def write_poison(self, chance: Random) -> None:
        """A defect writes down what nobody can read."""
        if self.process is not None:
            self.guarded(self.process.record, (poisoned(self.fact("seen", "x"), chance.randrange(100)),))

    def fact(self, kind: Kind, student: str = "") -> Fact:
        """Return what happens now, dated as the unit's clock says."""
        clock = self.clock
        return Fact(
            kind,
            clock.new_id(),
            clock.wall_us(),
            clock.boot_id,
            clock.boottime_ns(),
            clock.quality,
            true_us(self.scheduler.now_s),
            student_id=student,
        )

    def closing(self, seen: Fact, *, now: bool = True) -> Fact:
        """Return the end of an interval: now, or where it began when nobody knows better."""
        left = self.fact("left", seen.student_id)
        if now:
            left.span_us = max(0, (left.boottime_ns - seen.boottime_ns) // 1000)
        else:
            left.at_us, left.boot_id, left.boottime_ns = seen.at_us, seen.boot_id, seen.boottime_ns
            left.clock, left.true_us = seen.clock, seen.true_us
        left.interval_id = seen.event_id
        return left
