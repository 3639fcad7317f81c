"""Simulates a school: `python -m tests.simulation --units 200 --days 7 --seed 1 --faults all`."""

import argparse
import json
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.simulation.faults import KINDS
from tests.simulation.run import Outcome, Plan, simulate
from tests.simulation.world import Setting

_EPILOG = """\
One process simulates units, broker, hub workers and database over virtual time, with the programs' own cores. The same
seed gives the same run. Afterwards everything is healed and must come to rest: nothing lost, nothing twice, everything
at the hub or a dead letter, dates right. Exit code 1 and the seed when anything does not hold.

Kinds of faults: """


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    asked = _parser().parse_args()
    kinds = tuple(KINDS) if asked.faults == "all" else tuple(kind for kind in asked.faults.split(",") if kind)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        sys.stderr.write(f"no such kind of fault: {', '.join(unknown)}; there are {', '.join(KINDS)}\n")
        return 2
    held = True
    for seed in range(asked.seed, asked.seed + asked.runs):
        setting = Setting(workers=asked.workers, sample=asked.sample)
        plan = Plan(seed, asked.units, asked.days, kinds, asked.pace, asked.students, setting)
        outcome = _with_bar(plan, quiet=asked.json)
        held = held and outcome.held
        if asked.json:
            sys.stdout.write(json.dumps(_as_json(outcome)) + "\n")
        else:
            _show(outcome)
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
    parser.add_argument("--seed", type=int, default=1, help="the run to play (default: 1)")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, one after another (default: 1)")
    parser.add_argument("--faults", default="all", help="`all`, or kinds with commas between; empty: none")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times as often as usual faults come")
    parser.add_argument("--students", type=int, default=30, help="in each lesson (default: 30)")
    parser.add_argument("--workers", type=int, default=2, help="hub workers (default: 2)")
    parser.add_argument("--sample", type=int, default=50, help="every how manieth message is really encoded and parsed")
    parser.add_argument("--json", action="store_true", help="one JSON object a run, for scripts")
    return parser


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
