"""Words for the mirrored scene: left and right change places, and nothing else does.

Only what means the wearer's side, or the side of a thing, is exchanged: not "right away", "the right way" or "2 seats
are left". Whether a text was understood well enough for that is checked on its steps, `mirrored_text`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nav_vlm_node.language import mirrored, parse
from nav_vlm_node.language.phrases import side_at
from nav_vlm_node.language.words import tokens_of
from nav_vlm_training.augment.steps import same_steps

# Longer ones first: "counterclockwise" holds "clockwise".
_PAIRS = (("counterclockwise", "clockwise"), ("anticlockwise", "clockwise"), ("left", "right"))
_CLOCK = re.compile(r"\b(1[0-2]|[1-9])(?=\s?(?:o['’]?\s?clock)\b)", re.IGNORECASE)


def swap_sides(text: str) -> str:
    """`text` with every word that means a side exchanged, capitals kept; clock hours mirrored (2 becomes 10)."""
    tokens = tokens_of(text)
    words = [token.word for token in tokens]
    pieces: list[str] = []
    end = 0
    for index, token in enumerate(tokens):
        if _means_a_side(words, index):
            pieces += [text[end : token.start], _exchanged(text[token.start : token.end])]
            end = token.end
    swapped = "".join([*pieces, text[end:]])
    return _CLOCK.sub(lambda match: str(12 - int(match[1]) or 12), swapped)


def mirrored_text(text: str) -> str | None:
    """What is said of the mirrored scene, None where that cannot be made sure of.

    It is sure if its steps are the mirrored ones of `text`, and mirroring again gives `text`.
    """
    swapped = swap_sides(text)
    if swap_sides(swapped) != text:
        return None
    before, after = parse(text), parse(swapped)
    if not same_steps(after.steps, mirrored(before.steps)) or len(after.unparsed) != len(before.unparsed):
        return None
    return swapped


def _means_a_side(words: Sequence[str], index: int) -> bool:
    """side_at is about the wearer's sides; a thing's own ("to the left of the door") changes in the mirror too."""
    word = words[index]
    of_a_thing = word in ("left", "right") and words[index + 1 : index + 2] == ["of"]
    return bool(side_at(words, index)) or of_a_thing or "clockwise" in word


def _exchanged(word: str) -> str:
    """One word: "Left-hand" becomes "Right-hand", "clockwise" "counterclockwise"."""
    lower = word.lower()
    for one, other in _PAIRS:
        for old, new in ((one, other), (other, one)):
            at = lower.find(old)
            if at >= 0:
                found = word[at : at + len(old)]
                put = new.upper() if found.isupper() else new.capitalize() if found[0].isupper() else new
                return word[:at] + put + word[at + len(old) :]
    return word
