from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Status
from nav_vlm_node.language import parse
from nav_vlm_node.score import Answer, judge
from nav_vlm_training.data.answers import truth_of
from nav_vlm_training.data.balance import direction_of
from tests.nav_vlm_training.data.fuzz import FUZZ

EXIT, WAY, FREE = "How do I get to the exit", "Are there any obstacles in front of me", "Is my immediate way clear"
BAD = ("reversal_rate", "false_clear_rate", "false_alarm_rate")


@pytest.mark.parametrize(
    ("question", "answer", "direction"),
    [
        (EXIT, "Walk straight ahead.", "ahead"),
        (EXIT, "Turn left.", "left"),
        (EXIT, "It's on your right.", "right"),
        (EXIT, "The exit doors are behind you, near the top row.", "behind"),
        (EXIT, "Walk straight to the counter and turn left.", "ahead"),
        (EXIT, "Turn left, go straight, then turn right.", "left"),
        (EXIT, "There's an obstacle ahead of you. Stay to the right and go straight.", "right"),
        (EXIT, "No exit in view.", "not visible"),
        (EXIT, "The exit is at the back of the room.", "describe"),
        ("Where is the control booth", "The control booth is on the left.", "left"),
        ("Where is the moon", "I do not know that place.", "unknown"),
        (WAY, "Yes, there is a table.", "hazard"),
        (WAY, "Yes.", "hazard"),
        (WAY, "No.", "clear"),
        (WAY, "No, you can go straight.", "clear"),
        (WAY, "No, there's a chair on your right.", "hazard"),
        ("Is there an obstacle here", "Yes, there's a table directly to your left.", "hazard"),
        (FREE, "Yes.", "describe"),
        (FREE, "No.", "describe"),
        (FREE, "Yes, you can go ahead.", "clear"),
        (FREE, "No, there's a table blocking the way.", "hazard"),
        ("Is the area ahead obstacle-free", "Yes.", "describe"),
        ("Is there a stairway here", "No.", "describe"),
        ("Is there a stairway here", "Yes, it's on your left.", "left"),
        (EXIT, "Blue.", "describe"),
    ],
)
def test_what_an_answer_says_is_so(question: str, answer: str, direction: str) -> None:
    truth, why = truth_of(question, answer)
    assert direction_of(truth) == direction
    assert bool(why) == (direction == "describe")
    assert truth.steps == parse(answer).steps


def test_what_was_stated_is_kept_and_what_was_not_is_not_known() -> None:
    truth, _ = truth_of(EXIT, "Caution, chair ahead. Walk straight 3 metres.")
    assert [step.landmark for step in truth.hazards] == ["chair"]
    assert truth.distance == 3.0
    assert math.isnan(truth_of(EXIT, "Walk straight.")[0].distance)


@pytest.mark.parametrize(
    ("answer", "origin"),
    [
        ("Turn left.", "words"),
        ("Turn left 90 degrees.", "degrees"),
        ("Turn left 90°.", "degrees"),
        ("The exit is at 3 o’clock.", "degrees"),
        ("Turn left and walk 3 metres.", "words"),
    ],
)
def test_angles_that_are_stated_are_told_from_words(answer: str, origin: str) -> None:
    assert truth_of(EXIT, answer)[0].origin == origin


def test_the_target_is_what_was_asked_for_where_the_answer_speaks_of_it() -> None:
    assert truth_of("Where is the door", "The door is on your left.")[0].target == "door"
    # "exit" was asked for and a door is named: any LOCATE must do, or the person's own answer would be wrong
    assert truth_of(EXIT, "The door is on your left.")[0].target == ""


fragment = st.sampled_from(
    "turn left|go straight|walk ahead 3 metres|it is on your right|the door is behind you|yes|no|.|,| and |; |caution, "
    "a chair ahead|there is a table in the way|no exit in view|i do not know that place|stop|turn around|left|table|"
    "turn slowly to scan|at 3 o'clock|30 degrees|nothing in the way|if|not|the exit|in front of you|then".split("|")
)
question = st.one_of(st.sampled_from([EXIT, WAY, FREE, "Where is the door", "Is there a stairway here"]), st.text())
answer = st.one_of(st.text(max_size=60), st.lists(fragment, max_size=7).map(" ".join))


@FUZZ
@given(question=question, answer=answer)
def test_a_persons_answer_is_right_by_its_own_truth(question: str, answer: str) -> None:
    truth, _ = truth_of(question, answer)
    steps = parse(answer).steps
    unseen = any(step.action is Action.NOT_VISIBLE for step in steps)
    hits = judge(Answer(steps, Status.NOT_VISIBLE if unseen else Status.OK), truth).hits
    hits = {name: hit for name, hit in hits.items() if name != "step_order_accuracy"}
    assert all(hit != (name in BAD) for name, hit in hits.items())
    assert truth.origin != "geometry"
