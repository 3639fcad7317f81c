"""A rival that does as it is told: answers, talks when it should not, or ends."""

import sys
from pathlib import Path
from typing import Any


class FakeRival:
    def frame(self, path: str, repeat: int) -> dict[str, Any]:
        sys.stdout.write("a library that talks on standard output\n")
        return {"ms": [float(Path(path).stat().st_size)] * repeat, "faces": 2}

    def end(self) -> None:
        sys.exit("the model could not be loaded")


def open_rival(mood: str = "good") -> FakeRival:
    if mood == "bad":
        raise RuntimeError("there are no weights")
    return FakeRival()
