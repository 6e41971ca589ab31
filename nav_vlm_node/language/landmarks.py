"""The landmarks this system knows, the words people use for them, and which one a question asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nav_vlm_node.language.words import FUNCTION_WORDS, tokens_of

# landmark -> other words for it. Plurals are listed because English ones are irregular exactly here (people, stairs).
_OTHER_WORDS = {
    "door": "doors, doorway, doorways, closed door, front door, double door, double doors, entrance door",
    "open door": "open doors, open doorway, open doorways",
    "stairs": "stair, staircase, staircases, stairway, stairways, stairwell, step, steps, flight of stairs",
    "lift": "lifts, elevator, elevators, lift door, lift doors, elevator door, elevator doors",
    "exit": "exits, way out, exit door, exit doors, emergency exit, emergency exits, emergency exit door, fire exit, "
    "fire exits, fire exit door",
    "exit sign": "exit signs, emergency exit sign, fire exit sign, sign for the exit",
    "toilet": "toilets, toilet door, washroom, washrooms, restroom, restrooms, rest room, bathroom, bathrooms, "
    "bathroom door, lavatory, loo, wc, ladies room, mens room",
    "table": "tables, desk, desks",
    "chair": "chairs, seat, seats, armchair, armchairs, stool, stools",
    "sofa": "sofas, couch, couches, settee",
    "box": "boxes, carton, cartons, crate, crates, cardboard box, cardboard boxes",
    "plant": "plants, potted plant, potted plants, pot plant, flower pot",
    "person": "persons, people, man, men, woman, women, someone, somebody, anyone, anybody",
    "wall": "walls",
    "cash machine": "cash machines, cashpoint, cashpoints, cash dispenser, cash dispensers, atm, atms",
    "trolley": "trolleys, luggage trolley, luggage trolleys, cleaning trolley, cleaning trolleys",
}
KNOWN: dict[str, tuple[str, ...]] = {landmark: tuple(words.split(", ")) for landmark, words in _OTHER_WORDS.items()}


_NAMES: dict[tuple[str, ...], str] = {
    tuple(words.split()): landmark for landmark, others in KNOWN.items() for words in (landmark, *others)
}
_LONGEST = max(len(words) for words in _NAMES)

_LEAVING = re.compile(
    r"\b(?:get|go|going|walk|find my way|show me|take me|lead me|guide me) out\b"
    r"|\bleave\b|\bout of (?:here|this)\b|\bexit this\b"
)


def match_at(words: Sequence[str], start: int) -> tuple[str, int] | None:
    """The known landmark that the longest run of words from `start` names, and the index after it; None for none."""
    for length in range(min(_LONGEST, len(words) - start), 0, -1):
        landmark = _NAMES.get(tuple(words[start : start + length]))
        if landmark is not None:
            return landmark, start + length
    return None


def head_of(words: Sequence[str]) -> str | None:
    """The known landmark that a noun phrase ends in ("large wooden desk" -> "table"); None for none."""
    for length in range(min(_LONGEST, len(words)), 0, -1):
        landmark = _NAMES.get(tuple(words[-length:]))
        if landmark is not None:
            return landmark
    return None


def normalise(name: str) -> str:
    """One spelling per landmark: "Elevator" -> "lift". A name that is not known comes back as it was, in lower case."""
    words = name.lower().split()
    return _NAMES.get(tuple(words), " ".join(words))


def landmark_of(question: str) -> str | None:
    """Which known landmark `question` asks for ("Where is the elevator?" -> "lift"); None for none of them."""
    text = question[:2000]  # a question is a sentence; what follows cannot change what was asked first
    words = [token.word for token in tokens_of(text)]
    index = 0
    fallback: str | None = None
    while index < len(words):
        found = match_at(words, index)
        if found is None:
            index += 1
            continue
        landmark, after = found
        is_head = after >= len(words) or not words[after][0].isalnum() or words[after] in FUNCTION_WORDS
        if is_head:
            # "from the door to the exit": the start of the way is not what was asked for
            start_of_way = "from" in words[max(0, index - 3) : index]
            if not start_of_way:
                return landmark
            fallback = fallback or landmark
        index = after
    if _LEAVING.search(" ".join(words)):
        return "exit"
    return fallback
