"""Scratch folders and chance of a part of a fault."""

from pathlib import Path

import pytest

from tests.faults import kills
from tests.faults.bench import Bench
from tests.faults.kills import IN_ONE_SCHOOL, _scripted, _share, random_kills, random_kills_with_real_recognition


def _bench(said: list[str], **how: object) -> Bench:
    return Bench(said.append, **how)  # type: ignore[arg-type]


def test_a_folder_is_deleted_when_all_is_well() -> None:
    said: list[str] = []
    bench = _bench(said)
    with bench.folder() as folder:
        assert folder.is_dir()
    bench.tidy(keep=False)
    assert not folder.exists()
    assert said == []


def test_the_folder_of_a_broken_run_is_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    bench = _bench(said)
    with pytest.raises(OSError, match="gone wrong"), bench.folder() as folder:
        raise OSError("gone wrong")
    bench.tidy(keep=True)
    assert folder.is_dir()
    assert said == [f"kept to be looked at: {folder}"]


def test_the_same_part_of_the_same_fault_has_the_same_chance_and_no_other_has() -> None:
    def first(**how: object) -> float:
        return _bench([], **how).chance.random()

    assert first(fault="3", part=1) == first(fault="3", part=1)
    assert len({first(fault=fault, part=part, seed=seed) for fault in "34" for part in (0, 1) for seed in (1, 2)}) == 8


@pytest.mark.parametrize("asked", [1000, 999, 60, 7, 3, 0])
def test_all_parts_together_make_as_many_kills_as_were_asked_for(asked: int) -> None:
    bench = _bench([], kills=asked)
    made = 0
    for fault in kills.FAULTS.faults:
        total = _scripted(bench) if fault.run is random_kills else asked - _scripted(bench)
        shares = [_share(total, part) for part in range(fault.parts(bench))]
        assert sum(shares) == total
        assert max(shares) <= IN_ONE_SCHOOL
        made += sum(shares)
    assert made == asked
    assert {fault.run for fault in kills.FAULTS.faults} == {random_kills, random_kills_with_real_recognition}
