"""Of two numbers of one person, the one that the school works with is kept."""

from dataclasses import replace
from datetime import UTC, datetime

from hub.core.enrolment_duplicates import Numbered, which_keeps

PLAIN = Numbered("2", at_school=True, section=None, pictures=1, first_enrolled=datetime(2026, 9, 2, tzinfo=UTC))


def kept(**better: object) -> tuple[str, str]:
    """Which of number 1, which would lose, and number 9 is kept; the same in either order."""
    one, nine = replace(PLAIN, serial_number="1"), replace(PLAIN, serial_number="9", **better)  # type: ignore[arg-type]
    found = which_keeps(one, nine)
    assert which_keeps(nine, one) == found
    assert {found.keep, found.forget} == {"1", "9"}
    return found.keep, found.because


def test_what_the_school_works_with_is_kept_in_this_order() -> None:
    assert kept() == ("1", "it comes first, and nothing else tells them apart")
    assert kept(first_enrolled=datetime(2026, 9, 1, tzinfo=UTC)) == ("9", "it was enrolled first")
    assert kept(pictures=2, first_enrolled=None) == ("9", "it has more pictures")
    assert kept(section="7b", pictures=0) == ("9", "the other one is in no section")
    assert kept(section="7b", at_school=False) == ("1", "the other one left the school")
