"""Simulates a school: units, broker, hub workers and database in one process over virtual time.

python -m tests.simulation                              a day of 20 units, then a search; another one each time
python -m tests.simulation --units 200 --days 7         a week of a large school
python -m tests.simulation --runs 20 --jobs 2           twenty days, two at a time
python -m tests.simulation --faults network,clock --pace 10
python -m tests.simulation --search 2000 --runs 0       only the search, for longer
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.simulation.faults import KINDS
from tests.simulation.run import Outcome, Plan, simulate
from tests.simulation.search import MACHINES, search_long
from tests.simulation.world import Setting

_EPILOG = """\
A run plays the programs' own cores against models of disk, broker and database. Afterwards everything is healed and
must come to rest: nothing lost, nothing twice, everything at the hub or a dead letter, dates right. The search lets
hypothesis choose what happens in a small world, step by step; what it finds it shortens and prints as steps. The seed
is printed: the same seed and options give the same runs and the same search. Exit code 1 when anything does not hold.
With make: make simulate SIMULATE_ARGS='--units 200 --days 7'

Kinds of faults: """


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    asked = _parser().parse_args()
    kinds = tuple(KINDS) if asked.faults == "all" else tuple(kind for kind in asked.faults.split(",") if kind)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        sys.stderr.write(f"no such kind of fault: {', '.join(unknown)}; there are {', '.join(KINDS)}\n")
        return 2
    first = secrets.randbelow(1_000_000) + 1 if asked.seed is None else asked.seed
    setting = Setting(workers=asked.workers, sample=asked.sample)
    plans = [
        Plan(seed, asked.units, asked.days, kinds, asked.pace, asked.students, setting)
        for seed in range(first, first + asked.runs)
    ]
    held, outcomes, begun_s = True, [], time.perf_counter()
    try:
        for outcome in _played(plans, asked.jobs, quiet=asked.json):
            held = held and outcome.held
            outcomes.append(outcome)
            if asked.json:
                sys.stdout.write(json.dumps(_as_json(outcome)) + "\n")
            else:
                _show(outcome)
        if len(outcomes) > 1 and not asked.json:
            _sum_up(outcomes, time.perf_counter() - begun_s)
        if asked.search:
            _search(asked.search, first, quiet=asked.json)
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; the seed was {first}\n")
        return 130
    return 0 if held else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        epilog=_EPILOG + ", ".join(KINDS) + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--units", type=int, default=20, help="how many units (default: 20)")
    parser.add_argument("--days", type=float, default=1.0, help="how many days, the first is a Monday (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="what to play (default: another one each time)")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, one after another (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds at a time, each on a core (default: 1)")
    parser.add_argument("--search", type=int, default=100, help="how many runs to search; 0: none (default: 100)")
    parser.add_argument("--faults", default="all", help="`all`, or kinds with commas between; empty: none")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times as often as usual faults come")
    parser.add_argument("--students", type=int, default=30, help="in each lesson (default: 30)")
    parser.add_argument("--workers", type=int, default=2, help="hub workers (default: 2)")
    parser.add_argument("--sample", type=int, default=50, help="every how manieth message is really encoded and parsed")
    parser.add_argument("--json", action="store_true", help="one JSON object a run, for scripts")
    return parser


def _played(plans: Sequence[Plan], jobs: int, *, quiet: bool) -> Iterator[Outcome]:
    """Play the plans; with more than one job in processes of their own, each outcome in its turn."""
    if jobs <= 1 or len(plans) < 2:
        for plan in plans:
            yield _with_bar(plan, quiet=quiet)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(simulate, plans)


def _search(examples: int, number: int, *, quiet: bool) -> None:
    """Search for a short run that does not hold. Raises what was found, with its steps."""
    with Progress(
        TextColumn("search, seed {task.fields[seed]}: {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    ) as bar:
        for name, machine in MACHINES.items():
            task = bar.add_task(name, total=examples, seed=number)
            search_long(machine, examples, number, lambda task=task: bar.advance(task))  # type: ignore[misc]


def _sum_up(outcomes: Sequence[Outcome], wall_s: float) -> None:
    cpu_s = sum(outcome.figures["cpu s"] for outcome in outcomes)
    events, actions = (sum(outcome.figures[name] for outcome in outcomes) for name in ("events made", "actions"))
    Console(highlight=False).print(
        f"{len(outcomes)} runs, {sum(not outcome.held for outcome in outcomes)} with violations: {events:,} events and"
        f" {actions:,} actions in {cpu_s / 60:.1f} processor minutes and {wall_s / 60:.1f} minutes by the clock;"
        f" {60 * events / cpu_s:,.0f} events a processor minute, {60 * events / wall_s:,.0f} a minute by the clock",
        soft_wrap=True,
    )


def _with_bar(plan: Plan, *, quiet: bool) -> Outcome:
    bar = Progress(
        TextColumn("seed {task.fields[seed]}"),
        BarColumn(),
        TextColumn("day {task.fields[day]:.1f} of {task.fields[days]:g}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("", total=1.0, seed=plan.seed, day=0.0, days=plan.days)
        return simulate(plan, lambda done, total: bar.update(task, completed=done / total, day=done / 86400))


def _show(outcome: Outcome) -> None:
    console = Console()
    table = Table(title=f"seed {outcome.plan.seed}: {outcome.plan.units} units, {outcome.plan.days:g} days")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for name, value in outcome.figures.items():
        table.add_row(name, f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
    for name, count in outcome.faults.items():
        table.add_row(f"fault: {name}", f"{count:,}")
    for name, errors in outcome.errors.items():
        if errors.sizes:
            table.add_row(
                f"date error, {name} ({len(errors.sizes):,} events)",
                f"median {errors.quantile_s(0.5):.3f} s, p99 {errors.quantile_s(0.99):.3f} s,"
                f" most {errors.highest_s:.3f} s, outside of bounds {errors.outside}",
            )
    console.print(table)
    for violation in outcome.violations:
        console.print(f"VIOLATION {violation}", style="red", markup=False, soft_wrap=True)
    if not outcome.held:
        console.print(f"Play it again with --seed {outcome.plan.seed} and the same options.", style="red")


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "seed": outcome.plan.seed,
        "held": outcome.held,
        "violations": outcome.violations,
        "figures": outcome.figures,
        "faults": outcome.faults,
        "date_errors": {
            name: {
                "events": len(errors.sizes),
                "median_s": errors.quantile_s(0.5),
                "p99_s": errors.quantile_s(0.99),
                "most_s": errors.highest_s,
                "outside_of_bounds": errors.outside,
            }
            for name, errors in outcome.errors.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
