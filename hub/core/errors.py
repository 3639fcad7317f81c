"""What the hub's programs raise, named by what the caller does about it.

HubError                  `hint` says what a person can do
├── StoreUnavailable      the database cannot be reached or gave up: wait and try the whole transaction again
│   └── StoreBusy         it answers, and gave up on this transaction alone: others need not wait for it
├── StoreRefused          the database does not let us in, or its schema is not ours: stop and say so
├── Conflict              what was asked contradicts what is on record (a serial number is taken, ...)
├── NotFound              no such student, room, unit, lesson
├── BadInput              a file or argument cannot be used; nothing was changed
├── KeyUnusable           a key file is missing, unreadable by us, readable by others, or of the wrong size
├── BrokerRefused         the broker does not let us in: stop and say so
└── Fault                 something nobody expected went wrong: stop and say where, never what was in hand
"""


class HubError(Exception):
    """Base of every error the hub raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StoreUnavailable(HubError):
    """The database cannot be reached now, or a transaction lost against another: try again."""


class StoreBusy(StoreUnavailable):
    """The database answers, but not to this: a lock that nobody let go of, or an error of its own. Others may go on."""


class StoreRefused(HubError):
    """Wrong password, missing database, or tables of another version: trying again will not help."""


class Conflict(HubError):
    """The request contradicts what is on record."""


class NotFound(HubError):
    """The thing named does not exist."""


class BadInput(HubError):
    """A file or an argument cannot be used; nothing was changed."""


class KeyUnusable(HubError):
    """A key file cannot be used."""


class BrokerRefused(HubError):
    """The broker does not accept this hub."""


class Fault(HubError):
    """Something the program did not expect; the text names kinds and numbers, never content."""
