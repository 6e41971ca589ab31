"""Questions: their words are kept apart, mean what they are about, and have one right answer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nav_vlm_node.instruction import Action
from nav_vlm_node.language import landmark_of
from nav_vlm_sim.questions import (
    NAMES,
    PHRASINGS,
    UNKNOWN_PLACES,
    Kind,
    ask,
    choose,
    hazard_question,
    held_out,
    invented_place,
    reworded,
    target_question,
)
from nav_vlm_sim.truth import TARGETS, Observation, Target

NOTHING = Observation((), {name: Target(name, False) for name in TARGETS}, None, True)
SOME = Observation(
    (),
    {name: Target(name, False) for name in TARGETS}
    | {"chair": Target("chair", True, 0.4, 2.0), "table": Target("table", None)},
    None,
    True,
)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_fifth_of_the_words_is_held_out(kind: Kind) -> None:
    entries = PHRASINGS[kind]
    out = [entry for i, entry in enumerate(entries) if held_out(i)]
    assert len(out) == len(entries) / 5
    rng = np.random.default_rng(0)
    assert {choose(rng, entries, from_held_out=True) for _ in range(300)} == set(out)
    assert {choose(rng, entries, from_held_out=False) for _ in range(900)} == set(entries) - set(out)


@pytest.mark.parametrize(("phrase", "name"), list(itertools.product(PHRASINGS[Kind.TARGET], TARGETS)))
def test_the_parser_hears_what_is_asked_for(phrase: str, name: str) -> None:
    for words in NAMES[name]:
        assert landmark_of(phrase.format(words)) == name


def test_the_parser_knows_no_unknown_place() -> None:
    places = set(UNKNOWN_PLACES) - {"cash desk"}  # a desk is a table to the parser; the model learns better
    for phrase, place in itertools.product(PHRASINGS[Kind.UNKNOWN][::6], places):
        assert landmark_of(phrase.format(place)) is None, place


def test_invented_places_are_no_words_of_ours() -> None:
    rng = np.random.default_rng(1)
    known = {word for names in NAMES.values() for name in names for word in name.split()}
    assert not {invented_place(rng) for _ in range(2000)} & known


def test_only_what_has_one_right_answer_is_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = list(itertools.islice(ask(SOME, rng), 1500))
    targets = {q.target for q in drawn if q.kind is Kind.TARGET}
    assert targets == set(TARGETS) - {"table"}
    shown = [q.target == "chair" for q in drawn if q.kind is Kind.TARGET]
    assert sum(shown) / len(shown) == pytest.approx(0.65, abs=0.05)
    assert {q.kind for q in drawn} == set(Kind)
    assert all(q.guide[0].action is Action.UNKNOWN for q in drawn if q.kind is Kind.UNKNOWN)
    assert Kind.DESCRIBE not in {q.kind for q in itertools.islice(ask(NOTHING, rng), 500)}


@pytest.mark.parametrize("new", [False, True])
def test_a_reworded_question_is_the_same_question(new: bool) -> None:
    rng = np.random.default_rng(3)
    for question in itertools.islice(ask(SOME, rng), 60):
        other = reworded(question, SOME, rng, new_words=new)
        assert (other.kind, other.guide, other.heldout_phrasing) == (question.kind, question.guide, new)
        if question.kind is not Kind.UNKNOWN:
            assert other.target == question.target


def test_answers_are_the_guides_and_the_describers() -> None:
    rng = np.random.default_rng(0)
    question = target_question(SOME, "chair", rng)
    assert [s.action for s in question.guide] == [Action.TURN, Action.MOVE]
    assert [s.action for s in question.plain] == [Action.LOCATE]
    assert math.isclose(question.guide[0].bearing, 0.4)
    clear = hazard_question(SOME, rng)
    assert [(s.action, s.distance) for s in clear.guide] == [(Action.NO_HAZARD, 3.0)]
