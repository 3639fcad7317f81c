"""What can be wrong with a message, named by what its reader does about it.

ProtocolError
├── UnknownTopic     the topic is none of ours: ignore it and count it
├── BadMessage       the payload cannot be used: count it, keep it out of the way, never crash
│   ├── TooLarge         refused before it is parsed
│   └── WrongVersion     a major version this program does not speak
├── BadEvent         one event of a batch cannot be used: reject it by its seq, take the others
└── SealBroken       the bytes were not sealed for this reader, or were altered: refuse them
"""


class ProtocolError(Exception):
    """Base of every error this package raises."""


class UnknownTopic(ProtocolError):
    """The topic is not one of the protocol's."""


class BadMessage(ProtocolError):
    """The payload is not a message of its topic."""


class TooLarge(BadMessage):
    """The payload is larger than the protocol allows."""


class WrongVersion(BadMessage):
    """The topic names a major version that this program does not speak."""


class BadEvent(ProtocolError):
    """One event cannot be understood; `code` goes into the receipt."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SealBroken(ProtocolError):
    """Decryption or a signature check failed."""
