"""`make faults`: every fault of the list against real processes; a table, and build/faults.json.

    python -m tests.faults                     all of it (about an hour)
    python -m tests.faults --quick             each fault shortly (about a quarter of an hour)
    python -m tests.faults --only 1,16,kills   some of it
    python -m tests.faults --seed 7            with other chance; the same seed gives the same kills

Ctrl-C stops everything that was started and writes what is known by then. The exit code is 1 when anything is broken.
"""

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from deploy.environment import PROJECT
from deploy.own_process import ServerError, ServerMissing
from hub.core.errors import HubError
from tests.faults import broker, data, disk, galleries, kills, network, processes, scale, wrong_time
from tests.faults.bench import Bench
from tests.faults.catalogue import CannotRun, Fault, Line, Outcome, as_table, skipped, summary, write_json

RESULTS = PROJECT / "build" / "faults.json"
MODULES = (processes, network, broker, disk, wrong_time, data, galleries, scale, kills)
KILLS = 0
"""The number of the random kills, which are no line of the list of faults."""

console = Console(highlight=False)


def every_fault() -> list[Fault]:
    """Return all faults by number, the random kills last."""
    found = [fault for module in MODULES for fault in module.FAULTS.faults]
    return sorted(found, key=lambda fault: (fault.number == KILLS, fault.number))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults; return 1 when one is broken, 130 after Ctrl-C."""
    options = _options(arguments)
    if not options.inside and _may_be_alone():
        _begin_again_alone(list(arguments if arguments is not None else sys.argv[1:]))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    bench = Bench(
        say=lambda text: console.print(f"      [dim]{text}[/]", soft_wrap=True),
        seed=options.seed,
        quick=options.quick,
        kills=options.kills,
        minutes=options.minutes,
        alone=options.inside,
    )
    lines: list[Line] = []
    stopped = False
    try:
        for fault in _chosen(options.only):
            lines.append(_run(fault, bench))
    except KeyboardInterrupt:
        stopped = True
        console.print("stopped by Ctrl-C; everything it had started is stopped")
    if not options.only or options.out != RESULTS:
        write_json(options.out, lines)
    elif lines:
        write_json(options.out.with_suffix(".some.json"), lines)
    if options.json:
        sys.stdout.write((options.out if not options.only else options.out.with_suffix(".some.json")).read_text())
    else:
        console.print(as_table(lines))
    console.print(f"faults: {summary(lines)} (seed {options.seed})")
    if stopped:
        return 130
    return 1 if any(line.outcome.result == "broken" for line in lines) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="numbers of faults, and `kills`, with commas between")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1000, help="random kills in all; a tenth with real recognition")
    parser.add_argument("--minutes", type=float, default=None, help="end the random kills after so long")
    parser.add_argument("--quick", action="store_true", help="each fault shortly, 60 random kills")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick and options.kills == 1000:
        options.kills = 60
    return options


def _may_be_alone() -> bool:
    """Tell whether we may have a view of the file systems of our own."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        return False
    return subprocess.run([unshare, "--mount", "true"], check=False, capture_output=True).returncode == 0


def _begin_again_alone(arguments: list[str]) -> None:
    """Become the same program with mounts that nobody else sees and that end with it."""
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.faults", "--inside"]
    os.execvp(command[0], [*command, *arguments])  # noqa: S606 (our own words)


def _chosen(only: str) -> list[Fault]:
    if not only:
        return every_fault()
    wanted = {KILLS if word.strip() == "kills" else int(word) for word in only.split(",") if word.strip()}
    chosen = [fault for fault in every_fault() if fault.number in wanted]
    if missing := wanted - {fault.number for fault in chosen}:
        raise SystemExit(f"no fault has the number {', '.join(map(str, sorted(missing)))}")
    return chosen


def _run(fault: Fault, bench: Bench) -> Line:
    console.print(f"[bold]{fault.number or '-':>3}[/]  {fault.name}", soft_wrap=True)
    began_s = time.monotonic()
    try:
        outcome = fault.run(bench)
    except (CannotRun, ServerMissing) as exc:
        outcome = skipped(str(exc))
    except (ServerError, HubError, AssertionError, OSError, ValueError, LookupError, sqlite3.Error) as exc:
        outcome = Outcome("broken", f"the bench itself: {type(exc).__name__}: {str(exc)[:600]}")
    except subprocess.SubprocessError as exc:
        outcome = Outcome("broken", f"the bench itself: {exc}"[:600])
    line = Line(fault.number, fault.name, outcome, time.monotonic() - began_s)
    console.print(f"      {outcome.result}: {outcome.reason}  ({line.seconds:.0f} s)", soft_wrap=True, markup=False)
    return line


if __name__ == "__main__":
    sys.exit(main())
