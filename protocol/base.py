"""The ground every message stands on: frozen models, identifiers, times and canonical bytes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

MINOR = 1
"""Minor version of the messages written by this program; readers ignore fields they do not know."""

MAX_BATCH_EVENTS = 100
MAX_BATCH_BYTES = 64 * 1024
MAX_PART_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 112 * 1024
"""No message is larger: one part in base64 with its envelope. Checked before parsing and before publishing."""


_NO_OFFSET = timedelta(0)


def _to_utc(moment: datetime) -> datetime:
    if moment.utcoffset() != _NO_OFFSET:
        raise ValueError("times on the wire are UTC")
    # Not `astimezone`, which costs twice as much: this runs for every time of every event.
    return datetime.combine(moment.date(), moment.time(), UTC)


Utc = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment in UTC; another offset is refused, so that no reader can take local time for UTC."""

Site = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,36}$")]
UnitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
"""A UUID in lower case with hyphens; it is a topic level and later a certificate's name."""

Uuid = UnitId
"""Any other UUID: events, students, lessons, boots, batches."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Epoch = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
# In the engine pydantic uses, $ is the very end of the text (no trailing newline slips through).
"""64 random bits in hexadecimal, made when a unit's database file is created."""

Seq = Annotated[int, Field(ge=1, lt=2**62)]
"""Position of an event in its epoch: 1, 2, 3, ... without gaps."""

PackId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A stable word of the protocol, such as a reason or a code."""

ShortWord = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
"""A word that is shown and stored as it is, also by a reader that does not know it."""

UNKNOWN_READ_AS = "x-unknown-read-as"
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


def is_word(value: object) -> bool:
    """Tell whether this could be a word of a newer writer; everything else is damage."""
    return isinstance(value, str) and _WORD.match(value) is not None


@dataclass(frozen=True, slots=True)
class UnknownReadAs:
    """On a field of fixed words: a reader takes a word it does not know as `fallback`, the most careful one.

    Only what comes as JSON is read so: a program that makes a message has to use the words there are.
    """

    fallback: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put the tolerant reading behind the check of the words: known ones, nearly all, cost nothing."""

        def read(value: Any, info: ValidationInfo) -> Any:
            if info.mode == "json" and is_word(value):
                return self.fallback
            raise ValueError("not a word")

        return core_schema.union_schema(
            [handler(source), core_schema.with_info_plain_validator_function(read)],
            mode="left_to_right",
            custom_error_type="word",
            custom_error_message="Input should be one of: " + ", ".join(get_args(source)),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say in the schema how other words are read."""
        words: Any = schema
        return {**handler(words["choices"][0]), UNKNOWN_READ_AS: self.fallback}


class Message(BaseModel):
    """A frozen message. Unknown fields are ignored on reading, so that a newer writer is understood."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        allow_inf_nan=False,
        # A traceback would print what was wrong, names and vectors included, into the log.
        hide_input_in_errors=True,
    )

    def to_bytes(self) -> bytes:
        """Return the message as JSON in UTF-8, without fields that are None."""
        return self.model_dump_json(exclude_none=True).encode()


class Envelope(Message):
    """A message that stands alone on a topic; `minor` tells which fields its writer knew."""

    minor: Annotated[int, Field(ge=0, le=999)] = MINOR


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    """Return one JSON form for equal content: sorted keys, no spaces, UTF-8.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()
