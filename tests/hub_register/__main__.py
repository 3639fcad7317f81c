"""Plays a whole school in a database of its own and compares its register with the oracle, row for row.

python -m tests.hub_register                                                     a small school
python -m tests.hub_register --students 1200 --sections 40 --units 60 --days 60  the term of a large one: takes long
"""

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deploy.environment import PROJECT
from deploy.own_process import ServerFailed, ServerMissing
from deploy.private_servers import PrivateMariaDb
from hub.adapters.database import Database
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_adapters.places import an_address
from tests.hub_register.generated_school import Size
from tests.hub_register.playing import Played, arrived, compared, digest, prepared, rebuilt, rules_used

_EPILOG = """\
Every event goes through the hub's own door (`MySqlEventStore.take`): some late, in another order, from clocks that
were wrong, with outages and lost parcels. Then the register is derived, compared, rebuilt and compared again. Exit
code 1 when anything differs. What differs is named on stderr, the first 20 rows of it.
"""
_SHOWN = 20
_MARIADB = ("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M")


def main() -> int:
    """Play what the command line asks for; return the exit code."""
    asked = _parser().parse_args()
    size = Size(asked.students, asked.sections, asked.units, asked.days, asked.first_day, asked.seed)
    (PROJECT / "build").mkdir(exist_ok=True)
    try:
        # On the disk of the project, not in memory as /tmp may be.
        with (
            TemporaryDirectory(prefix="register-", dir=PROJECT / "build") as folder,
            PrivateMariaDb(Path(folder) / "mariadb", options=_MARIADB) as server,
        ):
            made = EmptiedDatabase(server.server.create_database())
            # The oracle reads a term row by row, which takes longer than a hub's connections may be silent.
            database = Database(an_address(made.at, idle_timeout_s=3600, read_timeout_s=600))
            found = _play(database, size)
            database.close()
            made.close()
    except (ServerMissing, ServerFailed) as exc:
        sys.stderr.write(f"there is no database to play in: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if asked.json else _as_text(found))
    return 0 if not found["differences"] and found["rebuilt_the_same"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hub_register",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    small = Size()
    parser.add_argument("--students", type=int, default=small.students, help="how many (default: %(default)s)")
    parser.add_argument("--sections", type=int, default=small.sections, help="how many (default: %(default)s)")
    parser.add_argument("--units", type=int, default=small.units, help="how many (default: %(default)s)")
    parser.add_argument("--days", type=int, default=small.days, help="how many school days (default: %(default)s)")
    parser.add_argument(
        "--first-day", type=date.fromisoformat, default=small.first_day, help="where it begins (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=small.seed, help="which school (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    return parser


def _play(database: Database, size: Size) -> dict[str, Any]:
    _say("the school is made")
    played = prepared(database, size)
    _say(f"{sum(len(one.events) for one in played.lives.parcels)} events are taken and derived")
    arrived(played)
    _say(f"compared with the oracle: {played.counts['derived']} students' days were derived")
    different = compared(played)
    for one in different[:_SHOWN]:
        sys.stderr.write(one + "\n")
    register = played.register()
    before = digest(register)
    used = rules_used(register)
    del register
    _say("rebuilt from the records")
    rebuilt(played)
    return _found(played, different, used, same=digest(played.register()) == before, sha256=before)


def _found(played: Played, different: list[str], used: dict[str, int], *, same: bool, sha256: str) -> dict[str, Any]:
    return {
        "students": played.school.size.students,
        "sections": played.school.size.sections,
        "units": played.school.size.units,
        "days": played.school.size.days,
        "seed": played.school.size.seed,
        "counts": played.counts,
        "rows_by_rule": used,
        "seconds": {name: round(seconds, 1) for name, seconds in played.seconds.items()},
        "differences": len(different),
        "rebuilt_the_same": same,
        "sha256": sha256,
    }


def _as_text(found: dict[str, Any]) -> str:
    lines = [f"{found[name]:>9,} {name}" for name in ("students", "sections", "units", "days")]
    lines += [f"{count:>9,} {name}" for name, count in found["counts"].items()]
    lines += [f"{count:>9,} rows {rule}" for rule, count in found["rows_by_rule"].items()]
    lines += [f"{seconds:>9,.1f} s {name}" for name, seconds in found["seconds"].items()]
    lines.append(f"{found['differences']:>9,} rows differ from the oracle's")
    lines.append(f"rebuilt: {'the same, byte for byte' if found['rebuilt_the_same'] else 'NOT THE SAME'}")
    return "\n".join(lines) + "\n"


_STARTED_S = time.monotonic()


def _say(text: str) -> None:
    sys.stderr.write(f"{time.monotonic() - _STARTED_S:7.1f} s  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
