"""What a guide remembers while somebody is on the way to one goal, so that looking around ends and nobody circles.

One picture knows nothing of the one before. `Session` does: which headings were looked at from here, which open doors
and signs have been seen and passed, and where a sign's arrow sends whoever stands under it. It changes what one
picture's answer leaves open ("turn slowly to scan") into one definite turn or leg, and never changes a way to the goal
itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.language import Style, render
from nav_vlm_node.score import told, wrap

LOOK = math.radians(60)  # one turn of a search: the next picture overlaps the last one
SEEN = math.radians(40)  # a heading this near to one that was looked at is not looked at again
LOOKS = 6  # in a row, at most, before the wearer goes on to another place
HERE = 1.2  # metres: from within this circle a heading that was looked at stays looked at
SAME = 1.6  # metres: two sightings of a door or sign nearer together than this are of the same one
LEG = 2.0  # metres that are walked before the next question
UNDER = 0.6  # metres before a sign, where its arrow is followed
BEYOND = 1.2  # metres behind an open door, from where the next look is worth it
OPEN_DOOR, EXIT_SIGN = "open door", "exit sign"  # what leads on to a goal that is not in view
GOAL = ""  # the landmark of a clue that is the goal itself
NEARER, TRIES = 0.3, 3  # metres that a leg must gain; legs without it after which another way is looked for
REACHED = 0.5  # metres from where the goal should be: it is not there
_SLIGHT = math.radians(20)

Ask = Callable[[str], Instruction]


class Place(NamedTuple):
    """Where the wearer is and faces, by odometry: metres and radians in any fixed frame (REP-105 `odom`)."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class Guidance:
    """instruction: what to tell the wearer. searching: it only turns them to look elsewhere, or walks them there."""

    instruction: Instruction
    searching: bool = False


@dataclass(eq=False)
class _Clue:
    """The goal, an open door or a sign that was seen: where it is, how often the wearer has been there, and the
    heading that a sign's arrow means [rad, NaN]. nearest: metres, so far. tries: legs in a row that led no nearer."""

    landmark: str
    x: float
    y: float
    visits: int = 0
    onward: float = NAN
    nearest: float = math.inf
    tries: int = 0

    def out_of_reach(self, place: Place) -> bool:
        """Whether leg after leg has led no nearer: something is in the way. Asked once before each leg."""
        gap = _apart(self, place)
        if gap < self.nearest - NEARER:
            self.nearest, self.tries = gap, 0
        else:
            self.tries += 1
        return self.tries >= TRIES


@dataclass
class Session:
    """One goal's memory. `heed` every answer with the place it was asked from; begin a new one for a new goal."""

    style: Style = Style()
    _looked: list[Place] = field(default_factory=list)
    _clues: list[_Clue] = field(default_factory=list)
    _inside: set[int] = field(default_factory=set)  # of _clues, those the wearer is at now
    _going: _Clue | None = None  # what the wearer is on the way to; the goal itself where it was in view
    _turned: int = 0  # looks in a row that found nothing

    def heed(self, instruction: Instruction, place: Place, ask: Ask | None = None) -> Guidance:
        """What to tell instead of one picture's answer; the answer itself where it leads to the goal.

        ask: answers another question about the same picture; without it a search knows only the doors it is told of.
        """
        self._mark_visits(place)
        if instruction.status is Status.NOT_VISIBLE:
            return self._led_on(instruction, place) or self._search(instruction, place, ask)
        if instruction.status in (Status.UNSURE, Status.POOR_IMAGE):
            return self._search(instruction, place, ask)
        if instruction.status is Status.OK:
            self._going, self._turned = self._sighted(instruction, place), 0
        return Guidance(instruction)

    def _sighted(self, instruction: Instruction, place: Place) -> _Clue | None:
        """Where the goal is: it may leave the picture, or the model may miss it, on the last metres."""
        direction, distance = told(instruction.steps)
        if math.isnan(direction) or math.isnan(distance):
            return None
        heading = place.yaw + direction
        return _Clue(GOAL, place.x + distance * math.cos(heading), place.y + distance * math.sin(heading))

    def _mark_visits(self, place: Place) -> None:
        inside = {k for k, clue in enumerate(self._clues) if _apart(clue, place) < HERE}
        for k in inside - self._inside:
            self._clues[k].visits += 1
        self._inside = inside

    # ---- what leads on ---------------------------------------------------------------------------

    def _led_on(self, instruction: Instruction, place: Place) -> Guidance | None:
        """The way to the open door or sign of the answer; None where there is none, or the wearer has been there."""
        clue, reach = self._clue_of(instruction, place)
        if clue is None or clue.visits:
            return None
        if self._going is not None and self._going.landmark == GOAL:
            return None  # the goal itself was nearer than what leads on to it
        arrow = next((step.bearing for step in instruction.steps if step.action is Action.SIGN), NAN)
        if not math.isnan(arrow):
            clue.onward = wrap(math.atan2(clue.y - place.y, clue.x - place.x) + arrow)
        if clue.out_of_reach(place):
            clue.visits += 1
            self._going = None
            return None if math.isnan(clue.onward) else Guidance(self._by_arrow(instruction, clue, place))
        self._going, self._turned = clue, 0
        if reach > LEG:
            return Guidance(instruction)
        self._going = None
        if clue.landmark == EXIT_SIGN:
            return Guidance(self._under_sign(instruction, clue, reach))
        return Guidance(self._through(instruction, clue, reach))

    def _clue_of(self, instruction: Instruction, place: Place) -> tuple[_Clue | None, float]:
        """The open door or sign that an answer sends to or locates, and how far it is."""
        direction, distance = told(instruction.steps)
        named = [s.landmark for s in instruction.steps if s.action in (Action.MOVE, Action.LOCATE)]
        landmark = next((name for name in named if name in (OPEN_DOOR, EXIT_SIGN)), "")
        if math.isnan(direction) or not landmark:
            return None, NAN
        reach = LEG if math.isnan(distance) else distance
        heading = place.yaw + direction
        x, y = place.x + reach * math.cos(heading), place.y + reach * math.sin(heading)
        alike = [
            clue for clue in self._clues if clue.landmark == landmark and math.dist((clue.x, clue.y), (x, y)) < SAME
        ]
        if not alike:
            self._clues.append(_Clue(landmark, x, y))
            return self._clues[-1], reach
        found = min(alike, key=lambda clue: math.dist((clue.x, clue.y), (x, y)))
        if not found.visits:  # the nearer look is the better one
            found.x, found.y = x, y
        return found, reach

    def _under_sign(self, instruction: Instruction, clue: _Clue, reach: float) -> Instruction:
        """To the sign, then the way its arrow points: from under it, it cannot be read."""
        arrow = next((step.bearing for step in instruction.steps if step.action is Action.SIGN), NAN)
        if math.isnan(arrow):
            return instruction
        clue.visits += 1
        self._looked.clear()
        if abs(arrow) < _SLIGHT:
            return self._through(instruction, clue, reach)
        steps = [
            _as_far(step, max(0.25, reach - UNDER)) for step in instruction.steps if step.action is not Action.SIGN
        ]
        return self._saying(instruction, (*steps, Step(Action.TURN, arrow), Step(Action.MOVE, 0.0, LEG)))

    def _by_arrow(self, instruction: Instruction, clue: _Clue, place: Place) -> Instruction:
        """The way that a sign's arrow points, from here."""
        kept = [step for step in instruction.steps if step.action in (Action.CAUTION, Action.NOT_VISIBLE)]
        turn = Step(Action.TURN, wrap(clue.onward - place.yaw))
        return self._saying(instruction, (*kept, turn, Step(Action.MOVE, 0.0, LEG)))

    def _through(self, instruction: Instruction, clue: _Clue, reach: float) -> Instruction:
        """Past the door: the next answer comes from behind it."""
        clue.visits += 1
        self._looked.clear()
        return self._saying(instruction, tuple(_as_far(step, reach + BEYOND) for step in instruction.steps))

    # ---- searching -------------------------------------------------------------------------------

    def _search(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance:
        """Another way to look from here; after all of them, on to the open door that was least gone through."""
        here = [p for p in self._looked if math.dist((p.x, p.y), (place.x, place.y)) < HERE]
        self._looked = [*here, place]
        if ask is not None:
            door = ask(f"Where is the {OPEN_DOOR}?")
            if door.status is Status.OK:
                self._clue_of(door, place)
        first = [step for step in instruction.steps if step.action in (Action.CAUTION, Action.NOT_VISIBLE)]
        going = self._going
        if going is not None and (
            going.out_of_reach(place) or (going.landmark == GOAL and _apart(going, place) < REACHED)
        ):
            going.visits += 1
            self._going = None
        if self._going is None:
            turns = (LOOK, -LOOK, 2 * LOOK, -2 * LOOK, math.pi)
            fresh = [t for t in turns if all(abs(wrap(place.yaw + t - p.yaw)) > SEEN for p in self._looked)]
            if fresh and self._turned < LOOKS:
                self._turned += 1
                steps: tuple[Step, ...] = (Step(Action.TURN, self._onwards(fresh)),)
                return Guidance(self._saying(instruction, (*first, *steps)), searching=True)
            doors = [clue for clue in self._clues if clue.landmark == OPEN_DOOR and _apart(clue, place) > HERE / 2]
            self._going = min(doors, key=lambda clue: (clue.visits, _apart(clue, place)), default=None)
        self._turned = 0
        self._looked.clear()
        steps = (Step(Action.TURN, LOOK), Step(Action.MOVE, 0.0, LEG)) if self._going is None else self._towards(place)
        return Guidance(self._saying(instruction, (*first, *steps)), searching=True)

    def _towards(self, place: Place) -> tuple[Step, ...]:
        """One leg to what the wearer is on the way to, by odometry; the last leads through a door or on by an arrow."""
        assert self._going is not None
        clue, reach = self._going, _apart(self._going, place)
        bearing = wrap(math.atan2(clue.y - place.y, clue.x - place.x) - place.yaw)
        there = (Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, min(LEG, reach)))
        if reach > LEG or clue.landmark == GOAL:
            return there
        self._going = None
        clue.visits += 1
        if clue.landmark == OPEN_DOOR:
            return there[0], Step(Action.MOVE, 0.0, min(LEG, reach + BEYOND))
        if math.isnan(clue.onward):
            return there
        turn = wrap(clue.onward - place.yaw - bearing)
        near = Step(Action.MOVE, 0.0, max(0.25, reach - UNDER))
        return there[0], near, Step(Action.TURN, turn), Step(Action.MOVE, 0.0, LEG)

    def _onwards(self, turns: list[float]) -> float:
        """The turn to the same side as the last, so that a search goes round once."""
        if len(self._looked) > 1:
            last = wrap(self._looked[-1].yaw - self._looked[-2].yaw)
            turns = [turn for turn in turns if turn * last > 0] or turns
        return min(turns, key=abs)

    def _saying(self, instruction: Instruction, steps: tuple[Step, ...]) -> Instruction:
        spoken = render(steps, self.style)
        if instruction.status is Status.POOR_IMAGE:
            spoken = f"{instruction.text} {spoken}"
        return replace(instruction, steps=steps, text=spoken)


def _apart(clue: _Clue, place: Place) -> float:
    return math.dist((clue.x, clue.y), (place.x, place.y))


def _as_far(step: Step, distance: float) -> Step:
    return replace(step, distance=distance) if step.action is Action.MOVE else step
