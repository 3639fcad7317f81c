"""What every fault is given: a scratch folder, chance with a seed, and a way to say how far it is."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.stage import PACK
from tests.faults.catalogue import Outcome, judged
from tests.faults.school import School


@dataclass(slots=True)
class Bench:
    """The bench. One fault at a time."""

    say: Callable[[str], None]
    seed: int = 1
    quick: bool = False
    kills: int = 1000
    minutes: float | None = None
    pack: Path = PACK
    alone: bool = False
    """File systems may be mounted: nobody else sees them, and they end with us."""
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin the chance."""
        self.chance = random.Random(self.seed)  # noqa: S311 (repeatable bad luck; guards nothing)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a scratch folder; kept when an error leaves the block, for a person to look at."""
        folder = Path(tempfile.mkdtemp(prefix="rollcall-faults-"))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def school(self, **how: Any) -> Iterator[School]:
        """Give a school whose hub runs and whose units do not yet."""
        with self.folder() as folder, School(folder, self.pack, seed=self.seed, **how) as school:
            yield school

    def pause(self, seconds: float) -> None:
        """Let the school run on its own for so long: what is looked at takes time."""
        time.sleep(seconds)

    def fewer(self, many: int, few: int) -> int:
        """Return how often: less in a quick run."""
        return few if self.quick else many


def settled(school: School, runs: int = 1, more: str = "", *, wrong: list[str] | None = None) -> Outcome:
    """Let the school settle and return the judge's word, with what was found wrong before."""
    problems, verdict = school.settle()
    figures = verdict.figures if not verdict.problems else f"{verdict.committed} committed, {verdict.at_hub} at the hub"
    return judged([*(wrong or []), *problems, *verdict.problems], f"{figures}{', ' + more if more else ''}", runs)
