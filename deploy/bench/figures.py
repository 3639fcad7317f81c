"""What was measured: figures, what they should reach, and how both are shown and kept."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_NAME_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `against` names what it is compared with and `ratio` how many times better it is.

    `value` is None for what could not be measured; `unit` then says why.
    """

    name: str
    value: float | None
    unit: str
    against: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should reach: a ratio of at least `ratio`, or a value of at most `at_most` or at least `at_least`.

    With a ratio and a value it has to reach both.
    """

    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def met_by(self, figure: Figure) -> bool:
        """Tell whether a figure reaches it; what was not measured does not."""
        checks = []
        if self.ratio is not None:
            checks.append(figure.ratio is not None and figure.ratio >= self.ratio)
        if self.at_most is not None:
            checks.append(figure.value is not None and figure.value <= self.at_most)
        if self.at_least is not None:
            checks.append(figure.value is not None and figure.value >= self.at_least)
        return bool(checks) and all(checks)

    def __str__(self) -> str:
        said = [
            ("at least {:g}x", self.ratio),
            ("at most {:g}", self.at_most),
            ("at least {:g}", self.at_least),
        ]
        return " and ".join(text.format(value) for text, value in said if value is not None)


@dataclass(slots=True)
class Report:
    """The figures so far, in the order in which they were measured."""

    entries: list[tuple[Figure, Target | None]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    """Figures that are easier to read side by side; their lines are left out."""
    _in_tables: set[int] = field(default_factory=set)

    @property
    def figures(self) -> list[Figure]:
        """Every figure."""
        return [figure for figure, _ in self.entries]

    @property
    def short(self) -> list[tuple[Figure, Target]]:
        """The figures that do not reach their target."""
        return [(figure, target) for figure, target in self.entries if target and not target.met_by(figure)]

    def add(self, name: str, value: float | None, unit: str, target: Target | None = None) -> None:
        """Keep a figure that is compared with nothing but its target."""
        self._keep(Figure(name, value if value is None else round(value, 3), unit), target)

    def tabled(self, name: str, value: float | None, unit: str) -> None:
        """Keep a figure that is shown in a table and needs no line."""
        self.add(name, value, unit)
        self._in_tables.add(len(self.entries) - 1)

    def compare(self, name: str, value_ms: float, other: tuple[str, float], target: Target | None = None) -> None:
        """Keep a time in milliseconds beside another one, (whose, milliseconds): less is better."""
        whose, other_ms = other
        self._keep(Figure(name, round(value_ms, 3), "ms", whose, round(other_ms / value_ms, 2)), target)

    def tabled_beside(self, name: str, value_ms: float, other: tuple[str, float]) -> None:
        """Keep a comparison of times that can be read off a table and needs no line."""
        self.compare(name, value_ms, other)
        self._in_tables.add(len(self.entries) - 1)

    def compare_rate(
        self, name: str, value: float, other: tuple[str, float], target: Target | None = None, unit: str = "frames/s"
    ) -> None:
        """Keep a number a second beside another one: more is better."""
        whose, rate = other
        self._keep(Figure(name, round(value, 3), unit, whose, round(value / rate, 2)), target)

    def missing(self, name: str, reason: str) -> None:
        """Keep that something was not measured, and why. It has no target: nothing is known of it."""
        self._keep(Figure(name, None, f"not measured: {reason}"), None)

    def lines(self) -> list[str]:
        """Return a line for each figure that is in no table."""
        shown = [entry for place, entry in enumerate(self.entries) if place not in self._in_tables]
        return [_line(figure, target) for figure, target in shown]

    def as_json(self) -> str:
        """Return the list that scripts read."""
        return json.dumps([asdict(figure) for figure in self.figures], indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Replace the file at `path` with what is known now. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(self.as_json(), encoding="utf-8")
        new.replace(path)

    def _keep(self, figure: Figure, target: Target | None) -> None:
        self.entries.append((figure, target))


def quiet_median(times: Sequence[float]) -> float:
    """Return the median of the quieter half: on a machine with other work, the louder half measures that work."""
    return statistics.median(sorted(times)[: (len(times) + 1) // 2])


def percentile(times: Sequence[float], share: float) -> float:
    """Return the value that a share of the values, 0 to 1, does not exceed (the nearest rank, nothing in between)."""
    ordered = sorted(times)
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]


def _line(figure: Figure, target: Target | None) -> str:
    if figure.value is None:
        return f"{figure.name:<{_NAME_WIDTH}} {figure.unit}"
    line = f"{figure.name:<{_NAME_WIDTH}} {figure.value:>9.2f} {figure.unit:<9}"
    if figure.ratio is not None:
        line += f" {figure.ratio:>6.1f}x {figure.against}"
    if target and not target.met_by(figure):
        line += f"   short of the target ({target})"
    return line.rstrip()
