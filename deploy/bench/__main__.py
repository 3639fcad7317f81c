"""`make bench`: measures this machine, prints a table and writes `build/bench.json`.

Rollcall beside DeepFace, face_recognition and dlib on the same frames, each in a process of its own. What is measured
is described in docs/performance.md.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.bench.cold import measure_cold
from deploy.bench.commit import measure_commit
from deploy.bench.contest import QUICK, Contest, Effort
from deploy.bench.detection import measure_detection
from deploy.bench.edge_commit import measure_edge_commits
from deploy.bench.embedding import measure_embedding
from deploy.bench.figures import Report
from deploy.bench.ingest import measure_ingest
from deploy.bench.register import measure_register
from deploy.bench.unit_process import measure_unit_process
from deploy.bench.video import measure_video
from deploy.environment import PROJECT, shared_data_folder
from edge.core.errors import EdgeError
from recognition.core.errors import RecognitionError

PACK = PROJECT / "build" / "packs" / "dlib"
RESULT = PROJECT / "build" / "bench.json"
SCRATCH = PROJECT / "build" / "bench"
PARTS: dict[str, Callable[[Contest], None]] = {
    "embed": measure_embedding,
    "cold": measure_cold,
    "video": measure_video,
    "commit": measure_commit,
    "journal": measure_edge_commits,
    "ingest": measure_ingest,
    "register": measure_register,
    "unit": measure_unit_process,
    "detect": measure_detection,
}
STOPPED = 130

_STARTED_S = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    options = _options(arguments)
    pack: Path = options.pack
    if not (pack / "manifest.json").is_file():
        print(f"there is no model pack at {pack}; run: make setup", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A closed terminal and an impatient script are a Ctrl-C too: what was measured until then is kept.
        signal.signal(number, signal.default_int_handler)
    effort = QUICK if options.quick else Effort()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    # On the disk of the project, not in memory as /tmp may be: commits are timed. Each run has its own.
    with TemporaryDirectory(prefix="run-", dir=SCRATCH) as scratch:
        contest = Contest(pack.resolve(), shared_data_folder(), effort, Report(), _say, Path(scratch))
        stopped = _measure(contest, options.only or list(PARTS), options.out)
    _show(contest.report, options)
    if stopped:
        _say("stopped by Ctrl-C; what was measured until then is above")
        return STOPPED
    return 1 if options.strict and contest.report.short else 0


def _measure(contest: Contest, parts: Sequence[str], result: Path) -> bool:
    """Measure the parts in their order; return whether somebody stopped it."""
    try:
        for part, measure in PARTS.items():
            if part in parts:
                _measure_part(contest, part, measure)
                contest.report.write(result)
    except KeyboardInterrupt:
        return True
    finally:
        contest.field.stop()
        contest.report.write(result)
    return False


def _measure_part(contest: Contest, part: str, measure: Callable[[Contest], None]) -> None:
    try:
        measure(contest)
    except (OSError, ValueError, RecognitionError, EdgeError) as exc:
        # A full disk, a picture that is gone, a pack that does not fit: the other parts can be measured all the same.
        _say(f"{part} is left out: {exc}")
        contest.report.missing(part, str(exc))


def _show(report: Report, options: argparse.Namespace) -> None:
    if options.json:
        sys.stdout.write(report.as_json())
        return
    for table in report.tables:
        print(f"{table}\n")
    for line in report.lines():
        print(line)
    if report.short:
        print(f"{len(report.short)} figures are short of their targets")
    print(f"written to {options.out}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Close other programs first, and let it run alone. With make: make bench BENCH_ARGS='--only cold'",
    )
    parser.add_argument("--quick", action="store_true", help="few runs: shows that it works, measures nothing well")
    parser.add_argument(
        "--only", action="append", choices=list(PARTS), metavar="PART", help=f"one part: {', '.join(PARTS)}; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a figure is short of its target")
    parser.add_argument("--pack", type=Path, default=PACK, help="model pack [default: build/packs/dlib]")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the JSON goes [default: build/bench.json]")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    """Tell what happens, with the seconds since the start; on stderr, so that stdout is the result alone."""
    print(f"{time.monotonic() - _STARTED_S:6.1f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
