"""Steps: to what was seen or is remembered, through doors, and on by arrows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.score import OFF_CENTRE, told, wrap
from nav_vlm_node.session.clues import BEFORE, BEYOND, OPEN_DOOR, PASSED, Clue, arrow_of
from nav_vlm_node.session.trail import LEG, Place, Trail, along, apart, beyond, heading_to

SHORTEST = 0.25  # metres of a leg
AFAR = 1.8  # metres before a door or what is in the way, from where another way to it begins
BACK = 1.2  # metres out of a corner
TELLING = 0.15  # metres off a line, under which nobody knows on which side of it a thing is
OVER = 0.8  # metres to the other side of the line on which one came
UNDER = 0.6  # metres before a sign, where its arrow is followed
SURE = 0.95  # of an answer's confidence
_SLIGHT = math.radians(20)

Steps = tuple[Step, ...]


def leg(trail: Trail, place: Place, spot: Place | Clue) -> tuple[Step, Step]:
    """One leg to a spot, by odometry."""
    turn = trail.turn(wrap(heading_to(place, spot) - place.yaw))
    return turn, Step(Action.MOVE, 0.0, max(SHORTEST, min(LEG, apart(spot, place))))


def towards(trail: Trail, place: Place, clue: Clue) -> Steps:
    """One leg to what was seen before, by odometry; the last leads through a door, or on by a sign's arrow."""
    reach = apart(clue, place)
    if clue.landmark == OPEN_DOOR:
        if reach > BEFORE + PASSED:
            return leg(trail, place, beyond(clue, clue.approach + math.pi, BEFORE))
        return _through(trail, place, clue)
    there = leg(trail, place, clue)
    if reach > LEG or math.isnan(clue.onward):
        return there
    near = as_far(there[1], max(SHORTEST, reach - UNDER))
    turn = wrap(clue.onward - heading_to(place, clue))
    return there[0], near, Step(Action.TURN, turn), Step(Action.MOVE, 0.0, LEG)


def _through(trail: Trail, place: Place, door: Clue) -> Steps:
    """From nearby through a door, which may not be seen any more: in line with it first."""
    beside = door.beside(place)
    on = Step(Action.MOVE, 0.0, LEG)
    if abs(beside) < SHORTEST:
        return trail.turn(wrap(door.line - place.yaw)), on
    side = math.copysign(math.pi / 2, beside)
    first = Step(Action.TURN, wrap(door.line + side - place.yaw))
    return first, Step(Action.MOVE, 0.0, min(1.0, abs(beside))), Step(Action.TURN, -side), on


def round_about(eye: Place, place: Place, aim: Clue, leaf: Place | None) -> tuple[Place, Place]:
    """Out of the corner between a wall and what stands before it: back along the way one has come, and over to the
    other side of it. Two spots to go to.

    eye: from where one has come. leaf: of an open door, which is known to be in the way.
    """
    heading = heading_to(eye, aim)
    gone, left = along(eye, heading, place)
    if leaf is not None and abs(along(eye, heading, leaf)[1]) > TELLING:
        left = along(eye, heading, leaf)[1]
    if aim.landmark == OPEN_DOOR:
        gone = apart(eye, aim)
    side = heading + math.copysign(math.pi / 2, -left)
    over = beyond(beyond(eye, heading, max(0.0, gone - AFAR)), side, OVER)
    return beyond(place, heading, -BACK), over


def to_door(steps: Steps, reach: float) -> Steps:
    """An answer's way to before the door, and from there past it in one leg: the next answer comes from behind it."""
    if reach > LEG + BEFORE:
        return steps
    length = reach - BEFORE if reach > BEFORE + PASSED else reach + BEYOND
    return tuple(as_far(step, length) for step in steps)


def under_sign(steps: Steps, reach: float) -> Steps:
    """An answer's way to a sign, then the way its arrow points: from under it, it cannot be read."""
    arrow = arrow_of(steps)
    if abs(arrow) < _SLIGHT:
        return tuple(as_far(step, reach + BEYOND) for step in steps)
    near = [as_far(step, max(SHORTEST, reach - UNDER)) for step in steps if step.action is not Action.SIGN]
    return (*near, Step(Action.TURN, arrow), Step(Action.MOVE, 0.0, LEG))


def as_far(step: Step, distance: float) -> Step:
    """The same step, another distance, where it is one to walk."""
    return replace(step, distance=distance) if step.action is Action.MOVE else step


def kept(steps: Iterable[Step]) -> list[Step]:
    """What an answer warns of, that the goal is not in view, and that one is to stop."""
    return [step for step in steps if step.action in (Action.CAUTION, Action.NOT_VISIBLE, Action.STOP)]


def standing(steps: Steps) -> Steps:
    """Steps without a leg, where one of them is to stop."""
    if all(step.action is not Action.STOP for step in steps):
        return steps
    first = next((k for k, step in enumerate(steps) if step.action is Action.MOVE), len(steps))
    return steps[:first]


def unseen(instruction: Instruction, goal: str) -> Instruction:
    """An answer whose goal is not believed: it is not in view. goal: its name where the answer has none."""
    named = [s.landmark for s in instruction.steps if s.action in (Action.MOVE, Action.LOCATE) and s.landmark]
    steps = (*kept(instruction.steps), Step(Action.NOT_VISIBLE, landmark=named[-1] if named else goal))
    return replace(instruction, status=Status.NOT_VISIBLE, steps=steps)


def one_look_is_enough(instruction: Instruction) -> bool:
    """Whether one picture alone may send somebody: about ahead, and said with confidence. What it shows about its edge,
    and what is half believed, is most often wrong."""
    return abs(told(instruction.steps)[0]) < OFF_CENTRE and instruction.confidence >= SURE


def doubtful(instruction: Instruction) -> Instruction:
    """An answer whose way is not taken now; a goal that was in view is not said to be out of it."""
    return replace(instruction, status=Status.UNSURE) if instruction.status is Status.OK else instruction
