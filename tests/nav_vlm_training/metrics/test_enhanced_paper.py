"""The paper's metric against what its authors' code computes on 200 pairs, and against its own known defects."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_training.metrics.enhanced_paper import contradicts, directional_score, paper_scores, reverses
from nav_vlm_training.metrics.paper_terms import GROUPS
from nav_vlm_training.metrics.pipelines import PlainPipeline, Word

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_paper.json").read_text(encoding="utf-8"))
REFERENCES, CANDIDATES = zip(*GOLDEN["pairs"], strict=True)
PLAIN = PlainPipeline(lambda word: None, "nothing")


class Replay:
    """Says what spaCy said when the golden file was made."""

    name, exact = GOLDEN["pipeline"], True

    def words(self, text: str) -> Sequence[Word]:
        return [Word(*word) for word in GOLDEN["words"][text]]

    def has_vector(self, text: str) -> bool:
        return bool(GOLDEN["has_vector"][text])

    def similarity(self, first: str, second: str) -> float:
        return float(GOLDEN["similarity"][first][second])


def test_it_equals_the_authors_formula() -> None:
    assert len(GOLDEN["pairs"]) == 200
    assert "en_core_web_md" in GOLDEN["pipeline"]
    found = paper_scores(REFERENCES, CANDIDATES, np.array(GOLDEN["bert_f1"]), Replay())
    np.testing.assert_allclose(found.directional, GOLDEN["directional"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.weighted, GOLDEN["weighted"], rtol=0, atol=1e-6)
    assert found.conflict.tolist() == [bool(one) for one in GOLDEN["conflict"]]
    assert found.sequence_conflict.tolist() == [bool(one) for one in GOLDEN["sequence_conflict"]]
    assert found.pipeline == GOLDEN["pipeline"]
    assert found.exact


def test_the_pairs_reach_every_part_of_it() -> None:
    directional = np.array(GOLDEN["directional"])
    assert sum(GOLDEN["conflict"]) >= 10
    assert sum(GOLDEN["sequence_conflict"]) >= 5
    assert (directional == 1).sum() >= 10
    assert len(set(directional.tolist())) > 80
    assert not all(GOLDEN["has_vector"].values())


def test_the_terms_are_those_of_the_formula() -> None:
    assert len(GROUPS) == 39
    assert sum(len(group.words) + len(group.phrases) for group in GROUPS) == 203
    assert len({group.name for group in GROUPS}) == 39


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [
        ("Turn left.", "Turn right.", True),
        ("Turn left.", "Turn left, then right.", False),
        ("The door is behind you", "it is in front of you", True),
        ("turn around", "rotate 360 degrees", True),
        ("rotate 360 degrees", "turn around", False),
        ("go up", "Go DOWN", True),
        ("upstairs", "downstairs", False),
        ("at the back", "at the front", True),
        ("Door at 2 o'clock.", "Door at 10 o'clock.", False),
        ("Yes.", "No.", False),
    ],
)
def test_contradictions(reference: str, candidate: str, expected: bool) -> None:
    assert contradicts(reference, candidate) is expected


def test_reversal_needs_a_word_of_time() -> None:
    assert reverses("Turn left, then walk", "walk and turn left", PLAIN)
    assert not reverses("Turn left and walk", "walk and turn left", PLAIN)
    assert reverses("Walk, and walk on; strengthen", "walk and walk", PLAIN), "a defect: 'then' in another word"


def test_its_defects() -> None:
    assert directional_score("Yes.", "Turn right into the wall.", PLAIN) == 1.0
    same = "Go through the entrance to the stage."
    assert directional_score(same, same, PLAIN) == pytest.approx(0.4 + 0.3 * 0.0 + 0.1)
    assert directional_score("Turn left", "turn left", PLAIN) > directional_score("Walk on", "walk on", PLAIN)


parts = st.sampled_from("turn left,turn right,go straight,walk to the door,behind you,yes,then,take a left".split(","))
texts = st.lists(parts, max_size=5).map(" ".join)


@settings(deadline=None)
@given(texts, texts, st.floats(0, 1), st.floats(0, 1))
def test_any_two_texts(reference: str, candidate: str, f1: float, weight: float) -> None:
    found = paper_scores([reference], [candidate], np.array([f1]), PLAIN, weight)
    assert 0 <= found.directional[0] <= 1
    assert found.weighted[0] == pytest.approx((1 - weight) * f1 + weight * found.directional[0])
    assert not found.exact
    assert found.pipeline == PLAIN.name
    assert contradicts(reference, candidate) == contradicts(candidate, reference)
    if found.conflict[0] or found.sequence_conflict[0]:
        assert found.directional[0] == 0


def test_no_answers() -> None:
    found = paper_scores([], [], np.array([]), PLAIN)
    assert len(found.weighted) == len(found.conflict) == 0
    assert not math.isnan(found.weighted.sum())
