"""The judge finds every loss and every duplicate that is planted."""

from dataclasses import replace

from tests.faults.checker import HubEvent, HubRecord, LocalEvent, UnitRecord, judge

UNIT = "0b6f5a52-0000-4000-8000-000000000001"
EPOCH = "00000000000000aa"


def local(number: int, delivery: str = "delivered", sha256: str = "s") -> LocalEvent:
    return LocalEvent(f"event-{number}", EPOCH, number, delivery, sha256)  # type: ignore[arg-type]


def at_hub(number: int, sha256: str = "s") -> HubEvent:
    return HubEvent(f"event-{number}", UNIT, EPOCH, number, sha256)


def unit(*events: LocalEvent, **more: object) -> UnitRecord:
    record = UnitRecord(UNIT, events, frozenset(event.event_id for event in events))
    return replace(record, **more)  # type: ignore[arg-type]


def problems(one: UnitRecord, hub: HubRecord, *, settled: bool = True) -> str:
    return "; ".join(judge([one], hub, settled=settled).problems)


def test_a_run_without_losses_has_no_problem_and_its_figures() -> None:
    verdict = judge([unit(local(1), local(2))], HubRecord((at_hub(1), at_hub(2))))
    assert verdict.problems == ()
    assert verdict.figures == "2 events committed, 2 at the hub, 0 lost, 0 twice"


def test_an_acknowledged_event_that_the_hub_lacks_is_found() -> None:
    assert "1 acknowledged events are not at the hub (event-2)" in problems(
        unit(local(1), local(2)), HubRecord((at_hub(1),))
    )


def test_an_event_in_two_places_is_found() -> None:
    twice = HubRecord((at_hub(1), replace(at_hub(1), seq=2)))
    assert "1 events are at the hub more than once (event-1)" in problems(unit(local(1)), twice)


def test_two_events_in_one_place_are_found() -> None:
    both = HubRecord((at_hub(1), replace(at_hub(2), seq=1)))
    assert "1 places hold more than one event" in problems(unit(local(1), local(2)), both)


def test_a_committed_event_that_is_nowhere_any_more_is_found_although_the_units_file_does_not_know_it() -> None:
    lost = unit(local(1), committed=frozenset({"event-1", "event-9"}))
    assert "1 committed events are nowhere any more (event-9)" in problems(lost, HubRecord((at_hub(1),)))


def test_what_waits_is_a_problem_only_when_everything_had_time_to_arrive() -> None:
    waiting = unit(local(1, "waiting"))
    assert "1 events still wait on the unit" in problems(waiting, HubRecord(()))
    assert problems(waiting, HubRecord(()), settled=False) == ""


def test_what_waits_although_the_hub_has_it_is_no_loss() -> None:
    assert problems(unit(local(1, "waiting")), HubRecord((at_hub(1),)), settled=False) == ""


def test_a_dead_letter_is_no_loss() -> None:
    refused = unit(local(1, "refused"), dead_letters=frozenset({"event-1"}))
    assert problems(refused, HubRecord((), frozenset({"event-1"}))) == ""


def test_an_event_that_was_refused_and_is_no_dead_letter_is_found() -> None:
    assert "neither waiting, at the hub nor refused" in problems(unit(local(1, "refused")), HubRecord(()))


def test_an_event_that_no_unit_committed_is_found_unless_the_units_file_was_replaced() -> None:
    more = HubRecord((at_hub(1), at_hub(2)))
    assert "1 events are at the hub that the unit never committed (event-2)" in problems(unit(local(1)), more)
    assert problems(unit(local(1), replaced=True), more) == ""


def test_an_event_with_another_content_is_found() -> None:
    assert "1 events differ between unit and hub" in problems(unit(local(1)), HubRecord((at_hub(1, "other"),)))


def test_another_gallery_is_found() -> None:
    hub = HubRecord((), gallery_hashes={UNIT: "new"})
    assert "another gallery" in problems(unit(gallery_hash="old"), hub)
    assert problems(unit(gallery_hash="new"), hub) == ""
