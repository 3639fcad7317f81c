"""Writes the golden files anew: `python -m tests.protocol_wire.write_golden`; golden/README.md says when."""

from pathlib import Path

from tests.protocol_wire.samples import EVERYTHING

GOLDEN = Path(__file__).parent / "golden"


def golden_bytes(name: str) -> bytes:
    """Return what the golden file of a sample holds: the bytes on the wire and a line end."""
    return EVERYTHING[name].to_bytes() + b"\n"


def write() -> None:
    """Write one file for each sample, and delete those of samples that are gone."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.json"):
        if path.stem not in EVERYTHING:
            path.unlink()
    for name in EVERYTHING:
        (GOLDEN / f"{name}.json").write_bytes(golden_bytes(name))


if __name__ == "__main__":
    write()
