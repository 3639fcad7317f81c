"""Why a picture stays out, in sentences for people, with the command that helps."""

from collections.abc import Sequence
from datetime import tzinfo

from hub.adapters.picture_store import Member
from hub.core.enrolment_gallery import Limits
from hub.core.enrolment_outliers import Standing, Together
from hub.core.roster import Student
from hub.core.roster_times import day_of

SHORTEST_ID = 6
_ID_SHOWN = 8


def picture_id(picture_sha256: bytes) -> str:
    """Return what a person calls an enrolled picture by: how the SHA-256 of its file begins."""
    return picture_sha256.hex()[:_ID_SHOWN]


def like_other(serial_number: str, name: str | None, other: Student, score: float, limit: float) -> str:
    """Return the sentence for a picture that shows somebody who is enrolled already."""
    there = other.fields.serial_number
    given_for = f"{serial_number}: {name}" if name else serial_number
    return (
        f"this looks like {there}: {other.fields.name}, and was given for {given_for} "
        f"({score:.3f} alike; from {limit:.3f} on it counts as one person). "
        f"One person with two numbers: rollcall-hub lookalike same {there} {serial_number}. "
        f"Two people who look alike: rollcall-hub lookalike confirm {there} {serial_number}, "
        "then again; or run again with --allow-look-alike"
    )


def outlier(together: Together, place: int, limits: Limits, serial_number: str, odd: str) -> tuple[str, str]:
    """Return the reason and the sentence for a new picture that stays out; `odd` names enrolled ones that are odd."""
    standing: Standing = together.standings[place]
    far = f"({together.scores[place]:.3f} alike; {limits.own:.3f} is needed)"
    forget = f"rollcall-hub enrol forget --serial {serial_number}"
    if standing == "not_like_the_others":
        return standing, f"does not look like the other pictures of this student {far}: is it of somebody else?"
    if standing == "not_like_each_other":
        return standing, (
            f"these pictures do not look like one person {far}, and nothing says which is the right one: "
            "enrol one more together with them"
        )
    if standing == "earlier_odd":
        return standing, f"looks like the pictures it came with, but what is enrolled does not: {odd}, then enrol again"
    if together.agreeing:
        return standing, (
            f"does not look like the other pictures of this student {far}; if those are the wrong ones, "
            f"delete them: {forget}"
        )
    return standing, (
        f"does not look like what is enrolled for this student {far}, and nothing says which of them is wrong: "
        f"enrol one more together with it, or delete what is enrolled: {forget}"
    )


def odd_pictures(odd: Sequence[Member], serial_number: str, zone: tzinfo) -> str:
    """Return the sentence about enrolled pictures that are not like the others, with the commands that remove them."""
    return "; ".join(
        f"picture {picture_id(member.picture_sha256)}, enrolled on {day_of(member.created_at, zone)}, is not like "
        f"the others; to remove it: rollcall-hub enrol forget --serial {serial_number} "
        f"--picture {picture_id(member.picture_sha256)}"
        for member in odd
    )
