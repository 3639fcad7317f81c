"""Clocks that lie as real ones do: boots at 1970, drifts, steps, holdover; and the true time, which only tests know."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from protocol.events import ClockQuality, Stamp
from tests.simulation.scheduler import Scheduler

NS = 1_000_000_000
MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
"""When the simulation begins."""
MONDAY_US = int(MONDAY.timestamp()) * 1_000_000
_1970_US = 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEN_YEARS_S = 10 * 365.25 * 86400


def true_us(now_s: float) -> int:
    """Return the true time in microseconds since 1970."""
    return MONDAY_US + int(now_s * 1e6)


def as_utc(unix_us: int) -> datetime:
    """Return a moment in microseconds since 1970 as a datetime."""
    return _EPOCH + timedelta(microseconds=unix_us)


Made = TypeVar("Made", bound=BaseModel)


def built(kind: type[Made], values: dict[str, Any]) -> Made:
    """Do what `model_construct` does for values that are all given, in a fraction of the time."""
    made = kind.__new__(kind)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", set(values))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


class HubClock:
    """The hub's clocks, which are right."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._now_s = -1.0
        self._now = MONDAY

    def now(self) -> datetime:
        """Return the true time."""
        if self._now_s != self._scheduler.now_s:
            self._now_s = self._scheduler.now_s
            self._now = as_utc(true_us(self._now_s))
        return self._now

    def monotonic_s(self) -> float:
        """Return virtual seconds."""
        return self._scheduler.now_s + 1000.0


class UnitClock:
    """`edge.core.ports.Clock`, and what a unit's hardware does to it.

    The crystal runs fast or slow by `drift_ppm`, which both clocks show; NTP corrects the wall clock while it is
    synced.
    """

    def __init__(self, scheduler: Scheduler, chance: Random, drift_ppm: float = 0.0) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._rate = 1.0 + drift_ppm * 1e-6
        self._ids = 0
        node = f"{chance.getrandbits(36):09x}"
        self._id_node = f"8{node[:3]}-{node[3:]}"
        self.boot_id = ""
        self.quality: ClockQuality = "unsynced"
        self._booted_s = 0.0
        # The wall clock: `_wall_us` at the virtual moment `_wall_set_s`, from there on by the crystal.
        self._wall_us = 0
        self._wall_set_s = 0.0
        self.on_synced: Callable[[], None] = lambda: None

    # ---- what happens to it ----------------------------------------------------------------------------------------

    def boot(self, wall_us: int | None = None) -> None:
        """Start the machine; without a battery the wall clock begins at `wall_us`, None: 1970."""
        self.boot_id = str(UUID(int=self._chance.getrandbits(128), version=4))
        self._booted_s = self._scheduler.now_s
        self._set(_1970_US if wall_us is None else wall_us)
        self.quality = "unsynced"

    def sync(self, error_s: float = 0.0) -> None:
        """NTP sets the wall clock right, up to `error_s`."""
        self._set(true_us(self._scheduler.now_s) + int(error_s * 1e6))
        was, self.quality = self.quality, "synced"
        if was != "synced":
            self.on_synced()

    def lose_ntp(self) -> None:
        """No time server answers any more."""
        if self.quality == "synced":
            self._set(self.wall_us())
            self.quality = "holdover"

    def step(self, by_s: float) -> None:
        """Somebody sets the wall clock, or a time server lies."""
        self._set(max(0, self.wall_us() + int(by_s * 1e6)))

    def _set(self, wall_us: int) -> None:
        self._wall_us, self._wall_set_s = wall_us, self._scheduler.now_s

    # ---- what the unit reads ---------------------------------------------------------------------------------------

    def boottime_ns(self) -> int:
        """Return CLOCK_BOOTTIME."""
        return int((self._scheduler.now_s - self._booted_s) * self._rate * NS) + 20 * NS

    def wall_us(self) -> int:
        """Return what the wall clock says, in microseconds since 1970."""
        elapsed_s = self._scheduler.now_s - self._wall_set_s
        # Disciplined: NTP slews away what the crystal does.
        return self._wall_us + int(elapsed_s * (1.0 if self.quality == "synced" else self._rate) * 1e6)

    def stamp(self) -> Stamp:
        """Return now, as events carry it."""
        return built(
            Stamp,
            {
                "at": as_utc(self.wall_us()),
                "boot_id": self.boot_id,
                "boottime_ns": self.boottime_ns(),
                "clock": self.quality,
            },
        )

    def monotonic_s(self) -> float:
        """Return seconds since the boot, by the crystal."""
        return (self._scheduler.now_s - self._booted_s) * self._rate + 20.0

    def new_id(self) -> str:
        """Return a new UUID version 7, never one twice."""
        self._ids += 1
        time = f"{max(0, self.wall_us()) // 1000:012x}"
        return f"{time[:8]}-{time[8:]}-7{self._ids >> 24 & 0xFFF:03x}-{self._id_node}{self._ids & 0xFFFFFF:06x}"
