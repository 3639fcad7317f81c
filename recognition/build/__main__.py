"""`python -m recognition.build dlib DESTINATION`: build a model pack, or say in one sentence why not."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recognition.build.build_pack import build_dlib_pack, up_to_date
from recognition.core.errors import RecognitionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, 0 when the pack is there."""
    options = _parser().parse_args(arguments)
    destination: Path = options.destination
    # TensorFlow's C++ part prints pages about processors; it reads this once, when it is imported.
    os.putenv("TF_CPP_MIN_LOG_LEVEL", "3")
    if not options.force and up_to_date(destination):
        _say(f"the pack in {destination} is up to date")
        return 0
    try:
        build_dlib_pack(destination, progress=_say)
    except (RecognitionError, OSError, ImportError) as exc:
        sys.stderr.write(f"the pack was not built: {exc}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recognition.build", description="Build a model pack.")
    parser.add_argument("pack", choices=["dlib"], help="which pack")
    parser.add_argument("destination", type=Path, help="folder of the pack; an older pack there is replaced")
    parser.add_argument("--force", action="store_true", help="build even when the pack there is up to date")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
