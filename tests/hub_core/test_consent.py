"""Consent, pure: what a form says, what it allows, and why somebody may not be recognised."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import BadInput
from hub.core.roster_consent import (
    SCOPES,
    Consent,
    Scope,
    checked_scope,
    consent_fields,
    lack,
    lapsed_at,
    runs_out,
    scope_of,
    scope_text,
)

NOW = datetime(2026, 9, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def consent(*scope: Scope, given: int = 100, expires: int | None = None, withdrawn: int | None = None) -> Consent:
    """A consent given so many days ago, that ends in so many days (before now: negative)."""
    return Consent(
        consent_id="c",
        student_id="s",
        serial_number="1",
        name="A",
        given_at=NOW - given * DAY,
        given_by="x",
        reference="",
        expires_at=None if expires is None else NOW + expires * DAY,
        withdrawn_at=None if withdrawn is None else NOW - withdrawn * DAY,
        scope=scope or ("recognition",),
    )


@pytest.mark.parametrize(
    ("written", "scope"),
    [
        ("", ("recognition",)),
        ("recognition", ("recognition",)),
        ("photos; Recognition", ("recognition", "photos")),
        ("sweep,recognition", ("recognition", "sweep")),
        ("all", ("recognition", "photos", "sweep")),
        ("photos", ("photos",)),
    ],
)
def test_a_scope_is_written_as_people_write_lists(written: str, scope: tuple[str, ...]) -> None:
    assert checked_scope(written) == scope


@pytest.mark.parametrize("written", ["everything", "recognition;faces", "all;photos"])
def test_an_unknown_scope_is_refused_with_the_words_there_are(written: str) -> None:
    with pytest.raises(BadInput, match="recognition, photos, sweep or all"):
        checked_scope(written)


@given(st.sets(st.sampled_from(list(SCOPES)), min_size=1))
def test_a_scope_comes_back_from_the_database_as_it_was(words: set[Scope]) -> None:
    scope = checked_scope(";".join(words))
    assert scope_of(scope_text(scope)) == scope
    assert scope_of("telepathy," + scope_text(scope)) == scope


def test_another_scope_is_another_consent() -> None:
    cells = {"serial_number": "1", "given_by": "x"}
    fields = consent_fields(cells, ZoneInfo("Europe/Berlin"), NOW)
    assert consent(given=0).says(fields)
    assert not consent("recognition", "photos", given=0).says(fields)


def test_why_somebody_may_not_be_recognised() -> None:
    assert lack([], NOW) == "never asked"
    assert lack([consent("photos")], NOW) == "not for recognition"
    assert lack([consent(expires=0)], NOW) == "expired"
    assert lack([consent(withdrawn=0)], NOW) == "withdrawn"
    assert lack([consent(given=300, expires=-50), consent(withdrawn=1)], NOW) == "withdrawn"
    assert lack([consent(withdrawn=50), consent()], NOW) is None
    assert not consent("photos").allows("recognition", NOW)


def test_a_consent_runs_out_only_when_no_other_holds_longer() -> None:
    first, second = consent(expires=10), consent(expires=30)
    assert runs_out([first, second], NOW) == second
    assert runs_out([first, consent()], NOW) is None
    assert runs_out([consent(expires=-1)], NOW) is None
    assert runs_out([first, consent("photos")], NOW) == first


def test_what_was_allowed_lapses_with_the_last_that_allowed_it() -> None:
    both = [consent("recognition", "photos", expires=-40), consent(expires=-10)]
    assert lapsed_at(both, "recognition", NOW) == NOW - 10 * DAY
    assert lapsed_at(both, "photos", NOW) == NOW - 40 * DAY
    assert lapsed_at(both, "sweep", NOW) is None
    assert lapsed_at([*both, consent()], "recognition", NOW) is None
    # The clock went back: what was given meanwhile has not ended.
    assert lapsed_at([*both, consent(given=-5)], "recognition", NOW) is None
    assert lapsed_at([], "recognition", NOW) is None
