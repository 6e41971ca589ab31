"""Where the wearer has been, and which legs came to nothing."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from nav_vlm_node.instruction import NAN, Action, Instruction, Step
from nav_vlm_node.score import told, wrap

LEG = 2.0  # metres that are walked before the next question
TRIES = 3  # legs in a row that lead nowhere, after which another way is tried
STOPPED = 0.4  # metres: a leg that ends sooner has met something
AWAY = 1.2  # metres from where the first of them began: nearer than this they led nowhere
ASIDE = tuple(math.radians(a) for a in (90, -90, 150, -150))  # from the way that is blocked; one after the other
OVERDONE = math.radians(60)  # more than this was no turn that was told
PLACES = 400  # that are remembered, and legs that met something
TAKEN_OFF = 0.4  # of a turn, at most: half of 5 degrees is a tie between nothing and 5, which a last digit decides
IN_WAY = 0.7  # metres off a straight way, in which a thing is met: half of it, half a wearer, and some
HEADINGS = tuple(math.radians(a) for a in (0, 45, -45, 90, -90, 135, -135, 180))


class Spot(Protocol):
    """Anything that is somewhere: metres in the frame of the odometry."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...


class Place(NamedTuple):
    """Where the wearer is and faces, by odometry: metres and radians in any fixed frame (REP-105 `odom`)."""

    x: float
    y: float
    yaw: float


def apart(a: Spot, b: Spot) -> float:
    """Metres between two spots."""
    return math.dist((a.x, a.y), (b.x, b.y))


def beyond(spot: Spot, heading: float, distance: float) -> Place:
    """The place so far from a spot, faced in the heading [rad, m]."""
    return Place(spot.x + distance * math.cos(heading), spot.y + distance * math.sin(heading), heading)


def heading_to(a: Spot, b: Spot) -> float:
    """From one spot to another [rad]."""
    return math.atan2(b.y - a.y, b.x - a.x)


def along(start: Spot, heading: float, spot: Spot) -> tuple[float, float]:
    """How far a spot is along the line from a start in a heading [rad], and how far to the left of it [m]."""
    gap, off = apart(start, spot), wrap(heading_to(start, spot) - heading)
    return gap * math.cos(off), gap * math.sin(off)


@dataclass
class Trail:
    """The places of all questions so far. `arrive` at each, and `leave` with what was told there."""

    places: deque[Place] = field(default_factory=lambda: deque(maxlen=PLACES))
    _here: int = 0  # of them, the last so many are of this room
    stopped: bool = False  # whether the last leg ended at once
    _blocked: deque[Place] = field(default_factory=lambda: deque(maxlen=PLACES))  # where a leg did, facing along it
    _leg: float = NAN  # heading of the last one
    _look: float = NAN  # the last turn without one [rad]
    _overs: deque[float] = field(default_factory=lambda: deque(maxlen=8))  # by how much they were overdone [rad]
    _anchor: Place = Place(0.0, 0.0, 0.0)
    _tries: int = 0
    _asides: int = 0

    def arrive(self, place: Place) -> None:
        """Notes what has come of the last leg."""
        self.stopped = False
        if self.places and not math.isnan(self._look) and apart(self.places[-1], place) < STOPPED:
            over = wrap(place.yaw - self.places[-1].yaw - self._look)
            if abs(over) <= OVERDONE:
                self._overs.append(math.copysign(1.0, self._look) * over)
        if not self.places:
            self._anchor = place
        elif not math.isnan(self._leg):
            self._tries += 1
            self.stopped = apart(self.places[-1], place) < STOPPED
            if self.stopped:
                self._blocked.append(self.places[-1]._replace(yaw=self._leg))
        if apart(self._anchor, place) > AWAY:
            self._anchor, self._tries, self._asides = place, 0, 0
        self.places.append(place)
        self._here += 1

    def leave(self, instruction: Instruction) -> None:
        """Notes where the wearer is sent from the last place."""
        direction, distance = told(instruction.steps)
        leg = not math.isnan(distance) or any(step.action is Action.MOVE for step in instruction.steps)
        self._leg = wrap(self.places[-1].yaw + direction) if leg else NAN
        self._look = NAN if leg or abs(direction) > HEADINGS[5] else direction

    def undone(self) -> None:
        """Notes that nobody has gone or turned yet where they were sent last."""
        self._leg = self._look = NAN

    def turned(self) -> None:
        """Notes that the wearer was told to turn without a place that is known: the next turn tells nothing."""
        self._look = NAN

    @property
    def last(self) -> Place:
        """The place before this one; this one where there is none."""
        return self.places[-2] if len(self.places) > 1 else self.places[-1]

    @property
    def stuck(self) -> bool:
        """Whether leg after leg has led nowhere: something is in the way."""
        return self._tries >= TRIES

    def turn(self, wanted: float) -> Step:
        """What to say so that the wearer turns by so much [rad]: most turn too far, by nearly the same angle each time
        (Ahmetovic et al. 2018, "Turn right"), but never by more than they were told."""
        over = max(0.0, statistics.median(self._overs)) if self._overs else 0.0
        return Step(Action.TURN, wanted - math.copysign(min(over, abs(wanted) * TAKEN_OFF), wanted))

    def aside(self, blocked: float, hazard: float) -> float:
        """The heading to step aside in, from the one that is blocked: first away from the hazard [rad, NaN]."""
        first = -1.0 if wrap(hazard - blocked) > 0 else 1.0
        turn = ASIDE[self._asides % len(ASIDE)] * first
        self._asides, self._tries = self._asides + 1, 0
        return wrap(blocked + turn)

    def go_elsewhere(self) -> None:
        """Notes that another way is tried."""
        self._tries = 0

    def enter(self) -> None:
        """Notes that the wearer has come into another room."""
        self._here = 0

    def farthest(self, place: Place) -> Place | None:
        """Where they were in this room, as far from here as can be."""
        here = itertools.islice(reversed(self.places), self._here)
        return max((p for p in here if apart(p, place) >= AWAY), key=lambda p: apart(p, place), default=None)

    def freest(self, place: Place, meets: Callable[[Place, float], bool]) -> float:
        """The heading in which a leg leads farthest from where the wearer has been, and met nothing so far.

        meets: whether one from a place in a heading [rad] leads to what was warned of.
        """

        def gain(turn: float) -> float:
            heading = place.yaw + turn
            met = any(apart(b, place) < AWAY and abs(wrap(b.yaw - heading)) < HEADINGS[1] for b in self._blocked)
            if meets(place, heading):
                return -math.inf
            return round(min(apart(beyond(place, heading, LEG), p) for p in self.places) - (LEG if met else 0.0), 1)

        return wrap(place.yaw + max(HEADINGS, key=gain))
