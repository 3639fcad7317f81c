"""Once a day both sides compare what they hold: receipts cannot tell of a database that lost what it had committed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edge.core.actions import Action, Raise, Requeue, Retry
from edge.core.flights import holds
from edge.core.greeting import NO_ANSWER
from edge.core.ports import DeadLetter, Journal
from protocol.delivery import MAX_AUDIT_RANGES, Audit, AuditAnswer, RangeDigest, SeqRange

RANGE_SEQS = 1000
_FIRST_S = 600.0
_EVERY_S = 24 * 3600.0
_UNANSWERED_S = 3600.0
_DIGEST_BYTES = 120
"""More than one digest takes as JSON."""
_ENVELOPE_BYTES = 512


@dataclass(frozen=True, slots=True)
class _Asked:
    epoch: str
    spans: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class AuditBook:
    """When to compare, and what to send again for it. One thread; `jitter` returns 0..1."""

    new_id: Callable[[], str]
    jitter: Callable[[], float]
    next_due_s: float = float("inf")
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _asked_s: float = 0.0

    def welcomed(self, now_s: float) -> None:
        """Take note that the hub is there; the first audit comes ten to twenty minutes after its first welcome."""
        if self.next_due_s == float("inf"):
            self.next_due_s = now_s + _FIRST_S * (1.0 + self.jitter())

    def begin(self, now_s: float, journal: Journal, most_bytes: int) -> tuple[list[Audit], list[Action]]:
        """Return what to ask the hub, and what else is to be done once a day."""
        self._asked.clear()
        self._asked_s = now_s
        # An answer that does not come is asked for again; a hub of an earlier version never answers.
        self.next_due_s = now_s + _UNANSWERED_S
        at_once = max(1, min(MAX_AUDIT_RANGES, (most_bytes - _ENVELOPE_BYTES) // _DIGEST_BYTES))
        audits = []
        for epoch in journal.epochs():
            digests = journal.digests(epoch, RANGE_SEQS, MAX_AUDIT_RANGES)
            audits += [self._ask(epoch, digests[n : n + at_once]) for n in range(0, len(digests), at_once)]
        # What was put aside here alone gets another chance: perhaps the hub was repaired since.
        aside = tuple((one.epoch, one.seq) for one in journal.dead_letters() if one.code == NO_ANSWER)
        return audits, [Retry(aside)] if aside else []

    def answered(self, answer: AuditAnswer, letters: Callable[[], Iterable[DeadLetter]]) -> list[Action]:
        """Return what to send again for an answer; nothing for one that we did not ask for.

        `letters` returns the dead letters: what the hub had refused it may have lost with the rest, and then only one
        side keeps it.
        """
        asked = self._asked.get(answer.audit_id)
        if asked is None or asked.epoch != answer.epoch:
            return []
        del self._asked[answer.audit_id]
        if not self._asked:
            self.next_due_s = self._asked_s + _EVERY_S * (0.9 + 0.1 * self.jitter())
        lacking = tuple(span for span in answer.differing if _within(span, asked.spans))
        if not lacking:
            return []
        count = sum(span.last - span.first + 1 for span in lacking)
        text = f"the hub holds other records than it confirmed, among {count}; these are sent again from this unit"
        actions: list[Action] = [Raise("hub_restored", text), Requeue(asked.epoch, lacking)]
        refused = tuple(
            (one.epoch, one.seq)
            for one in letters()
            if one.epoch == asked.epoch and one.code != NO_ANSWER and holds(lacking, one.seq)
        )
        return [*actions, Retry(refused)] if refused else actions

    def _ask(self, epoch: str, digests: Sequence[RangeDigest]) -> Audit:
        audit = Audit(epoch=epoch, audit_id=self.new_id(), digests=tuple(digests))
        self._asked[audit.audit_id] = _Asked(epoch, tuple((one.first, one.last) for one in digests))
        return audit


def _within(span: SeqRange, spans: Sequence[tuple[int, int]]) -> bool:
    return any(first <= span.first and span.last <= last for first, last in spans)
