"""How sure the model was of an answer, from the probabilities of its tokens: no torch, no model.

The confidence of an answer is the smallest probability among the words that say to which side it sends the wearer:
left, right, ahead, around. What does not count: a side with an angle under STRAIGHT, for five degrees to the left are
nearly five to the right; numbers, for 30 degrees is hardly more probable than 35 where both are nearly right; and
warnings, which are given however doubtful they are. A mean over all tokens would be near 1 whatever the direction,
since most of a sentence is grammar. docs/log.md has what each tells of the wrong side. Raw softmax values are not
calibrated: compare them only with thresholds that were measured on the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nav_vlm_node.vlm.protocol import Token

STRAIGHT = 15  # degrees
SIDES = frozenset("left right ahead straight behind back around".split())
# Where no side is given, the words that say whether there is anything to say; where there are none of these, all words
# but the verbs, for to turn five degrees and to move on are nearly the same.
VERDICTS = frozenset("no not nothing stop scan do know".split())
_VERBS = frozenset("turn move walk go then".split())
_WORD = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"(?:[^.]|\.(?=\d))+")
_AFTER = re.compile(r"\s+(\d+)(?:\.\d+)? degrees?\b")
_BEFORE = re.compile(r"\b(\d+)(?:\.\d+)? degrees?\s+$")


def confidence(tokens: Iterable[Token]) -> float:
    """Confidence 0..1 of an answer, 0.0 of an empty one."""
    tokens = list(tokens)
    if not tokens:
        return 0.0
    words = _words(tokens)
    others = {word for word, _ in words} - SIDES - _VERBS
    for telling in (SIDES, VERDICTS, others):
        if found := [probability for word, probability in words if word in telling]:
            return min(found)
    return min(token.probability for token in tokens)


def _words(tokens: list[Token]) -> list[tuple[str, float]]:
    """Each word that counts, in small letters, with the least probability of its tokens ("le" + "ft")."""
    owner = [i for i, token in enumerate(tokens) for _ in token.text]
    words = []
    for sentence in _SENTENCE.finditer("".join(token.text for token in tokens)):
        if sentence.group().lstrip().lower().startswith("caution"):
            continue
        for match in _WORD.finditer(sentence.string, *sentence.span()):
            word = match.group().lower()
            if word in SIDES and _angle(sentence.string, match, sentence.start()) < STRAIGHT:
                continue
            made_of = tokens[owner[match.start()] : owner[match.end() - 1] + 1]
            words.append((word, min(token.probability for token in made_of)))
    return words


def _angle(text: str, side: re.Match[str], start: int) -> float:
    """Degrees beside the word: "left 30 degrees", "30 degrees left"; infinite where there are none."""
    beside = _AFTER.match(text, side.end()) or _BEFORE.search(text, start, side.start())
    return float(beside[1]) if beside else float("inf")
