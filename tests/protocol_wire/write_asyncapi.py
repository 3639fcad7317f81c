"""Writes protocol/asyncapi.yaml anew, after a change of the models: `python -m tests.protocol_wire.write_asyncapi`."""

import json
from pathlib import Path
from typing import Any

from protocol.asyncapi import document
from protocol.plain_yaml import to_yaml
from tests.protocol_wire.write_golden import CURRENT, MESSAGES

ASYNCAPI = Path(__file__).parents[2] / "protocol" / "asyncapi.yaml"
_HEADER = "# Made from the models by `python -m tests.protocol_wire.write_asyncapi`; not to be changed by hand.\n"


def examples() -> dict[str, Any]:
    """Return the golden messages of the present version by name."""
    return {path.name.removesuffix(".json"): json.loads(path.read_bytes()) for path in sorted(CURRENT.glob(MESSAGES))}


def asyncapi_text() -> str:
    """Return what the file has to hold."""
    return _HEADER + to_yaml(document(examples()))


if __name__ == "__main__":
    ASYNCAPI.write_text(asyncapi_text(), encoding="utf-8")
