"""Questions as people say them: the language model shall understand them by the name they hold, however they go.

A speech recogniser writes small letters and no punctuation, people add "um" and "please", and no list of sentences
holds what they will say. So half of the questions are changed on the way in: letters, punctuation, words around the
sentence, and, where a name is asked for, words of the sentence dropped or put in place of others. The name stays.
"""

from __future__ import annotations

import re

from nav_vlm_sim.questions import NAMES, PHRASINGS, Kind, Question, Rng, held_out, invented_place

BEFORE = ("um", "please", "hey", "okay", "excuse me", "hello", "so", "well", "and", "now", "sorry", "quickly")
AFTER = ("please", "now", "thanks", "thank you", "from here", "today", "for me", "then", "quickly", "if you can")
CHANGED, SMALL_LETTERS, BARE, ADDED, DROPPED, REPLACED = 0.5, 0.4, 0.4, 0.3, 0.12, 0.08
_NAME = "<name>"
WORDS = tuple(
    sorted(
        {
            word
            for kind in (Kind.TARGET, Kind.HAZARD)
            for index, phrase in enumerate(PHRASINGS[kind])
            if not held_out(index)
            for word in re.findall(r"[a-z]+", phrase.lower())
        }
    )
)


def as_said(question: Question, rng: Rng) -> str:
    """Its text, as it is or as somebody might say it. The held-out phrasings give no words to this."""
    text = question.text
    if rng.random() >= CHANGED:
        return text
    names = NAMES.get(question.target, (question.target,) if question.target else ())
    name = max((n for n in names if n in text), key=len, default="")
    words = (text.replace(name, _NAME, 1) if name else text).split()
    if name:
        words = [kept for word in words for kept in _disturbed(word, rng)]
    if rng.random() < ADDED:
        words.insert(0, BEFORE[int(rng.integers(len(BEFORE)))])
    if rng.random() < ADDED:
        words.append(AFTER[int(rng.integers(len(AFTER)))])
    said = " ".join(words)
    if rng.random() < BARE:
        said = re.sub(r"[.,?!]", "", said)
    if rng.random() < SMALL_LETTERS:
        said = said.lower()
    return said.replace(_NAME, name)


def _disturbed(word: str, rng: Rng) -> tuple[str, ...]:
    """One word of the sentence: mostly itself, sometimes nothing, another word, or one that means nothing."""
    if _NAME in word:
        return (word,)
    u = rng.random()
    if u < DROPPED:
        return ()
    if u < DROPPED + REPLACED:
        return (invented_place(rng) if rng.random() < 0.3 else WORDS[int(rng.integers(len(WORDS)))],)
    return (word,)
