"""What leads on to a goal: open doors and signs that were seen, and the goal itself where it was."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nav_vlm_node.instruction import NAN, Action, Instruction, Step
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session.trail import LEG, TRIES, Place, along, heading_to

OPEN_DOOR, EXIT_SIGN = "open door", "exit sign"  # what leads on to a goal that is not in view
GOAL = ""  # the landmark of a clue that is the goal itself
SAME = 1.6  # metres: two sightings of a door or sign nearer together than this are of the same one
TOGETHER = 8  # looks at one thing that tell where it is
NEARER = 0.3  # metres that a leg must gain
BEFORE = 0.9  # metres before a door, from where it is gone through in one leg
BEYOND = 1.2  # metres behind an open door, from where the next look is worth it
PASSED = 0.4  # metres behind a door, from where it has been gone through
BESIDE = 1.5  # metres off the way through a door that one was led to, at most
DOORWAY = 0.8  # metres, the same of one that one was not led to: it may be in the side of a corridor
TURNED = math.radians(40)  # by which a further try to get through is turned from the first


@dataclass(eq=False)
class Clue:
    """The goal, an open door or a sign that was seen: where it is, how often the wearer has been there, and the
    heading that a sign's arrow means [rad, NaN]. approach: heading through a door from where it was seen [rad, NaN].
    nearest: metres, so far. tries: legs in a row that led no nearer, or not through. detours: how often the wearer was
    stuck on the way to it."""

    landmark: str
    x: float
    y: float
    visits: int = 0
    onward: float = NAN
    approach: float = NAN
    nearest: float = math.inf
    tries: int = 0
    detours: int = 0
    # from where, and where it was then
    _looks: deque[tuple[Place, float, float]] = field(default_factory=lambda: deque(maxlen=TOGETHER))

    def out_of_reach(self, gap: float, most: int = TRIES) -> bool:
        """Whether leg after leg has led no nearer than this many metres. Asked once before each leg."""
        if gap < self.nearest - NEARER:
            self.nearest, self.tries = gap, 0
        else:
            self.tries += 1
        return self.tries >= most

    def seen_at(self, x: float, y: float, place: Place) -> None:
        """A look from a place at one that was not reached yet: where it is is what its last looks say together, those
        from near by more than those from afar. From within its frame nobody sees where a door is."""
        if self.visits or (not math.isnan(self.approach) and math.dist((x, y), place[:2]) <= BEFORE):
            return
        if self._looks and self._looks[-1][0] == place:
            self._looks.pop()  # the same picture
        self._looks.append((place, x, y))
        weights = [max(1.0, math.dist(look, eye[:2])) ** -2 for eye, *look in self._looks]
        self.x = sum(w * x for w, (_, x, _) in zip(weights, self._looks, strict=True)) / sum(weights)
        self.y = sum(w * y for w, (_, _, y) in zip(weights, self._looks, strict=True)) / sum(weights)
        self.approach = heading_to(place, self)

    def passed_by(self, last: Place, place: Place, led: bool) -> bool:
        """Whether the wearer has come through this door, between two places, from where it was approached. led: they
        were on the way to it, so that near its far side is enough."""
        if self.landmark != OPEN_DOOR or math.isnan(self.approach):
            return False
        (was, was_off), (now, now_off) = along(self, self.line, last), along(self, self.line, place)
        if led and PASSED < now < LEG + BEYOND and abs(now_off) < BESIDE:
            return True
        if not was <= PASSED < now:
            return False
        off = was_off + (now_off - was_off) * (PASSED - was) / (now - was)
        return abs(off) < (BESIDE if led else DOORWAY)

    def leave_behind(self) -> None:
        """It was reached, or cannot be."""
        self.visits, self.approach, self.nearest = self.visits + 1, NAN, math.inf
        self.tries = self.detours = 0

    def beside(self, place: Place) -> float:
        """How far the wearer is to the right of the line on which this try goes through this door [m]."""
        return -along(self, self.line, place)[1]

    @property
    def line(self) -> float:
        """The heading in which this try goes through [rad]. From where a door was seen nobody knows how its wall runs:
        each further try is turned to the other side."""
        return wrap(self.approach + (0.0 if not self.tries else TURNED * (1 if self.tries % 2 else -1)))


def seen_in(instruction: Instruction, names: Iterable[str]) -> tuple[str, float, float]:
    """Which of these an answer sends to or locates, its direction and its distance [rad, m]; "" for none."""
    direction, distance = told(instruction.steps)
    named = [s for s in instruction.steps if s.action in (Action.MOVE, Action.LOCATE)]
    found = next((step for step in named if step.landmark in names), None)
    if found is not None and found.action is Action.LOCATE and any(s.action is Action.MOVE for s in named):
        direction, distance = found.bearing, found.distance  # the way leads to something else
    name = found.landmark if found is not None and not math.isnan(direction) else ""
    return name, direction, LEG if math.isnan(distance) else distance


def arrow_of(steps: Iterable[Step]) -> float:
    """Where a sign's arrow points, from facing it [rad]; NaN for none."""
    return next((step.bearing for step in steps if step.action is Action.SIGN), NAN)
