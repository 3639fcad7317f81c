"""Suggestions: from what was measured, each with a reason, and never a setting that was not measured."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge.core.advice import Measured, suggest

FAST = Measured(
    embed_s={("f32", 1): 0.010, ("f32", 2): 0.006, ("int8", 1): 0.009, ("int8", 2): 0.0055},
    detect_s={40: 0.04, 60: 0.02, 100: 0.01},
    align_s=0.0003,
    parity={"f32": 0.9999, "int8": 0.9996},
    min_face_px=100,
)
times = st.floats(0.0005, 3)


def values(measured: Measured) -> dict[str, object]:
    return {suggestion.key: suggestion.value for suggestion in suggest(measured)}


def test_a_fast_machine_looks_for_small_faces_often() -> None:
    assert values(FAST) == {
        "recognition.variant": "int8",
        "recognition.threads": 2,
        "recognition.smallest_face_px": 40,
        "camera.frames_per_s": 15.0,
    }


def test_a_slow_machine_looks_for_fewer_faces_less_often() -> None:
    slow = replace(FAST, detect_s={40: 0.6, 60: 0.3, 100: 0.08}, embed_s={("f32", 2): 0.1})
    assert values(slow)["recognition.smallest_face_px"] == 100
    assert values(slow)["camera.frames_per_s"] == 3.0


def test_what_is_less_exact_must_be_worth_it() -> None:
    inexact = replace(FAST, parity={"f32": 0.9999, "int8": 0.995})
    assert values(inexact)["recognition.variant"] == "f32"
    much_faster = replace(inexact, embed_s={("f32", 1): 0.01, ("int8", 1): 0.004})
    (variant, *_others) = suggest(much_faster)
    assert variant.value == "int8"
    assert "0.9950" in variant.reason


def test_the_reference_is_preferred_where_another_exact_variant_is_hardly_faster() -> None:
    even = replace(FAST, embed_s={("f32", 1): 0.0100, ("f16", 1): 0.0099}, parity={"f32": 1.0, "f16": 0.99999})
    assert values(even)["recognition.variant"] == "f32"


def test_a_second_thread_that_gains_nothing_is_left_to_the_rest_of_the_program() -> None:
    assert values(replace(FAST, embed_s={("f32", 1): 0.010, ("f32", 2): 0.0097}))["recognition.threads"] == 1


def test_nothing_is_suggested_from_nothing() -> None:
    assert suggest(replace(FAST, embed_s={})) == []
    assert suggest(replace(FAST, detect_s={})) == []


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["f32", "f16", "int8"]), st.just(1)) | st.just(("f32", 2)), times, min_size=1
    ).filter(lambda given: ("f32", 1) in given),
    st.dictionaries(st.sampled_from([24, 40, 60, 80, 100, 160]), times, min_size=1),
    st.sampled_from([60, 80, 100]),
)
def test_every_suggestion_was_measured_and_has_a_reason(
    embed_s: dict[tuple[str, int], float], detect_s: dict[int, float], min_face_px: int
) -> None:
    if ("f32", 2) in embed_s:
        embed_s = embed_s | {(name, 2): seconds for (name, _count), seconds in embed_s.items()}
    measured = Measured(embed_s, detect_s, 0.001, {"f32": 1.0}, min_face_px)
    found = {suggestion.key: suggestion for suggestion in suggest(measured)}
    assert (found["recognition.variant"].value, found["recognition.threads"].value) in embed_s
    assert found["recognition.smallest_face_px"].value in detect_s
    assert 1 <= float(found["camera.frames_per_s"].value) <= 15
    assert all(suggestion.reason for suggestion in found.values())
