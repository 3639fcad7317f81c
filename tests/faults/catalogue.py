"""What a fault is, what can come of it, and how the list of them is shown."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
    counts: Mapping[str, int] = field(default_factory=dict)
    """What is added up over the parts of a fault, by what it is."""


class CannotRun(Exception):
    """The fault cannot be made here; the message says why and where it is covered instead."""


def _one(_bench: "Bench") -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the list of faults."""

    number: int
    name: str
    run: Callable[["Bench"], Outcome]
    quiet: bool = False
    """It looks at how fast something is: nothing runs beside it."""
    parts: Callable[["Bench"], int] = _one
    """In how many parts it is run; `Bench.part` says which one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A fault, or a part of one, with its outcome."""

    number: int
    name: str
    outcome: Outcome
    seconds: float
    part: int = 0
    how: str = ""
    """With what chance and how thoroughly: only such a line is worth keeping for a run that goes on."""


@dataclass(slots=True)
class Catalogue:
    """The faults that a module offers."""

    faults: list[Fault] = field(default_factory=list)

    def fault(
        self, number: int, name: str, *, quiet: bool = False, parts: Callable[["Bench"], int] = _one
    ) -> Callable[[Callable[["Bench"], Outcome]], Callable[["Bench"], Outcome]]:
        """Note a function as the one that makes fault `number`."""

        def note(run: Callable[["Bench"], Outcome]) -> Callable[["Bench"], Outcome]:
            self.faults.append(Fault(number, name, run, quiet, parts))
            return run

        return note


def judged(problems: Sequence[str], figures: str, runs: int = 1, counts: Mapping[str, int] | None = None) -> Outcome:
    """Return `held` with the figures, or `broken` with what was wrong."""
    if not problems:
        return Outcome("held", figures, runs, counts or {})
    words = _some(problems)
    return Outcome("broken", f"{words} ({figures})" if figures else words, runs, counts or {})


def in_words(counts: Mapping[str, int]) -> str:
    """Return figures as a person reads them."""
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def _some(problems: Sequence[str]) -> str:
    more = len(problems) - _MOST_REASONS
    return "; ".join(problems[:_MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")


def skipped(reason: str) -> Outcome:
    """Return that the fault was not made, and why."""
    return Outcome("skipped", reason, 0)


def together(lines: Sequence[Line]) -> list[Line]:
    """Return one line for each fault: the parts of one are put together."""
    faults: dict[tuple[int, str], list[Line]] = {}
    for line in lines:
        faults.setdefault((line.number, line.name), []).append(line)
    return [parts[0] if len(parts) == 1 else _put_together(parts) for parts in faults.values()]


def _put_together(parts: Sequence[Line]) -> Line:
    counts: Counter[str] = Counter()
    for line in parts:
        counts.update(line.outcome.counts)
    wrong = [f"part {line.part + 1}: {line.outcome.reason}" for line in parts if line.outcome.result != "held"]
    reason = "; ".join(words for words in (_some(wrong), in_words(counts)) if words)
    result = max((line.outcome.result for line in parts), key=_WORSE.index)
    outcome = Outcome(result, reason, sum(line.outcome.runs for line in parts), counts)
    return Line(parts[0].number, parts[0].name, outcome, sum(line.seconds for line in parts), how=parts[0].how)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the lines as build/faults.json holds them."""
    return [
        {
            "id": line.number,
            "fault": line.name,
            "part": line.part,
            "runs": line.outcome.runs,
            "result": line.outcome.result,
            "reason": line.outcome.reason,
            "counts": dict(line.outcome.counts),
            "seconds": round(line.seconds, 1),
            "how": line.how,
        }
        for line in lines
    ]


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a file that `write_json` wrote; none when it is not there. Raises ValueError."""
    if not path.exists():
        return []
    try:
        return [
            Line(
                one["id"],
                one["fault"],
                Outcome(one["result"], one["reason"], one["runs"], one["counts"]),
                one["seconds"],
                one["part"],
                one["how"],
            )
            for one in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (KeyError, TypeError) as exc:
        raise ValueError(f"{path} does not hold results of faults as this program writes them") from exc


def write_json(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(as_json(lines), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


_WORSE: tuple[Result, ...] = ("held", "skipped", "broken")
_COLOURS = {"held": "green", "broken": "red", "skipped": "yellow"}


def as_table(lines: Sequence[Line]) -> Table:
    """Return the lines as a person reads them."""
    table = Table("no.", "fault", "runs", "result", "what was seen", title="faults")
    for line in together(lines):
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
    every = together(lines)
    counts = {result: sum(line.outcome.result == result for line in every) for result in _COLOURS}
    return ", ".join(f"{count} {result}" for result, count in counts.items())
