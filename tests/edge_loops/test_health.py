"""Health: what is wrong now, each problem once."""

from edge.loops.health import Health


def test_a_problem_is_there_until_it_is_taken_back() -> None:
    health = Health()
    health.problem("camera_lost", "no camera")
    health.problem("disk_full", "no space")
    health.problem("camera_lost", "still no camera")
    assert [(problem.code, problem.text) for problem in health.problems()] == [
        ("camera_lost", "still no camera"),
        ("disk_full", "no space"),
    ]
    health.fine("camera_lost")
    health.fine("camera_lost")
    assert [problem.code for problem in health.problems()] == ["disk_full"]


def test_beginnings_and_ends_count_as_changes_and_repetitions_do_not() -> None:
    health = Health()
    for _ in range(3):
        health.problem("camera_lost", "no camera")
    health.fine("camera_lost")
    health.fine("camera_lost")
    assert health.changes == 2


def test_any_text_and_any_number_of_problems_fit_into_a_status() -> None:
    health = Health()
    for number in range(30):
        health.problem(f"problem_{number}", "x" * 1000)
    assert len(health.problems()) == 20
    assert {len(problem.text) for problem in health.problems()} == {200}
