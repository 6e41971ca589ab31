"""What is checked before anything is spoken. Pure functions over steps and text, and `Gate` for an answer that streams.

The guard does not know whether an answer is right. It withholds what cannot be right (contradictions, distances no room
has, wording a blind person cannot use) and what the model itself doubts. A CAUTION is never withheld for doubt: a
needless warning costs a moment, a missing one a fall.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse

DIRECTIONS = frozenset({Action.TURN, Action.MOVE, Action.LOCATE, Action.SIGN})  # what sends the wearer somewhere
NEEDS_CONFIDENCE = DIRECTIONS | {Action.NO_HAZARD}  # what does harm when it is wrong
# A way to one of these may be told as a way to another.
SAME_PLACE = {
    "door": {"door", "open door", "exit", "lift", "toilet"},
    "open door": {"door", "open door"},
    "exit": {"exit", "exit sign", "door", "open door"},
    "exit sign": {"exit", "exit sign"},
}
FARTHEST = 50.0  # metres: nothing that a chest camera shows indoors is further away
MOST_STEPS = 12  # more is a model that repeats itself
OPPOSITE = math.radians(15)  # bearings this far off centre have a side

# Rules R15, R1, R20 of docs/architecture.md: no talk about pictures, no pointing, no promise of safety.
_BANNED = re.compile(
    r"\b(images?|photos?|photographs?|pictures?|pictured|screenshots?|pixels?|videos?|cameras?"
    r"|sees?|seen|seeing|looks? like|appears?|something|somewhere|(over|right) (t?here)|safe|safely|safety|harmless)\b"
    r"|https?:|[<>{}\[\]|\\#*_@]",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """min_confidence: 0..1, of nav_vlm_node.vlm.confidence; below it no direction is given. farthest: metres."""

    min_confidence: float = 0.8
    farthest: float = FARTHEST


def objection(
    text: str,
    steps: Sequence[Step],
    unparsed: Sequence[str],
    confidence: float,
    limits: Limits,
    asked: str | None = None,
) -> str | None:
    """Why this answer must not be spoken as it is, in a few words for the log; None if nothing speaks against it.

    asked: the known landmark that was asked for (language.landmark_of), None if there is none.
    """
    if not steps:
        return "nothing in the answer could be understood"
    if unparsed:
        return f"not understood: {unparsed[0][:80]!r}"
    found = banned_wording(text) or implausibility(steps, limits.farthest) or contradiction(steps)
    found = found or wrong_goal(steps, asked)
    doubtful = not confidence >= limits.min_confidence and any(step.action in NEEDS_CONFIDENCE for step in steps)
    if found is None and doubtful:
        return f"confidence {confidence:.2f} is under {limits.min_confidence:.2f}"
    return found


def gives_direction(steps: Sequence[Step]) -> bool:
    """Whether the steps send the wearer anywhere or tell where something is."""
    return any(step.action in DIRECTIONS for step in steps)


def banned_wording(text: str) -> str | None:
    """The first wording in `text` that must not be spoken, named; None if there is none."""
    match = _BANNED.search(text)
    return None if match is None else f"banned wording: {match.group()!r}"


def implausibility(steps: Sequence[Step], farthest: float = FARTHEST) -> str | None:
    """The first number that no room can have, or steps that only a stuck model writes; None if all is well."""
    if len(steps) > MOST_STEPS:
        return f"{len(steps)} steps"
    for before, step in zip([None, *steps], steps, strict=False):
        name = step.action.name
        if not math.isnan(step.distance) and not 0 < step.distance <= farthest:
            return f"{name} of {step.distance:g} m"
        if not math.isnan(step.bearing) and not -math.pi < step.bearing <= math.pi:
            return f"{name} at {step.bearing:g} rad"
        if before is not None and repr(step) == repr(before):  # repr, because NaN is not equal to itself
            return f"{name} twice"
    return None


def contradiction(steps: Sequence[Step]) -> str | None:
    """The first pair of steps that cannot both be meant; None if they agree."""
    actions = {step.action for step in steps}
    if Action.STOP in actions and Action.MOVE in actions:
        return "STOP and MOVE"
    if Action.UNKNOWN in actions and actions & DIRECTIONS:
        return "a direction to a place that is not known"
    if Action.NO_HAZARD in actions and Action.CAUTION in actions:
        return "CAUTION and NO_HAZARD"
    unseen = {step.landmark for step in steps if step.action is Action.NOT_VISIBLE}
    for step in steps:
        if step.action in (Action.MOVE, Action.LOCATE) and step.landmark and step.landmark in unseen:
            return f"{step.landmark} is not in view, and {step.action.name} to it"
    return _opposite_turns(steps) or _turned_away(steps)


def _opposite_turns(steps: Sequence[Step]) -> str | None:
    """Turns to both sides without a walk between them."""
    last = 0.0
    for step in steps:
        if step.action is Action.MOVE:
            last = 0.0
        elif step.action is Action.TURN and not math.isnan(step.bearing):
            if step.bearing * last < 0:
                return "two opposite turns"
            last = step.bearing
    return None


def _turned_away(steps: Sequence[Step]) -> str | None:
    """A walk to a landmark that is said to be on the other side."""
    heading, goal = 0.0, None
    for step in steps:
        if step.action is Action.TURN and not math.isnan(step.bearing):
            heading += step.bearing
        elif step.action is Action.MOVE:
            goal = step.landmark
            break
    located = [step.bearing for step in steps if step.action is Action.LOCATE and goal and step.landmark == goal]
    for bearing in located:
        if min(abs(heading), abs(bearing)) >= OPPOSITE and heading * bearing < 0:
            return f"{goal} is on the other side of the turn"
    return None


def wrong_goal(steps: Sequence[Step], asked: str | None) -> str | None:
    """A walk to another landmark than the known one that was asked for, unless that is said to be out of view."""
    goals = {step.landmark for step in steps if step.action is Action.MOVE and step.landmark}
    admitted = any(step.action is Action.NOT_VISIBLE for step in steps)
    if asked is None or admitted or not goals or goals & SAME_PLACE.get(asked, {asked}):
        return None
    return f"{asked} was asked for, and {min(goals)} is where it leads"


class Gate:
    """Lets the clauses of a streaming answer out one by one, each as soon as nothing speaks against it.

    What came before counts: a clause that contradicts it stays in, and after that only cautions come out. hold: only
    cautions come out in any case.
    """

    def __init__(self, limits: Limits, asked: str | None = None, *, hold: bool = False) -> None:
        self._limits = limits
        self._asked = asked
        self._hold = hold
        self._steps: tuple[Step, ...] = ()
        self.objection: str | None = None

    def offer(self, clause: str, confidence: float) -> tuple[Step, ...]:
        """The steps of `clause`, one complete sentence, that may be spoken now; () if none may."""
        parsed = parse(clause)
        cautions = tuple(step for step in parsed.steps if step.action is Action.CAUTION)
        together = (*self._steps, *parsed.steps)
        why = objection(clause, together, parsed.unparsed, confidence, self._limits, self._asked)
        if not parsed.steps:
            why = "not understood"
        if self.objection is None and why is None:
            self._steps = together
            return cautions if self._hold else parsed.steps
        self.objection = self.objection or why
        return cautions if implausibility(cautions, self._limits.farthest) is None else ()
