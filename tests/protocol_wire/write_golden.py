"""Writes the golden files of a new version (golden/README.md): `python -m tests.protocol_wire.write_golden`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.asyncapi_schemas import schemas
from protocol.base import MINOR, Message, sha256_hex
from protocol.codec import MODELS
from protocol.events import parse_event
from protocol.topics import MAJOR
from tests.protocol_wire.samples import CONTENT_MODELS, EVERYTHING, address_of

GOLDEN = Path(__file__).parent / "golden"
CURRENT = GOLDEN / f"{MAJOR}.{MINOR}"
SUMS = "SHA256SUMS"
SCHEMAS = "schemas.json"
"""What a reader of that version takes, to compare later models with; every other file is a message."""
MESSAGES = "*_*.json"


def golden_bytes(name: str) -> bytes:
    """Return what the golden file of a sample holds: the bytes on the wire and a line end."""
    return EVERYTHING[name].to_bytes() + b"\n"


def read_golden(path: Path) -> Message:
    """Return the message in a golden file of any version, by the model that its name says."""
    payload = path.read_bytes()
    family, _, kind = path.name.removesuffix(".json").partition(".")[0].partition("_")
    if family == "event":
        return parse_event(json.loads(payload))
    if family == "content":
        return CONTENT_MODELS[kind].model_validate_json(payload)
    address = address_of(path.name.removesuffix(".json"))
    return MODELS[address.direction, address.channel].model_validate_json(payload)


def present_schemas() -> dict[str, Any]:
    """Return the schemas of today's models."""
    found: dict[str, Any] = json.loads(json.dumps(schemas(dict.fromkeys(MODELS.values()))))
    return found


def sums_of(folder: Path) -> str:
    """Return the lines of SHA256SUMS for the golden files in a folder, as `sha256sum *.json` prints them."""
    return "".join(f"{sha256_hex(path.read_bytes())}  {path.name}\n" for path in sorted(folder.glob("*.json")))


def frozen_folders() -> Iterator[Path]:
    """Yield the folder of every version that was frozen."""
    for sums in sorted(GOLDEN.glob(f"*/{SUMS}")):
        yield sums.parent


def write(folder: Path = CURRENT) -> None:
    """Write one file for each sample and their sums. Raises FileExistsError for a version that is frozen."""
    if (folder / SUMS).exists():
        raise FileExistsError(f"version {folder.name} is frozen: raise MINOR in protocol/base.py (golden/README.md)")
    folder.mkdir(parents=True, exist_ok=True)
    for name in EVERYTHING:
        (folder / f"{name}.json").write_bytes(golden_bytes(name))
    (folder / SCHEMAS).write_text(json.dumps(present_schemas(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / SUMS).write_text(sums_of(folder), encoding="ascii")


if __name__ == "__main__":
    try:
        write()
    except FileExistsError as exc:
        sys.exit(str(exc))
