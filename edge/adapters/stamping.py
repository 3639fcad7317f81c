"""Stamps moved in time: for recordings, and for frames that a driver dates itself."""

from datetime import timedelta

from protocol.events import Stamp


def moved(stamp: Stamp, by_ns: int) -> Stamp:
    """Return the stamp `by_ns` nanoseconds later (earlier when negative), on both of its clocks.

    The boot clock stops at 0: a recording may be longer than the machine has been up.
    """
    return stamp.model_copy(
        update={
            "at": stamp.at + timedelta(microseconds=by_ns / 1000),
            "boottime_ns": max(0, stamp.boottime_ns + by_ns),
        }
    )
