"""What a fault is, what can come of it, and how the list of them is shown."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table

if TYPE_CHECKING:
    from tests.faults.bench import Bench

Result = Literal["held", "broken", "skipped"]
_MOST_REASONS = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault."""

    result: Result
    reason: str
    runs: int = 1


class CannotRun(Exception):
    """The fault cannot be made here; the message says why and where it is covered instead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the list of faults."""

    number: int
    name: str
    run: Callable[["Bench"], Outcome]


@dataclass(frozen=True, slots=True)
class Line:
    """A fault with its outcome."""

    number: int
    name: str
    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class Catalogue:
    """The faults that a module offers."""

    faults: list[Fault] = field(default_factory=list)

    def fault(self, number: int, name: str) -> Callable[[Callable[["Bench"], Outcome]], Callable[["Bench"], Outcome]]:
        """Note a function as the one that makes fault `number`."""

        def note(run: Callable[["Bench"], Outcome]) -> Callable[["Bench"], Outcome]:
            self.faults.append(Fault(number, name, run))
            return run

        return note


def judged(problems: Sequence[str], figures: str, runs: int = 1) -> Outcome:
    """Return `held` with the figures, or `broken` with what was wrong."""
    if not problems:
        return Outcome("held", figures, runs)
    more = len(problems) - _MOST_REASONS
    words = "; ".join(problems[:_MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
    return Outcome("broken", f"{words} ({figures})" if figures else words, runs)


def skipped(reason: str) -> Outcome:
    """Return that the fault was not made, and why."""
    return Outcome("skipped", reason, 0)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the lines as build/faults.json holds them."""
    return [
        {
            "id": line.number,
            "fault": line.name,
            "runs": line.outcome.runs,
            "result": line.outcome.result,
            "reason": line.outcome.reason,
            "seconds": round(line.seconds, 1),
        }
        for line in lines
    ]


def write_json(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(as_json(lines), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


_COLOURS = {"held": "green", "broken": "red", "skipped": "yellow"}


def as_table(lines: Sequence[Line]) -> Table:
    """Return the lines as a person reads them."""
    table = Table("no.", "fault", "runs", "result", "what was seen", title="faults")
    for line in lines:
        colour = _COLOURS[line.outcome.result]
        table.add_row(
            str(line.number or "-"),
            line.name,
            str(line.outcome.runs),
            f"[{colour}]{line.outcome.result}[/]",
            line.outcome.reason.replace("[", "\\["),
        )
    return table


def summary(lines: Sequence[Line]) -> str:
    """Return how many of each, in one line."""
    counts = {result: sum(line.outcome.result == result for line in lines) for result in _COLOURS}
    return ", ".join(f"{count} {result}" for result, count in counts.items())
