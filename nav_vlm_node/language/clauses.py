"""One clause of free English to steps: turns, moves, stops, and where things are said to be.

A clause is a list of lower-case words without marks. Each reader here returns the steps it understood, () for none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language.landmarks import KNOWN
from nav_vlm_node.language.phrases import BEAR, PLAIN, Where, distance_at, find_where, name_at, name_in, side_at
from nav_vlm_node.language.words import (
    ARTICLES,
    BE,
    FUNCTION_WORDS,
    KEEP_VERBS,
    LOOK_VERBS,
    MOVE_VERBS,
    PREPOSITIONS,
    STOP_VERBS,
    TAKE_A_TURN,
    TURN_VERBS,
    VERBS,
    word_set,
)

Words = Sequence[str]
Steps = tuple[Step, ...]

PLACES_TO_GO = frozenset({"door", "open door", "lift", "exit", "exit sign", "toilet"})  # nobody warns of these
OBSTACLE = "obstacle"
_OBSTACLES = word_set("obstacle obstacles obstruction obstructions barrier barriers hazard")
_INDEFINITE = word_set("a an some several one two three many lots plenty")
_DEFINITE = word_set("the your it it's that they")
_HAZARDS = frozenset(KNOWN) - PLACES_TO_GO
_AHEAD = word_set("straight forward forwards ahead onward onwards")
_BACK = word_set("back backward backwards")
_MANNER = word_set(
    "on directly right slowly carefully all a bit little slightly about around roughly approximately just for"
)
_GOALS = word_set("to toward towards into through onto reach until")
_AT = word_set("at after past near before by")
_GOES_WITH_OBJECT = word_set(
    "take taking use using enter entering follow following climb pass passing cross approach pick choose"
)
_GO_ON = word_set("continue continuing keep keeping carry advance")
_AFTER_A_TURN = word_set("again at after onto into past before toward towards when once in around near")
_BEARING_VERBS = word_set("bear bearing veer veering angle curve")
_ORDINALS = word_set("a an the your first second third fourth next immediate slight sharp hard quick another little")
_AT_SOME_PLACE = (PREPOSITIONS - word_set("right just with without for as of")) | word_set(
    "upstairs downstairs here nearby visible there adjacent overhead"
)


def goal_of(words: Words) -> str:
    """Where a clause that begins with a verb of motion goes to; "" where it does not say."""
    if words[0] in _GOES_WITH_OBJECT and (name := name_at(words, 1)):
        return name
    goal = ""
    for preposition in (_GOALS, ("up", "down", "along", "at")):
        for index, word in enumerate(words):
            infinitive = index + 1 < len(words) and words[index + 1] in VERBS and words[index + 1] != "step"
            if word in preposition and not infinitive:
                goal = name_at(words, index + 1) or goal
        if goal:
            break
    return goal


def read_turn(words: Words, step_length: float) -> Steps:
    """A clause like "turn left", "bear left at the door", "turn around"; words[0] is the verb."""
    rest = [word for word in words[1:] if word not in ("right", "all")] if "around" in words[1:4] else list(words[1:])
    back = rest[:1] and (rest[0] in ("around", "round", "about") or rest[0] in _BACK)
    where = find_where(words, step_length, 1)
    place = next((name_at(words, i + 1) for i, word in enumerate(words) if word in _AT), "")
    before: Steps = ()
    after: Steps = ()
    if where.distance_at > 0 and words[where.distance_at - 1] in ("in", "after"):
        before = (Step(Action.MOVE, 0.0, where.distance),)
    elif where.distance_at > 0 and not math.isnan(where.bearing):
        after = (Step(Action.MOVE, 0.0, where.distance),)
    if "head" in words[1:3]:  # the head is not the wearer
        return ()
    around_it = len(rest) > 1 and (rest[1] in ARTICLES or rest[1] not in FUNCTION_WORDS)  # "right around the corner"
    if back and not around_it:
        return (*before, Step(Action.TURN, math.pi, landmark=place))
    looking = rest[:1] == ["slowly"] or rest[:2] in (["on", "the"], ["in", "place"])
    if where.angle >= math.radians(359) or (math.isnan(where.bearing) and looking):
        return (Step(Action.SCAN),)
    if math.isclose(where.angle, math.pi):
        return (*before, Step(Action.TURN, math.pi, landmark=place))
    bearing = where.bearing
    if where.sided:
        size = abs(find_where([word for word in words if word not in _AHEAD], step_length, 1).bearing)
        bearing = math.copysign(BEAR if size == PLAIN and words[0] in _BEARING_VERBS else size, bearing)
    if math.isnan(bearing) or bearing == 0:
        return ()
    return (*before, Step(Action.TURN, bearing, landmark=place), *after)


def _turn_noun(words: Words) -> int:
    """The index of the side in "a left", "the second right turn", "slight left at the door"; -1 where this is none."""
    index = 0
    while index < len(words) and words[index] in _ORDINALS:
        index += 1
    if index >= len(words) or not side_at(words, index) or words[index] not in ("left", "right"):
        return -1
    after = words[index + 1] if index + 1 < len(words) else "turn"
    return index if after == "turn" or after in _AFTER_A_TURN else -1


def read_keep(words: Words, step_length: float) -> Steps:
    """A clause like "keep going", "keep left", "keep the wall on your right", "stay here"."""
    rest = words[1:]
    if words[0].startswith("stay") and (not rest or rest[0] in ("still", "there", "here", "where", "put")):
        return (Step(Action.STOP),)
    if rest and rest[0] in MOVE_VERBS:
        return read_move(rest, step_length, go_on=True)
    if rest and (rest[0] in _AHEAD or rest[0] == "on" or (rest[0] == "it" and not _AHEAD.isdisjoint(rest))):
        return read_move(words, step_length, go_on=True)
    where = find_where(words, step_length, 1)
    if where.sided and not name_in(words[1 : where.at]):
        return (Step(Action.TURN, math.copysign(BEAR, where.bearing)),)
    return () if math.isnan(where.bearing) else (Step(Action.LOCATE, where.bearing, where.distance, name_in(words, 1)),)


def _goes_straight(words: Words, after: int) -> bool:
    """Whether "directly" means straight on ("go directly to the door"), and not exactly ("directly in front")."""
    if after >= len(words):
        return True
    sided = any(side_at(words, index) for index in range(after, min(after + 3, len(words))))
    return words[after] in _GOALS and not sided


def _lead(words: Words, step_length: float) -> tuple[float, int]:
    """The direction an adverb gives a verb of motion ("go straight", "go to your left"), and the index after it."""
    bearing, end, index = NAN, 1, 1
    while index < len(words):
        distance = distance_at(words, index, step_length)
        phrase = words[index] in ("to", "toward", "towards", "on") and not ARTICLES.isdisjoint(
            words[index + 1 : index + 2]
        )
        if distance is not None:
            index = distance[1]
        elif words[index] in _AHEAD or (words[index] == "directly" and _goes_straight(words, index + 1)):
            bearing, index = 0.0 if math.isnan(bearing) else bearing, index + 1
            end = index
        elif words[index] in _BACK:
            bearing, index = math.pi, index + 1
            end = index
        elif side_at(words, index) or (phrase and index + 2 < len(words) and side_at(words, index + 2)):
            index += 1 if side_at(words, index) else 3
            bearing, end = find_where(words[:index], step_length, 1).bearing, index
        elif words[index] in _MANNER:
            index += 1
        else:
            break
    return bearing, end


def read_move(words: Words, step_length: float, go_on: bool = False) -> Steps:
    """A clause like "walk straight to the door", "go left", "take the stairs on your right"; words[0] is the verb."""
    if list(words[:4]) == ["come", "to", "a", "stop"]:
        return (Step(Action.STOP),)
    where = find_where(words, step_length, 1)
    goal = goal_of(words)
    lead, end = _lead(words, step_length)
    if not math.isnan(lead):
        rest = find_where(words, step_length, end)
        beside = name_in(words[end : rest.at]) if rest.sided or rest.behind else ""
        located = (Step(Action.LOCATE, rest.bearing, NAN, goal or beside),) if beside else ()
        if rest.sided and not beside and lead == 0:
            lead = where.bearing
        return (Step(Action.MOVE, lead, where.distance, goal), *located)
    passed = words[0].startswith("pass") or (words[0].startswith("follow") and "on" in words[where.at - 2 : where.at])
    if passed and where.sided:
        return Step(Action.MOVE, NAN, where.distance, goal), Step(Action.LOCATE, where.bearing, NAN, goal)
    bearing = where.bearing
    if math.isnan(bearing) and not where.both and (go_on or words[0] in _GO_ON or where.distance_at >= 0):
        bearing = 0.0
    understood = len(words) == 1 or goal or not where.nothing or go_on or words[1] in PREPOSITIONS or words[0] in _GO_ON
    return (Step(Action.MOVE, bearing, where.distance, goal),) if understood else ()


def read_look(words: Words, step_length: float) -> Steps:
    """A clause like "look around", "look for the door on your left", "check on your right"."""
    if words[0] in ("scan", "pan") or list(words[:2]) in (["look", "around"], ["look", "about"]):
        return (Step(Action.SCAN),)
    where = find_where(words, step_length, 1)
    return () if math.isnan(where.bearing) else (Step(Action.LOCATE, where.bearing, where.distance, name_in(words, 1)),)


def read_verb(words: Words, step_length: float) -> Steps | None:
    """The steps of a clause that begins with a verb; None if it does not begin with one."""
    verb = words[0]
    if verb in TAKE_A_TURN and words[1:]:
        noun = _turn_noun(words[1:])
        if noun >= 0:
            return read_turn(["turn", *words[1:]], step_length)
        if list(words[1:3]) in (["a", "u-turn"], ["an", "about-turn"], ["a", "u"]):
            return (Step(Action.TURN, math.pi),)
        if verb in ("make", "making") and list(words[1:3]) == ["your", "way"]:
            return read_move(["go", *words[3:]], step_length)
    if verb in STOP_VERBS and (len(words) == 1 or words[1] in FUNCTION_WORDS):
        return (Step(Action.STOP, landmark=name_in(words, 1)),)
    if verb in TURN_VERBS:
        return read_turn(words, step_length)
    if verb in KEEP_VERBS:
        return read_keep(words, step_length)
    if verb in MOVE_VERBS:
        return read_move(words, step_length)
    if verb in LOOK_VERBS:
        return read_look(words, step_length)
    if _turn_noun(words) >= 0:
        return read_turn(["turn", *words], step_length)
    if verb in ("straight", "forward", "forwards") and not find_where(words, step_length).sided:
        return read_move(["go", *words], step_length)
    return None


_CLEAR = re.compile(
    r"\b(?:no|any|of|without) (?:other |visible |major |known |more )?"
    r"(?:obstacles?|obstructions?|hazards?|barriers?|objects?|blockages?|dangers?)\b"
    r"|\bnothing (?:is |was |found |right )*(?:in (?:the|your|my|front)\b|blocking|ahead|obstructing|there|here)"
    r"|\b(?:path|way|route|corridor|hallway|area|space|floor|aisle|it|it's|that's|everything|walkway|hall)"
    r" (?:ahead |forward |in front |in front of you |straight ahead )?"
    r"(?:(?:is|looks|seems|appears|all|completely|mostly|quite) )*"
    r"(?:clear|free|unobstructed|empty)\b"
    r"|^(?:all |the )?clear\b"
)
_NOT_CLEAR = re.compile(
    r"\b(?:not|isn't|never) (?:\w+ )?(?:clear|free|empty|unobstructed)\b"
    r"|\b(?:is|are|path|way) (?:\w+ )?(?:blocked|obstructed)\b"
)
_IN_THE_WAY = re.compile(r"\b(?:in (?:the|your|my) (?:way|path)|block(?:s|ing|ed)?|obstruct(?:s|ing|ed)?)\b")
_UNKNOWN = re.compile(r"^i (?:do not|don't) know\b|\bunknown place\b|^i'm not familiar\b")
_UNSEEN = re.compile(
    r"^(?:there (?:is|are) |there's )?no \w"
    r"|\b(?:cannot|can't|can not|could not|couldn't|do not|don't) (?:see|find|spot|detect|locate|tell)\b"
    r"|\b(?:not|isn't|aren't) (?:\w+ )?(?:visible|in view|in sight|here|found|present|there)\b"
)
_DENIED = re.compile(
    r"^(?:there (?:is|are) |there's )?no |\b(?:cannot|can't|can not|could not|couldn't|do not|don't) \w+ "
)
_POINTS = word_set("points pointing point indicates shows says")


def read_stock_phrase(words: Words, step_length: float) -> Steps | None:
    """Phrases with one meaning as a whole: the way is clear, a thing is not there, a sign points. None for others."""
    said = " ".join(words)
    where = find_where(words, step_length)
    if _NOT_CLEAR.search(said):
        by = words.index("by") if "by" in words else len(words)
        return (Step(Action.CAUTION, where.bearing, where.distance, name_in(words, by + 1) or OBSTACLE),)
    denied = _UNSEEN.search(said)
    if _CLEAR.search(said) or (denied and _IN_THE_WAY.search(said)):
        return (Step(Action.NO_HAZARD, distance=where.distance),)
    if _UNKNOWN.search(said):
        name = name_in(words, 4)
        return (Step(Action.NOT_VISIBLE, landmark=name) if name in PLACES_TO_GO else Step(Action.UNKNOWN),)
    if denied:
        start = _DENIED.search(said)
        name = name_in(words, len(said[: start.end()].split()) if start else 0)
        return (Step(Action.NOT_VISIBLE, landmark=name),) if name else None
    pointing = next((index for index, word in enumerate(words) if word in _POINTS), -1)
    sign = pointing > 0 and words[0] not in VERBS and words[pointing - 1].startswith(("sign", "arrow"))
    if sign and not math.isnan(where.bearing):
        return (Step(Action.SIGN, where.bearing, landmark=name_in(words)),)
    return None


def read_statement(words: Words, step_length: float, hazard: bool, answer: str) -> Steps:
    """Where something is: "the door is on your left", "table ahead, 3 steps". A CAUTION if it is called a hazard.

    answer: "yes" or "no" where that was said before: "Yes, there is a table." warns of it, "No, there is a table." too.
    """
    where = find_where(words, step_length)
    name = name_in(words)
    exists = list(words[:2]) in (["there", "is"], ["there", "are"]) or words[0] in ("there's", "there're")
    indefinite = exists or words[0] in _INDEFINITE
    goal = name in PLACES_TO_GO and "closed" not in words
    named = name in _HAZARDS and (answer == "yes" or words[0] not in _DEFINITE)
    answered = answer and ((indefinite and not goal) or named)
    if hazard or answered or name in _OBSTACLES or _IN_THE_WAY.search(" ".join(words)):
        return (Step(Action.CAUTION, where.bearing, where.distance, name or OBSTACLE),)
    placed = _is_placed(words, where)
    return (Step(Action.LOCATE, where.bearing, where.distance, name),) if placed or (exists and name) else ()


def _is_placed(words: Words, where: Where) -> bool:
    if not math.isnan(where.bearing) or not math.isnan(where.distance) or where.both:
        return True
    verb = next((index for index, word in enumerate(words) if word in BE), -1)
    return verb >= 0 and any(word in _AT_SOME_PLACE for word in words[verb + 1 : verb + 4])
