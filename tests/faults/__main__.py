"""`make faults`: every fault of the list against real processes; a table, and build/faults.json.

    python -m tests.faults                     all of it (about three quarters of an hour)
    python -m tests.faults --resume            go on where a run with the same options was interrupted
    python -m tests.faults --quick             each fault shortly (about ten minutes)
    python -m tests.faults --only 1,16,kills   some of it, into build/faults.some.json
    python -m tests.faults --seed 7            with other chance; the same seed gives the same kills

Each fault runs in a process of its own, two side by side. What is known is written at once: Ctrl-C stops everything
that was started and keeps the rest. The exit code is 1 when anything is broken, and the folder of that run is kept.
"""

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from deploy.environment import PROJECT
from deploy.own_process import ServerError, ServerMissing
from hub.core.errors import HubError
from tests.faults import broker, data, disk, galleries, kills, network, processes, scale, wrong_time
from tests.faults.bench import Bench
from tests.faults.catalogue import (
    CannotRun,
    Fault,
    Line,
    Outcome,
    as_table,
    read_lines,
    skipped,
    summary,
    write_json,
)
from tests.faults.lanes import Lanes, Task, in_order
from tests.faults.part_process import PartProcess

RESULTS = PROJECT / "build" / "faults.json"
MODULES = (processes, network, broker, disk, wrong_time, data, galleries, scale, kills)
KILLS = 0
"""The number of the random kills, which are no line of the list of faults."""
QUICK_KILLS = 60

console = Console(stderr=True, highlight=False)


def every_fault() -> list[Fault]:
    """Return all faults by number, the random kills last."""
    found = [fault for module in MODULES for fault in module.FAULTS.faults]
    return sorted(found, key=lambda fault: (fault.number == KILLS, fault.number))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults; return 1 when one is broken, 130 after Ctrl-C."""
    options = _options(arguments)
    if not options.inside and options.task is None and _may_be_alone():
        _begin_again_alone(list(arguments if arguments is not None else sys.argv[1:]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if options.task is not None:
        return _be_one_part(options)
    try:
        lines, stopped = _run_all(options)
    except ValueError as exc:
        sys.stderr.write(f"cannot go on: {exc}; without --resume a new run begins\n")
        return 2
    if options.json:
        sys.stdout.write(options.out.read_text(encoding="utf-8"))
    else:
        Console(highlight=False).print(as_table(lines))
    console.print(f"faults: {summary(lines)} (seed {options.seed}); written to {options.out}", soft_wrap=True)
    if stopped:
        console.print("stopped; everything that it had started is stopped. --resume goes on from here")
        return 130
    return 1 if any(line.outcome.result == "broken" for line in lines) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="With make: make faults FAULTS_ARGS='--only 1,16,kills'. docs/faults.md says how to read the results.",
    )
    parser.add_argument("--only", default="", help="numbers of faults, and `kills`, with commas between")
    parser.add_argument("--seed", type=int, default=1, help="the chance [default: 1]")
    parser.add_argument("--kills", type=int, default=1000, help="random kills in all; a tenth with real recognition")
    parser.add_argument("--quick", action="store_true", help=f"each fault shortly, {QUICK_KILLS} random kills")
    parser.add_argument("--resume", action="store_true", help="keep what a run with the same options has found")
    parser.add_argument("--lanes", type=int, default=2, help="how many faults side by side [default: 2]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, default=None, help="where the JSON goes [default: build/faults.json]")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--task", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick and options.kills == 1000:
        options.kills = QUICK_KILLS
    if options.out is None:
        options.out = RESULTS.with_suffix(".some.json") if options.only else RESULTS
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


def _bench(options: argparse.Namespace, fault: Fault | None = None, part: int = 0) -> Bench:
    number = "" if fault is None else str(fault.number or "-")
    return Bench(
        say=lambda text: console.print(f"{number:>3}     [dim]{text}[/]", soft_wrap=True),
        seed=options.seed,
        quick=options.quick,
        kills=options.kills,
        alone=options.inside,
        fault="" if fault is None else f"{fault.number}/{fault.name}",
        part=part,
    )


# ---- all of it -----------------------------------------------------------------------------------------------------


def _run_all(options: argparse.Namespace) -> tuple[list[Line], bool]:
    """Run what was chosen; return the lines, and whether somebody stopped it. Raises ValueError."""
    bench, faults = _bench(options), every_fault()
    chosen = _chosen(options.only, faults)
    kept = [line for line in read_lines(options.out) if line.how == bench.how] if options.resume else []
    known = {(line.number, line.name, line.part): line for line in kept}
    tasks = [Task(place, fault, part) for place, fault in chosen for part in range(fault.parts(bench))]
    left = [task for task in tasks if _key(task) not in known]
    began_s = time.monotonic()

    def lines() -> list[Line]:
        return [known[_key(task)] for task in tasks if _key(task) in known]

    def done(task: Task, process: PartProcess, by_itself: bool) -> None:
        line = known[_key(task)] = process.line(by_itself=by_itself)
        write_json(options.out, lines())
        _tell(line, f"{len(lines())} of {len(tasks)} after {(time.monotonic() - began_s) / 60:.0f} min")

    if kept:
        console.print(f"{len(tasks) - len(left)} of {len(tasks)} are known from {options.out}", soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-answers-") as folder:
        try:
            Lanes(options.lanes, lambda task: PartProcess(task, bench, Path(folder)), done).run(in_order(left))
        except KeyboardInterrupt:
            return lines(), True
        finally:
            write_json(options.out, lines())
    return lines(), False


def _key(task: Task) -> tuple[int, str, int]:
    return task.fault.number, task.fault.name, task.part


def _chosen(only: str, faults: Sequence[Fault]) -> list[tuple[int, Fault]]:
    if not only:
        return list(enumerate(faults))
    try:
        wanted = {KILLS if word.strip() == "kills" else int(word) for word in only.split(",") if word.strip()}
    except ValueError:
        raise SystemExit("--only takes numbers of faults, and `kills`, with commas between") from None
    chosen = [(place, fault) for place, fault in enumerate(faults) if fault.number in wanted]
    if missing := wanted - {fault.number for _, fault in chosen}:
        raise SystemExit(f"no fault has the number {', '.join(map(str, sorted(missing)))}")
    return chosen


def _tell(line: Line, how_far: str) -> None:
    outcome = line.outcome
    text = f"{line.number or '-':>3}  {outcome.result}: {outcome.reason}  ({line.seconds:.0f} s; {how_far})"
    console.print(text, soft_wrap=True, markup=False)


# ---- one part, in a process of its own -----------------------------------------------------------------------------


def _be_one_part(options: argparse.Namespace) -> int:
    place, _, part = options.task.partition(".")
    fault = every_fault()[int(place)]
    bench = _bench(options, fault, int(part))
    parts = fault.parts(bench)
    which = f" (part {bench.part + 1} of {parts})" if parts > 1 else ""
    console.print(f"[bold]{fault.number or '-':>3}[/]  {fault.name}{which}", soft_wrap=True)
    try:
        line = _run(fault, bench)
    except KeyboardInterrupt:
        bench.tidy(keep=False)
        return 130
    bench.tidy(keep=line.outcome.result == "broken")
    write_json(options.out, [line])
    return 0


def _run(fault: Fault, bench: Bench) -> Line:
    began_s = time.monotonic()
    try:
        outcome = fault.run(bench)
    except (CannotRun, ServerMissing) as exc:
        outcome = skipped(str(exc))
    except (ServerError, HubError, AssertionError, OSError, ValueError, LookupError, sqlite3.Error) as exc:
        outcome = Outcome("broken", f"the bench itself: {type(exc).__name__}: {str(exc)[:600]}")
    except subprocess.SubprocessError as exc:
        outcome = Outcome("broken", f"the bench itself: {exc}"[:600])
    return Line(fault.number, fault.name, outcome, time.monotonic() - began_s, bench.part, bench.how)


if __name__ == "__main__":
    sys.exit(main())
