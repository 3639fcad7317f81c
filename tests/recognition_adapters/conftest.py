"""The compiled pack, opened once, and the project's own portraits."""

from pathlib import Path

import pytest

from deploy.environment import PROJECT
from recognition.adapters.analysis import Engine, open_engine
from recognition.adapters.pictures import read_picture
from recognition.core.face import Image

SAMPLES = PROJECT / "deploy" / "samples"


@pytest.fixture(scope="session")
def engine(pack_folder: Path) -> Engine:
    """The pack with its default detector."""
    # One thread: tests run in several processes, and more threads than cores wait for each other.
    return open_engine(pack_folder, threads=1)


@pytest.fixture(scope="session")
def portraits() -> dict[str, Image]:
    """The sample portraits by name: three of one man, one of another, one of a woman."""
    names = ("obama", "obama2", "obama3", "biden", "astronaut")
    return {name: read_picture(SAMPLES / f"{name}.jpg") for name in names}
