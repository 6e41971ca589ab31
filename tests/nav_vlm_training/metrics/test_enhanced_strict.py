"""The strict metric: nothing that changes what the wearer does goes unpunished, and nothing else is punished."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language import Parsed, mirrored, parse, quantise, render_canonical
from nav_vlm_training.metrics.bertscore import TextEncoder
from nav_vlm_training.metrics.enhanced_strict import compare_steps, pair_up, strict_scores
from tests.nav_vlm_training.metrics.encoders import make_tiny_bert

D = math.radians
relaxed = settings(deadline=None, max_examples=60)
GOOD = "Caution, chair 20 degrees left at 1.5 metres. Turn left 35 degrees, then move 4 metres to the door."
FREE = (
    "Turn left at the counter, then walk 3 steps to the door.",
    "The exit is on your right. Walk straight ahead for 5 metres.",
    "Be careful, there is a chair on your left. Turn right and go through the doorway.",
    "Do not turn left. Go straight, then turn right.",
    "There is a table in front of you. Turn around.",
    "The lift is behind you on your left.",
)


def part(meant: str, said: str) -> float:
    """All factors but the text's: the score where BERTScore sees no difference."""
    return float(strict_scores([meant], [said], np.ones(1)).total[0])


def swapped(text: str) -> str:
    return re.sub(r"\b(left|right)\b", lambda match: {"left": "right", "right": "left"}[match[0]], text)


def of(steps: list[Step]) -> float:
    return part(render_canonical(steps), render_canonical(steps))


bearings = st.integers(-35, 36).map(lambda k: D(5 * k))
sided = bearings.filter(lambda b: 0 < abs(b) < math.pi)
distances = st.one_of(st.just(NAN), st.integers(1, 16).map(lambda k: k / 2))
names = st.sampled_from(["door", "exit", "chair", "table", "stairs"])
motion = st.one_of(
    st.builds(Step, st.just(Action.TURN), sided),
    st.builds(Step, st.just(Action.MOVE), st.just(0.0), distances, st.one_of(st.just(""), names)),
)
placed = st.builds(Step, st.sampled_from([Action.CAUTION, Action.LOCATE]), bearings, distances, names)
said_of = st.one_of(
    st.builds(Step, st.just(Action.NOT_VISIBLE), landmark=names),
    st.builds(Step, st.sampled_from([Action.SCAN, Action.STOP])),
    st.builds(Step, st.just(Action.NO_HAZARD), distance=distances),
)
steps = st.lists(st.one_of(motion, motion, placed, said_of), min_size=1, max_size=6)


def as_said(found: list[Step]) -> Parsed:
    return Parsed(tuple(found))


def product(meant: Parsed, said: Parsed) -> float:
    return math.prod(compare_steps(meant, said))


@relaxed
@given(steps)
def test_the_same_is_exactly_one(found: list[Step]) -> None:
    assert compare_steps(as_said(found), as_said(found)) == (1.0, 1.0, 1.0, 1.0)
    text = render_canonical(found)
    assert part(text, text) == 1.0


@relaxed
@given(steps, steps)
def test_only_the_same_steps_are_one(first: list[Step], second: list[Step]) -> None:
    factors = compare_steps(as_said(first), as_said(second))
    assert all(0 <= factor <= 1 for factor in factors)
    assert (math.prod(factors) == 1.0) == (first == second)


@relaxed
@given(steps)
def test_left_for_right_lowers_and_back_again_restores(found: list[Step]) -> None:
    text = render_canonical(found)
    assume("left" in text or "right" in text)
    assert part(text, swapped(text)) < 1.0
    assert part(text, swapped(swapped(text))) == 1.0
    assert part(swapped(text), swapped(text)) == 1.0


@relaxed
@given(steps)
def test_the_mirrored_answer_in_the_mirrored_scene_is_worth_the_same(found: list[Step]) -> None:
    other = list(quantise(found[1:]))
    there = product(as_said(list(quantise(found))), as_said(other))
    assert product(as_said(list(mirrored(quantise(found)))), as_said(list(mirrored(other)))) == pytest.approx(there)


@relaxed
@given(steps, st.data())
def test_another_order_lowers(found: list[Step], data: st.DataObject) -> None:
    other = data.draw(st.permutations(found))
    assume(other != found)
    assert product(as_said(found), as_said(other)) < 1.0


@relaxed
@given(steps, st.data())
def test_a_step_less_or_more_lowers(found: list[Step], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    assert product(as_said(found), as_said(found[:at] + found[at + 1 :])) < 1.0, "dropped"
    assert product(as_said(found), as_said(found[:at] + [found[at]] + found[at:])) < 1.0, "said twice"
    new = data.draw(st.one_of(motion, placed, said_of))
    assert product(as_said(found), as_said(found[:at] + [new] + found[at:])) < 1.0, "invented"


@relaxed
@given(steps)
def test_case_and_numbers_and_fillers_change_nothing(found: list[Step]) -> None:
    text = render_canonical(found)
    numbered = " ".join(f"{index}. {line}." for index, line in enumerate(text.split(". "), 1)).replace("..", ".")
    for other in (text.upper(), text.lower(), f"  {text}\n", numbered):
        assert parse(other).steps == parse(text).steps, other
        assert part(text, other) == 1.0


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        (GOOD, GOOD.replace("Turn left", "Please turn left")),
        ("Turn left, then walk 4 metres to the door.", "Make a left turn. Go 4 metres to the door."),
        ("The exit is on your right.", "On your right, there is an exit."),
        ("Caution, chair ahead.", "Watch out for the chair ahead."),
        ("No exit in view.", "There is no exit in view."),
        ("Go straight ahead.", "Walk straight."),
    ],
)
def test_a_paraphrase_changes_nothing(meant: str, said: str) -> None:
    assert parse(meant).steps == parse(said).steps
    assert part(meant, said) == part(said, meant) == 1.0


@pytest.mark.parametrize("text", FREE)
def test_free_english(text: str) -> None:
    assert part(text, text) == part(text, text.upper()) == 1.0
    if swapped(text) != text:
        assert part(text, swapped(text)) < 1.0
        assert part(text, swapped(swapped(text))) == 1.0


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (swapped(GOOD), 0.0),
        (GOOD.replace("Turn left", "Turn right"), 0.0),
        ("Turn left 35 degrees, then move 4 metres to the door.", 0.0),
        (GOOD.replace("Turn left 35", "Turn left 90"), 0.6),
        (GOOD.replace("Turn left 35 degrees, then move", "Move"), 0.7),
        ("Turn left 35 degrees, then move 4 metres to the door. " + GOOD.split(". ")[0] + ".", 0.7),
        (GOOD + " Caution, table ahead at 3 metres.", 0.7),
        (GOOD.replace("chair", "table"), 0.4),
        (GOOD.replace("4 metres", "2 metres"), 0.91),
        (GOOD.replace("door", "exit"), 0.81),
        ("Caution, chair 20 degrees left at 1.5 metres. The door is 35 degrees left.", 0.2),
        ("Stop.", 0.0),
        ("", 0.0),
    ],
)
def test_what_errors_cost(said: str, most: float) -> None:
    assert part(GOOD, said) <= most
    assert said == GOOD or part(GOOD, said) < 1.0


def test_how_far_off_matters() -> None:
    scores = [part(GOOD, GOOD.replace("Turn left 35", f"Turn left {degrees}")) for degrees in (35, 40, 60, 90, 120)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5


def test_a_needless_warning_costs_less_than_a_missing_one() -> None:
    way = GOOD.split(". ", 1)[1]
    assert part(GOOD, way) == 0.0
    assert part(way, GOOD) == 0.5


def test_a_wrong_way_round_later_turn_is_found_too() -> None:
    route = "Turn left 90 degrees, then move 3 metres, then turn right 90 degrees, then move 2 metres."
    other = "Turn left 90 degrees, then move 3 metres, then turn left 90 degrees, then move 2 metres."
    assert part(route, other) == 0.0
    assert part(route, "Turn right 90 degrees, then move 2 metres.") == 0.0, "it comes first on the way"


def test_what_is_forbidden_has_sides_too() -> None:
    assert part("Do not turn left. Go straight.", "Do not turn right. Go straight.") == 0.5
    assert part("Go straight.", "Do not turn left. Go straight.") == 0.5


def test_straight_ahead_is_no_way_to_hide() -> None:
    assert part(GOOD, "Walk straight ahead.") == 0.0
    assert part("Turn left 90 degrees, then move 3 metres.", "Walk straight ahead.") < 1e-9


def test_pairs() -> None:
    door, exit_ = (Step(Action.LOCATE, 0.0, NAN, name) for name in ("door", "exit"))
    first, second = Step(Action.TURN, D(90)), Step(Action.TURN, D(-90))
    assert pair_up([door, exit_], [exit_, door]) == [(door, door), (exit_, exit_)]
    assert pair_up([first, second], [second]) == [(first, second)]
    assert pair_up([door], [first]) == []


def test_the_text_counts_too(tmp_path: Path) -> None:
    encoder = TextEncoder(make_tiny_bert(tmp_path / "bert"), 2)
    said = [GOOD, GOOD.upper(), "Please " + GOOD, swapped(GOOD), ""]
    f1 = encoder.score([GOOD] * len(said), said).f1
    found = strict_scores([GOOD] * len(said), said, f1)
    assert found.total[0] == found.total[1] == 1.0
    assert 0.5 < found.total[2] < 1.0
    assert found.total[3] == found.total[4] == 0.0
    np.testing.assert_allclose(found.total, f1 * found.steps * found.direction * found.order * found.hazards)


@relaxed
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40), st.floats(-0.5, 1.0)), max_size=4))
def test_any_texts(given_: list[tuple[str, str, float]]) -> None:
    found = strict_scores([a for a, _, _ in given_], [b for _, b, _ in given_], np.array([f for *_, f in given_]))
    for values in (found.total, found.steps, found.direction, found.order, found.hazards):
        assert values.shape == (len(given_),)
        assert ((values >= 0) & (values <= 1)).all()
