"""When the next still of the seats is due."""

from dataclasses import dataclass


@dataclass(slots=True)
class SweepSchedule:
    """Stills at even intervals. Times in seconds of a clock that never goes back. One thread."""

    every_s: float
    _due_s: float = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for the next still; 0 when it is due. The first is due at once."""
        return max(0.0, self._due_s - now_s)

    def taken(self, now_s: float) -> None:
        """Note that a still was taken: a late one moves those after it, or two would be taken one after the other."""
        on_time = self._due_s + self.every_s
        self._due_s = on_time if on_time > now_s else now_s + self.every_s
