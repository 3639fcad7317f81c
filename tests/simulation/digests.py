"""What a unit tells the hub of a range of a stream, so that both can compare what they hold."""

from collections.abc import Sequence

from protocol.delivery import RangeDigest
from tests.simulation.disk import DELIVERED, WAITING, Row, Stream


def digests_of(stream: Stream, first: int, last: int) -> list[RangeDigest]:
    """Return a digest for each unbroken run of what is there; none while something waits in between."""
    rows = [row for seq in range(first, last + 1) if (row := stream.rows.get(seq)) is not None]
    if any(row.state == WAITING for row in rows):
        return []
    runs: list[list[Row]] = []
    for row in rows:
        if runs and runs[-1][-1].seq == row.seq - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return [_digest(run) for run in runs]


def _digest(run: Sequence[Row]) -> RangeDigest:
    count = combined = 0
    for row in run:
        if row.state == DELIVERED:
            if not row.hash64:
                row.ready()
                row.prepared = None
            count += 1
            combined ^= row.hash64
    return RangeDigest(first=run[0].seq, last=run[-1].seq, count=count, xor64=f"{combined:016x}")
