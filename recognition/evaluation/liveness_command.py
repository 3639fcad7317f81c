"""`python -m recognition.evaluation.liveness_command PACK`: measure a liveness check on pictures and videos."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from recognition.adapters.analysis import open_engine
from recognition.adapters.liveness_litert import LivenessLitert, LivenessNetwork, liveness_networks
from recognition.adapters.pack_files import read_pack
from recognition.build.liveness_pack import build_liveness
from recognition.core.errors import PictureRefused, RecognitionError
from recognition.evaluation.bounds import Interval
from recognition.evaluation.liveness import (
    PICTURES,
    VIDEOS,
    LivenessMaterial,
    LivenessReport,
    LivenessRow,
    TrackOutcome,
    liveness_report,
    measure_liveness,
    presentations_of,
)

_EPILOGUE = """\
Give pictures of real attacks with --spoof, pictures and videos of real people with --live, and portraits with
--portraits: those are held before a virtual camera, which is a simulation and is called so in the result. The files
stay where they are; nothing of them is kept.

  python -m recognition.evaluation.liveness_command build/packs/dlib --weights WEIGHTS --spoof photo1.jpg photo2.jpg \\
      --live people.mp4 --portraits PORTRAITS --json

Exit code: 0 measured, 1 something is missing (the message says what), 2 wrong options, 130 stopped with Ctrl-C; what
was measured until then is printed and marked as incomplete.
"""
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    material = LivenessMaterial(
        _files(options.spoof), _files(options.live), _files(options.portraits)[: options.most_portraits]
    )
    if material == LivenessMaterial():
        sys.stderr.write("nothing to measure with: give --spoof, --live or --portraits\n")
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            networks = _networks(options.pack, options.weights, Path(folder))
            return _measured(options.pack, networks, material, as_json=options.json)
    except (RecognitionError, OSError, ImportError) as exc:
        sys.stderr.write(f"liveness was not measured: {exc}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recognition.evaluation.liveness_command",
        description="Measure how often the liveness check takes a picture for a person, and a person for a picture.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pack", type=Path, help="folder of the model pack whose detector finds the faces")
    parser.add_argument(
        "--weights",
        type=Path,
        help="folder with the published weights; compiled for this measurement when the pack has no liveness networks",
    )
    for name, what in (
        ("spoof", "pictures of real attacks"),
        ("live", "pictures or videos of live people"),
        ("portraits", "portraits to hold before the virtual camera, best one of each person"),
    ):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], metavar="FILE", help=f"{what}, or folders")
    parser.add_argument(
        "--most-portraits", type=int, default=100, metavar="N", help="use at most N portraits (default 100)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def _files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files named; of a folder its pictures and videos in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES | VIDEOS)
        else:
            found.append(path)
    return tuple(found)


def _networks(pack_folder: Path, weights: Path | None, working: Path) -> tuple[LivenessNetwork, ...]:
    pack = read_pack(pack_folder)
    if weights is None or pack.liveness_networks():
        return liveness_networks(pack)
    # TensorFlow's C++ part prints pages about processors; it reads this once, when it is imported.
    os.putenv("TF_CPP_MIN_LOG_LEVEL", "3")
    built = build_liveness(weights, working, lambda line: _note(f"{line}\n"))
    return tuple(
        LivenessNetwork(working / network.file, network.crop_scale, network.input_px, network.live_class)
        for network in built.networks
    )


def _measured(
    pack_folder: Path, networks: tuple[LivenessNetwork, ...], material: LivenessMaterial, *, as_json: bool
) -> int:
    engine = open_engine(pack_folder)
    check = LivenessLitert(networks)
    outcomes: list[TrackOutcome] = []
    code = 0
    try:
        for outcome in measure_liveness(presentations_of(material, engine.detector), engine.detector, check):
            outcomes.append(outcome)
            _note(f"\r{len(outcomes)} tracks measured")
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except PictureRefused as exc:
        _note(f"\nstopped at a file that cannot be read: {exc}")
        code = 1
    _note("\n")
    report = liveness_report(outcomes, complete=code == 0)
    sys.stdout.write(_as_json(report) if as_json else _as_table(report))
    return code


def _note(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _as_json(report: LivenessReport) -> str:
    rows = [{**asdict(row), "measure": row.measure, "decided": row.decided} for row in report.rows]
    whole = {"complete": report.complete, "limits": asdict(report.limits), "rows": rows, "caveats": report.caveats}
    return json.dumps(whole, indent=2) + "\n"


def _as_table(report: LivenessReport) -> str:
    lines = [f"{'kind':32}{'rate':17}{'single looks':>16}{'tracks':>12}  {'95 %':14}{'undecided':>10}{'unseen':>8}"]
    lines += [_line(row) for row in report.rows]
    if not report.complete:
        lines.append("stopped before everything was measured")
    return "\n".join([*lines, "", *report.caveats]) + "\n"


def _line(row: LivenessRow) -> str:
    looks = f"{row.wrong_looks} of {row.looks}"
    tracks = f"{row.wrong_tracks} of {row.decided}"
    bounds = _percent(row.track_interval) if row.decided else "-"
    return f"{row.kind:32}{row.measure:17}{looks:>16}{tracks:>12}  {bounds:14}{row.undecided:>10}{row.unseen:>8}"


def _percent(interval: Interval) -> str:
    return f"{interval.low:.0%} to {interval.high:.0%}"


if __name__ == "__main__":
    sys.exit(main())
