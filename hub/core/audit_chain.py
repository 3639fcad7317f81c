"""The chain of the audit log: each entry's hash covers the entry and the hash of the one before it.

Whoever edits, takes out, puts in or swaps an entry leaves a place where the hashes do not fit. Whoever may write to
the database can compute all hashes anew from there on: what finds that is a hash that was written down elsewhere.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST_HASH = bytes(32)
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """An entry as it was written; `detail` is the text of its JSON, of which every character counts."""

    entry_id: str
    """A UUID."""
    at: datetime
    actor: str
    action: str
    subject: str
    object_: str
    detail: str


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: the number of an entry, from 1, and its hash (32 bytes)."""

    seq: int
    hash_: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash_.hex()}"


START = Link(0, FIRST_HASH)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the log that is not as it was written."""

    seq: int | None
    """The number of the entry at which it was noticed; None for what has no number."""
    since: datetime | None
    """The moment of that entry, as it stands there; what is older and was not reported is as it was written."""
    kind: str
    """A stable word: `edited`, `missing`, `unnumbered`, `cut`, `rewritten`."""
    message: str


def entry_hash(before: bytes, seq: int, entry: ChainEntry) -> bytes:
    """Return the hash (32 bytes) of an entry that follows one with the hash `before`.

    Fixed for good: what is on record was hashed so. Moments count as UTC without a zone, to the microsecond.
    """
    at = entry.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    said = [seq, entry.entry_id.replace("-", ""), at]
    said += [entry.actor, entry.action, entry.subject, entry.object_, entry.detail]
    return hashlib.sha256(before + json.dumps(said, ensure_ascii=False).encode()).digest()


class ChainCheck:
    """Looks at one entry after the other, in the order of their numbers; used by one thread."""

    def __init__(self, start: Link = START) -> None:
        self.last = start
        """The entry looked at last, with the hash that is on record for it."""
        self.entries = 0

    def look_at(self, seq: int, hash_: bytes, entry: ChainEntry) -> list[Problem]:
        """Return what is wrong with the next entry. One entry that was edited is one problem, wherever it stands."""
        before, self.last = self.last, Link(seq, hash_)
        self.entries += 1
        found = []
        if seq != before.seq + 1:
            found.append(Problem(seq, entry.at, "missing", _missing(before.seq + 1, seq - 1)))
            # What stood before it is gone, so whether it is itself as it was written cannot be told.
        elif entry_hash(before.hash_, seq, entry) != hash_:
            message = f"entry {seq} is not as it was written, or the hash of the one before it is not"
            found.append(Problem(seq, entry.at, "edited", message))
        return found

    def end(self, head: Link) -> list[Problem]:
        """Return what is wrong with the end: `head` is what the hub noted as the newest entry."""
        if self.last.seq < head.seq:
            return [Problem(head.seq, None, "cut", _missing(self.last.seq + 1, head.seq) + " at the end")]
        if self.last != head:
            return [Problem(head.seq, None, "cut", f"the newest entry is not {head.seq} as the hub noted it")]
        return []


def _missing(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"


def parse_link(text: str) -> Link | None:
    """Return what `str(link)` wrote, or None for another text."""
    seq, _, written = text.strip().partition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19 and len(written) == 2 * len(FIRST_HASH)):
        return None
    try:
        return Link(int(seq), bytes.fromhex(written))
    except ValueError:
        return None
