"""How sure the model was of an answer, from the probabilities of its tokens: no torch, no model.

The confidence of an answer is the smallest probability among the tokens that say where to go: left or right, ahead,
around, and every number. An answer is as good as its worst turn; the mean over all tokens would be near 1 whatever
the direction, since most of a sentence is grammar. Raw softmax values are not calibrated: compare them only with
thresholds that were measured on the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nav_vlm_node.vlm.protocol import Token

# The words of the canonical grammar that carry a direction, a distance or a yes or no; numbers are matched by digits.
DIRECTION_WORDS = frozenset(
    "left right ahead behind around straight back no not nothing caution stop scan do know".split()
)
_WORD = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?")


def confidence(tokens: Iterable[Token]) -> float:
    """Confidence 0..1 of an answer; of all its tokens if none bears a direction, 0.0 of an empty answer."""
    tokens = list(tokens)
    if not tokens:
        return 0.0
    bearing = [
        min(token.probability for token in tokens[first : last + 1])
        for word, first, last in _words(tokens)
        if word[0].isdigit() or word.lower() in DIRECTION_WORDS
    ]
    return min(bearing) if bearing else min(token.probability for token in tokens)


def _words(tokens: list[Token]) -> Iterable[tuple[str, int, int]]:
    """Each word of the joined text with the first and last token that it is made of ("le" + "ft")."""
    owner = [i for i, token in enumerate(tokens) for _ in token.text]
    for match in _WORD.finditer("".join(token.text for token in tokens)):
        yield match.group(), owner[match.start()], owner[match.end() - 1]
