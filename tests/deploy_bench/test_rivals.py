"""A rival in its own process answers, may talk, and takes nobody with it when it ends."""

from pathlib import Path

import pytest

from deploy.bench.rivals import Field, Rival, RivalLost, RivalPlan

pytestmark = pytest.mark.machine

MODULE = "tests.deploy_bench.fake_rival"


def test_a_rival_answers_although_its_libraries_print(tmp_path: Path) -> None:
    picture = tmp_path / "frame.npy"
    picture.write_bytes(b"12345")
    with Rival(RivalPlan("talker", MODULE), tmp_path) as rival:
        rival.wait_until_ready()
        for _ in range(2):
            assert rival.ask("frame", path=str(picture), repeat=2) == {"ms": [5.0, 5.0], "faces": 2}
    assert "a library that talks" in (tmp_path / "talker.log").read_text()


def test_memory_is_that_of_the_rivals_own_process(tmp_path: Path) -> None:
    with Rival(RivalPlan("small", MODULE), tmp_path) as rival:
        rival.wait_until_ready()
        memory = rival.ask("memory")
    assert 1 < memory["now"] <= memory["peak"] < 100


def test_a_rival_that_ends_says_its_last_words(tmp_path: Path) -> None:
    with Rival(RivalPlan("ender", MODULE), tmp_path) as rival:
        rival.wait_until_ready()
        with pytest.raises(RivalLost, match="the model could not be loaded"):
            rival.ask("end")
        with pytest.raises(RivalLost, match="it does not run"):
            rival.ask("frame", path="", repeat=1)


def test_who_does_not_come_up_is_absent_with_the_reason_and_the_others_go_on(tmp_path: Path) -> None:
    field = Field()
    try:
        field.bring([RivalPlan("good", MODULE), RivalPlan("bad", MODULE, ("bad",))], tmp_path)
        assert field.named("good") is not None
        assert field.named("bad") is None
        assert "there are no weights" in field.why_absent("bad")
    finally:
        field.stop()


def test_who_ends_in_the_middle_is_noted_and_not_asked_again(tmp_path: Path) -> None:
    field = Field()
    try:
        field.bring([RivalPlan("ender", MODULE)], tmp_path)
        (rival,) = field.present
        assert field.ask(rival, "end") is None
        assert field.present == []
        assert "could not be loaded" in field.why_absent("ender")
    finally:
        field.stop()
