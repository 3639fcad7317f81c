"""Inputs are found where packages keep them, and only the pinned content is used."""

import sys
from pathlib import Path

import pytest

from recognition.build.pinned_inputs import DLIB_NETWORK, PinnedInput, read_input
from recognition.core.errors import PackAltered, PackMissing


def an_input(package: str) -> PinnedInput:
    return PinnedInput(package, f"{package} 1.0", "data/weights.dat", "ab" * 32, "MIT")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that cannot be imported, as face_recognition_models on a new Python."""
    folder = tmp_path / "broken_models"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_package_that_is_not_installed_is_named_with_where_to_get_it() -> None:
    with pytest.raises(PackMissing, match=r"no_such_models.*not installed.*PyPI"):
        read_input(an_input("no_such_models"))


def test_a_file_that_is_not_in_the_package_is_named(package: Path) -> None:
    with pytest.raises(PackMissing, match=r"weights\.dat cannot be read"):
        read_input(an_input(package.name))


def test_another_content_than_the_pinned_one_is_refused_and_the_package_never_imported(package: Path) -> None:
    (package / "data" / "weights.dat").write_bytes(b"something else")
    with pytest.raises(PackAltered, match="abababab"):
        read_input(an_input(package.name))
    assert package.name not in sys.modules


@pytest.mark.build
def test_the_installed_network_is_the_pinned_one() -> None:
    assert len(read_input(DLIB_NETWORK)) == 22_466_066
