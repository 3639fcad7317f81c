"""What audits, packs, generations and the two lanes promise by themselves."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.content import HeadBody, PackFile, PackList
from protocol.delivery import MAX_AUDIT_RANGES, Audit, Limits, RangeDigest, Welcome, xor64
from tests.builders import PACK, stamp, uid
from tests.fakes import EPOCH
from tests.protocol_wire.samples import GALLERY, PACK_LIST


@given(st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=20), st.randoms(use_true_random=False))
def test_the_digest_of_a_range_does_not_depend_on_the_order(hashes: list[str], random: Random) -> None:
    shuffled = random.sample(hashes, len(hashes))
    assert xor64(shuffled) == xor64(hashes)
    assert len(xor64(hashes)) == 16


def test_the_digest_of_a_range_is_pinned() -> None:
    """Units and hubs of all versions compute it, and databases in their own words."""
    assert xor64([]) == "0" * 16
    assert xor64(["ab" * 32]) == "ab" * 8
    assert xor64(["0123456789abcdef" + "0" * 48, "00000000000000ff" + "f" * 48]) == "0123456789abcd10"


@given(st.sets(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=8))
def test_a_lost_event_changes_the_digest(hashes: set[str]) -> None:
    lost = min(hashes)
    assert xor64(hashes - {lost}) != xor64(hashes) or set(lost[:16]) == {"0"}


@pytest.mark.parametrize("wrong", [{"last": 4}, {"count": -1}, {"xor64": "abc"}, {"xor64": "A" * 16}, {"first": 0}])
def test_an_audited_range_is_one(wrong: dict[str, Any]) -> None:
    good = {"first": 5, "last": 9, "count": 3, "xor64": "a" * 16}
    RangeDigest.model_validate(good)
    with pytest.raises(ValidationError):
        RangeDigest.model_validate({**good, **wrong})


@pytest.mark.parametrize("count", [0, MAX_AUDIT_RANGES + 1])
def test_an_audit_compares_one_to_five_hundred_ranges(count: int) -> None:
    digest = RangeDigest(first=1, last=2, count=2, xor64="0" * 16)
    with pytest.raises(ValidationError):
        Audit(epoch=EPOCH, audit_id=uid(1), digests=(digest,) * count)


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../manifest.json", "a/b", "/etc/passwd", "a\\b", ".hidden", "-rf", "a\n", "ä", "x" * 101, "C:"],
)
def test_no_name_of_a_pack_file_leads_out_of_its_folder(path: str) -> None:
    with pytest.raises(ValidationError):
        PackFile(path=path, sha256="ab" * 32, bytes=1)


def test_a_pack_lists_each_file_once_and_at_least_one() -> None:
    one = PACK_LIST.files[0]
    for files in ((), (one, one), (one, one.model_copy(update={"bytes": 1}))):
        with pytest.raises(ValidationError):
            PackList(pack_id=PACK, files=files)


def test_a_hub_that_says_nothing_of_the_backlog_allows_little_of_it() -> None:
    """So that a fleet that comes back does not bury the hub."""
    limits = Welcome(epoch=EPOCH, high_water=0, server_time=stamp().at).limits
    assert (limits.batches_in_flight, limits.backlog_in_flight) == (8, 2)
    with pytest.raises(ValidationError):
        Limits(backlog_in_flight=0)


@pytest.mark.parametrize("generation", [-1, 2**31])
def test_generations_fit_where_they_are_kept(generation: int) -> None:
    with pytest.raises(ValidationError):
        HeadBody.model_validate({**GALLERY.body.model_dump(), "generation": generation})
