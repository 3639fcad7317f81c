"""Short searches through what can go wrong, the same each time; `make simulate` makes long ones elsewhere each time."""

from dataclasses import replace

import pytest

from tests.simulation import planted
from tests.simulation.gallery_machine import GalleryMachine
from tests.simulation.school_machine import SchoolMachine
from tests.simulation.search import search_briefly, search_long
from tests.simulation.world import Parts, Setting


class DefectiveSchool(SchoolMachine):
    """A school whose units take for delivered what the broker has taken."""

    def switch_on(self, seed: int, setting: Setting) -> None:
        super().switch_on(seed, replace(setting, parts=Parts(process=planted.BelievesPuback)))


def test_whatever_happens_nothing_is_lost_or_doubled_and_everything_arrives() -> None:
    search_briefly(SchoolMachine, 10)


def test_whatever_happens_to_galleries_every_unit_comes_to_have_the_hubs() -> None:
    search_briefly(GalleryMachine, 12)


@pytest.mark.slow
def test_a_search_finds_a_defect_and_tells_the_steps_to_it() -> None:
    with pytest.raises(planted.Violation, match="I1") as caught:
        search_long(DefectiveSchool, 5, 4, lambda: None, steps=3)
    assert "state = DefectiveSchool()" in caught.value.__notes__


def test_the_same_number_gives_the_same_search_and_another_number_another() -> None:
    def begun(number: int) -> list[int]:
        seeds: list[int] = []

        class Recorded(SchoolMachine):
            def switch_on(self, seed: int, setting: Setting) -> None:
                seeds.append(seed)
                super().switch_on(seed, setting)

        search_long(Recorded, 4, number, lambda: None, steps=1)
        return seeds

    assert begun(1) == begun(1)
    assert begun(1) != begun(2)
