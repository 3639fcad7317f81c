"""Which part of the work a process that serves takes, and what it listens to for that."""

from dataclasses import dataclass

from protocol.topics import UP_CHANNELS, hub_filter

_SHARE = "hub"
_FIRST_SHARE = "hub-first"


@dataclass(frozen=True, slots=True)
class Role:
    """Which of the processes that serve this one is: worker 1, 2, ... `of` so many on this computer.

    Worker 1 also announces galleries, derives the register and calibrates: the work of one, however many take events.
    """

    number: int = 1
    of: int = 1
    several_hosts: bool = False

    @property
    def first(self) -> bool:
        """Whether this one does what is done once."""
        return self.number == 1

    @property
    def share(self) -> str | None:
        """The name under which processes divide what units say, if there are several."""
        return _SHARE if self.of > 1 or self.several_hosts else None


def subscriptions(site: str, role: Role) -> list[str]:
    """Return what a process listens to.

    Events and all that may be taken by any one process are shared. Retained messages are not delivered to shared
    subscriptions, so the first worker hears each `status` (on several computers each first worker does: storing one
    twice changes nothing), and it alone has content for those who want it.
    """
    filters = [
        hub_filter(site, channel, share=role.share) for channel in UP_CHANNELS if channel not in ("status", "want")
    ]
    if role.first:
        filters.append(hub_filter(site, "status"))
        filters.append(hub_filter(site, "want", share=_FIRST_SHARE if role.several_hosts else None))
    return filters
