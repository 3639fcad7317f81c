"""docs/protocol.md says the sizes, channels and words that the models say."""

import re

from deploy.environment import PROJECT
from protocol import topics
from protocol.base import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_MESSAGE_BYTES, MAX_PART_BYTES
from protocol.content import MAX_CONTENT_BYTES, MAX_PARTS, PackList
from protocol.delivery import MAX_AUDIT_RANGES

PAGE = (PROJECT / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_the_sizes_are_those_of_the_models() -> None:
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", PAGE.partition("\n## Sizes\n")[2], re.MULTILINE))
    assert rows["a message"].startswith(f"{MAX_MESSAGE_BYTES:,} bytes")
    assert rows["a batch"].startswith(f"{MAX_BATCH_EVENTS} events and {MAX_BATCH_BYTES // 1024} KiB")
    assert rows["a part"].startswith(f"{MAX_PART_BYTES // 1024} KiB")
    assert rows["content in parts"] == f"{MAX_PARTS:,} parts, {MAX_CONTENT_BYTES // 1024**2} MiB"
    assert rows["an audit"] == f"{MAX_AUDIT_RANGES} ranges"
    files = PackList.model_json_schema()["properties"]["files"]["maxItems"]
    assert rows["a list of files of a pack"] == f"{files} files"


def test_every_channel_is_named() -> None:
    for channel in (*topics.UP_CHANNELS, *topics.DOWN_CHANNELS):
        assert f"`{channel}`" in PAGE, channel
    assert f"rollcall/{topics.MAJOR}/" in PAGE
