"""Once a day both sides compare what they hold: receipts cannot tell of a database that lost what it had committed."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.core.actions import Action, Raise, Requeue, Retry
from edge.core.greeting import NO_ANSWER
from edge.core.ports import Journal
from protocol.delivery import MAX_AUDIT_RANGES, Audit, AuditAnswer, RangeDigest, SeqRange

RANGE_SEQS = 1000
_RANGES_AT_ONCE = 25
"""A second or two of reading for a slow card."""
_PAGE_EVERY_S = 1.0
_FIRST_S = 600.0
_EVERY_S = 24 * 3600.0
_UNANSWERED_S = 3600.0
_DIGEST_BYTES = 120
"""More than one digest takes as JSON."""
_ENVELOPE_BYTES = 512
_LAST_SEQ = 2**53


@dataclass(frozen=True, slots=True)
class _Asked:
    epoch: str
    spans: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Unread:
    """What of a stream is still to be compared, from its newest seq on."""

    epoch: str
    below: int | None = None
    ranges: int = MAX_AUDIT_RANGES


@dataclass(slots=True)
class AuditBook:
    """When to compare, and what to send again for it. One thread; `jitter` returns 0..1."""

    new_id: Callable[[], str]
    jitter: Callable[[], float]
    next_due_s: float = float("inf")
    _unread: deque[_Unread] = field(default_factory=deque)
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _begun_s: float = 0.0
    _answers: int = 0

    def welcomed(self, now_s: float) -> None:
        """Take note that the hub is there; the first audit comes ten to twenty minutes after its first welcome."""
        if self.next_due_s == float("inf"):
            self.next_due_s = now_s + _FIRST_S * (1.0 + self.jitter())

    def step(self, now_s: float, journal: Journal, most_bytes: int) -> tuple[list[Audit], list[Action]]:
        """Return what to ask the hub now, and what else is to be done once a day: to be called when it is due.

        A stream is read in pages, one at each call: a million events are too many for one step.
        """
        actions = [] if self._unread else self._begin(now_s, journal)
        unread = self._unread[0]
        at_once = max(1, min(unread.ranges, _RANGES_AT_ONCE, (most_bytes - _ENVELOPE_BYTES) // _DIGEST_BYTES))
        digests = journal.digests(unread.epoch, RANGE_SEQS, at_once, unread.below)
        if len(digests) < at_once or unread.ranges == at_once:
            self._unread.popleft()
        else:
            unread.below, unread.ranges = digests[0].first, unread.ranges - at_once
        audits = [self._ask(unread.epoch, digests)] if digests else []
        self._set_due(now_s)
        return audits, actions

    def _begin(self, now_s: float, journal: Journal) -> list[Action]:
        self._asked.clear()
        self._begun_s, self._answers = now_s, 0
        self._unread.extend(_Unread(epoch) for epoch in journal.epochs())
        # What was put aside here alone gets another chance: perhaps the hub was repaired since.
        aside = tuple(
            (unread.epoch, seq)
            for unread in self._unread
            for seq, code in journal.refusals(unread.epoch, 1, _LAST_SEQ, NO_ANSWER)
        )
        return [Retry(aside)] if aside else []

    def _set_due(self, now_s: float) -> None:
        if self._unread:
            self.next_due_s = now_s + _PAGE_EVERY_S
        elif self._answers and not self._asked:
            self.next_due_s = self._begun_s + _EVERY_S * (0.9 + 0.1 * self.jitter())
        else:
            # An answer that does not come is asked for again; a hub of an earlier version never answers.
            self.next_due_s = self._begun_s + _UNANSWERED_S

    def answered(self, answer: AuditAnswer, now_s: float) -> list[Action]:
        """Return what to send again for an answer; nothing for one that we did not ask for."""
        asked = self._asked.get(answer.audit_id)
        if asked is None or asked.epoch != answer.epoch:
            return []
        del self._asked[answer.audit_id]
        self._answers += 1
        self._set_due(now_s)
        lacking = tuple(span for span in answer.differing if _within(span, asked.spans))
        if not lacking:
            return []
        count = sum(span.last - span.first + 1 for span in lacking)
        text = f"the hub holds other records than it confirmed, among {count}; these are sent again from this unit"
        return [Raise("hub_restored", text), Requeue(asked.epoch, lacking)]

    def _ask(self, epoch: str, digests: Sequence[RangeDigest]) -> Audit:
        audit = Audit(epoch=epoch, audit_id=self.new_id(), digests=tuple(digests))
        self._asked[audit.audit_id] = _Asked(epoch, tuple((one.first, one.last) for one in digests))
        return audit


def _within(span: SeqRange, spans: Sequence[tuple[int, int]]) -> bool:
    return any(first <= span.first and span.last <= last for first, last in spans)
