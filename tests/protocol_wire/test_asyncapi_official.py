"""protocol/asyncapi.yaml in the eyes of others: the AsyncAPI initiative's own schema, and a YAML reader not ours.

Both come from the npm registry, pinned by hash, and are kept below build/; without npm or network these tests skip.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from deploy.environment import PROJECT
from protocol.plain_yaml import to_yaml
from tests.protocol_wire.test_asyncapi import DOCUMENT
from tests.protocol_wire.test_plain_yaml import AMBIGUOUS
from tests.protocol_wire.write_asyncapi import ASYNCAPI

pytestmark = pytest.mark.machine

CACHE = PROJECT / "build" / "npm"
SPECS = (
    "@asyncapi/specs",
    "6.11.1",
    "A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ==",
)
YAML = (
    "yaml",
    "2.9.1",
    "3NxN8+78OdzbT7C/WjGsyfPAtJaN3FNDsWxv7Y7mcDsT/oOmgW8BpyQQFFBnvZE3j9Y2Sdz1ULFLezL7Eb2yFw==",
)
"""Name, version, SHA-512 of the package."""

_READ = """
const YAML = require(process.argv[1]);
const text = require('fs').readFileSync(0, 'utf8');
process.stdout.write(JSON.stringify(['1.1', '1.2'].map(version => YAML.parse(text, {version}))));
"""


def npm_package(name: str, version: str, sha512: str) -> Path:
    """Return the folder of an unpacked npm package; skip where it cannot be had."""
    kept = CACHE / f"{name.rpartition('/')[2]}-{version}"
    if kept.exists():
        return kept
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    fetched = kept.with_suffix(".fetched")
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.mkdir(parents=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(fetched), f"{name}@{version}"]
    try:
        subprocess.run(command, cwd=fetched, capture_output=True, check=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as exc:
        pytest.skip(f"npm cannot fetch {name}: {type(exc).__name__}")
    (archive,) = fetched.glob("*.tgz")
    assert hashlib.sha512(archive.read_bytes()).digest() == base64.b64decode(sha512), "not the package that was meant"
    with tarfile.open(archive) as packed:
        packed.extractall(fetched, filter="data")
    (fetched / "package").rename(kept)
    shutil.rmtree(fetched)
    return kept


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """The schema of AsyncAPI 3.0."""
    return Draft7Validator(json.loads((npm_package(*SPECS) / "schemas" / "3.0.0.json").read_bytes()))


def read_by_others(text: str) -> list[Any]:
    """Return what another reader understands, by the rules of YAML 1.1 and of YAML 1.2."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    command = [node, "-e", _READ, str(npm_package(*YAML))]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=60)
    found: list[Any] = json.loads(done.stdout, parse_int=float)
    return found


def as_javascript(value: Any) -> Any:
    """Return the value with numbers as JavaScript has them: 2^62 is one of them, the digits it prints are not."""
    return json.loads(json.dumps(value), parse_int=float)


def test_the_document_is_valid_by_the_schema_of_asyncapi(official: Draft7Validator) -> None:
    assert [f"{list(error.path)}: {error.message[:200]}" for error in official.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("operations", "unit_sends_hello", "action"), "publish"),
        (("operations", "unit_sends_hello", "bindings", "mqtt", "qos"), 3),
        (("channels", "up_hello", "surprise"), 1),
        (("components", "schemas", "Hello", "type"), "thing"),
        (("info", "version"), 1.0),
        (("servers", "broker", "protocol"), None),
    ],
)
def test_the_schema_of_asyncapi_finds_mistakes(official: Draft7Validator, place: tuple[str, ...], wrong: Any) -> None:
    """Otherwise the test before this one might pass for want of looking."""
    changed = json.loads(json.dumps(DOCUMENT))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    assert not official.is_valid(changed)


def test_the_file_is_read_by_others_as_what_was_written() -> None:
    assert read_by_others(ASYNCAPI.read_text(encoding="utf-8")) == [as_javascript(DOCUMENT)] * 2


def test_no_text_or_number_is_taken_for_something_else() -> None:
    texts = [
        *AMBIGUOUS,
        "<<",
        "a\nb",
        "a\n\n  b\nc",
        "a\n",
        "a\r\nb",
        "\\",
        "1_000",
        "0o7",
        "a" * 300,
        "a b c" * 50,
        ".5",
    ]
    value = {
        "texts": texts,
        "keys": {text: index for index, text in enumerate(texts)},
        "one_by_one": [{"text": text} for text in texts],
        "lists": [[], [[]], {}, [{}], [1, [2, {"a": [3]}]]],
        "numbers": [0, -1, 2**53, 0.5, -2.25, 1e-05, 1e16, True, None],
    }
    assert read_by_others(to_yaml(value)) == [as_javascript(value)] * 2
