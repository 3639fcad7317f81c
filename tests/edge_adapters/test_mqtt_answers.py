"""What the broker's answers, and what it does not answer, say about single kinds of messages."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.adapters.mqtt_answers import Unanswered

TAKEN = ReasonCode(PacketTypes.PUBACK, "Success")
REFUSED = ReasonCode(PacketTypes.PUBACK, "Not authorized")


class Line:
    """Messages and answers, by a clock of the test."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.kinds = Unanswered(lambda: self.now_s)
        self._mid = 0

    def send(self, channel: str) -> int:
        self._mid += 1
        assert self.kinds.sent(self._mid, channel) is None
        return self._mid

    def cut(self) -> tuple[str, bool] | None:
        over = self.kinds.cut()
        self.kinds.forget()
        return over


def test_a_refusal_and_the_first_message_taken_after_it_are_told() -> None:
    line = Line()
    assert line.kinds.answered(line.send("events"), REFUSED) == ("events", REFUSED)
    assert line.kinds.answered(line.send("hello"), TAKEN) is None
    assert line.kinds.answered(line.send("events"), TAKEN) == ("events", TAKEN)
    assert line.kinds.answered(line.send("events"), TAKEN) is None


def test_the_oldest_message_without_an_answer_is_the_one_over_which_a_connection_ended_again() -> None:
    line = Line()
    for believed in (False, True, True):
        line.kinds.answered(line.send("hello"), TAKEN)
        line.send("events")
        line.send("status")
        assert line.cut() == ("events", believed)
    assert line.kinds.answered(line.send("events"), TAKEN) == ("events", TAKEN)
    line.kinds.forget()
    line.send("events")
    assert line.cut() == ("events", False)


def test_a_connection_did_not_end_over_a_kind_of_which_it_took_one() -> None:
    """Rules do not change between two messages; under traffic there is always one that has no answer yet."""
    line = Line()
    line.kinds.answered(line.send("events"), TAKEN)
    line.send("events")
    line.send("status")
    assert line.cut() is None
    line.send("events")
    assert line.cut() == ("events", False)


def test_a_connection_that_ends_with_nothing_just_sent_ended_over_nothing() -> None:
    line = Line()
    assert line.cut() is None
    line.send("events")
    line.now_s += 2.1
    assert line.cut() is None
