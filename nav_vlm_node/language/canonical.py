"""Canonical text: the one English form of every instruction. The model writes it and is trained and scored on it.

Sentences end with "." and are separated by one blank, in this order: hazards, clear way, not in view, unknown, motion,
sign, location, scan. Turns are in 5-degree steps, distances in half metres up to 10 m and in metres beyond.

    CAUTION      Caution, chair 20 degrees left at 1.5 metres.
    NO_HAZARD    Nothing found in the way for 3 metres.
    NOT_VISIBLE  No exit in view.
    UNKNOWN      I do not know that place.
    TURN, MOVE   Turn left 35 degrees, then move 4 metres to the door.      Turn around.      Move ahead.
    STOP         Stop.
    SIGN         The exit sign points left.
    LOCATE       Door 35 degrees left at 4 metres.      Door ahead at 4 metres.      Door behind.      Door in view.
    SCAN         Turn slowly to scan.

`quantise` says what of a list of steps survives in this form: parse(render_canonical(steps)) == quantise(steps).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language.landmarks import normalise
from nav_vlm_node.language.words import BE, FUNCTION_WORDS, HAZARD_WORDS, VERBS, word_set

STEP_DEGREES = 5
Rounding = Callable[[float], float]
LONGEST_M = 999.0  # what is further away is said to be this far; nothing indoors is

_ORDER = {
    Action.CAUTION: 0, Action.NO_HAZARD: 1, Action.NOT_VISIBLE: 2, Action.UNKNOWN: 3, Action.TURN: 4, Action.MOVE: 4,
    Action.STOP: 4, Action.SIGN: 5, Action.LOCATE: 6, Action.SCAN: 7,
}  # fmt: skip
# What a landmark without a name is called, where the sentence needs one.
_UNNAMED = {Action.CAUTION: "obstacle", Action.LOCATE: "place", Action.NOT_VISIBLE: "place", Action.SIGN: "sign"}

# Words that do something in a sentence cannot be part of a landmark's name, or the sentence would read otherwise.
_RESERVED = (
    FUNCTION_WORDS
    | VERBS
    | BE
    | HAZARD_WORDS
    | word_set(
        "back caution degree degrees found know metre metres meter meters nothing points slowly view clear free empty"
        " blocked visible straight"
    )
)
_NOT_IN_NAME = re.compile(r"[^a-z' \-]+")
_LONGEST_NAME = 4  # words


def quantise_bearing(bearing: float) -> float:
    """`bearing` [rad] to 5 degrees, in (-pi, pi]; symmetric about 0; NaN where it is not a finite number."""
    if not math.isfinite(bearing):
        return NAN
    degrees = math.degrees(math.remainder(bearing, math.tau))
    rounded = STEP_DEGREES * math.floor(abs(degrees) / STEP_DEGREES + 0.5)
    if rounded == 0:
        return 0.0
    return math.radians(rounded if degrees > 0 or rounded == 180 else -rounded)


def quantise_distance(distance: float) -> float:
    """`distance` [m] to 0.5 m up to 10 m, to 1 m beyond, at least 0.5; NaN where it is negative or not a number."""
    if math.isnan(distance) or distance < 0:
        return NAN
    distance = min(distance, LONGEST_M)
    return math.floor(distance + 0.5) * 1.0 if distance > 10 else max(0.5, math.floor(2 * distance + 0.5) / 2)


def quantise_pointing(bearing: float) -> float:
    """Where a sign points, the nearest of left, right, ahead and back [rad]; NaN where it is not a finite number."""
    if not math.isfinite(bearing):
        return NAN
    quarters = math.floor(abs(math.remainder(bearing, math.tau)) / (math.pi / 2) + 0.5)
    size = quarters * math.pi / 2
    return math.copysign(size, math.remainder(bearing, math.tau)) if quarters == 1 else size


def quantise_landmark(name: str) -> str:
    """One spelling, letters only, without the words that the grammar needs for itself, at most four words."""
    words = [word.strip("'-") for word in _NOT_IN_NAME.sub(" ", normalise(name)).split()]
    kept = [word for word in words if word and word not in _RESERVED]
    return normalise(" ".join(kept[-_LONGEST_NAME:]))


def _arrange_step(step: Step, to_bearing: Rounding, to_distance: Rounding) -> list[Step]:
    action, bearing, distance = step.action, to_bearing(step.bearing), to_distance(step.distance)
    if action is Action.TURN:
        return [] if math.isnan(bearing) or bearing == 0 else [Step(action, bearing)]
    if action is Action.MOVE:
        turn = [] if math.isnan(bearing) or bearing == 0 else [Step(Action.TURN, bearing)]
        return [*turn, Step(action, 0.0, distance, quantise_landmark(step.landmark))]
    if action is Action.NO_HAZARD:
        return [Step(action, distance=distance)]
    if action in (Action.STOP, Action.SCAN, Action.UNKNOWN):
        return [Step(action)]
    landmark = quantise_landmark(step.landmark) or _UNNAMED[action]
    if action is Action.NOT_VISIBLE:
        return [Step(action, landmark=landmark)]
    if action is Action.SIGN:
        pointing = quantise_pointing(step.bearing)
        return [Step(Action.LOCATE if math.isnan(pointing) else action, pointing, landmark=landmark)]
    return [Step(action, bearing, distance, landmark)]


def arrange(steps: Iterable[Step], to_bearing: Rounding, to_distance: Rounding) -> tuple[Step, ...]:
    """`steps` in the order in which they are said, with only what can be said, and their numbers rounded as given.

    A MOVE along a bearing becomes a TURN and a MOVE straight on; a TURN of 0 vanishes; a SIGN that points nowhere is a
    LOCATE; the landmark of a TURN is dropped. Roundings take and give radians or metres, NaN for what was not stated.
    """
    flat = [arranged for step in steps for arranged in _arrange_step(step, to_bearing, to_distance)]
    return tuple(sorted(flat, key=lambda step: _ORDER[step.action]))


def quantise(steps: Iterable[Step]) -> tuple[Step, ...]:
    """What canonical text keeps of `steps`, in its order. Idempotent.

    Absent numbers are the one object `instruction.NAN`, so that results compare equal with ==.
    """
    return arrange(steps, quantise_bearing, quantise_distance)


def mirrored_bearing(bearing: float) -> float:
    """`bearing` [rad] with left and right exchanged; ahead, behind and NaN stay what they are."""
    return bearing if bearing in (0.0, math.pi) or math.isnan(bearing) else -bearing


def mirrored(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The same steps for the mirrored scene: left and right change places."""
    return tuple(
        Step(step.action, mirrored_bearing(step.bearing), step.distance, step.landmark) for step in steps
    )  # fmt: skip


def _metres(distance: float) -> str:
    return "1 metre" if distance == 1 else f"{distance:g} metres"


def _turned(bearing: float) -> tuple[int, str]:
    """Whole degrees and the side: math.radians(20) -> (20, "left")."""
    degrees = round(math.degrees(bearing))
    return abs(degrees), "left" if degrees > 0 else "right"


def _where(step: Step) -> str:
    """Like " 20 degrees left at 1.5 metres"; what was not stated is left out."""
    where = ""
    if not math.isnan(step.bearing):
        degrees, side = _turned(step.bearing)
        where = " ahead" if degrees == 0 else " behind" if degrees == 180 else f" {degrees} degrees {side}"
    return where + ("" if math.isnan(step.distance) else f" at {_metres(step.distance)}")


def _clause(step: Step) -> str:
    """One quantised step without its full stop, beginning in lower case only where it can be chained."""
    action, landmark = step.action, step.landmark
    if action is Action.TURN:
        degrees, side = _turned(step.bearing)
        return "turn around" if degrees == 180 else f"turn {side} {degrees} degrees"
    if action is Action.MOVE:
        distance = "" if math.isnan(step.distance) else f" {_metres(step.distance)}"
        goal = f" to the {landmark}" if landmark else ""
        return f"move{distance}{goal}" if distance or goal else "move ahead"
    if action is Action.CAUTION:
        return f"Caution, {landmark}{_where(step)}"
    if action is Action.LOCATE:
        return f"{landmark[0].upper()}{landmark[1:]}{_where(step) or ' in view'}"
    if action is Action.NOT_VISIBLE:
        return f"No {landmark} in view"
    if action is Action.SIGN:
        degrees, side = _turned(step.bearing)
        return f"The {landmark} points {'ahead' if degrees == 0 else 'back' if degrees == 180 else side}"
    if action is Action.NO_HAZARD:
        return "Nothing found in the way" + ("" if math.isnan(step.distance) else f" for {_metres(step.distance)}")
    return {Action.STOP: "Stop", Action.SCAN: "Turn slowly to scan", Action.UNKNOWN: "I do not know that place"}[action]


def render_canonical(steps: Iterable[Step]) -> str:
    """The canonical text of `steps`; "" for none."""
    sentences: list[str] = []
    chaining = False
    for step in quantise(steps):
        clause = _clause(step)
        chainable = step.action in (Action.TURN, Action.MOVE)
        if chainable and chaining:
            sentences[-1] += f", then {clause}"
        else:
            sentences.append(clause[0].upper() + clause[1:])
        chaining = chainable
    return " ".join(f"{sentence}." for sentence in sentences)


_NAME = r"(?P<landmark>[a-z][a-z' \-]{0,60}?)"
_METRES = r"(?P<metres>\d{1,3}(?:\.\d{1,2})?) (?:metre|meter)s?"
_WHERE = rf"(?: (?:(?P<line>ahead|behind)|(?P<degrees>\d{{1,3}}) degrees (?P<side>left|right)))?(?: at {_METRES})?"
_FORMS: tuple[tuple[Action, re.Pattern[str]], ...] = tuple(
    (action, re.compile(form))
    for action, form in (
        (Action.CAUTION, rf"caution, {_NAME}{_WHERE}"),
        (Action.NO_HAZARD, rf"nothing found in the way(?: for {_METRES})?"),
        (Action.NOT_VISIBLE, rf"no {_NAME} in view"),
        (Action.UNKNOWN, r"i do not know that place"),
        (Action.TURN, r"turn (?:(?P<line>around)|(?P<side>left|right) (?P<degrees>\d{1,3}) degrees)"),
        (Action.MOVE, rf"move(?: ahead|(?: {_METRES})?(?: to the {_NAME})?)"),
        (Action.STOP, r"stop"),
        (Action.SIGN, rf"the {_NAME} points (?P<line>ahead|back|left|right)"),
        (Action.LOCATE, rf"{_NAME} in view"),
        (Action.LOCATE, rf"{_NAME}(?= ahead| behind| \d){_WHERE}"),
        (Action.LOCATE, rf"{_NAME} at {_METRES}"),
        (Action.SCAN, r"turn slowly to scan"),
    )
)  # fmt: skip
_LONGEST_CLAUSE = 160  # characters; keeps the patterns above from ever meeting a long text
_LINES = {
    "ahead": 0.0,
    "behind": math.pi,
    "around": math.pi,
    "back": math.pi,
    "left": math.pi / 2,
    "right": -math.pi / 2,
}


def _parse_clause(clause: str) -> Step | None:
    if len(clause) > _LONGEST_CLAUSE or clause == "move":
        return None
    for action, form in _FORMS:
        match = form.fullmatch(clause)
        if match is None:
            continue
        found = match.groupdict()
        landmark = found.get("landmark") or ""
        if any(word in _RESERVED for word in landmark.split()):
            continue
        bearing = NAN
        if found.get("line"):
            bearing = _LINES[found["line"]]
        elif found.get("degrees"):
            degrees = int(found["degrees"])
            if degrees > 180:
                return None
            bearing = math.radians(degrees if found["side"] == "left" or degrees in (0, 180) else -degrees)
        elif action is Action.MOVE:
            bearing = 0.0
        distance = float(found["metres"]) if found.get("metres") else NAN
        return Step(action, bearing, distance, normalise(landmark))
    return None


def parse_sentence(sentence: str) -> tuple[Step, ...] | None:
    """The steps of one canonical sentence (its full stop and capitals may be missing); None if it is not canonical."""
    if len(sentence) > 20 * _LONGEST_CLAUSE:
        return None
    clauses = sentence.strip().rstrip(".").lower().split(", then ")
    steps: list[Step] = []
    for clause in clauses:
        step = _parse_clause(clause)
        if step is None or (len(clauses) > 1 and step.action not in (Action.TURN, Action.MOVE)):
            return None
        steps.append(step)
    return tuple(steps)
