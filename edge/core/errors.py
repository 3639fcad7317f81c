"""What the unit's program raises, named by what the caller does about it.

EdgeError                 `hint` says what a person can do
├── SettingsWrong         a setting is missing, unknown or impossible: stop and say which
├── KeyUnusable           a key file is missing, readable by others or of the wrong size: stop
├── CameraLost            no frame now: say so, open the camera again after a while
├── CameraEnded           a recording is over: finish what is open, stop or begin again
├── StorageFailed         the disk does not take or give what it must: stop, be restarted
│   ├── StorageDamaged        the record is not what we wrote: stop; the next start saves what can be read
│   └── StorageFull           no space: say so, keep recognising, try again
│       └── StorageReadOnly       the disk takes nothing at all now: the same
├── AnotherDaemon         a unit's daemon already runs on this data folder: stop
├── CommandRefused        the running unit does not do what a command asks, or does not answer: say so
├── UplinkUnavailable     not connected: keep the message, try later
└── GalleryRefused        what the hub sent must not be used: keep the gallery we have, tell the hub why
"""


class EdgeError(Exception):
    """Base of every error the unit raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsWrong(EdgeError):
    """The settings cannot be used; the message names the key."""


class KeyUnusable(EdgeError):
    """A key file cannot be used."""


class CameraLost(EdgeError):
    """The camera gives no frames now."""


class CameraEnded(EdgeError):
    """The recording is over."""


class StorageFailed(EdgeError):
    """The disk failed, or the database file is not what we wrote."""


class StorageDamaged(StorageFailed):
    """The database file is not what we wrote, or no database any more."""


class StorageFull(StorageFailed):
    """There is no space left."""


class StorageReadOnly(StorageFull):
    """The disk can only be read: it was mounted so, or the kernel no longer trusts it."""


class AnotherDaemon(EdgeError):
    """Another daemon holds the data folder."""


class CommandRefused(EdgeError):
    """The unit that runs here does not do it, or cannot be asked."""


class UplinkUnavailable(EdgeError):
    """There is no connection to the broker now."""


class GalleryRefused(EdgeError):
    """Content from the hub that must not be used; `code` is the protocol's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
