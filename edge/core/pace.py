"""How many frames a second this machine can bear now, from what a frame costs and how warm it is, and why."""

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """Between which rates the unit may choose, and when it must give way."""

    most_per_s: float
    """What the settings ask for: never more."""
    least_per_s: float = 2.0
    """Never fewer (unless the settings ask for fewer): below this, people pass a door unseen between two frames."""
    busy_share: float = 0.85
    """Share of the time in which recognition may be at work; the rest is for the record, the network, the system."""
    hot_c: float = 80.0
    """From here on a Raspberry Pi slows its processor down by itself, in jumps; we would rather choose."""
    cool_c: float = 74.0
    """Down to here nothing is raised again after heat: otherwise the rate would swing with the fan."""
    patience_s: float = 10.0
    """Between two steps up, and between two steps down for heat: a heat sink needs time to answer."""
    step: float = 1.25
    """A step up multiplies the rate by this."""
    tolerance: float = 0.1
    """A change smaller than this share is none."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """What the machine says of itself; `celsius` is None where it does not."""

    celsius: float | None = None
    throttled: bool = False
    """The processor is held back now: by heat, or by a power supply that is too weak."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many frames a second to take; `reason` is empty when that is what the settings ask for."""

    frames_per_s: float
    reason: str
    too_warm: bool = False


@dataclass(slots=True)
class Pace:
    """Falls at once, rises slowly. One thread."""

    limits: PaceLimits
    _rate: float = 0.0
    _heat_cap: float = 0.0
    _changed_s: float = float("-inf")
    _heat_changed_s: float = float("-inf")

    def __post_init__(self) -> None:
        """Begin with what the settings ask for."""
        self._rate = self._heat_cap = self.limits.most_per_s

    @property
    def least_per_s(self) -> float:
        """The floor that holds here."""
        return min(self.limits.least_per_s, self.limits.most_per_s)

    def decide(self, at_s: float, frame_cost_s: float | None, machine: MachineState) -> Verdict:
        """Return the rate from now on.

        `frame_cost_s` is how long a frame kept recognition busy lately; None (or nonsense) when none was looked at.
        """
        load_cap = self._load_cap(frame_cost_s)
        self._feel_heat(at_s, machine)
        wanted = min(load_cap, self._heat_cap)
        edge = self._rate * self.limits.tolerance
        if wanted < self._rate - edge or wanted == self.least_per_s < self._rate:
            self._rate, self._changed_s = wanted, at_s
        elif (wanted > self._rate + edge or wanted == self.limits.most_per_s) and self._patient(at_s, self._changed_s):
            self._rate, self._changed_s = min(wanted, self._rate * self.limits.step), at_s
        return self._verdict(frame_cost_s, machine, load_cap)

    def _load_cap(self, frame_cost_s: float | None) -> float:
        if frame_cost_s is None or not isfinite(frame_cost_s) or frame_cost_s <= 0:
            return self.limits.most_per_s
        return min(self.limits.most_per_s, max(self.least_per_s, self.limits.busy_share / frame_cost_s))

    def _feel_heat(self, at_s: float, machine: MachineState) -> None:
        if not self._patient(at_s, self._heat_changed_s):
            return
        if _hot(machine, self.limits):
            # From the rate that runs, not from one that nobody uses: the first step must be felt.
            self._heat_cap = max(self.least_per_s, min(self._heat_cap, self._rate) / 2)
        elif machine.celsius is None or machine.celsius <= self.limits.cool_c:
            if self._heat_cap >= self.limits.most_per_s:
                return
            self._heat_cap = min(self.limits.most_per_s, self._heat_cap * self.limits.step)
        else:
            return
        self._heat_changed_s = at_s

    def _patient(self, at_s: float, since_s: float) -> bool:
        return at_s - since_s >= self.limits.patience_s

    def _verdict(self, frame_cost_s: float | None, machine: MachineState, load_cap: float) -> Verdict:
        if self._rate >= self.limits.most_per_s:
            return Verdict(self._rate, "")
        if self._heat_cap < self.limits.most_per_s and self._heat_cap <= load_cap:
            return Verdict(self._rate, _heat_in_words(machine, self.limits), too_warm=True)
        if load_cap < self.limits.most_per_s and frame_cost_s is not None:
            return Verdict(self._rate, f"busy: {frame_cost_s:.2f} s a frame")
        return Verdict(self._rate, "recovering")


def _hot(machine: MachineState, limits: PaceLimits) -> bool:
    return machine.throttled or (machine.celsius is not None and machine.celsius >= limits.hot_c)


def _heat_in_words(machine: MachineState, limits: PaceLimits) -> str:
    degrees = "" if machine.celsius is None else f"{machine.celsius:.0f} C"
    if not _hot(machine, limits):
        return f"cooling down: {degrees}" if degrees else "cooling down"
    if machine.celsius is not None and machine.celsius >= limits.hot_c:
        return f"too warm: {degrees}"
    return f"the processor is slowed down{f' at {degrees}' if degrees else ''}: check cooling and power supply"
