"""A generated school from the first event to the last correction, and what is compared of it."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from hub.adapters.database import Database
from hub.adapters.key_files import HubKeys
from hub.office.context import Office
from hub.office.rebuild import rebuild
from hub.settings import HubSettings, RecognitionSettings
from tests.hub_register.facts import differences
from tests.hub_register.filling import Deriving, decide, fill
from tests.hub_register.generated_school import ZONE, Generated, Size, generate
from tests.hub_register.oracle import Oracle
from tests.hub_register.reading import items, read_register, read_school
from tests.hub_register.records import Register, School
from tests.hub_register.unit_lives import Lives, World


@dataclass
class Played:
    """A school in its database, derived, with what each step took in seconds."""

    database: Database
    school: Generated
    lives: Lives
    hub: Deriving
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def timed(self, name: str) -> "_Timed":
        """Return a context that notes how long a step takes."""
        return _Timed(self.seconds, name)

    def records(self) -> School:
        """Return what is on record."""
        with self.database.transaction() as connection:
            return read_school(connection, ZONE, self.school.now)

    def register(self) -> Register:
        """Return what the hub derived."""
        with self.database.transaction() as connection:
            return read_register(connection)

    def oracle(self) -> Register:
        """Return what the oracle says of the records."""
        days = self.school.days
        return Oracle(self.records()).register(days[0] - timedelta(days=1), days[-1] + timedelta(days=2))

    def decide(self) -> None:
        """Decide two of three questions of the review list."""
        keys = [key for number, key in enumerate(sorted(items(self.records()))) if number % 3]
        with self.database.transaction() as connection:
            decide(connection, keys, self.school.now)


@dataclass
class _Timed:
    seconds: dict[str, float]
    name: str
    begun_s: float = 0.0

    def __enter__(self) -> None:
        self.begun_s = perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + perf_counter() - self.begun_s


def prepared(database: Database, size: Size) -> Played:
    """Return a school whose units have sent nothing yet; the database is empty and migrated."""
    begun_s = perf_counter()
    school = generate(size)
    lives = World(school).play()
    fill(database, school)
    played = Played(database, school, lives, Deriving(database, school))
    played.seconds["generated"] = perf_counter() - begun_s
    return played


def arrived(played: Played) -> None:
    """Let everything that is not lost arrive, be decided and be derived."""
    with played.timed("taken"):
        played.counts["events"] = played.hub.take(played.lives.parcels)
    played.decide()
    played.hub.mark_everything()
    with played.timed("derived"):
        played.counts["derived"] = played.hub.derive(played.school.now)


@dataclass
class _Standing:
    """A clock that stands still."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        return 0.0


def office_of(played: Played) -> Office:
    """Return an office on the school's database, when everything is over."""
    settings = HubSettings(
        site="generated", time_zone=str(ZONE), recognition=RecognitionSettings(pack_dir=Path("pack"))
    )
    keys = HubKeys(Path("hub.key"), Path("hub_signing.key"))
    return Office(settings, played.database, keys, _Standing(played.school.now), "office")


def rebuilt(played: Played) -> None:
    """Forget the register and derive all of it again, as the operator's command does."""
    played.hub.forget_register()
    with played.timed("rebuilt"):
        told = rebuild(office_of(played), anew=True)
    played.counts["rebuilt rows"] = told.rows


def compared(played: Played) -> list[str]:
    """Return what the hub's register and the oracle's disagree about."""
    with played.timed("oracle"):
        ours = played.oracle()
    theirs = played.register()
    played.counts["rows"], played.counts["lessons"] = len(theirs.rows), len(theirs.states)
    return differences(ours, theirs)


def digest(register: Register) -> str:
    """Return a hash of every column of every row, in the order of their keys."""
    found = hashlib.sha256()
    for line in _lines(register):
        found.update(line.encode() + b"\n")
    return found.hexdigest()


def _lines(register: Register) -> Iterator[str]:
    for place in sorted(register.rows):
        yield repr(astuple(register.rows[place]))
    for lesson in sorted(register.states):
        yield f"{lesson} {register.states[lesson]}"


def rules_used(register: Register) -> dict[str, int]:
    """Return how many rows each rule made."""
    return dict(Counter(row.rule for row in register.rows.values()).most_common())
