"""What is so, by what a person answered: the truth of data without geometry.

A person's answer is read by nav_vlm_node.language. Where it sends the wearer is taken as the true direction, what it
warns of as the hazards. What it does not say is not known, and the scorer holds nothing against an answer for it
(`Truth.origin`). An answer that says nothing that can be judged becomes kind "describe": it is learnt from, not scored.
"""

from __future__ import annotations

import math
import re

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import landmark_of, parse
from nav_vlm_node.score import Origin, Truth, told

_STATED = re.compile(r"\d\s*(?:°|degrees?\b)|\bdegrees?\b|\bo'? ?clock\b")
_BARE = re.compile(r"\W*(?:yes|yeah|yep|yup|no|nope)\W*", re.IGNORECASE)
_YES = re.compile(r"\W*(?:yes|yeah|yep|yup)\b", re.IGNORECASE)
# "Is anything in my way?" and "Is my way free?": the same answer means the opposite.
_ASKS_FOR_HAZARDS = re.compile(
    r"\b(?:obstacles?|obstruct\w*|obstructions?|barriers?|block\w*|hazards?|dangers?|dangerous|trip|avoid"
    r"|(?:any|some)thing|in (?:my|the|your) (?:\w+ )?(?:way|path))\b"
)
_ASKS_IF_FREE = re.compile(
    r"\b(?:clear|free|freely|safe|safely|unobstructed|empty|passable)\b|^\W*(?:can|could|may) i\b"
)
_ASKS_THE_WAY = re.compile(r"\b(?:where|how|which|what|wheres|hows|whats)\b")


def truth_of(question: str, answer: str) -> tuple[Truth, str]:
    """The truth by a person's answer, and why it cannot be judged, "" if it can. Never raises."""
    parsed = parse(answer)
    steps = parsed.steps
    asked = question.lower().replace("’", "'")
    why = _not_judged(asked, answer, steps)
    origin: Origin = "degrees" if _STATED.search(answer.lower().replace("’", "'")) else "words"
    if why:
        return Truth("describe", steps=steps, origin=origin), why
    actions = {step.action for step in steps}
    hazards = tuple(step for step in steps if step.action is Action.CAUTION)
    target, (direction, distance) = _target(question, steps)
    if Action.UNKNOWN in actions:
        if not math.isnan(told(steps)[0]):
            return Truth("describe", steps=steps, origin=origin), "it does not know the place, and says a direction"
        return Truth("unknown", target, steps=steps, origin=origin), ""
    if Action.NOT_VISIBLE in actions:
        unseen = next(step.landmark for step in steps if step.action is Action.NOT_VISIBLE)
        return Truth("target", target or unseen, hazards=hazards, steps=steps, origin=origin), ""
    if _about_the_way(asked, answer, steps, direction):
        return Truth("hazard", hazards=hazards, steps=steps, origin=origin), ""
    if not math.isnan(direction):
        return Truth("target", target, True, direction, distance, hazards, steps, origin), ""
    return Truth("describe", steps=steps, origin=origin), "it says no direction and no hazard"


def _not_judged(asked: str, answer: str, steps: tuple[Step, ...]) -> str:
    if not steps:
        return "nothing of it was understood"
    if not _BARE.fullmatch(answer):
        return ""
    if _ASKS_IF_FREE.search(asked) or not _ASKS_FOR_HAZARDS.search(asked):
        return "a bare yes or no, which alone means something else"
    return ""


def _target(question: str, steps: tuple[Step, ...]) -> tuple[str, tuple[float, float]]:
    """What was asked for, "" where the answer names it otherwise, and where the answer sends: direction, distance."""
    target = landmark_of(question) or ""
    found = told(steps, target)
    if math.isnan(found[0]) and not math.isnan(told(steps)[0]):
        return "", told(steps)
    return target, found


def _about_the_way(asked: str, answer: str, steps: tuple[Step, ...], direction: float) -> bool:
    """Whether the answer says what is in the way, rather than where something is."""
    actions = {step.action for step in steps}
    if Action.NO_HAZARD in actions:
        return True
    if Action.CAUTION in actions:
        return math.isnan(direction) or not (_ASKS_THE_WAY.search(asked) or landmark_of(asked))
    free = _ASKS_IF_FREE.search(asked) and not _ASKS_THE_WAY.search(asked)
    return bool(free and _YES.match(answer))
