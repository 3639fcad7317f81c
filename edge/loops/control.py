"""What commands may ask of the unit's record: the same whether the unit runs, or a command stands in for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge.core.errors import EdgeError, StorageDamaged, StorageFailed, StorageFull
from edge.core.ports import Journal

MOST_LETTERS = 500
"""In one request, so that request and answer keep below the socket's limit."""
_LISTEN_S = 1.0

Reply = dict[str, Any]


class CsvFiles(Protocol):
    """The day files, seen as something that can be written again."""

    def days(self) -> list[str]:
        """Return the days of which the record has lines."""
        ...

    def rebuild(self, day: str, names: Mapping[str, str]) -> int:
        """Write a day's file anew; return how many lines it has.

        Raises ValueError for what is no day, StorageFailed.
        """
        ...


class Marks(Protocol):
    """Where people mark students."""

    def answer(self, request: Mapping[str, Any]) -> Reply:
        """Mark a student, or say why not. Raises StorageFull and StorageFailed: nothing is marked then."""
        ...


@dataclass(frozen=True, slots=True)
class ControlDesk:
    """Answers requests. One thread at a time; raises StorageFailed only when the disk is broken."""

    journal: Journal
    csv: CsvFiles
    names: Callable[[], Mapping[str, str]]
    """Returns the display names of the gallery in use by student id."""
    status: Callable[[], Reply]
    """Returns how the unit is."""
    marks: Marks | None = None

    def answer(self, request: Mapping[str, Any]) -> Reply:
        """Do what is asked. `ok` says whether it was done; if not, `problem` and `hint` say why."""
        try:
            match request:
                case {"command": "status"}:
                    return {"ok": True, **self.status()}
                case {"command": "retry", "letters": letters}:
                    return self._retry(letters)
                case {"command": "mark"} if self.marks is not None:
                    return self.marks.answer(request)
                case {"command": "csv_days"}:
                    return {"ok": True, "days": self.csv.days()}
                case {"command": "csv_rebuild", "day": str(day)}:
                    return self._rebuild(day)
                case _:
                    return _refused("this is no request that this version knows", "is the unit of the same version?")
        except StorageFull as exc:
            return _refused(str(exc), exc.hint)

    def _retry(self, letters: object) -> Reply:
        wanted = _letters(letters) if letters is not None else None
        if letters is not None and wanted is None:
            return _refused("dead letters are named by stream and number")
        return {"ok": True, "retried": self.journal.retry(wanted)}

    def _rebuild(self, day: str) -> Reply:
        try:
            return {"ok": True, "lines": self.csv.rebuild(day, self.names())}
        except (ValueError, OverflowError):
            return _refused(f"{day[:20]!r} is no day", "write it as 2026-09-01")
        except StorageDamaged:
            raise
        except StorageFailed as exc:
            # Only the copy's folder: attendance goes on without it.
            return _refused(str(exc), exc.hint)


def _letters(value: object) -> Sequence[tuple[str, int]] | None:
    if not isinstance(value, list) or len(value) > MOST_LETTERS:
        return None
    found = []
    for item in value:
        match item:
            case [str(epoch), int(seq)] if 0 < seq < 2**62:
                found.append((epoch, seq))
            case _:
                return None
    return found


def _refused(problem: str, hint: str = "") -> Reply:
    return {"ok": False, "problem": problem, "hint": hint}


class Counter(Protocol):
    """Where requests come in."""

    def serve(self, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]], timeout_s: float) -> bool:
        """Wait for one request and answer it."""
        ...


@dataclass(frozen=True, slots=True)
class ControlLoop:
    """One thread calls `step`."""

    counter: Counter
    desk: ControlDesk

    def step(self) -> bool:
        """Answer one request, if one comes. Raises StorageFailed when the disk is broken."""
        failure: list[EdgeError] = []

        def answer(request: Mapping[str, Any]) -> Reply:
            try:
                return self.desk.answer(request)
            except StorageFailed as exc:
                # The person hears of it, and then the program ends.
                failure.append(exc)
                return _refused(str(exc), exc.hint)

        self.counter.serve(answer, _LISTEN_S)
        if failure:
            raise failure[0]
        return True
