"""The phrases of free English that carry a number or a name: where, how far, what.

A side that is named without an angle has one by convention, the same when it is read and when it is spoken:
slightly 20, bear 45, plain 90, sharply 135 degrees; "ahead on your left" 45, "behind on your left" 135. Plain "on your
left" is 90 degrees, also for where a thing stands: that is what the words mean (9 o'clock); nothing in them says less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nav_vlm_node.instruction import NAN
from nav_vlm_node.language.canonical import quantise_landmark
from nav_vlm_node.language.landmarks import head_of
from nav_vlm_node.language.words import (
    AFTER_ADVERB_RIGHT,
    ARTICLES,
    BE,
    BOUNDARY,
    FUNCTION_WORDS,
    HAZARD_WORDS,
    KEEP_VERBS,
    MOVE_VERBS,
    SIDED_NOUNS,
    TAKE_A_TURN,
    TURN_VERBS,
    VERBS,
    word_set,
)

SLIGHT, BEAR, PLAIN, SHARP = (math.radians(degrees) for degrees in (20, 45, 90, 135))

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_SMALL = {word: float(value) for value, word in enumerate((_ONES + " seventeen eighteen nineteen").split())}
_TENS_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10.0 * value for value, word in enumerate(_TENS_NAMES.split(), 2)}
_UNITS = {
    **dict.fromkeys(["m", "metre", "metres", "meter", "meters"], 1.0),
    **dict.fromkeys(["cm", "centimetre", "centimetres", "centimeter", "centimeters"], 0.01),
    **dict.fromkeys(["km", "kilometre", "kilometres", "kilometer", "kilometers"], 1000.0),
    **dict.fromkeys(["ft", "foot", "feet"], 0.3048),
    **dict.fromkeys(["yd", "yard", "yards"], 0.9144),
    **dict.fromkeys(["inch", "inches"], 0.0254),
}
_STEPS = word_set("step steps pace paces stride strides footstep footsteps")
_BEFORE_UNIT = word_set("more further short small big large long good full normal or so")
_SLIGHTLY = word_set("slight slightly little bit gently gentle somewhat")
_SHARPLY = word_set("sharp sharply hard")
_PLACES = word_set(
    "room hall hallway corridor stage building platform aisle screen path passage space lobby area house you me us"
)  # what one looks along: its left is the wearer's left
_WHICH = word_set("nearest next first second third last lots lot plenty many of")
_NO_NAMES = word_set(
    "side sides hand way front back end center centre middle distance direction o'clock oclock degrees degree"
)
_HAVING = word_set("have has had i've you've he she they been just")


def number_at(words: Sequence[str], index: int) -> tuple[float, int] | None:
    """The number that begins at `index` ("25", "twenty-five", "a"; NaN for "a few"), and the index after it."""
    if index >= len(words):
        return None
    word = words[index]
    if word[0] in "0123456789":
        return (float(word), index + 1) if len(word) <= 9 else None
    if list(words[index : index + 2]) in (["a", "few"], ["a", "dozen"]):
        index, word = index + 1, words[index + 1]
    if word in ("few", "several", "dozen"):
        dozen = "dozen" in words[index : index + 2]
        return (12.0 if word == "dozen" else NAN), index + (2 if dozen and word != "dozen" else 1)
    if word == "half":
        return 0.5, index + 2 if words[index + 1 : index + 2] in (["a"], ["an"]) else index + 1
    first, _, second = word.partition("-")
    if first in _TENS:
        ones = _SMALL.get(words[index + 1], 0.0) if index + 1 < len(words) else 0.0
        if not second and 0 < ones < 10:
            return _TENS[first] + ones, index + 2
        return (_TENS[first] + _SMALL.get(second, 0.0), index + 1) if not second or second in _SMALL else None
    if second:
        return None
    if word in ("a", "an"):
        if list(words[index + 1 : index + 3]) == ["couple", "of"]:
            return 2.0, index + 3
        hundred = words[index + 1 : index + 2] == ["hundred"]
        half = words[index + 1 : index + 2] == ["half"]
        return (100.0, index + 2) if hundred else (0.5, index + 2) if half else (1.0, index + 1)
    if word not in _SMALL:
        return None
    if list(words[index + 1 : index + 4]) == ["and", "a", "half"]:
        return _SMALL[word] + 0.5, index + 4
    if words[index + 1 : index + 2] == ["hundred"]:
        return 100 * _SMALL[word], index + 2
    return _SMALL[word], index + 1


def _quantity_at(words: Sequence[str], index: int) -> tuple[float, int] | None:
    """A number or a range of two ("3 to 4", "3-4": their mean), and the index after it."""
    first = number_at(words, index)
    if first is None:
        return None
    value, after = first
    to = after + 1 if after < len(words) and words[after] in ("to", "or") else after
    second = number_at(words, to) if to < len(words) and words[to] not in ("a", "an") else None
    if second is not None and second[1] < len(words) and (words[second[1]] in _UNITS or words[second[1]] in _STEPS):
        return (value + second[0]) / 2, second[1]
    return value, after


def distance_at(words: Sequence[str], index: int, step_length: float) -> tuple[float, int] | None:
    """The distance [m] that begins at `index`, and the index after it."""
    quantity = _quantity_at(words, index)
    if quantity is None:
        return None
    value, after = quantity
    for _ in range(2):
        if after < len(words) and words[after] in _BEFORE_UNIT:
            after += 1
    if after >= len(words):
        return None
    metres = step_length if words[after] in _STEPS else _UNITS.get(words[after])
    if metres is None:
        return None
    distance, after = value * metres, after + 1
    if list(words[after : after + 3]) == ["and", "a", "half"]:
        distance, after = distance + 0.5 * metres, after + 3
    return distance, after


@dataclass
class Where:
    """What a clause says of direction and distance.

    bearing: radians, NaN where none is stated. distance: metres, NaN likewise. sided: "left" or "right" was said,
    without an angle. ahead, behind: such a word was said. both: "left or right", "either side". angle: degrees without
    a side, in radians. at, distance_at: index of the first word of direction and of the distance, -1 for none.
    """

    bearing: float = NAN
    distance: float = NAN
    sided: bool = False
    ahead: bool = False
    behind: bool = False
    both: bool = False
    angle: float = NAN
    at: int = -1
    distance_at: int = -1

    @property
    def nothing(self) -> bool:
        """Neither a direction nor a distance is stated."""
        return math.isnan(self.bearing) and self.distance_at < 0 and not self.both and math.isnan(self.angle)


def _side_word(word: str) -> int:
    """1 for a word that means left, -1 for right, 0 for others: "left-hand", "back-right", "leftmost"."""
    if "clockwise" in word:
        return 1 if word.startswith(("counter", "anti")) else -1
    for part in word.split("-"):
        for name, sign in (("left", 1), ("right", -1)):
            if part == name or (part.startswith(name) and part[len(name) :] in ("ward", "wards", "most", "hand")):
                return sign
    return 0


def _ends_name(words: Sequence[str], index: int) -> bool:
    return index >= len(words) or words[index] in FUNCTION_WORDS or words[index] in BOUNDARY or words[index] in VERBS


def side_at(words: Sequence[str], index: int) -> int:
    """1 if words[index] says left, -1 if it says right, as a direction of the wearer's; else 0.

    Not a side: "right away", "right in front", "the right way", "all right", "2 are left over", "to the left of the
    door" (the door's left is not the wearer's).
    """
    word = words[index]
    sign = _side_word(word)
    if sign == 0:
        return 0
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    if "not" in words[max(0, index - 4) : index]:
        return 0
    if after == "of" and not any(place in _PLACES for place in words[index + 2 : index + 4]):
        return 0
    if after == "side" and words[index + 2 : index + 3] == ["of"] and head_of(_name_words(words, index + 3)[0]):
        return 0
    if word == "left":
        return 0 if before in _HAVING or after == "over" else sign
    if word != "right":
        return sign
    if before in ("all", "that's", "you're"):
        return 0
    if before in TURN_VERBS or before in TAKE_A_TURN or before in KEEP_VERBS:
        around_it = index + 2 < len(words) and (words[index + 2] in ARTICLES or not _ends_name(words, index + 2))
        back = after in ("around", "round") and not around_it
        return 0 if back or after in ("away", "here") else sign
    if before in ARTICLES:
        return sign if _ends_name(words, index + 1) or after in SIDED_NOUNS or head_of([after]) else 0
    if before in ("degrees", "degree", "°", "to", "on", "at") or before in _SLIGHTLY or before in _SHARPLY:
        return sign
    if before in MOVE_VERBS:
        return 0 if after in AFTER_ADVERB_RIGHT - {"after", "before"} or after == "to" else sign
    return 0 if after in AFTER_ADVERB_RIGHT or (after in ("at", "to") and before in BE) else sign


def _ahead_at(words: Sequence[str], index: int) -> bool:
    word = words[index]
    if word in ("ahead", "straight", "forward", "forwards", "onward", "onwards"):
        return True
    if word == "front" and index and words[index - 1] in ("in", "up"):
        after = words[index + 1 : index + 3]
        return not after or after[0] != "of" or (len(after) == 2 and after[1] in ("you", "me", "us"))
    return word in ("opposite", "facing", "before") and words[index + 1 : index + 2] == ["you"]


def _behind_at(words: Sequence[str], index: int) -> bool:
    word = words[index]
    if word in ("backward", "backwards"):
        return True
    after = words[index + 1] if index + 1 < len(words) else ""
    if word == "behind":
        ends = after in ("", "you", "me", "us", "at", "on", "about", "to") or after in BOUNDARY
        return ends or (number_at(words, index + 1) is not None and after not in ("a", "an"))
    return word == "back" and words[max(0, index - 1) : index] == ["your"]


def _size_of(side: str, before: Sequence[str]) -> float:
    """The angle [rad] that is meant by the word `side` after the words `before`."""
    if _SLIGHTLY.intersection(before):
        return SLIGHT
    if _SHARPLY.intersection(before):
        return SHARP
    # a back-right corner that is in view is ahead, however far back it is
    halfway = "half" in before or "diagonally" in before or not {"back", "front"}.isdisjoint(side.split("-"))
    return BEAR if halfway else PLAIN


def find_where(words: Sequence[str], step_length: float, start: int = 0) -> Where:
    """What words[start:] say of direction and distance. Linear in their number."""
    where = Where()
    sign, size, clock, degrees = 0, NAN, NAN, NAN
    index = start
    while index < len(words):
        word = words[index]
        number = number_at(words, index)
        if number is not None:
            value, after = number
            unit = words[after] if after < len(words) else ""
            if unit in ("o'clock", "oclock") or list(words[after : after + 2]) == ["o", "clock"]:
                if math.isnan(clock) and 1 <= value <= 12:
                    clock = math.remainder(-math.radians(30 * value), math.tau)
                    where.at = index if where.at < 0 else where.at
                index = after + 1
                continue
            if unit in ("degree", "degrees", "deg", "°"):
                degrees = math.radians(value) if math.isnan(degrees) else degrees
                index = after + 1
                continue
            distance = distance_at(words, index, step_length)
            if distance is not None:
                if where.distance_at < 0:
                    where.distance, where.distance_at = distance[0], index
                index = distance[1]
                continue
        side = side_at(words, index)
        if side:
            if sign and side != sign and words[index - 1] in ("or", "and"):
                where.both = True
            elif not sign:
                sign, where.at = side, index if where.at < 0 else where.at
                size = _size_of(word, words[max(start, index - 4) : index])
        elif _ahead_at(words, index):
            where.ahead, where.at = True, index if where.at < 0 else where.at
        elif _behind_at(words, index):
            where.behind, where.at = True, index if where.at < 0 else where.at
        elif word in ("either", "both") and words[index + 1 : index + 2] in (["side"], ["sides"]):
            where.both = True
        index += 1
    where.sided = sign != 0 and math.isnan(degrees)
    if where.both:
        where.bearing = NAN
    elif not math.isnan(clock):
        where.bearing = math.pi if clock == -math.pi else clock
    elif sign and not math.isnan(degrees):
        where.bearing = math.remainder(sign * degrees, math.tau)
    elif sign:
        if size == PLAIN and (where.ahead or where.behind):
            size = BEAR if where.ahead else SHARP
        where.bearing = sign * size
    elif where.ahead:
        where.bearing = 0.0
    elif where.behind:
        where.bearing = math.pi
    elif not math.isnan(degrees):
        where.angle = degrees
    return where


def _name_words(words: Sequence[str], start: int) -> tuple[list[str], int]:
    """The words of the noun that begins at `start`, without article, and the index after them."""
    index = start
    while index < len(words):
        number = distance_at(words, index, 1.0) or number_at(words, index)
        adjective = _side_word(words[index]) and index > start and words[index - 1] in ARTICLES  # "the right door"
        if number is None and not adjective and words[index] not in ARTICLES and words[index] not in _WHICH:
            break
        index = index + 1 if number is None else number[1]
    begin = index
    while index < len(words):
        word = words[index]
        stops = word in FUNCTION_WORDS or word in BOUNDARY or word in BE or _side_word(word)
        if stops or (index > begin and (word in VERBS or word in HAZARD_WORDS)) or number_at(words, index) is not None:
            break
        index += 1
    return list(words[begin:index]), index


def _landmark(name: Sequence[str]) -> str:
    if all(word in _NO_NAMES for word in name):
        return ""
    return head_of(name) or quantise_landmark(" ".join(name))


def name_at(words: Sequence[str], start: int) -> str:
    """The landmark named at `start` ("the large wooden desk" -> "table"); "" where none is."""
    if list(words[start : start + 3]) == ["flight", "of", "stairs"]:
        return "stairs"
    return _landmark(_name_words(words, start)[0])


def name_in(words: Sequence[str], start: int = 0) -> str:
    """The first landmark named in words[start:]; "" where none is. Linear in their number."""
    index = start
    while index < len(words):
        name, after = _name_words(words, index)
        landmark = _landmark(name)
        if landmark:
            return landmark
        index = max(after, index + 1)
    return ""
