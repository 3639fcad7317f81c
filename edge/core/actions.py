"""What the conversation with the hub wants done. The core decides, whoever drives it carries out, in the order given.

An action that a full disk refuses may be left out: everything that matters is asked for once more.
"""

from dataclasses import dataclass

from protocol.base import Envelope
from protocol.delivery import Rejection, SeqRange
from protocol.events import Event, Stamp


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens: by a clock that is never set, and as events carry it."""

    monotonic_s: float
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a message to the network, on an up channel of this unit."""

    channel: str
    message: Envelope
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """Note in the journal that the hub has committed these events."""

    epoch: str
    ranges: tuple[SeqRange, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Move these events to the journal's dead letters."""

    epoch: str
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Requeue:
    """Put delivered events back into the journal's queue."""

    epoch: str
    ranges: tuple[SeqRange, ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Put these dead letters, by (epoch, seq), back into the journal's queue."""

    letters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    """Begin a new stream if this one is still the journal's present stream."""

    instead_of: str


@dataclass(frozen=True, slots=True)
class Renumber:
    """Move undelivered events out of an earlier stream into the present one.

    To be left out while `epoch` is the present stream: a full disk may have refused to begin another.
    """

    epoch: str
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Write an event down."""

    event: Event


@dataclass(frozen=True, slots=True)
class Raise:
    """A problem begins, or its words change."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Clear:
    """A problem is over."""

    code: str


Action = Send | Delivered | Rejected | Requeue | Retry | BeginEpoch | Renumber | Record | Raise | Clear
