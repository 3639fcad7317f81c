"""Which process listens to what: each message is heard by somebody, and what is done once is heard by one."""

import pytest

from hub.core.roles import Role, subscriptions
from protocol.topics import UP_CHANNELS, hub_filter

SITE = "test-site"


def test_a_single_process_hears_everything_itself() -> None:
    assert sorted(subscriptions(SITE, Role())) == sorted(hub_filter(SITE, channel) for channel in UP_CHANNELS)


@pytest.mark.parametrize("several_hosts", [False, True])
def test_workers_share_what_any_of_them_may_take(several_hosts: bool) -> None:
    first, second = (subscriptions(SITE, Role(number, 2, several_hosts)) for number in (1, 2))
    shared = {hub_filter(SITE, channel, share="hub") for channel in UP_CHANNELS if channel not in {"status", "want"}}
    assert set(second) == shared
    assert shared < set(first)


def test_the_status_which_is_retained_is_never_shared() -> None:
    assert hub_filter(SITE, "status") in subscriptions(SITE, Role(1, 3, several_hosts=True))


def test_content_is_handed_out_by_one_first_worker() -> None:
    assert hub_filter(SITE, "want") in subscriptions(SITE, Role(1, 2))
    assert hub_filter(SITE, "want", share="hub-first") in subscriptions(SITE, Role(1, 2, several_hosts=True))
