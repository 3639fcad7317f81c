"""What can go wrong between a picture and a template, named by what the caller can do about it.

RecognitionError
├── PackError            the model pack cannot be used: install or build it again
│   ├── PackMissing          the folder or a file in it is not there
│   ├── PackAltered          a file does not have the checksum of the manifest
│   └── PackInvalid          the manifest or a model cannot be understood
├── PictureRefused       this picture cannot be used: take another one
└── PackMismatch         templates of different packs were about to be compared: a fault in the program or its data
"""


class RecognitionError(Exception):
    """Base of every error this package raises; `hint` says what a person can do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class PackError(RecognitionError):
    """The model pack cannot be used."""


class PackMissing(PackError):
    """The pack's folder, or a file its manifest names, is not there."""


class PackAltered(PackError):
    """A file of the pack does not have the size or SHA-256 its manifest states."""


class PackInvalid(PackError):
    """The manifest, or a model file with the right checksum, cannot be understood."""


class PictureRefused(RecognitionError):
    """A picture that cannot be turned into a template; `reason` is a stable word for scripts."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class PackMismatch(RecognitionError):
    """Templates of different model packs were about to be compared."""
