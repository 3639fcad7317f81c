"""`python -m recognition.build dlib DESTINATION`: build a model pack, or say in one sentence why not.

For setting up a machine that has no settings yet; operators have `rollcall-hub pack build`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recognition.build.build_pack import NAMES, BuildOptions, build_pack, up_to_date
from recognition.core.errors import RecognitionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, 0 when the pack is there."""
    options = _parser().parse_args(arguments)
    destination: Path = options.destination
    wanted = BuildOptions(
        weights=options.weights,
        vouched=frozenset(options.sha256),
        yunet=options.yunet,
        liveness=options.liveness,
    )
    try:
        if not options.force and up_to_date(destination, options.pack, wanted):
            _say(f"the pack in {destination} is up to date")
            return 0
        build_pack(options.pack, destination, wanted, progress=_say)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was changed\n")
        return 130
    except (RecognitionError, OSError, ImportError) as exc:
        sys.stderr.write(f"the pack was not built: {exc}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recognition.build", description="Build a model pack.")
    parser.add_argument("pack", choices=NAMES, help="which pack")
    parser.add_argument("destination", type=Path, help="folder of the pack; an older pack there is replaced")
    parser.add_argument("--force", action="store_true", help="build even when the pack there is up to date")
    parser.add_argument("--weights", type=Path, help="folder to take the weights from; nothing is downloaded then")
    parser.add_argument("--sha256", action="append", default=[], help="a checksum you answer for, of whichever file")
    parser.add_argument("--yunet", type=Path, help="the YuNet detector, an ONNX file, to put into the pack")
    parser.add_argument("--liveness", type=Path, help="folder of the liveness weights, to put them into the pack")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
