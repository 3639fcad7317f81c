"""Another model pack: fetched beside the one that runs, and changed together with the gallery or not at all."""

from dataclasses import replace

import pytest

from edge.core.errors import StorageFull
from tests.builders import student
from tests.edge_loops.pack_change import HUB, NEW, OLD, Disk, Killed, Life, Program, gallery, students
from tests.pack_fakes import made_up_pack

BEFORE = gallery(OLD, 5, 1, 2, 3)
AFTER = gallery(NEW, 6, 1, 2)


def a_disk() -> Disk:
    disk = Disk()
    Program(disk).follow(BEFORE)
    return disk


def test_a_unit_comes_to_the_hubs_pack_without_anybody_touching_it() -> None:
    disk = a_disk()
    first = Program(disk)
    first.follow(AFTER)
    assert first.reopens == 1
    assert [said.problem for said in first.said] == []
    second = Program(disk)
    second.hear(AFTER)
    assert second.pack_id == NEW.pack_id
    assert second.students == students(1, 2)
    [said] = second.said
    assert (said.revision, said.students, said.problem) == (6, 2, None)
    assert second.health.problems() == ()


def test_the_gallery_comes_before_the_pack() -> None:
    program = Program(a_disk())
    kinds = program.follow(AFTER)
    assert kinds[: kinds.index("pack")] == ["manifest", "template", "template"]
    assert set(kinds[kinds.index("pack") :]) == {"pack", "pack_file"}


def test_while_the_pack_is_on_its_way_the_old_ones_recognise() -> None:
    program = Program(a_disk())
    program.hear(AFTER)
    kinds = [program.step(AFTER) for _ in range(5)][-1]
    assert kinds == ["pack_file"]
    assert program.keeper.known.revision == 5
    assert program.students >= students(1, 2)


def test_an_erasure_does_not_wait_for_the_pack() -> None:
    disk = a_disk()
    program = Program(disk)
    program.hear(AFTER)
    program.step(AFTER)
    assert program.students == students(1, 2)
    erased = next(one.template_hash for one in BEFORE.manifest.entries if one.student_id == student(3))
    assert erased not in disk.gallery.content
    newer = gallery(NEW, 7, 1)
    for _ in range(4):
        program.step(AFTER)
    program.hear(newer)
    assert program.step(newer) == ["manifest"]
    assert program.students == students(1)
    restarted = Program(disk)
    assert (restarted.pack_id, restarted.students) == (OLD.pack_id, students(1))
    restarted.follow(newer)
    last = Program(disk)
    last.hear(newer)
    assert last.students == students(1)
    assert set(disk.gallery.content) == {key for key, (kind, _) in newer.content.items() if not kind.startswith("pack")}
    assert last.said[-1].revision == 7


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_it_is_the_old_pack_with_the_old_gallery_or_the_new_with_the_new(after: bool) -> None:
    """Fault 40: nothing is ever matched across models."""
    whole = Life()
    Program(a_disk(), whole).follow(AFTER)
    assert whole.writes > 10
    for step in range(1, whole.writes + 1):
        disk = a_disk()
        with pytest.raises(Killed):
            Program(disk, Life(step, after=after)).follow(AFTER)
        restarted = Program(disk)
        if restarted.pack_id == OLD.pack_id:
            assert restarted.keeper.known.revision == 5
            assert restarted.students >= students(1, 2)
            restarted.follow(AFTER)
            assert restarted.reopens == 1
            restarted = Program(disk)
        restarted.hear(AFTER)
        assert (restarted.pack_id, restarted.students) == (NEW.pack_id, students(1, 2))
        assert [(said.revision, said.problem) for said in restarted.said] == [(6, None)]


def test_after_the_change_on_disk_nothing_more_is_fetched_or_answered() -> None:
    """The program is about to end: what it runs is not what is on disk any more."""
    program = Program(a_disk())
    program.follow(AFTER)
    program.hear(gallery(OLD, 9, 7))
    assert program.step(AFTER) == []
    assert program.said == []
    assert program.keeper.known.revision == 5


def test_a_pack_that_cannot_be_opened_is_never_changed_to() -> None:
    disk = a_disk()
    disk.packs.opens = False
    program = Program(disk)
    program.follow(AFTER)
    assert program.reopens == 0
    assert [(said.revision, said.problem) for said in program.said] == [(5, "pack_unusable")]
    assert Program(disk).students >= students(1, 2)
    assert disk.packs.trials == 1


def test_a_pack_without_room_is_said_and_the_old_ones_go_on() -> None:
    disk = a_disk()
    disk.packs.room = False
    program = Program(disk)
    program.hear(AFTER)
    for _ in range(4):
        program.step(AFTER, after_s=1.0)
    [said] = program.said
    assert (said.revision, said.problem) == (5, "pack_no_space")
    assert [problem.code for problem in program.health.problems()] == ["gallery_refused"]
    assert program.students == students(1, 2)
    disk.packs.room = True
    program.follow(AFTER)
    assert program.reopens == 1


def test_a_unit_that_accepts_no_packs_refuses_as_before() -> None:
    program = Program(a_disk(), accept_packs=False)
    program.follow(AFTER)
    [said] = program.said
    assert (said.revision, said.problem) == (5, "pack_mismatch")
    assert program.students == students(1, 2, 3)


def test_a_hub_that_offers_no_pack_is_refused_as_before() -> None:
    program = Program(a_disk())
    body = AFTER.body.model_copy(update={"pack_hash": None, "pack_bytes": None})
    program.follow(replace(AFTER, head=HUB.sign(body), body=body))
    assert [said.problem for said in program.said] == ["pack_mismatch"]


def test_a_hub_that_returns_to_the_old_pack_is_followed_and_the_new_one_forgotten() -> None:
    disk = a_disk()
    program = Program(disk)
    program.hear(AFTER)
    for _ in range(4):
        program.step(AFTER)
    assert disk.packs.coming
    back = gallery(OLD, 7, 1)
    program.follow(back)
    assert disk.packs.coming == {}
    assert program.reopens == 0
    assert program.students == students(1)


def test_a_full_disk_at_the_change_leaves_the_old_ones_and_is_tried_again() -> None:
    disk = a_disk()
    program = Program(disk)
    program.hear(AFTER)
    while not disk.packs.has(NEW.pack_id):
        # Up to the last part, after which everything is there.
        disk.gallery.trouble.heal()
        if disk.packs.length(NEW.pack_id, "detector.bin") == 70_000:
            disk.gallery.trouble.fill()
            with pytest.raises(StorageFull):
                program.step(AFTER)
        else:
            program.step(AFTER)
    assert program.reopens == 0
    assert Program(disk).pack_id == OLD.pack_id
    disk.gallery.trouble.heal()
    program.step(AFTER)
    assert program.reopens == 1


def test_vectors_of_another_length_come_with_their_pack() -> None:
    wide = made_up_pack("wide", seed=3, dimensions=32)
    disk = a_disk()
    program = Program(disk)
    program.follow(gallery(wide, 6, 1, 2))
    # Painted faces have 16 numbers, and this pack's have 32: the hub made a mistake.
    assert [said.problem for said in program.said] == ["bad_template"]
    assert program.reopens == 0
    assert Program(disk).pack_id == OLD.pack_id
