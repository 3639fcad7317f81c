"""What the hub lost and gets again: put back into the queue a slice at a time, so that no step takes long."""

from collections import deque
from dataclasses import dataclass, field

from edge.core.actions import Action, BeginEpoch, Requeue, Retry
from edge.core.greeting import NO_ANSWER
from edge.core.ports import Journal
from protocol.delivery import SeqRange

SLICE_SEQS = 2000
"""A second or two of work for a slow card."""
_EVERY_S = 1.0
_FULL_DISK_S = 30.0


@dataclass(slots=True)
class RepairBook:
    """What is still to be put back, and what a full disk refused to. One thread; monotonic seconds."""

    _spans: deque[tuple[str, SeqRange]] = field(default_factory=deque)
    _refused: list[Action] = field(default_factory=list)
    _due_s: float = float("-inf")
    _last_s: float = float("-inf")

    def take(self, actions: list[Action], now_s: float, journal: Journal) -> list[Action]:
        """Return the actions with only so much to be put back as is due at once; the rest comes with later steps."""
        others: list[Action] = []
        for action in actions:
            if isinstance(action, Requeue):
                self._spans.extend((action.epoch, span) for span in action.ranges)
            else:
                others.append(action)
        return others + self.step(now_s, journal)

    @property
    def pending(self) -> bool:
        """True while something is still to be put back."""
        return bool(self._spans or self._refused)

    def was_over(self, at_s: float) -> bool:
        """Tell whether nothing was put back since a moment, and nothing is to be: what a hello said then holds."""
        return not self.pending and at_s > self._last_s

    @property
    def next_due_s(self) -> float:
        """When the next slice is due."""
        return self._due_s if self.pending else float("inf")

    def step(self, now_s: float, journal: Journal) -> list[Action]:
        """Return the next slice when it is due; what the hub had refused among it, it has forgotten too."""
        if now_s < self.next_due_s:
            return []
        self._last_s, self._due_s = now_s, now_s + _EVERY_S
        if self._refused:
            again, self._refused = self._refused, []
            return again
        epoch, spans = self._next_slice()
        refused = tuple(
            (epoch, seq)
            for span in spans
            for seq, code in journal.refusals(epoch, span.first, span.last)
            # What was put aside here alone, a hub never had.
            if code != NO_ANSWER
        )
        return [Requeue(epoch, tuple(spans)), *([Retry(refused)] if refused else [])]

    def not_done(self, action: Action, now_s: float) -> None:
        """Ask for it again after a while: a full disk refused it."""
        if isinstance(action, Requeue | Retry | BeginEpoch) and action not in self._refused:
            self._refused.append(action)
            self._due_s = now_s + _FULL_DISK_S

    def _next_slice(self) -> tuple[str, list[SeqRange]]:
        epoch, left, spans = self._spans[0][0], SLICE_SEQS, list[SeqRange]()
        while self._spans and self._spans[0][0] == epoch and left > 0:
            _, span = self._spans.popleft()
            last = min(span.last, span.first + left - 1)
            spans.append(SeqRange(first=span.first, last=last))
            left -= last - span.first + 1
            if last < span.last:
                self._spans.appendleft((epoch, SeqRange(first=last + 1, last=span.last)))
        return epoch, spans
