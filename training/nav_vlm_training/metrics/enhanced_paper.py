"""The Enhanced BERTScore of arXiv 2509.07488 as its authors computed it, defects and all, to compare with their rows.

    weighted = (1 - w) BERTScore F1 + w D        w = 0.5
    D = 0  where the texts contradict each other by a list of opposites, or begin with the same two verbs reversed
    D = 1  where the reference has no known term, whatever the answer says
    D = 0.4 S + 0.3 F + 0.1 C + boost, cut to 0..1

S: shared terms by weight; F: whether the first verbs and their objects agree; C: cosine of mean word vectors. So the
same text twice cannot reach 1 but by the boost for turning or moving to one side, and a single word is counted twice.
What the formula is, is what the notebooks of github.com/Shaw-git/VLM_Navigation compute, not what they say they do.
Never choose or judge by it alone: "Walk straight ahead." contradicts next to nothing. See `enhanced_strict`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nav_vlm_training.metrics.paper_terms import (
    GROUPS,
    OPPOSITE_PHRASES,
    OPPOSITES,
    POSITIONS,
    SIMILAR,
    TIME_WORDS,
    VERBS,
)
from nav_vlm_training.metrics.pipelines import LanguagePipeline

FloatArray = npt.NDArray[np.float64]
DIRECTIONAL_WEIGHT = 0.5  # of D in the paper's tables
_WEIGHTS = {group.name: group.weight for group in GROUPS}
_MOVES, _TURNS = ("move right", "move left"), ("turn left", "turn right")
_BOOST, _SHORT_BOOST, _EXTRA_WEIGHT = 0.3, 0.1, 1.5
_OTHER_VERBS, _SWAPPED_OBJECTS, _NO_VERB = 0.2, 0.1, 0.5  # F, where it is not a similarity


@dataclass(frozen=True)
class PaperScores:
    """directional (D), weighted: [N] in 0..1. conflict, sequence_conflict: [N] whether the texts contradict each other.

    pipeline: which language pipeline was used; exact: whether it is the paper's.
    """

    directional: FloatArray
    weighted: FloatArray
    conflict: npt.NDArray[np.bool_]
    sequence_conflict: npt.NDArray[np.bool_]
    pipeline: str
    exact: bool


def paper_scores(
    references: Sequence[str],
    candidates: Sequence[str],
    bert_f1: FloatArray,
    pipeline: LanguagePipeline,
    weight: float = DIRECTIONAL_WEIGHT,
) -> PaperScores:
    """The scores of each candidate against the reference at the same place; bert_f1: [N], `BertScores.f1`."""
    pairs = list(zip(references, candidates, strict=True))
    directional = np.array([directional_score(*pair, pipeline) for pair in pairs], dtype=np.float64)
    return PaperScores(
        directional,
        (1 - weight) * np.asarray(bert_f1, dtype=np.float64) + weight * directional,
        np.array([contradicts(*pair) for pair in pairs], dtype=np.bool_),
        np.array([reverses(*pair, pipeline) for pair in pairs], dtype=np.bool_),
        pipeline.name,
        pipeline.exact,
    )


def directional_score(reference: str, candidate: str, pipeline: LanguagePipeline) -> float:
    """D of one pair."""
    if contradicts(reference, candidate) or reverses(reference, candidate, pipeline):
        return 0.0
    meant, said = Counter(_groups_in(reference, pipeline)), Counter(_groups_in(candidate, pipeline))
    if not meant:
        return 1.0
    same_move, same_turn = (any(meant[name] and said[name] for name in names) for names in (_MOVES, _TURNS))
    boost = _BOOST if same_move or same_turn else 0.0
    if boost and len(reference.split()) <= 3 and len(candidate.split()) <= 4:
        boost += _SHORT_BOOST
    score = (
        0.4 * _shared(meant, said, same_move, same_turn)
        + 0.3 * _flow(reference, candidate, pipeline)
        + 0.1 * pipeline.similarity(reference, candidate)
        + boost
    )
    return max(0.0, min(1.0, score))


def contradicts(reference: str, candidate: str) -> bool:
    """Whether one text has only one of two opposites, and the other text only the other."""
    meant, said = reference.lower(), candidate.lower()

    def opposed(has: Sequence[tuple[bool, bool]]) -> bool:
        (first, second), (other_first, other_second) = has
        return first != second and other_first != other_second and first != other_first

    for pair in OPPOSITES:
        has = [(_has_word(text, pair[0]), _has_word(text, pair[1])) for text in (meant, said)]
        if opposed(has):
            return True
    if any(opposed([(a in text, b in text) for text in (meant, said)]) for a, b in OPPOSITE_PHRASES):
        return True
    if "turn around" in meant and "360" in said:
        return True
    return any((a in meant and b in said) or (b in meant and a in said) for a, b in POSITIONS)


def reverses(reference: str, candidate: str, pipeline: LanguagePipeline) -> bool:
    """Whether the first two verbs of the one are the other's, reversed, and either text says anything of time."""
    meant, said = _actions(reference, pipeline), _actions(candidate, pipeline)
    if len(meant) < 2 or len(said) < 2:
        return False
    timed = any(word in text.lower() for word in TIME_WORDS for text in (reference, candidate))
    return timed and [verb for verb, _ in meant[:2]] == [verb for verb, _ in said[1::-1]]


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def _actions(text: str, pipeline: LanguagePipeline) -> list[tuple[str, str]]:
    """The verbs of motion in the order of the text, each with its objects."""
    return [(word.lemma, word.objects) for word in pipeline.words(text.lower()) if word.lemma in VERBS]


def _groups_in(text: str, pipeline: LanguagePipeline) -> list[str]:
    """The groups of the terms in `text`, once per term found: phrases once each, a known word once or twice."""
    remaining = text.lower()
    found: list[str] = []
    for group in GROUPS:
        for phrase in group.phrases:
            if phrase in remaining:  # also within longer words
                found.append(group.name)
                remaining = remaining.replace(phrase, " " * len(phrase))
    for word in pipeline.words(text.lower()):  # of the whole text: also those of the phrases
        group = next((group for group in GROUPS if word.text in group.words), GROUPS[-1])
        if word.text in group.words:
            found.append(group.name)
        # The search for similar words has only the group at which the search above ended: the word's own, so that it
        # is counted again, or, for an unknown word, the last one.
        if any(
            pipeline.has_vector(word.text)
            and pipeline.has_vector(term)
            and pipeline.similarity(word.text, term) > SIMILAR
            for term in group.words
        ):
            found.append(group.name)
    return found


def _shared(meant: Counter[str], said: Counter[str], same_move: bool, same_turn: bool) -> float:
    """S: what both texts have of all that they have, by the groups' weights."""
    total = shared = 0.0
    for name in meant | said:
        weight = _WEIGHTS[name]
        if (same_move and name in _MOVES) or (same_turn and name in _TURNS):
            weight *= _EXTRA_WEIGHT
        total += weight * max(meant[name], said[name])
        shared += weight * min(meant[name], said[name])
    return shared / total if total else 0.0


def _flow(reference: str, candidate: str, pipeline: LanguagePipeline) -> float:
    """F: how alike the verbs and their objects are, in order, as far as both have them."""
    meant, said = _actions(reference, pipeline), _actions(candidate, pipeline)
    if len(meant) >= 2 and len(said) >= 2:
        if [verb for verb, _ in meant[:2]] != [verb for verb, _ in said[:2]]:
            return _OTHER_VERBS
        swapped = meant[0][0] == said[1][0] and meant[1][0] == said[0][0]
        # "" is in every text: verbs without objects count as swapped
        if swapped or meant[0][1] in said[1][1] or meant[1][1] in said[0][1]:
            return _SWAPPED_OBJECTS
    if not meant or not said:
        return _NO_VERB

    def alike(first: str, second: str) -> float:
        known = pipeline.has_vector(first) and pipeline.has_vector(second)
        return pipeline.similarity(first, second) if known else 0.0

    steps = list(zip(meant, said, strict=False))
    return sum((alike(a[0], b[0]) + alike(a[1], b[1])) / 2 for a, b in steps) / len(steps)
