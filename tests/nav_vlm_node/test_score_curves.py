"""The risk-coverage curve against one made by hand, what must hold for any of them, and counting words."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.score import Answer, Outcome, Truth, judge
from nav_vlm_node.score_curves import Risk, count_words, risk_coverage, words_per_answer

D = math.radians
DOOR = Truth("target", "door", True, D(30), 4.0)


def turn(degrees: float) -> Outcome:
    return judge(Answer((Step(Action.TURN, D(degrees)),)), DOOR)


RIGHT, OFF, REVERSED, SILENT = turn(30), turn(60), turn(-30), judge(Answer(), DOOR)
NOT_COUNTED = judge(Answer(), Truth("hazard"))


def test_a_curve_by_hand() -> None:
    outcomes = [OFF, RIGHT, SILENT, RIGHT, REVERSED, NOT_COUNTED]
    curve = risk_coverage(outcomes, [0.5, 0.9, 1.0, 0.7, 0.2, 1.0])
    assert curve.n == 5
    np.testing.assert_allclose(curve.coverage, [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 2])
    assert curve.reach == 0.8
    assert curve.area == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert curve.least == curve.area
    assert curve.risk_at(0.4) == 0.0
    assert curve.risk_at(0.7) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert math.isnan(curve.risk_at(0.9))
    assert risk_coverage(outcomes, [0.5, 0.9, 1, 0.7, 0.2, 1], "reversal").risk[-1] == pytest.approx(1 / 4)
    error = risk_coverage(outcomes, [0.5, 0.9, 1, 0.7, 0.2, 1], "direction_error")
    np.testing.assert_allclose(error.risk, [0, 0, D(30) / 3, D(90) / 4], atol=1e-12)


def test_equal_confidence_is_taken_in_together() -> None:
    curve = risk_coverage([RIGHT, OFF, OFF, RIGHT], [0.5, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(curve.risk, [0.5, 0.5, 0.5, 0.5])


def test_nothing_answered() -> None:
    for outcomes in ([], [SILENT], [NOT_COUNTED]):
        curve = risk_coverage(outcomes, [1.0] * len(outcomes))
        assert curve.reach == 0.0
        assert math.isnan(curve.area)
        assert math.isnan(curve.risk_at(0.5))
        found = json.loads(json.dumps(curve.to_json(), allow_nan=False))
        assert found["area"] is None
        assert found["coverage"] == found["risk"] == []


RISKS: tuple[Risk, ...] = ("wrong_direction", "reversal", "direction_error")
answers = st.lists(
    st.tuples(st.sampled_from([RIGHT, OFF, REVERSED, SILENT, NOT_COUNTED]), st.sampled_from([0.1, 0.4, 0.8, 0.9])),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(answers)
def test_the_order_of_the_questions_does_not_matter(given_: list[tuple[Outcome, float]]) -> None:
    shuffled = sorted(given_, key=lambda one: (one[1], one[0].badness))
    for measure in RISKS:
        first = risk_coverage([o for o, _ in given_], [c for _, c in given_], measure)
        second = risk_coverage([o for o, _ in shuffled], [c for _, c in shuffled], measure)
        np.testing.assert_allclose(first.risk, second.risk, atol=1e-12)
        np.testing.assert_array_equal(first.coverage, second.coverage)


@settings(deadline=None)
@given(answers)
def test_what_any_curve_keeps(given_: list[tuple[Outcome, float]]) -> None:
    outcomes, confidences = [o for o, _ in given_], [c for _, c in given_]
    curve = risk_coverage(outcomes, confidences)
    visible = [o for o in outcomes if "coverage" in o.hits]
    assert curve.n == len(visible)
    assert curve.reach == pytest.approx(sum(o.hits["coverage"] for o in visible) / max(1, len(visible)))
    if not len(curve.risk):
        return
    assert curve.least <= curve.area + 1e-12
    directed = [o for o in visible if o.hits["coverage"]]
    assert curve.risk[-1] == pytest.approx(1 - sum(o.hits["direction_accuracy"] for o in directed) / len(directed))
    knowing = risk_coverage(outcomes, [1.0 - (o.badness > 0.3) for o in outcomes])
    assert knowing.area == pytest.approx(curve.least), "confidence that tells right from wrong is the best there is"
    thinned = curve.to_json(points=3)
    assert len(thinned["risk"]) == len(thinned["coverage"]) == min(3, len(curve.risk))
    assert thinned["risk"][-1] == curve.risk[-1]


def test_what_does_not_fit_together() -> None:
    with pytest.raises(UserError, match="2 answers, 1 confidences"):
        risk_coverage([RIGHT, OFF], [1.0])
    with pytest.raises(UserError, match="must be one of direction_error, wrong_direction, reversal"):
        risk_coverage([RIGHT], [1.0], "bleu")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not NaN"):
        risk_coverage([RIGHT], [math.nan])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" ... ", 0),
        ("Stop.", 1),
        ("Turn left 35 degrees, then move 4 metres to the door.", 11),
        ("Caution, chair 20 degrees left at 1.5 metres.", 8),
        ("At 2 o'clock: a well-lit exit – 3 steps.", 8),
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_words_per_answer(texts: list[str]) -> None:
    words = words_per_answer(texts)
    assert words.n == len(texts)
    assert 0 <= words.p50 <= words.p95 <= words.longest
    assert words.mean * words.n == pytest.approx(sum(map(count_words, texts)))
    assert count_words(" ".join(texts)) >= words.longest
    json.dumps(words.to_json(), allow_nan=False)
