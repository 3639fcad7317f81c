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
    """The bench. One part of one fault at a time; `tidy` it afterwards."""

    say: Callable[[str], None]
    seed: int = 1
    quick: bool = False
    kills: int = 1000
    pack: Path = PACK
    alone: bool = False
    """File systems may be mounted: nobody else sees them, and they end with us."""
    fault: str = ""
    """Each fault and each part has chances of its own: what is run before it does not change them."""
    part: int = 0
    folders: list[Path] = field(default_factory=list)
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin the chance."""
        self.chance = random.Random(f"{self.seed}/{self.fault}/{self.part}")  # noqa: S311 (repeatable bad luck)

    @property
    def how(self) -> str:
        """With what chance and how thoroughly, in words."""
        return f"seed {self.seed}, {self.kills} kills{', quick' if self.quick else ''}"

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a scratch folder, which is there until `tidy`."""
        folder = Path(tempfile.mkdtemp(prefix="rollcall-faults-"))
        self.folders.append(folder)
        yield folder

    def tidy(self, *, keep: bool) -> None:
        """Delete the scratch folders, or keep them for a person to look at, and say where they are."""
        for folder in self.folders:
            if keep:
                self.say(f"kept to be looked at: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
        self.folders.clear()

    @contextmanager
    def school(self, **how: Any) -> Iterator[School]:
        """Give a school whose hub runs and whose units do not yet."""
        seed = self.seed + 1000 * self.part
        with self.folder() as folder, School(folder, self.pack, seed=seed, **how) as school:
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
