"""Truth that a person told: what they did not say is not held against an answer, and words are as wide as they mean."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Status, Step
from nav_vlm_node.language import parse
from nav_vlm_node.score import Answer, Origin, Outcome, Truth, judge, reach, summarise
from nav_vlm_node.score_json import truth_from_json, truth_to_json

D = math.radians
TABLE = Step(Action.CAUTION, NAN, NAN, "table")


def outcome(text: str, truth: Truth) -> Outcome:
    steps = parse(text).steps
    unseen = any(step.action is Action.NOT_VISIBLE for step in steps)
    return judge(Answer(steps, Status.NOT_VISIBLE if unseen else Status.OK), truth)


def told_by(degrees: float, origin: Origin = "words", hazards: tuple[Step, ...] = ()) -> Truth:
    return Truth("target", "", True, D(degrees), NAN, hazards, origin=origin)


@pytest.mark.parametrize(
    ("degrees", "text", "right"),
    [
        (90, "Turn left 15 degrees.", True),
        (90, "Turn left 14 degrees.", False),
        (90, "Turn left 165 degrees.", True),
        (90, "Turn around.", False),
        (90, "Turn right 90 degrees.", False),
        (-90, "Turn right 40 degrees.", True),
        (45, "Turn left 75 degrees.", True),
        (45, "Turn left 80 degrees.", False),
        (20, "Turn left 5 degrees.", True),
        (20, "Turn left 40 degrees.", False),
        (0, "Turn left 15 degrees.", True),
        (0, "Turn left 20 degrees.", False),
        (180, "Turn left 140 degrees.", True),
        (180, "Turn left 130 degrees.", False),
    ],
)
def test_words_for_a_direction_are_as_wide_as_they_mean(degrees: float, text: str, right: bool) -> None:
    hits = outcome(text, told_by(degrees)).hits
    assert hits["direction_accuracy"] is right
    assert hits["coverage"]


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-180, 180), st.sampled_from(["geometry", "degrees", "words"]))
def test_the_other_side_is_never_right_and_words_are_never_narrower(a: float, b: float, origin: Origin) -> None:
    right = outcome(f"Turn {'left' if b > 0 else 'right'} {abs(round(b))} degrees.", told_by(a, origin)).hits
    if right.get("reversal_rate"):
        assert not right["direction_accuracy"]
    assert reach(D(a), "words") >= reach(D(a), "degrees") == reach(D(a)) == D(15)
    if 15 <= abs(a) <= 165:
        assert reach(D(a), "words") <= max(D(15), D(min(abs(a), 180 - abs(a)) - 15)) + 1e-9


@pytest.mark.parametrize(("degrees", "reversed_"), [(90, True), (45, True), (-90, False), (0, None)])
def test_the_wrong_side_of_words_is_a_reversal(degrees: float, reversed_: bool | None) -> None:
    assert outcome("Turn right 60 degrees.", told_by(degrees)).hits.get("reversal_rate") is reversed_


def test_stated_degrees_stay_exact() -> None:
    assert not outcome("Turn left 40 degrees.", told_by(90, "degrees")).hits["direction_accuracy"]
    assert outcome("Turn left 80 degrees.", told_by(90, "degrees")).hits["direction_accuracy"]


def test_what_a_person_did_not_say_is_not_held_against_an_answer() -> None:
    text = "Caution, chair ahead at 2 metres. Move 4 metres."
    hits = outcome(text, told_by(0)).hits
    assert not {"distance_within_25", "false_alarm_rate", "false_clear_rate"} & set(hits)
    assert summarise([outcome(text, told_by(0))])["hazard_precision"].n == 0
    exact = Truth("target", "", True, 0.0, 4.0)
    assert {"distance_within_25", "false_alarm_rate"} <= set(outcome(text, exact).hits)
    assert summarise([outcome(text, exact)])["hazard_precision"].n == 1


def test_a_distance_that_a_person_said_counts() -> None:
    truth = Truth("target", "", True, 0.0, 4.0, origin="words")
    assert outcome("Move 4 metres.", truth).hits["distance_within_25"]
    assert not outcome("Move 6 metres.", truth).hits["distance_within_25"]


@pytest.mark.parametrize(
    ("bearing", "distance", "text", "recalled"),
    [
        (NAN, NAN, "Caution, table 60 degrees left at 3 metres.", True),
        (NAN, NAN, "Caution, table.", True),
        (0.0, NAN, "Caution, table 25 degrees left at 9 metres.", True),
        (0.0, NAN, "Caution, table 35 degrees left at 1 metre.", False),
        (0.0, NAN, "Caution, table.", False),
        (D(90), NAN, "Caution, table 20 degrees left at 1 metre.", True),
        (D(90), NAN, "Caution, table 20 degrees right at 1 metre.", False),
        (NAN, 2.0, "Caution, table 60 degrees left at 2.5 metres.", True),
        (NAN, 2.0, "Caution, table 60 degrees left at 4 metres.", False),
    ],
)
def test_a_hazard_is_found_by_what_was_said_of_it(bearing: float, distance: float, text: str, recalled: bool) -> None:
    truth = Truth("hazard", hazards=(Step(Action.CAUTION, bearing, distance, "table"),), origin="words")
    hits = outcome(text, truth).hits
    assert hits["hazard_recall"] is recalled
    assert not hits["false_clear_rate"]
    assert outcome("Nothing found in the way.", truth).hits["false_clear_rate"]


def test_geometry_that_is_not_known_still_matches_nothing() -> None:
    assert not outcome("Caution, table.", Truth("hazard", hazards=(TABLE,))).hits["hazard_recall"]


def test_a_clear_way_that_a_person_reported_makes_a_warning_a_false_alarm() -> None:
    clear = Truth("hazard", steps=(Step(Action.NO_HAZARD),), origin="words")
    assert outcome("Caution, table ahead at 1 metre.", clear).hits["false_alarm_rate"]
    assert not outcome("Nothing found in the way.", clear).hits["false_alarm_rate"]


def test_json_keeps_the_origin_and_old_lines_are_as_they_were() -> None:
    for truth in (told_by(90), told_by(90, "degrees"), Truth("target", "door", True, D(30), 4.0)):
        line = json.loads(json.dumps(truth_to_json(truth)))
        assert repr(truth_from_json(line)) == repr(truth)
    assert "origin" not in truth_to_json(Truth("target"))["truth"]
    with pytest.raises(UserError, match="origin must be one of geometry, degrees, words, not 'x'"):
        truth_from_json({"truth": {"kind": "target", "origin": "x"}})
