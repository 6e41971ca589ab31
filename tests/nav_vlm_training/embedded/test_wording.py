"""Changed questions: the name survives, the held-out words never come in, and half are left as they were."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.language import landmark_of
from nav_vlm_sim.questions import (
    NAMES,
    PHRASINGS,
    Kind,
    Question,
    choose,
    held_out,
    target_question,
    unknown_question,
)
from nav_vlm_sim.truth import TARGETS, Observation, Target
from nav_vlm_training.embedded.wording import AFTER, BEFORE, WORDS, as_said

NOTHING = Observation((), {name: Target(name, False) for name in TARGETS}, None, True)


@given(seed=st.integers(0, 2**32 - 1), target=st.sampled_from(TARGETS))
def test_the_name_survives(seed: int, target: str) -> None:
    rng = np.random.default_rng(seed)
    said = as_said(target_question(NOTHING, target, rng), rng)
    assert any(name in said.lower() for name in NAMES[target])


@given(seed=st.integers(0, 2**32 - 1))
def test_an_unknown_place_stays_unknown(seed: int) -> None:
    rng = np.random.default_rng(seed)
    question = unknown_question(NOTHING, rng)
    said = as_said(question, rng)
    assert question.target in said.lower()
    assert landmark_of(said) is None


@pytest.mark.parametrize("kind", [Kind.HAZARD, Kind.DESCRIBE])
def test_a_question_without_a_name_keeps_its_words(kind: Kind) -> None:
    """In order, with no more than a word before it and one after it."""
    rng = np.random.default_rng(1)
    added = "|".join(map(re.escape, ("", *BEFORE))), "|".join(map(re.escape, ("", *AFTER)))
    for _ in range(300):
        text = choose(rng, PHRASINGS[kind], from_held_out=False)
        said = as_said(Question(kind, text, "", False, (), ()), rng)
        bare = re.escape(re.sub(r"[.,?!]", "", text.lower()))
        assert re.fullmatch(f"({added[0]}) ?{bare} ?({added[1]})", re.sub(r"[.,?!]", "", said.lower())), (text, said)


def test_about_half_are_changed_and_in_many_ways() -> None:
    rng = np.random.default_rng(2)
    question = target_question(NOTHING, "exit", rng)
    said = [as_said(question, rng) for _ in range(1000)]
    assert 0.4 < said.count(question.text) / 1000 < 0.6
    assert len(set(said)) > 200


def test_held_out_phrasings_give_no_words() -> None:
    given = {w for kind in (Kind.TARGET, Kind.HAZARD) for i, p in enumerate(PHRASINGS[kind]) if not held_out(i)
             for w in re.findall(r"[a-z]+", p.lower())}  # fmt: skip
    assert set(WORDS) <= given
