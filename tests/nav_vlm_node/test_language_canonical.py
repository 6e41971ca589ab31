"""Canonical text: exactly the forms that the model is trained on, and nothing lost beyond `quantise`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language import KNOWN, complete_clauses, landmark_of, mirrored, parse, quantise, render_canonical
from nav_vlm_node.language.canonical import quantise_bearing, quantise_distance

D = math.radians


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(NAN), st.floats(low, high))


landmarks = st.one_of(st.just(""), st.sampled_from(sorted(KNOWN)), st.text(max_size=30))
steps = st.lists(
    st.builds(Step, st.sampled_from(Action), number(-10, 10), number(0, 2000), landmarks), max_size=8
).map(tuple)  # fmt: skip

EXAMPLES = {
    "Caution, chair 20 degrees left at 1.5 metres.": (Step(Action.CAUTION, D(20), 1.5, "chair"),),
    "Caution, chair ahead at 1 metre.": (Step(Action.CAUTION, 0.0, 1.0, "chair"),),
    "Turn left 35 degrees, then move 4 metres to the door.": (
        Step(Action.TURN, D(35)), Step(Action.MOVE, 0.0, 4.0, "door")),
    "Move 4 metres to the door.": (Step(Action.MOVE, 0.0, 4.0, "door"),),
    "Move to the open door.": (Step(Action.MOVE, 0.0, NAN, "open door"),),
    "Move 0.5 metres.": (Step(Action.MOVE, 0.0, 0.5),),
    "Move ahead.": (Step(Action.MOVE, 0.0),),
    "Turn right 90 degrees.": (Step(Action.TURN, D(-90)),),
    "Turn around.": (Step(Action.TURN, math.pi),),
    "Stop.": (Step(Action.STOP),),
    "Door 35 degrees left at 4 metres.": (Step(Action.LOCATE, D(35), 4.0, "door"),),
    "Door ahead at 4 metres.": (Step(Action.LOCATE, 0.0, 4.0, "door"),),
    "Door behind at 2 metres.": (Step(Action.LOCATE, math.pi, 2.0, "door"),),
    "Exit sign at 2 metres.": (Step(Action.LOCATE, NAN, 2.0, "exit sign"),),
    "Door in view.": (Step(Action.LOCATE, landmark="door"),),
    "No exit in view.": (Step(Action.NOT_VISIBLE, landmark="exit"),),
    "Turn slowly to scan.": (Step(Action.SCAN),),
    "The exit sign points left.": (Step(Action.SIGN, D(90), NAN, "exit sign"),),
    "The exit sign points right.": (Step(Action.SIGN, D(-90), NAN, "exit sign"),),
    "The exit sign points ahead.": (Step(Action.SIGN, 0.0, NAN, "exit sign"),),
    "Nothing found in the way for 3 metres.": (Step(Action.NO_HAZARD, distance=3.0),),
    "I do not know that place.": (Step(Action.UNKNOWN),),
    "Caution, box 5 degrees right at 1 metre. Turn right 90 degrees, then move 2 metres, then turn left 45 degrees, "
    "then move 12 metres to the lift.": (
        Step(Action.CAUTION, D(-5), 1.0, "box"), Step(Action.TURN, D(-90)), Step(Action.MOVE, 0.0, 2.0),
        Step(Action.TURN, D(45)), Step(Action.MOVE, 0.0, 12.0, "lift")),
    "No exit in view. The exit sign points right. Turn slowly to scan.": (
        Step(Action.NOT_VISIBLE, landmark="exit"), Step(Action.SIGN, D(-90), NAN, "exit sign"), Step(Action.SCAN)),
}  # fmt: skip


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_form_is_written_and_read_exactly(text: str) -> None:
    assert render_canonical(EXAMPLES[text]) == text
    parsed = parse(text)
    assert parsed.steps == EXAMPLES[text]
    assert parsed.unparsed == ()


@given(steps)
def test_reading_what_was_written_gives_the_quantised_steps(steps: tuple[Step, ...]) -> None:
    parsed = parse(render_canonical(steps))
    assert parsed.unparsed == ()
    assert parsed.steps == quantise(steps)


@given(steps)
def test_quantising_twice_changes_nothing(steps: tuple[Step, ...]) -> None:
    once = quantise(steps)
    assert quantise(once) == once
    assert render_canonical(once) == render_canonical(steps)


@given(steps)
def test_the_mirrored_scene_is_the_mirrored_text(steps: tuple[Step, ...]) -> None:
    # a dictionary of whole words, because a landmark's name may hold "left" as part of a word
    swap = {"left": "right", "right": "left", "left.": "right.", "right.": "left."}
    swapped = " ".join(swap.get(word, word) for word in render_canonical(steps).split(" "))
    assert render_canonical(mirrored(steps)) == swapped


@given(st.floats(-20, 20))
def test_bearings_lose_at_most_half_a_step(bearing: float) -> None:
    quantised = quantise_bearing(bearing)
    assert abs(math.remainder(quantised - bearing, math.tau)) <= D(2.5) + 1e-9
    assert -math.pi < quantised <= math.pi


@given(st.floats(0, 999))
def test_distances_are_never_zero_and_lose_at_most_half_a_metre(distance: float) -> None:
    quantised = quantise_distance(distance)
    assert quantised >= 0.5
    assert abs(quantised - distance) <= (0.25 if 0.25 <= distance <= 10 else 0.5) + 1e-9


def test_a_step_towards_a_bearing_is_a_turn_and_a_step_straight_on() -> None:
    assert quantise([Step(Action.MOVE, D(33), 2.2, "Elevator")]) == (
        Step(Action.TURN, D(35)), Step(Action.MOVE, 0.0, 2.0, "lift"))  # fmt: skip
    assert quantise([Step(Action.TURN, D(1)), Step(Action.MOVE, NAN, 2.0)]) == (Step(Action.MOVE, 0.0, 2.0),)


def test_hazards_are_said_first_wherever_they_were_put() -> None:
    mixed = [Step(Action.SCAN), Step(Action.TURN, D(20)), Step(Action.CAUTION, 0.0, 1.0, "box")]
    assert render_canonical(mixed).startswith("Caution, box ahead at 1 metre. Turn left 20 degrees.")


def test_us_spelling_is_read() -> None:
    assert parse("Move 2 meters to the elevator.").steps == (Step(Action.MOVE, 0.0, 2.0, "lift"),)


def test_a_clause_is_complete_only_when_nothing_can_be_added_to_it() -> None:
    assert complete_clauses("Caution, chair ahead at 1.") == []
    assert complete_clauses("Caution, chair ahead at 1.5 met") == []
    assert complete_clauses("Caution, chair ahead at 1.5 metres. Turn left") == ["Caution, chair ahead at 1.5 metres."]
    assert complete_clauses("Stop. Turn left 5 degrees.") == ["Stop.", "Turn left 5 degrees."]


@given(st.text(alphabet="ab1. !?\n5", max_size=40), st.integers(0, 40))
def test_what_is_complete_stays_complete(text: str, cut: int) -> None:
    early = complete_clauses(text[:cut])
    assert complete_clauses(text)[: len(early)] == early


@given(steps)
def test_every_sentence_of_canonical_text_is_complete(steps: tuple[Step, ...]) -> None:
    text = render_canonical(steps)
    assert " ".join(complete_clauses(text)) == text


@pytest.mark.parametrize(
    ("question", "landmark"),
    [
        ("How do I get to the exit?", "exit"),
        ("Where is the nearest elevator?", "lift"),
        ("where's the exit sign", "exit sign"),
        ("Take me to the open door, please.", "open door"),
        ("Is there a couch near the table?", "sofa"),
        ("What is the way out?", "exit"),
        ("How do I get out of here?", "exit"),
        ("Guide me from the door to the stairs.", "stairs"),
        ("Find the restroom now", "toilet"),
        ("Are there people in front of me?", "person"),
        ("WHERE IS THE STAIRCASE", "stairs"),
        ("How do I get to the box office?", None),
        ("Where is the pharmacy?", None),
        ("Is anything in my way?", None),
        ("Is it clear ahead?", None),
        ("", None),
    ],
)
def test_which_landmark_a_question_asks_for(question: str, landmark: str | None) -> None:
    assert landmark_of(question) == landmark
