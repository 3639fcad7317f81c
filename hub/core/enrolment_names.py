"""Names of portrait files as the original system wrote them: `<serial>_<name>.png`, more pictures with `_2`, `_3`."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath

from hub.core.errors import BadInput
from hub.core.roster import checked_name, checked_serial

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
EXPECTED = "<serial>_<name>.jpg, for example 12_Ada Lovelace.jpg"

# "_2", " 2", "-2", "(2)" after the name: another picture of the same person.
_COUNTER = re.compile(r"(?:[ _-]+\d{1,4}|[ _]*\(\d{1,4}\))$", re.ASCII)


@dataclass(frozen=True, slots=True)
class PortraitName:
    """Whom a file name says the picture shows."""

    serial_number: str
    name: str


def is_picture(file_name: str) -> bool:
    """Whether an import looks at this file at all; hidden files are the operating system's own."""
    return PurePath(file_name).suffix.lower() in PICTURE_ENDINGS and not file_name.startswith(".")


def parse_portrait_name(file_name: str) -> PortraitName:
    """Return whom a file shows. Leading zeros are kept. Raises BadInput."""
    # macOS stores names decomposed; on record they are composed.
    stem = unicodedata.normalize("NFC", PurePath(file_name).stem)
    serial, underscore, rest = stem.partition("_")
    if not underscore:
        raise BadInput(f"the file name must be {EXPECTED}")
    name = _COUNTER.sub("", rest.strip()).replace("_", " ")
    try:
        return PortraitName(checked_serial(serial), checked_name(name))
    except BadInput as exc:
        raise BadInput(f"{exc}: the file name must be {EXPECTED}") from exc


def same_person(on_file: str, on_record: str) -> bool:
    """Whether two spellings may name one person: one has all the words of the other, accents and case aside."""
    first, second = _words(on_file), _words(on_record)
    return not first or not second or first <= second or second <= first


def _words(name: str) -> frozenset[str]:
    plain = (c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.category(c).startswith("M"))
    return frozenset("".join(c if c.isalnum() else " " for c in plain).split())
