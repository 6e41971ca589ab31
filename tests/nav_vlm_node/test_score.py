"""The scorer: each measure on answers whose outcome is known, and what must hold for any answers."""

import dataclasses
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Status, Step
from nav_vlm_node.language import mirrored, parse, quantise
from nav_vlm_node.score import (
    MEASURES,
    Answer,
    Truth,
    judge,
    summarise,
    told,
    wilson,
)
from nav_vlm_node.score_json import step_from_json, step_to_json, truth_from_json, truth_to_json

D = math.radians
CHAIR = Step(Action.CAUTION, D(10), 2.0, "chair")
DOOR = Truth("target", "door", True, D(30), 4.0)
DOOR_STEPS = (Step(Action.TURN, D(30)), Step(Action.MOVE, 0.0, 4.0, "door"))
HIDDEN = Truth("target", "exit")


def hit(text: str, truth: Truth, measure: str, status: Status = Status.OK) -> bool | None:
    return judge(Answer(parse(text).steps, status), truth).hits.get(measure)


@pytest.mark.parametrize(
    ("text", "right", "reversed_"),
    [
        ("Turn left 30 degrees, then move 4 metres to the door.", True, False),
        ("Turn left 45 degrees.", True, False),
        ("Turn left 50 degrees.", False, False),
        ("Turn left 20 degrees, then turn left 10 degrees, then move 1 metre.", True, False),
        ("Turn left 30 degrees, then move 4 metres, then turn right 90 degrees.", True, False),
        ("Door 30 degrees left at 4 metres.", True, False),
        ("Chair 30 degrees left at 4 metres.", False, False),
        ("Chair ahead at 1 metre. Door 30 degrees left.", True, False),
        ("Move 4 metres to the door.", False, False),
        ("Turn right 5 degrees.", False, True),
        ("Turn right 30 degrees, then move 4 metres to the door.", False, True),
        ("Door 30 degrees right at 4 metres.", False, True),
        ("Turn around.", False, False),
        ("No door in view.", False, False),
        ("No door in view. Turn left 30 degrees.", False, False),
        ("I do not know that place.", False, False),
        ("Turn slowly to scan.", False, False),
        ("Stop.", False, False),
        ("", False, False),
    ],
)
def test_direction_and_reversal(text: str, right: bool, reversed_: bool) -> None:
    assert hit(text, DOOR, "direction_accuracy") is right
    assert hit(text, DOOR, "reversal_rate") is reversed_
    # the mirrored answer to the mirrored scene is worth the same
    mirror = dataclasses.replace(DOOR, bearing=-DOOR.bearing)
    outcome = judge(Answer(mirrored(parse(text).steps)), mirror)
    assert outcome.hits["direction_accuracy"] is right
    assert outcome.hits["reversal_rate"] is reversed_


def test_a_target_near_the_centre_cannot_be_reversed() -> None:
    assert hit("Turn right 20 degrees.", dataclasses.replace(DOOR, bearing=D(14)), "reversal_rate") is None
    assert hit("Turn right 20 degrees.", dataclasses.replace(DOOR, bearing=D(15)), "reversal_rate") is True


def test_nearly_behind_is_no_side_to_be_sent_to_wrongly() -> None:
    behind = dataclasses.replace(DOOR, bearing=D(172))
    assert judge(Answer((Step(Action.TURN, D(-174)),)), behind).hits["reversal_rate"] is False
    assert judge(Answer((Step(Action.TURN, D(-90)),)), behind).hits["reversal_rate"] is True


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_without_status_ok_there_is_no_direction(status: Status) -> None:
    outcome = judge(Answer(DOOR_STEPS, status), DOOR)
    assert outcome.hits["direction_accuracy"] is False
    assert outcome.hits["coverage"] is False
    assert math.isnan(outcome.direction)


def test_visibility() -> None:
    assert hit("Turn left 90 degrees.", DOOR, "visibility_accuracy") is True
    assert hit("No door in view.", DOOR, "visibility_accuracy") is False
    assert hit("", DOOR, "visibility_accuracy") is False
    assert hit("No exit in view. Turn slowly to scan.", HIDDEN, "visibility_accuracy") is True
    assert hit(
        "No exit in view. Turn left 20 degrees, then move 2 metres to the open door.", HIDDEN, "visibility_accuracy"
    )
    assert hit("Turn left 20 degrees.", HIDDEN, "visibility_accuracy") is False
    assert hit("Stop.", HIDDEN, "visibility_accuracy", Status.NOT_VISIBLE) is True
    assert hit("", HIDDEN, "visibility_accuracy", Status.UNSURE) is False


def test_an_unknown_place_gets_no_direction() -> None:
    unknown = Truth("unknown", "pharmacy")
    assert hit("I do not know that place.", unknown, "unknown_no_direction") is True
    assert hit("I do not know that place. Turn left 5 degrees.", unknown, "unknown_no_direction") is False
    assert hit("Move 3 metres to the door.", unknown, "unknown_no_direction") is False
    assert hit("Door ahead.", unknown, "unknown_no_direction") is False
    assert hit("Turn left 5 degrees.", unknown, "unknown_no_direction", Status.UNSURE) is True


@pytest.mark.parametrize(
    ("text", "found", "clear"),
    [
        ("Caution, chair 10 degrees left at 2 metres.", True, False),
        ("Caution, box 40 degrees left at 3 metres.", True, False),
        ("Caution, chair 45 degrees left at 2 metres.", False, False),
        ("Caution, chair 20 degrees right at 1 metre.", True, False),
        ("Caution, chair ahead at 3.5 metres.", False, False),
        ("Caution, chair ahead.", False, False),
        ("Nothing found in the way for 2 metres.", False, True),
        ("", False, True),
    ],
)
def test_hazards(text: str, found: bool, clear: bool) -> None:
    truth = Truth("hazard", hazards=(CHAIR,))
    assert hit(text, truth, "hazard_recall") is found
    assert hit(text, truth, "false_clear_rate") is clear
    assert hit(text, truth, "false_alarm_rate") is None


def test_the_limits_for_a_near_hazard_are_metres_and_for_a_far_one_a_share() -> None:
    near = Truth("hazard", hazards=(Step(Action.CAUTION, 0.0, 0.5, "box"),))
    assert hit("Caution, box ahead at 1 metre.", near, "hazard_recall") is True
    assert hit("Caution, box ahead at 1.5 metres.", near, "hazard_recall") is False
    far = Truth("hazard", hazards=(Step(Action.CAUTION, 0.0, 6.0, "box"),))
    assert hit("Caution, box ahead at 9 metres.", far, "hazard_recall") is True


def test_only_the_nearest_hazard_counts_for_recall_and_any_for_precision() -> None:
    truth = Truth("hazard", hazards=(CHAIR, Step(Action.CAUTION, D(-60), 5.0, "table")))
    outcome = judge(Answer(parse("Caution, table 60 degrees right at 5 metres. Caution, box behind.").steps), truth)
    assert outcome.hits["hazard_recall"] is False
    assert (outcome.cautions, outcome.called_right) == (2, 1)
    assert summarise([outcome])["hazard_precision"].value == 0.5


def test_an_alarm_without_a_hazard_is_counted() -> None:
    assert hit("Caution, chair ahead at 1 metre.", Truth("hazard"), "false_alarm_rate") is True
    assert hit("Nothing found in the way.", Truth("hazard"), "false_alarm_rate") is False


@pytest.mark.parametrize(
    ("metres", "right"),
    [("4 metres", True), ("5 metres", True), ("3 metres", True), ("5.5 metres", False), ("", False)],
)
def test_distance(metres: str, right: bool) -> None:
    assert (
        hit(f"Turn left 30 degrees, then move {metres} to the door.".replace("  ", " "), DOOR, "distance_within_25")
        is right
    )


def test_distance_is_asked_only_of_answers_with_a_direction() -> None:
    assert hit("No door in view.", DOOR, "distance_within_25") is None
    rounded = dataclasses.replace(DOOR, distance=0.72)  # canonical text can only say 0.5 metres
    assert hit("Turn left 30 degrees, then move 0.5 metres.", rounded, "distance_within_25") is True


def test_landmarks() -> None:
    truth = dataclasses.replace(DOOR, hazards=(CHAIR,), steps=(CHAIR, *DOOR_STEPS))
    text = "Caution, box ahead at 2 metres. Move 2 metres to the door."
    outcome = judge(Answer(parse(text).steps), truth)
    assert outcome.landmarks == (1, 1, 1)
    assert summarise([outcome])["landmark_f1"].value == 0.5


def test_a_turn_by_an_unstated_angle_is_no_direction() -> None:
    assert math.isnan(told([Step(Action.TURN), Step(Action.MOVE, 0.0, 2.0)])[0])


# Any data set whose good answers can be said: each answer is the truth's own, as canonical text keeps it.
bearings = st.integers(-55, 55).map(D)
hazards = st.builds(Step, st.just(Action.CAUTION), bearings, st.floats(0.5, 6), st.sampled_from(["chair", "box"]))


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    kind = draw(st.sampled_from(["target", "target", "hazard", "unknown"]))
    found = tuple(draw(st.lists(hazards, max_size=2)))
    if kind == "unknown":
        return Truth("unknown", "pharmacy", steps=(Step(Action.UNKNOWN),))
    if kind == "hazard":
        return Truth("hazard", hazards=found, steps=quantise(found or [Step(Action.NO_HAZARD, distance=3.0)]))
    if not draw(st.booleans()):
        return Truth(
            "target", "exit", hazards=found, steps=quantise([*found, Step(Action.NOT_VISIBLE, landmark="exit")])
        )
    bearing, distance = draw(bearings), draw(st.floats(0.3, 12))
    way = (Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, distance, "door"))
    return Truth("target", "door", True, bearing, distance, found, quantise([*found, *way]))


@given(st.lists(truths(), min_size=1, max_size=12))
def test_the_good_answers_score_perfectly(truths: list[Truth]) -> None:
    scores = summarise(judge(Answer(truth.steps), truth) for truth in truths)
    for name, share in scores.shares.items():
        if share.n:
            assert share.value == (0.0 if name in ("reversal_rate", "false_clear_rate", "false_alarm_rate") else 1.0), (
                name
            )


@given(st.lists(truths(), min_size=1, max_size=12))
def test_swapping_left_and_right_loses_every_off_centre_direction(truths: list[Truth]) -> None:
    scores = summarise(judge(Answer(mirrored(truth.steps)), truth) for truth in truths)
    sided = [truth for truth in truths if truth.visible and abs(truth.bearing) >= D(15)]
    wide = [truth for truth in truths if truth.visible and abs(truth.bearing) > D(10)]
    if sided:
        assert scores["reversal_rate"].value == 1.0
    if wide:
        assert scores["direction_accuracy"].value < 1.0


@given(st.lists(truths(), max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_questions_does_not_matter(truths: list[Truth], shuffle: random.Random) -> None:
    outcomes = [judge(Answer(mirrored(truth.steps)), truth) for truth in truths]
    shuffled = outcomes.copy()
    shuffle.shuffle(shuffled)
    assert summarise(shuffled).to_json() == summarise(outcomes).to_json()


@given(st.integers(0, 400), st.integers(0, 400))
def test_an_interval_holds_its_value_and_narrows(hits: int, misses: int) -> None:
    share = wilson(hits, hits + misses)
    if share.n == 0:
        assert math.isnan(share.value)
        return
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert (
        wilson(10 * hits, 10 * (hits + misses)).high - wilson(10 * hits, 10 * (hits + misses)).low
        < share.high - share.low
    )


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    for hits, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        share = wilson(hits, n)
        assert (round(share.low, 4), round(share.high, 4)) == (low, high)


steps = st.builds(
    Step,
    st.sampled_from(Action),
    st.one_of(st.just(NAN), st.floats(-3, 3)),
    st.one_of(st.just(NAN), st.floats(0, 9)),
    st.text(),
)


@given(steps)
def test_a_step_survives_json(step: Step) -> None:
    assert step_from_json(json.loads(json.dumps(step_to_json(step), allow_nan=False))) == step


@given(truths())
def test_a_truth_survives_json(truth: Truth) -> None:
    assert truth_from_json(json.loads(json.dumps(truth_to_json(truth), allow_nan=False))) == truth


@given(st.lists(st.tuples(steps, truths()), max_size=5))
def test_any_answer_can_be_judged_and_written(pairs: list[tuple[Step, Truth]]) -> None:
    scores = summarise(judge(Answer((step,)), truth) for step, truth in pairs)
    assert scores.n == len(pairs)
    assert set(json.loads(json.dumps(scores.to_json(), allow_nan=False))) == {"n", *MEASURES}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({}, "nav-vlm-sim dataset"),
        ({"truth": {"kind": "door"}}, "kind must be one of target"),
        ({"truth": {"kind": "target", "bearing_rad": "left"}}, "bearing_rad must be a number"),
        ({"truth": {"kind": "target"}, "steps": [{"action": "JUMP"}]}, "action must be one of TURN"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        truth_from_json(line)


def test_the_worst_answers_can_be_listed() -> None:
    good, off, reversed_ = (
        judge(Answer(parse(text).steps), DOOR)
        for text in ("Turn left 30 degrees.", "Turn left 90 degrees.", "Turn right 30 degrees.")
    )
    assert sorted([good, reversed_, off], key=lambda outcome: -outcome.badness) == [reversed_, off, good]
